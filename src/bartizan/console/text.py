"""Untrusted text made safe to look at: every character that could hide or reorder shows.

HTML escaping keeps text from becoming markup. It does not keep it from lying to the eye:
bidirectional controls reorder what a person reads, and invisible characters carry orders
that nobody sees. Here such a character becomes its code point, as in ``⟨U+202E⟩``.

References:
    Boucher, Anderson, "Trojan Source", arXiv 2111.00169; Unicode Technical Report 36.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

WHOLE_CHARS = 4000
"""Content up to this length is shown whole."""
CONTEXT_CHARS = 240
"""Characters shown on each side of a span in longer content."""
EXCERPT_CHARS = 8000
"""Characters shown at most."""

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
# Letters and marks that draw nothing: combining grapheme joiner, Hangul fillers, Khmer
# inherent vowels, Mongolian and other variation selectors, the empty Braille pattern.
_SELECTORS = (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
_BLANK = frozenset((0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *_SELECTORS))
_SHOWN = frozenset(map(ord, " \n\t"))


class _CodePoints(dict[int, str | int]):
    """A translation table made on demand; it never grows beyond ASCII."""

    def __missing__(self, point: int) -> str | int:
        hidden = point in _BLANK or unicodedata.category(chr(point)) in _HIDDEN_CATEGORIES
        return f"⟨U+{point:04X}⟩" if hidden and point not in _SHOWN else point


_TABLE = _CodePoints()
_TABLE.update({point: _TABLE[point] for point in range(128)})


def visible(text: str) -> str:
    r"""Return ``text`` with every invisible or reordering character as its code point.

    >>> visible("pay\u202e me\u200b"), visible("a\tb\n")
    ('pay⟨U+202E⟩ me⟨U+200B⟩', 'a\tb\n')
    """
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_TABLE)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of an excerpt.

    Attributes:
        kind: ``plain``, ``mark`` (inside a span) or ``gap`` (left out).
        text: What is shown; empty for a gap. Not yet made visible.
        length: Characters of the content it stands for.
    """

    kind: Literal["plain", "mark", "gap"]
    text: str
    length: int


def excerpt(content: str, spans: Iterable[tuple[int, int]]) -> tuple[Piece, ...]:
    """Cut content into what is shown, marked and left out.

    Short content is shown whole; of longer content the surroundings of the spans, or the
    beginning where there are none.

    Guarantees:
        The pieces' lengths add up to the length of the content; at most
        :data:`EXCERPT_CHARS` characters are shown.
    """
    marked = _merged(content, spans)
    if len(content) <= WHOLE_CHARS:
        windows = [(0, len(content))]
    else:
        around = [(start - CONTEXT_CHARS, end + CONTEXT_CHARS) for start, end in marked]
        windows = _merged(content, around or [(0, WHOLE_CHARS)])
    pieces: list[Piece] = []
    at, left = 0, EXCERPT_CHARS
    for start, stop in windows:
        end = min(stop, start + left)
        if end <= start:
            break
        left -= end - start
        pieces += _gap(at, start)
        pieces += _cut(content, start, end, marked)
        at = end
    return (*pieces, *_gap(at, len(content)))


def _gap(start: int, end: int) -> list[Piece]:
    return [Piece("gap", "", end - start)] if end > start else []


def _cut(content: str, start: int, end: int, marked: list[tuple[int, int]]) -> list[Piece]:
    pieces: list[Piece] = []
    at = start
    for first, last in marked:
        low, high = max(first, at), min(last, end)
        if high <= low:
            continue
        if low > at:
            pieces.append(Piece("plain", content[at:low], low - at))
        pieces.append(Piece("mark", content[low:high], high - low))
        at = high
    if end > at:
        pieces.append(Piece("plain", content[at:end], end - at))
    return pieces


def _merged(content: str, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans in order, inside the content, without overlaps."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        start, end = max(0, first), min(last, len(content))
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
