"""Hashed n-grams of text, as arrays: what the linear text model reads.

Features are character n-grams that stay inside a word or touch one of its edges (``char_wb``),
and sequences of one to three words. Each is a bucket number with the place where it starts, so
that a window's score is a difference of prefix sums and an attribution is a look-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

CHAR_SIZES: Final = (4, 5)
WORD_SIZES: Final = (1, 2, 3)
WORD_WEIGHT: Final = 2.0
"""A sequence of words counts as much as two of characters: it is rarer and says more."""
SPACE: Final = 32
ZERO: Final = 48

Unsigned = npt.NDArray[np.uint64]

_BASE: Final = np.uint64(0x9E3779B97F4A7C15)  # odd, hence invertible modulo 2**64
_MIX: Final = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT: Final = np.uint64(31)


@dataclass(frozen=True, slots=True)
class Grams:
    """The n-grams of one text.

    Attributes:
        buckets: Bucket of each n-gram, in ``[0, 2**bits)``.
        starts: Where it starts in the text.
        ends: Where it ends, exclusive.
        values: How much it counts.
        size: Characters in the text.
    """

    buckets: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]
    size: int

    def window(self, start: int, end: int) -> npt.NDArray[np.int64]:
        """Return the indices of the n-grams that start in a window, each bucket once."""
        inside = np.flatnonzero((self.starts >= start) & (self.starts < end))
        buckets = self.buckets[inside]
        # The last one written to a bucket's place stays: equality picks one of each, unsorted.
        place = np.empty(int(buckets.max(initial=0)) + 1, np.int64)
        place[buckets] = inside
        once: npt.NDArray[np.bool_] = place[buckets] == inside
        return inside[once]


def grams(text: str, bits: int) -> Grams:
    """Return the hashed n-grams of a text; time and memory linear in it.

    Every whitespace character counts as a space and every ASCII digit as ``0``: which number
    stands somewhere says nothing about what is asked.
    """
    codes = np.frombuffer(f" {text} ".encode("utf-32-le", "replace"), np.uint32)
    codes = _CLASS[np.minimum(codes, 0x7F)] | np.where(codes > 0x7F, codes, 0)
    space = codes == SPACE
    powers = _powers(len(codes) + 1)
    wide = codes.astype(np.uint64)
    chars = [_characters(wide, space, n, bits) for n in CHAR_SIZES]
    found = [*chars, *_words(wide, codes, powers, bits)]
    values = np.full(sum(len(f[0]) for f in found), WORD_WEIGHT, np.float32)
    values[: sum(len(f[0]) for f in chars)] = 1.0
    buckets = np.concatenate([f[0] for f in found])
    # One space was put in front: shift back, and keep inside the text.
    starts = np.maximum(np.concatenate([f[1] for f in found]) - 1, 0)
    ends = np.minimum(np.concatenate([f[2] for f in found]) - 1, len(text))
    return Grams(buckets, starts, ends, values, len(text))


_Found = tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32], npt.NDArray[np.int32]]


def _classes() -> npt.NDArray[np.uint32]:
    table = np.arange(128, dtype=np.uint32)
    table[[9, 10, 11, 12, 13]] = SPACE
    table[48:58] = ZERO
    table[127] = 0  # stands for "not ASCII"
    return table


_CLASS: Final = _classes()
_WORD: Final = np.array([chr(c).isalnum() or c == 39 for c in range(128)])


def _characters(wide: Unsigned, space: npt.NDArray[np.bool_], n: int, bits: int) -> _Found:
    count = len(wide) - n + 1
    if count <= 0:
        return _empty()
    value = np.zeros(count, np.uint64)
    inside = np.zeros(count, np.bool_)
    for k in range(n):
        value = value * _BASE + wide[k : k + count]
        if 0 < k < n - 1:
            inside |= space[k : k + count]
    both = space[:count] & space[n - 1 : n - 1 + count]
    keep = np.flatnonzero(~(inside | both)).astype(np.int32)
    return _mixed(value[keep], n, bits), keep, keep + np.int32(n)


def _words(
    wide: Unsigned, codes: npt.NDArray[np.uint32], powers: tuple[Unsigned, Unsigned], bits: int
) -> list[_Found]:
    inside = np.where(codes > 0x7F, True, _WORD[np.minimum(codes, 0x7F)])
    edges = np.flatnonzero(inside[1:] != inside[:-1]).astype(np.int32) + np.int32(1)
    starts, ends = edges[0::2], edges[1::2]  # the text is framed by spaces: edges come in pairs
    forward, backward = powers
    sums = np.concatenate(([np.uint64(0)], np.cumsum(wide * forward[: len(wide)], dtype=np.uint64)))
    value = (sums[ends] - sums[starts]) * backward[starts]
    found = []
    for n in WORD_SIZES:
        count = len(value) - n + 1
        if count <= 0:
            continue
        phrase = np.zeros(count, np.uint64)
        for k in range(n):
            phrase = (phrase ^ value[k : k + count]) * _MIX + _BASE
        found.append((_mixed(phrase, 16 + n, bits), starts[:count], ends[n - 1 :]))
    return found


def _mixed(value: Unsigned, salt: int, bits: int) -> npt.NDArray[np.uint32]:
    value = (value + np.uint64(salt * int(_BASE) % 2**64)) * _MIX
    value = (value ^ (value >> _SHIFT)) * _BASE
    return (value >> np.uint64(64 - bits)).astype(np.uint32)


def _empty() -> _Found:
    none = np.zeros(0, np.int32)
    return none.astype(np.uint32), none, none


def _build_powers(count: int) -> tuple[Unsigned, Unsigned]:
    inverse = np.uint64(pow(int(_BASE), -1, 2**64))
    forward = np.full(count, _BASE, np.uint64)
    backward = np.full(count, inverse, np.uint64)
    forward[0] = backward[0] = 1
    return np.cumprod(forward, dtype=np.uint64), np.cumprod(backward, dtype=np.uint64)


_POWERS: Final = _build_powers(8_192)


def _powers(count: int) -> tuple[Unsigned, Unsigned]:
    return _POWERS if count <= len(_POWERS[0]) else _build_powers(count)


WINDOW: Final = 400
STRIDE: Final = 200


def windows(size: int) -> list[tuple[int, int]]:
    """Return the windows of a text of ``size`` characters; together they cover all of it.

    >>> windows(500)
    [(0, 400), (100, 500)]
    """
    if size <= WINDOW:
        return [(0, size)]
    starts = list(range(0, size - WINDOW, STRIDE))
    return [*((s, s + WINDOW) for s in starts if s + WINDOW < size), (size - WINDOW, size)]
