"""Letters held apart: spaces, dots, dashes or line ends between every two of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import re2

from bartizan.features.traced import Edit

MIN_VOWELS: Final = 0.15
MIN_LETTERS: Final = 5
MIN_LISTED: Final = 10
"""Letters between commas, colons or line ends: fewer are a list of letters."""

# One range instead of three scripts keeps the automata small; accents are gone by now.
_RANGE: Final = r"A-Za-z\x{c0}-\x{52f}"
_LETTER: Final = f"[{_RANGE}]"
# RE2's word boundary knows ASCII only, so what frames a run is spelt out and not part of group 1.
_BEFORE: Final = r"(?:^|[^A-Za-z0-9\x{c0}-\x{10ffff}])"
_AFTER: Final = r"(?:[^A-Za-z0-9\x{c0}-\x{10ffff}]|$)"
_SEPARATOR: Final = r"[.\-*\x{b7}\x{2022}|/~_]"
_APART: Final = rf"(?: {{1,7}}|{_SEPARATOR} {{0,6}}|{_SEPARATOR} {_SEPARATOR})"
_SPACED: Final = re2.compile(rf"{_BEFORE}((?:[{_RANGE}0-9]{_APART}){{5,}}{_LETTER}){_AFTER}")
_LISTING_GAP: Final = r"(?:[,;:+|/\n]| {2}|, |\r\n)[ \n]{0,3}"
_LISTED: Final = re2.compile(rf"{_BEFORE}((?:{_LETTER}{_LISTING_GAP}){{9,}}{_LETTER}){_AFTER}")
_WIDE: Final = re2.compile(rf" {{2,}}|{_SEPARATOR} {_SEPARATOR}")
_WIDE_LIST: Final = re2.compile(r" {2,}|\n{2,}|,{2,}")
_SEPARATORS: Final = dict.fromkeys(map(ord, " .-*\u00b7\u2022\u2026|/~_"))
_LISTING: Final = dict.fromkeys(map(ord, " ,;:+|/\r\n"))
_VOWELS: Final = frozenset("aeiouyаеёиоуыэюяαεηιουω")


def unspaced(text: str) -> list[Edit]:
    """Return the edits that put letters together again, in order, none overlapping."""
    edits: list[Edit] = []
    edits += [
        (m.start(1), m.end(1), _joined(m.group(1), _WIDE, _SEPARATORS))
        for m in _SPACED.finditer(text)
        if sum(map(str.isalpha, m.group(1))) >= MIN_LETTERS
    ]
    for m in _LISTED.finditer(text):
        joined = _joined(m.group(1), _WIDE_LIST, _LISTING)
        if _is_word(joined):
            edits.append((m.start(1), m.end(1), joined))
    return _apart(edits)


def _joined(run: str, wide: Any, separators: dict[int, None]) -> str:
    """``i g n o r e   a l l`` to ``ignore all``."""
    return " ".join(word.translate(separators) for word in wide.split(run))


def _is_word(joined: str) -> bool:
    """Return whether letters of a list spell something: vowels among them, and out of order."""
    letters = [c for c in joined.lower() if c.isalpha()]
    rising = sum(a <= b for a, b in pairwise(letters))
    vowels = sum(c in _VOWELS for c in letters)
    return len(letters) >= MIN_LISTED and vowels >= MIN_VOWELS * len(letters) and rising < 0.8 * len(letters)


def _apart(edits: list[Edit]) -> list[Edit]:
    kept: list[Edit] = []
    for edit in sorted(edits):
        if not kept or edit[0] >= kept[-1][1]:
            kept.append(edit)
    return kept
