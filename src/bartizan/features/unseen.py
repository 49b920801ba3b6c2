"""Messages written in characters that leave no ink: tags, variation selectors, zero-width bits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import re2

from bartizan.features.characters import SELECTORS, TAGS
from bartizan.features.envelope import Envelope
from bartizan.features.legible import readable

MIN_SELECTORS: Final = 4
MIN_BITS: Final = 32

_TAGGED: Final = re2.compile(f"[{TAGS}]+")
_SELECTED: Final = re2.compile(f"[{SELECTORS}]{{{MIN_SELECTORS},}}")
_BITS: Final = re2.compile(f"[\u200b-\u200f\u2060-\u2064\ufeff]{{{MIN_BITS},}}")


def unseen(text: str) -> Iterator[Envelope]:
    """Yield what the invisible characters of ``text`` spell; linear in it."""
    if text.isascii():
        return
    runs = list(_TAGGED.finditer(text))
    if runs:
        hidden = "".join(m.group() for m in runs)
        spelt = "".join(chr(ord(c) - 0xE0000) for c in hidden if 0xE0020 <= ord(c) < 0xE007F)
        yield Envelope("tags", spelt, runs[0].start(), runs[-1].end())
    for m in _SELECTED.finditer(text):
        said = readable(bytes(_selected(c) for c in m.group() if not "\u180b" <= c <= "\u180f"))
        if said:
            yield Envelope("variation selectors", said, m.start(), m.end())
    for m in _BITS.finditer(text):
        said = _bits(m.group())
        if said:
            yield Envelope("zero-width bits", said, m.start(), m.end())


def _selected(char: str) -> int:
    """Return the byte a variation selector stands for: the n-th selector is byte n."""
    code = ord(char)
    return code - 0xFE00 if code < 0xFE10 else code - 0xE0100 + 16


def _bits(run: str) -> str:
    """Return what two (or three, one of them a separator) zero-width characters spell as bits."""
    by_count = sorted(set(run), key=run.count, reverse=True)[:2]
    if len(by_count) < 2:
        return ""
    for zero, one in (by_count, by_count[::-1]):
        bits = "".join("0" if c == zero else "1" for c in run if c in (zero, one))
        for width in (8, 7):
            whole = len(bits) - len(bits) % width
            said = readable(bytes(int(bits[i : i + width], 2) for i in range(0, whole, width)))
            if said:
                return said
    return ""
