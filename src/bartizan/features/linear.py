"""A linear model over hashed n-grams: scores of windows, and which n-grams made them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bartizan.features.ngrams import grams, windows

NOTHING_SAID: Final = -12.0
"""Score of a text without any n-gram: below whatever has words."""


@dataclass(frozen=True, slots=True)
class Head:
    """One linear model.

    Attributes:
        weights: Shape ``(2**bits,)``, float16.
        intercept: Added to every window's sum, on the logit scale.
        bits: Binary logarithm of the number of buckets.
    """

    weights: npt.NDArray[np.float16]
    intercept: float
    bits: int


@dataclass(frozen=True, slots=True)
class Strongest:
    """The window of a text that scores highest.

    Attributes:
        score: Its logit.
        start: Where it starts.
        end: Where it ends.
    """

    score: float
    start: int
    end: int


def scanned(text: str, head: Head) -> list[Strongest]:
    """Return every window of a text that has words, with its score, in order; linear in the text."""
    found = grams(text, head.bits)
    scored = []
    for start, end in windows(found.size):
        kept = found.window(start, end)
        if not len(kept):
            continue
        values = found.values[kept]
        total = float(head.weights[found.buckets[kept]].astype(np.float32) @ values)
        scored.append(Strongest(head.intercept + total / float(np.sqrt(values.sum())), start, end))
    return scored


def strongest(text: str, head: Head) -> Strongest:
    """Return the highest scoring window of a text; the first of equals."""
    nothing = Strongest(NOTHING_SAID, 0, len(text))
    return max(scanned(text, head), key=lambda window: window.score, default=nothing)


def contributions(text: str, head: Head, window: Strongest, limit: int) -> list[tuple[int, int]]:
    """Return the spans of the ``limit`` n-grams that add most to a window's score, in order."""
    found = grams(text, head.bits)
    kept = found.window(window.start, window.end)
    added = head.weights[found.buckets[kept]].astype(np.float32) * found.values[kept]
    top = kept[np.argsort(-added, kind="stable")[:limit]]
    positive = [i for i in top if head.weights[found.buckets[i]] > 0]
    return sorted({(int(found.starts[i]), int(found.ends[i])) for i in positive})
