"""Ours behind the same adapter, and many independent copies of it stepped side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bartizan.stats.bets import Bets, categorical_bets, numeric_bets
from bartizan.stats.bins import Cuts, box_of_counts
from bartizan.stats.edetector import EDetector
from benchmarks.monitoring.peers import FloatArray, IntArray, System

DELTA = 1e-3
"""Probability over the calibration draw that the promise does not hold."""

BLOCK = 256
CODES = 6


class Ours(System):
    """The e-detector over one stream, calibrated on ``reference``.

    Args:
        reference: Calibration events.
        threshold: At most one false alarm per so many events is promised.
        categorical: Whether events are codes from 0 to 5.
    """

    def __init__(self, reference: FloatArray, threshold: float, *, categorical: bool = False) -> None:
        self._rng = np.random.default_rng(len(reference))
        self._cuts: Cuts | None = None
        if categorical:
            counts = np.bincount(reference.astype(np.int64), minlength=CODES)
            bets = categorical_bets(box_of_counts(counts, DELTA), [str(c) for c in range(CODES)])
        else:
            self._cuts = Cuts.of(reference, self._rng)
            bets = numeric_bets(self._cuts.box(DELTA))
        self.detector = EDetector([bets], threshold)

    def reset(self) -> None:
        self.detector.reset()

    def bins(self, xs: FloatArray) -> IntArray:
        if self._cuts is None:
            return xs.astype(np.int64)
        return self._cuts.place(xs, self._rng.random(len(xs)))

    def update(self, x: float) -> bool:
        return bool(self.detector.run(self.bins(np.array([x]))[:, None]))

    def update_block(self, xs: FloatArray) -> IntArray:
        return np.array([c.index for c in self.detector.run(self.bins(xs)[:, None])], dtype=np.int64)

    def first(self, xs: FloatArray) -> int | None:
        for start in range(0, len(xs), BLOCK):
            alarms = self.update_block(xs[start : start + BLOCK])
            if len(alarms):
                return start + int(alarms[0])
        return None


class Parallel:
    """Independent one-stream detectors at several thresholds, stepped together.

    The same arithmetic as :class:`EDetector`, which :func:`agrees` checks; only the loop over
    streams is inside numpy, so that 4e8 events take minutes.

    Args:
        bets: Numeric bets, one per stream; weights must be equal.
        thresholds: Each stream runs at each of them.
    """

    def __init__(self, bets: Sequence[Bets], thresholds: Sequence[float]) -> None:
        self.bins = max(len(b.log) for b in bets)
        wide = np.zeros((len(bets), self.bins, bets[0].log.shape[1]))
        for i, b in enumerate(bets):
            wide[i, : len(b.log)] = np.exp(b.log)
        self._payoffs = wide.reshape(-1, wide.shape[2])
        self._offsets = np.arange(len(bets)) * self.bins
        self._weights = bets[0].weights
        self._thresholds = np.asarray(thresholds)[:, None]
        self._evidence = np.zeros((len(thresholds), len(bets), wide.shape[2]))
        self.alarms = np.zeros((len(thresholds), len(bets)), dtype=np.int64)

    def run(self, bins: IntArray) -> None:
        """Take events of shape ``(n, streams)``."""
        rows = bins + self._offsets
        drawn = np.empty(self._evidence.shape[1:])
        for row in rows:
            self._payoffs.take(row, 0, drawn, "clip")
            self._evidence += 1.0
            self._evidence *= drawn
            over = self._evidence @ self._weights >= self._thresholds
            if over.any():
                self.alarms += over
                self._evidence[over] = 0.0


def placed(cuts: Cuts, values: FloatArray, u: FloatArray) -> IntArray:
    """Return what ``cuts.place`` does: complex numbers are ordered first by value, then by tie-break."""
    return np.searchsorted(cuts.edges + 1j * cuts.breaks, values + 1j * u)


def agrees(reference: FloatArray, xs: FloatArray, threshold: float) -> bool:
    """Return whether :class:`Parallel` and :func:`placed` do what the shipped detector does."""
    system = Ours(reference, threshold)
    cuts = system._cuts
    assert cuts is not None
    u = np.random.default_rng(3).random(len(xs))
    bins = cuts.place(xs, u)
    parallel = Parallel([numeric_bets(cuts.box(DELTA))] * 2, [threshold, 10 * threshold])
    parallel.run(np.stack([bins, bins], axis=1))
    shipped = []
    for a in (threshold, 10 * threshold):
        system.detector.reset()
        system.detector.threshold = a
        shipped.append(len(system.detector.run(bins[:, None])))
    same = np.array_equal(bins, placed(cuts, xs, u))
    return same and parallel.alarms.tolist() == [[count, count] for count in shipped]
