"""Restarted Shiryaev-Roberts e-detector over binned streams: when did something change?

For every stream ``f`` and bet ``j`` it keeps one number,

    M[f, j] <- (M[f, j] + 1) * payoff[f, bin, j],

and raises an alarm when the weighted mean of all of them reaches the threshold ``A``; then
all start again at 0.

Guarantees:
    ``E[alarms within the first t events] <= t / A`` for every ``t``, if the payoffs have mean
    at most 1 given the past. With bets from :mod:`bartizan.stats.bets` that holds with the
    box's confidence over the calibration draw, for independent events with the calibration's
    law; streams may depend on each other in any way.

    Proof. Let ``S`` be the weighted mean and ``N`` the number of alarms. Given the past,
    ``E[(M + 1) * payoff] <= M + 1``, so ``E[S after a step] <= S + 1``; an alarm takes ``S``
    of at least ``A`` away and adds 1 to ``N``. So ``S + A * N - t`` is a supermartingale that
    starts at 0, and ``A * E[N_t] <= t - E[S_t] <= t``.

References:
    Shin, Ramdas, Rinaldo, "E-detectors", arXiv 2203.03532; the restarts and the bound line by
    line in ``docs/concepts/monitoring.md``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bartizan.stats.bets import BETS, Bets

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SKIP = -1
"""Bin of an event that says nothing about a stream, such as a missing value."""

MAX_THRESHOLD = 1e12
"""Evidence is kept as plain numbers: below this threshold they can't overflow, because an
alarm sets them back (``docs/decisions/0007-evidence-as-plain-numbers.md``)."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """The evidence reached the threshold.

    Attributes:
        index: Position of the event in the block.
        log_evidence: Natural logarithm of the weighted mean.
        evidence: Weighted evidence of each stream and bet, shape ``(F, J)``.
    """

    index: int
    log_evidence: float
    evidence: FloatArray


class EDetector:
    """One detector over ``F`` streams.

    Args:
        bets: One per stream.
        threshold: ``A``: at most one false alarm per ``A`` events is expected.
        weights: Share of the stake per stream, shape ``(F,)``; default: equal.

    >>> from bartizan.stats.bins import Cuts
    >>> from bartizan.stats.bets import numeric_bets
    >>> rng = np.random.default_rng(0)
    >>> cuts = Cuts.of(rng.normal(size=20_000), rng)
    >>> detector = EDetector([numeric_bets(cuts.box(1e-3))], 1e4)
    >>> calm, moved = rng.normal(size=500), rng.normal(size=500) + 1.0
    >>> u = np.full(500, 0.5)
    >>> [len(detector.run(cuts.place(x, u)[:, None])) for x in (calm, moved)][0]
    0
    >>> detector.reset()
    >>> detector.run(cuts.place(moved, u)[:, None])[0].index < 50
    True
    """

    def __init__(self, bets: Sequence[Bets], threshold: float, weights: FloatArray | None = None) -> None:
        if not bets or not 1 <= threshold <= MAX_THRESHOLD:
            raise ValueError(f"a detector needs a stream, and a threshold between 1 and {MAX_THRESHOLD:g}")
        shares = np.full(len(bets), 1.0 / len(bets)) if weights is None else weights / weights.sum()
        sizes = np.array([len(b.log) for b in bets])
        # One row of ones in front, for events to be skipped.
        self._payoffs = np.concatenate([np.ones((1, BETS)), *(np.exp(b.log) for b in bets)])
        self._offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]]) + 1
        self._stakes = np.concatenate([w * b.weights for w, b in zip(shares, bets, strict=True)])
        self.threshold = float(threshold)
        self.evidence: FloatArray = np.zeros((len(bets), BETS))

    def reset(self) -> None:
        """Forget all evidence."""
        self.evidence[:] = 0.0

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the weighted mean; minus infinity before the first event."""
        total = float(self.evidence.reshape(-1) @ self._stakes)
        return math.log(total) if total > 0 else -math.inf

    def by_stream(self) -> FloatArray:
        """Return each stream's own weighted mean, shape ``(F,)``."""
        shape = self.evidence.shape
        stakes = self._stakes.reshape(shape)
        return np.asarray((self.evidence * stakes).sum(axis=1) / stakes.sum(axis=1))

    def run(self, bins: npt.NDArray[np.integer], *, first: bool = False) -> list[Crossing]:
        """Take events in order and return where the evidence reached the threshold.

        One event at a time or many, what happens is the same to the last bit.

        Args:
            bins: Shape ``(n, F)``; :data:`SKIP` where an event says nothing about a stream.
            first: Stop after the first crossing; the events behind it are not taken.
        """
        skipped = bins < 0
        rows = np.where(skipped, 0, bins + self._offsets)
        added = None if not skipped.any() else (~skipped).astype(np.float64)[:, :, None]
        crossings: list[Crossing] = []
        evidence, payoffs, threshold = self.evidence, self._payoffs, self.threshold
        flat, stakes, drawn = evidence.reshape(-1), self._stakes, np.empty_like(evidence)
        for index, row in enumerate(rows):
            payoffs.take(row, 0, drawn, "clip")
            if added is None:
                evidence += 1.0
            else:
                evidence += added[index]
            evidence *= drawn
            if (total := flat @ stakes) >= threshold:
                weighted = evidence * stakes.reshape(evidence.shape)
                crossings.append(Crossing(index, math.log(total), weighted))
                evidence[:] = 0.0
                if first:
                    break
        return crossings


def onset(log_payoffs: FloatArray) -> int:
    """Return where a change most likely began: the maximum-likelihood change point.

    Args:
        log_payoffs: Of the winning bet over the events before an alarm, in order, shape ``(n,)``.

    Returns:
        Index of the first event after the change.

    References:
        Page, *Biometrika* 41 (1954): the last time the sum of log payoffs was lowest.

    >>> onset(np.array([-1.0, -1.0, 0.5, -1.0, 2.0, 2.0]))
    4
    """
    sums = np.concatenate([[0.0], np.cumsum(log_payoffs)])
    return int(len(sums) - 1 - np.argmin(sums[::-1]))


def log_block_evidence(bets: Bets, counts: IntArray) -> FloatArray:
    """Return each bet's log evidence over a block of events, from bin counts alone.

    It is linear in the counts, so replicas send histograms, in any order, and they are added.

    Args:
        bets: The stream's bets.
        counts: Events per bin, shape ``(K,)``.
    """
    return np.asarray(counts @ bets.log)


def step_block(log_evidence: FloatArray, bets: Bets, counts: IntArray) -> FloatArray:
    """Return log evidence per bet after a whole block that is taken as one step.

    Guarantees:
        Alarming when the weighted mean of ``exp`` of it reaches ``A``, and restarting at minus
        infinity, gives at most ``b / A`` expected false alarms in ``b`` blocks.

    >>> from bartizan.stats.bins import box_of_counts
    >>> from bartizan.stats.bets import categorical_bets
    >>> bets = categorical_bets(box_of_counts(np.array([900, 100]), 1e-3), ("yes", "no"))
    >>> start = np.full(16, -np.inf)
    >>> moved, calm = (step_block(start, bets, np.array(c)) for c in ([10, 90], [90, 10]))
    >>> bool(moved.max() > calm.max())
    True
    """
    return np.asarray(np.logaddexp(log_evidence, 0.0) + log_block_evidence(bets, counts))
