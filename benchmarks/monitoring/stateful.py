"""Stateful defences of others, written again for rows of a few dozen values; each sees whole sessions.

Blacklight (Li et al., USENIX Security 2022) with its settings for CIFAR: values in 256 steps rounded
to 50, windows hashed, the largest hashes kept, a match at half of them. It is global, so accounts do
not matter to it. A window of 20 of 3,072 values and 50 kept hashes become 8 and 25 for 64 values,
4 and 13 for 30. PRADA (Juuti et al., EuroS&P 2019): within each answered class the distance to the
nearest earlier query; Shapiro-Wilk on them within 3 standard deviations, from 100 distances, every 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from benchmarks.monitoring.systems import FloatArray, IntArray, System

ROUND = 50.0 / 255.0
MATCH = 0.5
MOST = 400
"""Queries of a session that these look at: comparing each with all takes time that grows as the square."""

PRADA_FIRST, PRADA_EVERY = 100, 10
PRADA_DELTAS = (0.96, 0.9)
"""The thresholds of the paper, on MNIST and GTSRB."""


@dataclass(frozen=True, slots=True)
class Course:
    """How a defence's statistic rises over a session: ``values[k]`` after ``k + 1`` queries."""

    values: FloatArray

    def first(self, threshold: float) -> int | None:
        """Return the query at which the statistic first is above the threshold."""
        where = np.flatnonzero(self.values > threshold)
        return int(where[0]) if len(where) else None

    @property
    def largest(self) -> float:
        return float(self.values.max()) if len(self.values) else 0.0


class Blacklight:
    """The number of queries so far that share half of their hashes with an earlier one."""

    name = "Blacklight"
    defaults: ClassVar = {"Blacklight, default": 0.5}

    def __init__(self, system: System) -> None:
        self._system = system
        columns = len(system.low)
        self._window, self._keep = (8, 25) if columns >= 64 else (4, 13)
        rng = np.random.default_rng(0)
        self._weights = rng.integers(1, 2**63 - 1, self._window, dtype=np.int64).astype(np.uint64)

    def course(self, rows: FloatArray, outputs: FloatArray) -> Course:
        """Return the statistic over a session."""
        from scipy.sparse import csr_matrix

        rows = rows[:MOST]
        levels = np.round(self._system.cube(rows) / ROUND).astype(np.uint64)
        windows = np.lib.stride_tricks.sliding_window_view(levels, self._window, axis=1)
        hashes = ((windows + np.uint64(1)) * self._weights).sum(axis=2, dtype=np.uint64)
        hashes ^= hashes >> np.uint64(29)
        hashes *= np.uint64(0xBF58476D1CE4E5B9)
        kept = [np.unique(h)[-self._keep :] for h in hashes]
        sizes = np.array([len(k) for k in kept])
        _, codes = np.unique(np.concatenate(kept), return_inverse=True)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        marks = csr_matrix((np.ones(len(codes), np.float32), codes, starts))
        common = np.tril((marks @ marks.T).toarray(), -1)
        matched = (common >= MATCH * sizes[:, None]).any(axis=1)
        return Course(np.cumsum(matched).astype(np.float64))


class Prada:
    """One less the smallest Shapiro-Wilk statistic so far."""

    name = "PRADA"
    defaults: ClassVar = {f"PRADA, {delta:g}": 1.0 - delta for delta in PRADA_DELTAS}

    def __init__(self, system: System) -> None:
        self._system = system

    def course(self, rows: FloatArray, outputs: FloatArray) -> Course:
        """Return the statistic over a session."""
        import warnings

        from scipy.stats import shapiro

        rows = rows[:MOST]
        distances, known = self._distances(self._system.cube(rows), outputs[: len(rows)].argmax(axis=1))
        values, worst = np.zeros(len(rows)), 0.0
        for k in range(len(rows)):
            seen = distances[: k + 1][known[: k + 1]]
            if len(seen) >= PRADA_FIRST and k % PRADA_EVERY == 0 and seen.std() > 0:
                inside = seen[np.abs(seen - seen.mean()) <= 3.0 * seen.std()]
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    # Nearly equal distances have no shape; rounding would invent one.
                    worst = max(
                        worst, 1.0 - float(shapiro(inside).statistic) if np.ptp(inside) > 1e-9 else 1.0
                    )
            values[k] = worst
        return Course(values)

    @staticmethod
    def _distances(points: FloatArray, labels: IntArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        squares = (points**2).sum(axis=1)
        squared = np.maximum(squares[:, None] + squares - 2.0 * points @ points.T, 0.0)
        same = np.tril(labels[:, None] == labels, -1)
        nearest = np.sqrt(np.where(same, squared, np.inf).min(axis=1))
        return nearest, np.isfinite(nearest)


PEERS = (Blacklight, Prada)
