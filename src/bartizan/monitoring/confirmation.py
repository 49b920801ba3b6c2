"""Before a movement is accepted: did the trusted source move as well?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bartizan.alarms import Answer, Ground
from bartizan.monitoring.baseline import Baseline
from bartizan.monitoring.streams import MISSING, SCHEMA, VOCABULARY_SHARE, IntArray, Stream
from bartizan.monitoring.trusted import compare
from bartizan.stats.mixtures import homogeneous
from bartizan.types import FloatArray

LEVEL: Final = 0.01
"""Probability with which a window of the reference's own law is called moved, over all streams."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window as bins: thinned as the detector's events are, in time order.

    Attributes:
        untrusted: Shape ``(n, F)``, every principal cut down to its cap.
        trusted: The same of trusted sources, shape ``(m, F)``.
        before: What trusted sources sent when the reference was learnt; none: they are taken to
            have followed it.
    """

    untrusted: IntArray
    trusted: IntArray
    before: IntArray


def known_events(baseline: Baseline, stream: Stream) -> float:
    """Return how many events a stream's shares were counted in."""
    if stream.cuts is not None:
        return float(stream.cuts.gaps.sum() - 1)
    whole = baseline.epoch > 0 or stream.name in (MISSING, SCHEMA)
    return max(1.0, baseline.events * (1.0 if whole else 1 - VOCABULARY_SHARE))


def confirmations(reference: Baseline, window: Window, looks: int) -> dict[str, Ground]:
    """Return, for each stream that moved away from a reference, whether the trusted source did.

    Half of the untrusted events say which bins gained; the other half, and the trusted source,
    are measured along that direction, so that no event judges what it chose itself.

    Args:
        reference: The anchor, or the baseline in force.
        window: The window.
        looks: How many streams and references are asked; each has its part of the error.

    Guarantees:
        A stream that has not moved is asked about with probability at most :data:`LEVEL`
        over all looks. The answers are those of :func:`bartizan.monitoring.trusted.compare`.
    """
    found: dict[str, Ground] = {}
    for f, stream in enumerate(reference.streams):
        mine = _seen(window.untrusted[:, f])
        law = _law(mine, len(stream.share))
        p = homogeneous(stream.share, known_events(reference, stream), law, max(1.0, len(mine)))
        if p > LEVEL / looks:
            continue
        gained = (_law(mine[::2], len(stream.share)) > stream.share).astype(np.float64)
        scores = [gained[_seen(bins[:, f])] for bins in (window.before, window.trusted)]
        found[stream.name] = compare(
            (scores[0], scores[1]),
            (np.empty(0), gained[mine[1::2]]),
            float(stream.share @ gained),
            looks,
        )
    return found


def objections(grounds: dict[str, Ground], against: str, *, needed: bool) -> list[str]:
    """Return why a movement is not accepted.

    Args:
        grounds: What :func:`confirmations` found.
        against: What the movement is measured from, in words.
        needed: Whether a trusted source must confirm it; where not, it still may object.
    """
    reasons = []
    for name, ground in grounds.items():
        if ground.answer is Answer.NO:
            reasons.append(
                f"{name} moved away from {against} and the trusted source did not: {ground.summary}"
            )
        elif ground.answer is Answer.UNKNOWN and needed:
            reasons.append(f"{name} moved away from {against}, which nothing confirms yet: {ground.summary}")
    return reasons


def _seen(bins: IntArray) -> IntArray:
    return bins[bins >= 0]


def _law(bins: IntArray, k: int) -> FloatArray:
    return np.asarray(np.bincount(bins, minlength=k) / max(1, len(bins)))
