"""Binning of a stream by calibration data, with a confidence box around the bin probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

PROBABILITIES = (
    *(0.0003, 0.001, 0.003, 0.01, 0.03),
    *(i / 16 for i in range(1, 16)),
    *(0.97, 0.99, 0.997, 0.999, 0.9997),
)
"""Where numbers are cut: sixteenths in the bulk, finer and finer in both tails."""


@dataclass(frozen=True, slots=True)
class Box:
    """A simultaneous confidence box for the probabilities of ``K`` bins.

    Attributes:
        estimate: Estimated probabilities, shape ``(K,)``; they add up to 1.
        low: Lower ends, shape ``(K,)``.
        high: Upper ends, shape ``(K,)``.
    """

    estimate: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, slots=True)
class Cuts:
    """Bins between order statistics of calibration data, ties broken at random.

    A value is compared as the pair ``(value, u)`` with ``u`` uniform, which makes all values
    distinct: an atom on an edge is shared between the bins on both sides as it was in the
    calibration.

    Attributes:
        edges: Ascending, shape ``(K - 1,)``.
        breaks: The edges' own ``u``, shape ``(K - 1,)``.
        gaps: How many ranks each bin spans, shape ``(K,)``; they add up to ``n + 1``.

    References:
        Order statistics cut the probability into Dirichlet-distributed pieces: David and
        Nagaraja, *Order Statistics* (2003), 2.5.
    """

    edges: FloatArray
    breaks: FloatArray
    gaps: IntArray

    @classmethod
    def of(cls, values: FloatArray, rng: np.random.Generator) -> Cuts:
        """Cut at the calibration's order statistics.

        Args:
            values: Calibration values, shape ``(n,)`` with ``n >= 1``; not NaN.
            rng: Breaks ties.
        """
        n = len(values)
        breaks = rng.random(n)
        order = np.lexsort((breaks, values))
        ranks = np.unique(np.rint(np.asarray(PROBABILITIES) * (n + 1)).astype(np.int64))
        ranks = ranks[(ranks >= 1) & (ranks <= n)]
        chosen = order[ranks - 1]
        gaps = np.diff(np.concatenate([[0], ranks, [n + 1]]))
        return cls(values[chosen].astype(np.float64), breaks[chosen], gaps)

    @property
    def tied(self) -> bool:
        """Whether two edges coincide: then ``u`` decides often."""
        return bool((np.diff(self.edges) == 0.0).any())

    def place(self, values: FloatArray, u: FloatArray) -> IntArray:
        """Return each value's bin, from 0.

        Args:
            values: Shape ``(n,)``; not NaN.
            u: Uniform on (0, 1), shape ``(n,)``; only looked at where a value equals an edge.

        >>> cuts = Cuts.of(np.arange(1000.0), np.random.default_rng(0))
        >>> cuts.place(np.array([-1.0, 499.2, 2000.0]), np.full(3, 0.5)).tolist()
        [0, 12, 23]
        """
        # Complex numbers are ordered by their real parts first, then by the imaginary ones.
        return np.searchsorted(self.edges + 1j * self.breaks, values + 1j * u)

    def box(self, delta: float) -> Box:
        """Return a box that holds all bin probabilities with probability at least ``1 - delta``.

        Guarantees:
            Over the draw of i.i.d. calibration data: bin ``k`` has a probability that is
            Beta(m_k, n + 1 - m_k) distributed, exactly, and each side of each bin gets
            ``delta / 2K``.
        """
        total = int(self.gaps.sum())
        tail = delta / (2 * len(self.gaps))
        inverse = _beta_quantile()
        low = inverse(self.gaps, total - self.gaps, tail)
        high = inverse(self.gaps, total - self.gaps, 1 - tail)
        return Box(self.gaps / total, low, high)


def box_of_counts(counts: IntArray, delta: float) -> Box:
    """Return the Clopper-Pearson box for the probabilities of ``K`` categories.

    Args:
        counts: How often each category was seen, shape ``(K,)``; 0 for one never seen.
        delta: Probability that some category's probability lies outside.

    Guarantees:
        Covers all ``K`` probabilities at once with probability at least ``1 - delta``.

    >>> box = box_of_counts(np.array([90, 10, 0]), 0.01)
    >>> bool((box.low <= box.estimate).all() and (box.estimate <= box.high).all())
    True
    """
    n = int(counts.sum())
    tail = delta / (2 * len(counts))
    inverse = _beta_quantile()
    low = np.where(counts > 0, inverse(np.maximum(counts, 1), n - counts + 1, tail), 0.0)
    high = np.where(counts < n, inverse(counts + 1, np.maximum(n - counts, 1), 1 - tail), 1.0)
    # Half a sighting for what was never seen, so that no bet divides by nothing.
    estimate = np.asarray((counts + 0.5) / (n + 0.5 * len(counts)), dtype=np.float64)
    return Box(estimate, np.asarray(np.minimum(low, estimate)), np.asarray(np.maximum(high, estimate)))


def _beta_quantile() -> Any:
    # scipy is only needed while a baseline is set up, and takes 0.1 s to import.
    from scipy.special import betaincinv

    return betaincinv
