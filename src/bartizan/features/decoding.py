"""Decoders for text hidden in another spelling. Every one is bounded and linear.

Two sorts. *Spellings* (entities, percent, backslash escapes) stand for single characters and
are undone in place. *Envelopes* (base64, hex, tag characters, rot13, reversal) hold a whole
message; what they hold becomes a view beside the text.
"""

from __future__ import annotations

import base64
import binascii
import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.entities import html5
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import re2

from bartizan.features.characters import TAGS
from bartizan.features.traced import Edit

MAX_VIEWS: Final = 16
MAX_VIEW_CHARS: Final = 16_384
"""All decoded views of one text together."""
MIN_ESCAPES: Final = 4
"""Fewer escapes than this are left alone: one ``%20`` in a link is no disguise."""
MIN_PRINTABLE: Final = 0.95
MIN_WORDS: Final = 6
PLAIN_RATE: Final = 0.06
READABLE_RATE: Final = 0.18
"""Share of English function words below which text is not English, and above which it is."""

_ENTITY: Final = re2.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_PERCENT: Final = re2.compile(r"(?:%[0-9A-Fa-f]{2})+")
_ESCAPE: Final = re2.compile(r"\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\u\{[0-9a-fA-F]{1,6}\}")
_BASE64: Final = re2.compile(
    r"[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]{16,})*(?:\r?\n[A-Za-z0-9+/_-]+)?={0,2}"
)
_HEX: Final = re2.compile(r"(?:0x|\\x)?[0-9a-fA-F]{2}(?:(?: |:|\\x|, ?0x)?[0-9a-fA-F]{2}){9,}")
_TO_DIGITS: Final = dict.fromkeys(map(ord, " :,"))
_TAGGED: Final = re2.compile(f"[{TAGS}]+")
_FUNCTION_WORDS: Final = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "to",
        "and",
        "in",
        "is",
        "it",
        "that",
        "you",
        "for",
        "on",
        "with",
        "as",
        "this",
        "be",
        "are",
        "your",
        "all",
        "i",
        "my",
        "not",
        "from",
        "or",
        "me",
        "by",
        "what",
        "have",
        "was",
        "do",
        "can",
        "will",
        "how",
        "but",
        "at",
        "we",
        "if",
        "any",
        "about",
        "them",
        "they",
        "please",
    ]
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message found inside another text.

    Attributes:
        name: The encoding.
        text: What it says.
        start: Where the encoded form starts in the text it was found in.
        end: Where it ends.
    """

    name: str
    text: str
    start: int
    end: int


def spellings(text: str) -> list[Edit]:
    """Return the edits that undo entities, percent signs and backslash escapes in place."""
    edits: list[Edit] = []
    if "&" in text:
        edits += _escapes(_ENTITY, text, _entity)
    if text.count("%") >= MIN_ESCAPES:
        edits += _escapes(_PERCENT, text, _percent)
    if "\\u" in text or "\\x" in text:
        edits += _escapes(_ESCAPE, text, _backslash)
    edits.sort()
    return edits


def envelopes(text: str) -> Iterator[Envelope]:
    """Yield the messages that ``text`` carries in base64 or hex runs and tag characters."""
    if not text.isascii():
        runs = list(_TAGGED.finditer(text))
        if runs:
            hidden = "".join(m.group() for m in runs)
            decoded = "".join(chr(ord(c) - 0xE0000) for c in hidden if 0xE0020 <= ord(c) < 0xE007F)
            yield Envelope("tags", decoded, runs[0].start(), runs[-1].end())
    for match in _HEX.finditer(text):
        digits = match.group().replace("0x", "").replace("\\x", "").translate(_TO_DIGITS)
        decoded = readable(bytes.fromhex(digits))
        if decoded:
            yield Envelope("hex", decoded, match.start(), match.end())
    for match in _BASE64.finditer(text):
        decoded = base64_text(match.group())
        if decoded:
            yield Envelope("base64", decoded, match.start(), match.end())


def disguises(text: str) -> Iterator[Envelope]:
    """Yield the whole text read backwards or through rot13, where only that makes it English."""
    words = text.split()
    if len(words) < MIN_WORDS or _function_rate(words) > PLAIN_RATE:
        return
    for name, candidate in (("rot13", codecs.encode(text, "rot13")), ("reversed", text[::-1])):
        if _function_rate(candidate.split()) >= READABLE_RATE:
            yield Envelope(name, candidate, 0, len(text))


def base64_text(run: str) -> str:
    """Return the text in a base64 run (standard or URL alphabet), or ``""`` if there is none."""
    packed = run.translate(_TO_STANDARD)
    packed = packed[: len(packed) - len(packed) % 4] if len(packed) % 4 == 1 else packed
    try:
        return readable(base64.b64decode(packed + "=" * (-len(packed) % 4)))
    except (binascii.Error, ValueError):
        return ""


_TO_STANDARD: Final = str.maketrans({"-": "+", "_": "/", "\r": None, "\n": None, "=": None})


def readable(data: bytes) -> str:
    """Return ``data`` as text if that is what it is, else ``""``."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        # A cut run ends in half a character; anything earlier is binary.
        if error.start < len(data) - 3 or error.start < MIN_WORDS:
            return ""
        text = data[: error.start].decode()
    if not text:
        return ""
    plain = sum(map(str.isprintable, text)) + text.count("\n") + text.count("\t")
    letters = sum(map(str.isalpha, text)) + text.count(" ")
    return text if plain >= MIN_PRINTABLE * len(text) and letters >= 0.6 * len(text) else ""


def _escapes(pattern: Any, text: str, decode: Callable[[str], str]) -> list[Edit]:
    found = list(pattern.finditer(text))
    if len(found) < MIN_ESCAPES and sum(m.end() - m.start() for m in found) < 3 * MIN_ESCAPES:
        return []
    return [(m.start(), m.end(), decode(m.group())) for m in found]


def _entity(run: str) -> str:
    body = run[1:-1]
    if body[0] != "#":
        return html5.get(body + ";", run)
    code = int(body[2:], 16) if body[1] in "xX" else int(body[1:])
    return _character(code, run)


def _percent(run: str) -> str:
    return unquote_to_bytes(run).decode(errors="replace")


def _backslash(run: str) -> str:
    return _character(int(run[2:].strip("{}"), 16), run)


def _character(code: int, otherwise: str) -> str:
    surrogate = 0xD800 <= code < 0xE000
    return otherwise if surrogate or not 0 < code < 0x110000 else chr(code)


def _function_rate(words: list[str]) -> float:
    return sum(w.lower().strip(".,:;!?\"'") in _FUNCTION_WORDS for w in words) / max(1, len(words))
