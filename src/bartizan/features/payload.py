"""How much an address tells its host, and how much of that comes from the conversation.

Both measures only grow while an address grows, so a stream may be judged as it comes.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final
from urllib.parse import unquote

import re2

from bartizan.features.wording import normal_words
from bartizan.types import Interaction

MAX_WORDS: Final = 200_000
"""Words of the conversation that are compared with; later parts first."""
MIN_BLOB: Final = 12
MIN_WORD: Final = 4
MAX_WORD: Final = 64
MAX_STARTS: Final = 8
"""Places in a run at which an encoded message is supposed to start."""
LONG_NUMBER: Final = 4
WORD_WEIGHT: Final = 0.2
"""Information of one lower-case letter in a readable word, against 1 for a random character."""

_DELIMITERS: Final = str.maketrans(dict.fromkeys("/?#&=;,.+_-~:!$'()*|", " "))
_BLOB: Final = re2.compile(r"[A-Za-z0-9+/_\-]{12,}")
_HEX_ONLY: Final = re2.compile(r"(?:[0-9a-fA-F]{2})+")
_COMMON: Final = frozenset(
    [
        "about",
        "after",
        "all",
        "also",
        "and",
        "any",
        "are",
        "article",
        "because",
        "been",
        "blog",
        "book",
        "build",
        "can",
        "com",
        "content",
        "data",
        "docs",
        "document",
        "example",
        "file",
        "find",
        "first",
        "for",
        "from",
        "get",
        "guide",
        "have",
        "help",
        "home",
        "html",
        "http",
        "https",
        "how",
        "image",
        "images",
        "index",
        "info",
        "into",
        "list",
        "main",
        "make",
        "more",
        "name",
        "new",
        "news",
        "not",
        "one",
        "only",
        "other",
        "page",
        "please",
        "png",
        "post",
        "product",
        "search",
        "show",
        "site",
        "some",
        "start",
        "text",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "title",
        "tutorial",
        "use",
        "user",
        "using",
        "version",
        "view",
        "want",
        "was",
        "web",
        "what",
        "when",
        "where",
        "which",
        "will",
        "with",
        "work",
        "world",
        "would",
        "you",
        "your",
    ]
)
_TO_STANDARD: Final = str.maketrans("-_", "+/")


def information(text: str) -> float:
    """Return how many characters of ``text`` look like data; words of a readable path count little."""
    total = 0.0
    for token in text.translate(_DELIMITERS).split():
        readable = token.isalpha() and (token.islower() or token[1:].islower() or len(token) < 2)
        total += len(token) * (WORD_WEIGHT if readable else 1.0)
    return total


def decoded(text: str) -> str:
    """Return what base64 and hex runs in ``text`` say, as far as they can be read."""
    out: list[str] = []
    for match in _BLOB.finditer(text):
        for run in _starts(match.group()):
            hexed = _HEX_ONLY.match(run)
            if hexed is not None and len(hexed.group()) >= MIN_BLOB:
                out.append(_printable(bytes.fromhex(hexed.group())))
            out.append(_printable(_base64(run)))
    return " ".join(filter(None, out))


def _starts(run: str) -> list[str]:
    """Return the run from its beginning and from after each of its first separators.

    A slash, a dash and an underscore are letters of base64 and separators of addresses.
    """
    at = [0, *(i + 1 for i, c in enumerate(run) if c in "/-_")][:MAX_STARTS]
    return [run[i:] for i in at if len(run) - i >= MIN_BLOB and not (run[i:].isalpha() and run[i:].islower())]


def words(text: str) -> frozenset[str]:
    """Return the words of a piece of an address."""
    return frozenset(normal_words(unquote(text, errors="replace")))


def shared(found: frozenset[str], said: frozenset[str]) -> frozenset[str]:
    """Return the telling words of the conversation that words of an address begin with.

    Beginnings, not whole words: a word at the end of a stream may still grow.
    """
    return frozenset(
        word[:n] for word in found for n in range(MIN_WORD, min(len(word), MAX_WORD) + 1) if word[:n] in said
    )


def spoken(interaction: Interaction) -> frozenset[str]:
    """Return the telling words of what came before, those inside addresses left out."""
    found: set[str] = set()
    for part in reversed(interaction.context):
        text = part.text
        if "//" in text:
            text = " ".join(piece for piece in text.split() if "//" not in piece)
        found.update(filter(_telling, normal_words(text)))
        if len(found) > MAX_WORDS:
            break
    return frozenset(found)


def numeric(word: str) -> bool:
    """Return whether a word holds a number long enough to name somebody or something."""
    return sum(map(str.isdigit, word)) >= LONG_NUMBER


def _telling(word: str) -> bool:
    return MIN_WORD <= len(word) <= MAX_WORD and word not in _COMMON


def _base64(run: str) -> bytes:
    packed = run.translate(_TO_STANDARD)
    try:
        return base64.b64decode(packed[: len(packed) // 4 * 4])
    except (binascii.Error, ValueError):
        return b""


def _printable(data: bytes) -> str:
    """Return the readable beginning, if it is more than an accident."""
    text = data.decode(errors="replace")
    for i, char in enumerate(text):
        if char == "\ufffd" or not (char.isprintable() or char.isspace()):
            text = text[:i]
            break
    return text if len(text) >= MIN_BLOB // 2 else ""
