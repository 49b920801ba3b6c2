"""Other ways to read an answer: what its encoded runs say, and its pieces put together.

Text that leaves may be asked for in base64 or one letter a line, because whoever asked can undo
it. Each reading knows where in the text it came from, to the character. All of them only grow
while the text grows, so that a stream may be judged as it comes; so nothing here asks whether
what was decoded makes sense. Rules that are too specific for chance do.
"""

from __future__ import annotations

import base64
import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import re2

from bartizan.features.escapes import visible
from bartizan.types import Part

MAX_DEPTH: Final = 2
"""An encoded run inside an encoded run is read; a third one is not."""
MIN_RUN: Final = 24
"""Characters of the shortest run in base64 that is read: eighteen bytes."""

Span = tuple[int, int]
Locate = Callable[[int, int], Span]

_BASE64: Final = re2.compile(r"[A-Za-z0-9+/_\-]{24,}(?:\r?\n[ \t]{0,8}[A-Za-z0-9+/_\-]{4,})*")
_BASE32: Final = re2.compile(r"[A-Z2-7]{32,}")
_HEX: Final = re2.compile(r"(?:(?:0x|\\x|%)?[0-9a-fA-F]{2}[ :,\-]{0,2}){12,}")
_ANY: Final = re2.compile(
    r"[A-Za-z0-9+/_\-]{24}|(?:(?:0x|\\x|%)?[0-9a-fA-F]{2}[ :,\-]{0,2}){12}"
    r"|(?:(?:&#|\\)?[0-9]{2,3}[;, \t\r\n\])]{1,3}){12}"
)
"""In every text that holds a run of any sort."""
_PAIR: Final = re2.compile(r"(?:0x|\\x|%)?([0-9a-fA-F]{2})")
_CODES: Final = re2.compile(r"(?:(?:&#|\\)?[0-9]{2,3}[;, \t\r\n\])]{1,3}){12,}")
_CODE: Final = re2.compile(r"[0-9]{2,3}")
_EVERY_OTHER: Final = re2.compile(r"(?:[A-Za-z0-9_+/=\-][\-._:/|~#]){15,}[A-Za-z0-9_]")
_MARKER: Final = re2.compile(r"\n[ \t]*(?:[\-*+•>]|(?:[A-Za-z]{3,12} ?#?)?[0-9]{1,3}[.):])[ \t]+")
_HALF_MARKER: Final = re2.compile(r"\n[ \t]*(?:[\-*+•>]|(?:[A-Za-z]{1,12} ?#?)?[0-9]{0,3}[.):]?)[ \t]*$")
_GLUE: Final = " \t\r\n\"'`,;|\\[](){}<>&+*"
_DROP: Final = dict.fromkeys(map(ord, _GLUE))
_GLUE_SET: Final = frozenset(_GLUE)
_PRINTABLE: Final = bytes(b if 32 <= b < 127 or b in (9, 10, 13) else 0 for b in range(256))
_TO_STANDARD: Final = str.maketrans({"-": "+", "_": "/", "\r": None, "\n": None, " ": None, "\t": None})
_SPACES: Final = frozenset("\r\n \t")


@dataclass(frozen=True, slots=True)
class Reading:
    """A text found by reading another one differently.

    Attributes:
        name: How it was read, outermost first, such as ``base64`` or ``base64+hex``.
        data: The decoded bytes; empty for pieces that were put together.
        text: The text, one character a byte, unprintable bytes as NUL.
        locate: From a span of ``text`` to where it came from.
    """

    name: str
    data: bytes
    text: str
    locate: Locate

    def prose(self) -> str:
        """Return the bytes as UTF-8 as far as they are complete, broken ones replaced."""
        return codecs.getincrementaldecoder("utf-8")("replace").decode(self.data, False)


def encoded(part: Part) -> tuple[Reading, ...]:
    """Return what the encoded runs of a part's visible text say."""
    text = visible(part).text
    return tuple(_encoded(text, "", lambda start, end: (start, end), 1))


