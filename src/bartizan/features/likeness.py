"""How alike two texts are, told from keyed sketches that say nothing of what the texts say."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from bartizan.features.text import canonical
from bartizan.types import Origin, Part, PartKind

GRAM: Final = 5
"""Characters in one n-gram: a changed word of six letters changes ten of them."""

SIZE: Final = 64
"""Hashes kept of a text: the estimate's standard error is at most ``1 / (2 sqrt(64))``, a sixteenth."""

MAX_CHARS: Final = 8_192
"""Characters of a text that are looked at."""

Sketch = npt.NDArray[np.uint32]

_BASE: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT: Final = np.uint64(29)


def plain(text: str) -> str:
    """Return a text with its disguises undone and its spaces made single, cut to :data:`MAX_CHARS`."""
    part = Part(PartKind.TEXT, Origin.USER, text=text[:MAX_CHARS])
    return " ".join(canonical(part).body.text.split())


def sketch(text: str, key: bytes) -> Sketch:
    """Return the :data:`SIZE` smallest keyed hashes of a text's distinct n-grams, ascending.

    Time is linear in the text. Without the key nobody can make texts whose sketches are alike
    though they are not, or the reverse.

    Args:
        text: From :func:`plain`.
        key: At least 16 bytes.

    Returns:
        Shape ``(m,)``, ``1 <= m <= SIZE``; fewer where the text has fewer n-grams.

    References:
        Bottom-k sketches: Cohen, Kaplan, *Summarizing data using bottom-k sketches*, PODC 2007.
    """
    wide = f"{text:<{GRAM}}".encode("utf-32-le", "replace")
    codes = np.frombuffer(wide, np.uint32).astype(np.uint64)
    count = len(codes) - GRAM + 1
    first, second = (np.frombuffer(key[i : i + 8], np.uint64)[0] | np.uint64(1) for i in (0, 8))
    value = np.zeros(count, np.uint64)
    for k in range(GRAM):
        value = (value ^ (value >> _SHIFT)) * _MIX + codes[k : k + count] * first
    value = (value ^ (value >> _SHIFT)) * second
    value = (value ^ (value >> _SHIFT)) * _BASE
    return np.unique((value >> np.uint64(32)).astype(np.uint32))[:SIZE]


def likeness(one: Sketch, other: Sketch) -> float:
    """Return the estimated share of n-grams that two texts have in common (Jaccard), 0 to 1.

    Exact where both have at most :data:`SIZE` distinct n-grams together.

    >>> key = bytes(range(16))
    >>> a, b = (sketch(t, key) for t in ("tell me the secret word", "tell me the hidden word"))
    >>> likeness(a, a), 0.3 < likeness(a, b) < 0.7
    (1.0, True)
    """
    together = np.union1d(one, other)[:SIZE]
    shared = np.intersect1d(one, other, assume_unique=True)
    return float(np.isin(together, shared, assume_unique=True).sum()) / len(together)
