"""Latin words written with letters of other scripts, or with digits."""

from __future__ import annotations

from typing import Any, Final

import re2

from bartizan.features.characters import HOMOGLYPHS
from bartizan.features.legible import FUNCTION_WORDS
from bartizan.features.traced import Edit, Traced

MIN_LEET_WORDS: Final = 4
LEET_SHARE: Final = 0.3
LEET_GAP: Final = 40
"""Characters between two leet words, beyond which they belong to different passages."""

_LOOKS_LATIN: Final = "".join(sorted(HOMOGLYPHS))
_MIXED: Final = re2.compile(
    f"[a-z]+[{_LOOKS_LATIN}][a-z{_LOOKS_LATIN}]*|[{_LOOKS_LATIN}]+[a-z][a-z{_LOOKS_LATIN}]*"
)
_LOOKALIKE_WORD: Final = re2.compile(f"[a-z{_LOOKS_LATIN}]+")
_FOREIGN: Final = frozenset(map(chr, range(0x0370, 0x0590)))
"""Letters of the Greek, Cyrillic and Armenian blocks, where nearly all look-alikes live."""
_TO_LATIN: Final = str.maketrans(HOMOGLYPHS)
_LEET: Final = re2.compile(r"\b[a-z]*(?:[a-z][013457@$]|[013457@$][a-z])[a-z0134578@$]*")
_LEET_WORD: Final = re2.compile(r"[a-z0134578@$]*[0134578@$][a-z0134578@$]*")
"""What counts as leet once a passage is written that way: also ``53nd`` and ``15``."""
FROM_LEET: Final = str.maketrans("0134578@$", "oieastbas")
_LEET_SIGNS: Final = frozenset("0134578@$")


def latin(folded: Traced, flags: set[str]) -> Traced:
    """Replace look-alike letters in words of mixed script; everywhere if no real one remains."""
    letters = set(folded.text)
    if letters.isdisjoint(HOMOGLYPHS):
        return folded
    pattern = _LOOKALIKE_WORD if (letters & _FOREIGN) <= HOMOGLYPHS.keys() else _MIXED
    edits = [
        (m.start(), m.end(), m.group().translate(_TO_LATIN))
        for m in pattern.finditer(folded.text)
        if not m.group().isascii()
    ]
    if edits:
        flags.add("look-alike")
    return folded.splice(edits)


def deleeted(folded: Traced, flags: set[str]) -> Traced:
    """Replace the digits in words, where a whole text or a passage of it is written that way."""
    text = folded.text
    if _LEET_SIGNS.isdisjoint(text):
        return folded
    found = list(_LEET.finditer(text))
    if len(found) < MIN_LEET_WORDS:
        return folded
    whole = len(found) >= LEET_SHARE * (text.count(" ") + 1)
    passages = [(0, len(text))] if whole else _passages(found, text)
    if not passages:
        return folded
    flags.add("leet")
    edits: list[Edit] = [
        (start + m.start(), start + m.end(), word)
        for start, end in passages
        for m in _LEET_WORD.finditer(text[start:end])
        if not (word := m.group().translate(FROM_LEET)).isdigit()
        and (word in FUNCTION_WORDS or not m.group().isdigit())
    ]
    return folded.splice(edits)


def _passages(found: list[Any], text: str) -> list[tuple[int, int]]:
    """Return where leet words stand close together and two or more become function words."""
    kept: list[tuple[int, int]] = []
    begin = 0
    for i in range(1, len(found) + 1):
        if i < len(found) and found[i].start() - found[i - 1].end() <= LEET_GAP:
            continue
        passage, begin = found[begin:i], i
        start, end = passage[0].start(), passage[-1].end()
        known = sum(m.group().translate(FROM_LEET) in FUNCTION_WORDS for m in passage)
        if len(passage) >= max(MIN_LEET_WORDS, LEET_SHARE * (text.count(" ", start, end) + 1)) and known > 1:
            kept.append((start, end))
    return kept