def joined(text: str) -> Iterator[Reading]:
    """Yield the text with everything left out that may stand between the pieces of a token.

    That is space, quotes, commas, brackets, plus signs and the markers of list items; and, for
    letters with one other character between each two of them, every other character.
    """
    kept = text.translate(_DROP)
    yield Reading("pieces", b"", kept, lambda a, b: _between(_kept(text, ()), a, b))
    if _MARKER.search(text) is not None:
        cut = _HALF_MARKER.search(text)
        body = text if cut is None else text[: cut.start()]
        markers = tuple(m.span() for m in _MARKER.finditer(body))
        listed = _MARKER.sub("\n", body).translate(_DROP)
        yield Reading("items", b"", listed, lambda a, b: _between(_kept(body, markers), a, b))
    for match in _EVERY_OTHER.finditer(text):
        first = match.start()
        yield Reading(
            "spaced",
            b"",
            match.group()[::2],
            lambda a, b, s=first: (s + 2 * a, s + 2 * b - 1),  # type: ignore[misc]
        )


def _kept(body: str, markers: tuple[Span, ...]) -> list[int]:
    """Return where each character of the joined pieces stands in the text."""
    left: list[int] = []
    at = 0
    for start, end in (*markers, (len(body), len(body))):
        left += [i for i in range(at, start) if body[i] not in _GLUE_SET]
        at = end
    return left


def _between(kept: list[int], start: int, end: int) -> Span:
    return kept[start], kept[end - 1] + 1


def _encoded(text: str, prefix: str, outer: Locate, depth: int) -> Iterator[Reading]:
    for name, data, where in _runs(text):

        def locate(start: int, end: int, where: Locate = where) -> Span:
            return outer(*where(start, end))

        reading = Reading(prefix + name, data, data.translate(_PRINTABLE).decode("ascii"), locate)
        yield reading
        if depth < MAX_DEPTH and len(data) >= MIN_RUN:
            yield from _encoded(reading.text, f"{reading.name}+", locate, depth + 1)


def _runs(text: str) -> Iterator[tuple[str, bytes, Locate]]:
    if _ANY.search(text) is None:
        return
    for match in _BASE64.finditer(text):
        yield from _base64(match.group(), match.start())
    for match in _BASE32.finditer(text):
        run, first = match.group(), match.start()
        data = base64.b32decode(run + "A" * (-len(run) % 8))[: len(run) * 5 // 8]
        yield "base32", data, _scaled(first, 8, 5)
    for match in _HEX.finditer(text):
        yield from _pairs(match.group(), match.start())
    for match in _CODES.finditer(text):
        spans = [(match.start() + m.start(), match.start() + m.end()) for m in _CODE.finditer(match.group())]
        codes = (int(text[a:b]) for a, b in spans)
        yield "codes", bytes(c if c < 127 else 0 for c in codes), _listed(spans)


def _base64(run: str, first: int) -> Iterator[tuple[str, bytes, Locate]]:
    """Read a run at each of the four places where its message may start."""
    if run.islower() or run.isupper():
        return  # a path or a name; eighteen encoded bytes without a capital hardly exist
    packed = run.translate(_TO_STANDARD)
    plain = len(packed) == len(run)
    for shift in range(4):
        inner = packed[shift:]
        # Filled up, not cut: a run may end in the middle of a group, and what is whole in it counts.
        data = base64.b64decode(inner + "A" * (-len(inner) % 4))[: len(inner) * 6 // 8]

        def locate(start: int, end: int, shift: int = shift) -> Span:
            a, b = _scaled(shift, 4, 3)(start, end)
            if plain:
                return first + a, first + b
            kept = [i for i, c in enumerate(run) if c not in _SPACES]
            return first + kept[a], first + kept[b - 1] + 1

        yield "base64", data, locate


def _pairs(run: str, first: int) -> Iterator[tuple[str, bytes, Locate]]:
    spans = [(first + m.start(1), first + m.end(1)) for m in _PAIR.finditer(run)]
    yield "hex", bytes.fromhex("".join(run[a - first : b - first] for a, b in spans)), _listed(spans)


def _scaled(first: int, taken: int, given: int) -> Locate:
    return lambda start, end: (first + start * taken // given, first + -(-end * taken // given))


def _listed(spans: list[Span]) -> Locate:
    return lambda start, end: (spans[start][0], spans[end - 1][1])
