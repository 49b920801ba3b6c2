"""Invisible characters that nothing in the text around them explains.

Writing systems need some of them: joiners in Persian, Hindi and emoji families, variation
selectors after emoji and ideographs, marks of direction in Arabic and Hebrew, soft hyphens in
long words, one byte-order mark. Those are recognised by what stands beside them and left out.

References:
    Unicode Standard chapters 9, 12, 23.2 to 23.9; UTS #51 (emoji sequences, flag tags).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import re2

from bartizan.features.characters import INVISIBLE, INVISIBLE_SET, TAG_SET
from bartizan.features.escapes import plain
from bartizan.features.traced import Traced
from bartizan.types import Part

FLAGS: Final = frozenset({"gbeng", "gbsct", "gbwls"})
OTHER_FLAGS_ALLOWED: Final = 3
"""Subdivision flags that no vendor draws, yet well formed; more of them are a message."""
ENOUGH: Final = 10_000
"""Unexplained characters after which nobody needs to know how many more there are."""
MARKS_ALLOWED: Final = 2
"""Marks of direction that stray into plain text by copy and paste."""

_ANY: Final = re2.compile(f"[{INVISIBLE}]")
_RIGHT_TO_LEFT: Final = re2.compile(r"[\p{Hebrew}\p{Arabic}\p{Syriac}\p{Thaana}\p{Nko}\p{Adlam}]")
_BLACK_FLAG: Final = "\U0001f3f4"
_MARKS: Final = "\u200e\u200f\u061c"
_OVERRIDES: Final = "\u202d\u202e"
_EMBED: Final = "\u202a\u202b" + _OVERRIDES
_POP: Final = "\u202c"
_ISOLATE: Final = "\u2066\u2067\u2068"
_POP_ISOLATE: Final = "\u2069"
_BIDI: Final = frozenset(_MARKS + _EMBED + _POP + _ISOLATE + _POP_ISOLATE)
_JOINERS: Final = "\u200c\u200d"
# Blocks whose spelling needs joiners: Arabic to Adlam, and the scripts of South and South-East Asia.
_JOINED: Final = (
    range(0x0600, 0x08A0 + 0x60),
    range(0x0900, 0x1100),
    range(0x1780, 0x18B0),
    range(0xA800, 0xABF0),
    range(0xFB50, 0xFE00),
    range(0xFE70, 0xFEFF),
    range(0x11000, 0x11A00),
    range(0x1E900, 0x1E960),
)
# Scripts written without spaces, where a zero-width space marks a line break.
_UNSPACED: Final = (
    range(0x0E00, 0x1100),
    range(0x1780, 0x1800),
    range(0x1950, 0x1AB0),
    range(0x3000, 0xA000),
    range(0xAC00, 0xD7B0),
    range(0xF900, 0xFB00),
    range(0xFF00, 0xFF60),
    range(0x20000, 0x32000),
)
_IDEOGRAPHS: Final = (range(0x3400, 0xA000), range(0xF900, 0xFB00), range(0x20000, 0x32000))
_KHMER_MONGOLIAN: Final = (range(0x1780, 0x18B0),)
_TEXT_OR_EMOJI: Final = "\ufe0e\ufe0f"


@dataclass(frozen=True, slots=True)
class Hidden:
    """A run of invisible characters without an excuse.

    Attributes:
        kind: What they are: ``tag``, ``bidi``, ``selector`` or ``zero-width``.
        count: How many.
        start: Where the run starts in the part's text.
        end: Where it ends.
    """

    kind: str
    count: int
    start: int
    end: int


def hidden_runs(part: Part) -> tuple[Hidden, ...]:
    """Return the unexplained runs of invisible characters in a part; linear in its text."""
    if part.text.isascii() and "\\u" not in part.text:
        return ()
    read = plain(part)
    if read.text.isascii() or not _ANY.search(read.text):
        return ()
    return tuple(_runs(read))


def _runs(read: Traced) -> Iterator[Hidden]:
    text = read.text
    bidi_excused = _bidi_excused(text)
    flags_left = OTHER_FLAGS_ALLOWED
    found = 0
    at = [i for i, c in enumerate(text) if c in INVISIBLE_SET]
    first = 0
    while first < len(at) and found < ENOUGH:
        last = first
        while last + 1 < len(at) and at[last + 1] == at[last] + 1:
            last += 1
        start, end = at[first], at[last] + 1
        first = last + 1
        run = text[start:end]
        if text[start - 1 : start] == _BLACK_FLAG and _is_flag(run):
            known = "".join(chr(ord(c) - 0xE0000) for c in run[:-1]) in FLAGS
            flags_left -= not known
            if known or flags_left >= 0:
                continue
        odd = [c for i, c in enumerate(run) if not _explained(text, start + i, bidi_excused)]
        found += len(odd)
        if odd:
            yield Hidden(_kind(odd), len(odd), *read.source_span(start, end))


def _kind(odd: list[str]) -> str:
    if not TAG_SET.isdisjoint(odd):
        return "tag"
    if not _BIDI.isdisjoint(odd):
        return "bidi"
    return "selector" if any(_is_selector(c) for c in odd) else "zero-width"


def _explained(text: str, i: int, bidi_excused: frozenset[str]) -> bool:
    """Return whether what stands beside the character at ``i`` explains it."""
    char, before, after = text[i], text[i - 1 : i] if i else "", text[i + 1 : i + 2]
    if char in TAG_SET:
        return False
    if char in _BIDI:
        return char in bidi_excused
    if _is_selector(char):
        return _selector_explained(char, before)
    if char in _JOINERS:
        return _joiner_explained(char, before, after)
    if char == "\u200b":
        return _within(before, _UNSPACED) or _within(after, _UNSPACED)
    if char == "\ufeff":
        return i == 0
    if char == "\u00ad":
        return (
            before.isalpha()
            and after.isalpha()
            and "\u00ad" not in (text[i - 2 : i - 1], text[i + 2 : i + 3])
        )
    if char in "\u115f\u1160":
        return _within(before, (range(0x1100, 0x1200),)) or _within(after, (range(0x1100, 0x1200),))
    return char in "\u180e\u17b4\u17b5" and (
        _within(before, _KHMER_MONGOLIAN) or _within(after, _KHMER_MONGOLIAN)
    )


def _selector_explained(char: str, before: str) -> bool:
    if not before or before in INVISIBLE_SET:
        return False
    if char in _TEXT_OR_EMOJI:
        return (
            before in "0123456789#*"
            or not (before.isascii() or before.isalpha())
            or before in "\u2139\u3297\u3299\u24c2"
        )
    if char <= "\u180f":
        return _within(before, (range(0x1800, 0x18B0),))
    if _within(before, _IDEOGRAPHS):
        return True
    return char in "\ufe00\ufe01\ufe02" and unicodedata.category(before) in ("Sm", "So", "Lo")


def _joiner_explained(char: str, before: str, after: str) -> bool:
    if _within(before, _JOINED) or (_within(after, _JOINED) and not before.isascii()):
        return True
    return char == "\u200d" and _is_pictograph(before) and _is_pictograph(after)


def _is_pictograph(char: str) -> bool:
    return bool(char) and (char == "\ufe0f" or unicodedata.category(char) in ("So", "Sk"))


def _is_selector(char: str) -> bool:
    return (
        "\ufe00" <= char <= "\ufe0f" or "\u180b" <= char <= "\u180f" or "\U000e0100" <= char <= "\U000e01ef"
    )


def _is_flag(run: str) -> bool:
    body = run[:-1]
    return (
        4 <= len(run) <= 7
        and run[-1] == "\U000e007f"
        and all("\U000e0061" <= c <= "\U000e007a" or "\U000e0030" <= c <= "\U000e0039" for c in body)
    )


def _within(char: str, blocks: tuple[range, ...]) -> bool:
    return bool(char) and any(ord(char) in block for block in blocks)


def _bidi_excused(text: str) -> frozenset[str]:
    """Return the marks of direction that this text has a use for."""
    if _BIDI.isdisjoint(text):
        return frozenset()
    excused: set[str] = set()
    right_to_left = _RIGHT_TO_LEFT.search(text) is not None
    if right_to_left or sum(text.count(c) for c in _MARKS) <= MARKS_ALLOWED:
        excused.update(_MARKS)
    if sum(text.count(c) for c in _ISOLATE) == text.count(_POP_ISOLATE):
        # Message formatters wrap every placeholder in U+2068 and U+2069, in any language.
        excused.update("\u2068\u2069" if not right_to_left else _ISOLATE + _POP_ISOLATE)
    if right_to_left and sum(text.count(c) for c in _EMBED) == text.count(_POP):
        excused.update("\u202a\u202b\u202c")
    return frozenset(excused)
