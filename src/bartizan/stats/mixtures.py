"""Laws over bins that are mixed from several samples: distance, effective size, confidence box."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bartizan.stats.bins import Box

FloatArray = npt.NDArray[np.float64]


def total_variation(p: FloatArray, q: FloatArray) -> float:
    """Return the total variation distance of two laws over the same bins, 0 to 1.

    It is the largest difference that the laws give any set of bins.

    Args:
        p: Probabilities, shape ``(K,)``.
        q: Probabilities, shape ``(K,)``.

    >>> total_variation(np.array([0.5, 0.5]), np.array([0.75, 0.25]))
    0.25
    """
    return float(np.abs(p - q).sum() / 2)


def effective_events(weights: FloatArray) -> float:
    """Return how many equally weighted events tell as much as weighted ones do.

    References:
        Kish, *Survey Sampling* (1965): ``(sum w)^2 / sum w^2``.

    >>> effective_events(np.array([1.0, 1.0, 1.0, 0.0]))
    3.0
    """
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0


def mixed_events(first: float, second: float, weight: float) -> float:
    """Return the effective size behind ``(1 - weight) * P + weight * Q``.

    Args:
        first: Effective size of the sample behind ``P``.
        second: Of the one behind ``Q``.
        weight: Between 0 and 1.

    Guarantees:
        For independent samples of one law the mixed shares have the variance of shares counted
        in a sample of this size.

    >>> mixed_events(100.0, 100.0, 0.5)
    200.0
    """
    inverse = (1 - weight) ** 2 / first
    if weight > 0:
        inverse += weight**2 / second
    return 1.0 / inverse


def box_of_shares(share: FloatArray, events: float, delta: float) -> Box:
    """Return a box around shares that were not counted but mixed from counts.

    The Clopper-Pearson box, at the counts ``events * share``, whole or not.

    Args:
        share: Shares, shape ``(K,)``; they add up to 1.
        events: Effective size of the sample behind them.
        delta: Probability that some bin's probability lies outside.

    Guarantees:
        For shares counted in that many independent events: covers all ``K`` probabilities at once
        with probability at least ``1 - delta``. For mixed ones that is an approximation, and
        says nothing about how far the law itself has moved between the samples.

    >>> box = box_of_shares(np.array([0.9, 0.1]), 100.0, 0.01)
    >>> bool((box.low < box.estimate).all() and (box.estimate < box.high).all())
    True
    """
    # scipy is only needed while a baseline is set up, and takes 0.1 s to import.
    from scipy.special import betaincinv

    tail = delta / (2 * len(share))
    counts, others = events * share, events * (1 - share)
    low = betaincinv(counts, others + 1, tail)
    high = np.where(others > 0, betaincinv(counts + 1, np.maximum(others, 1e-12), 1 - tail), 1.0)
    # Half a sighting for what is never seen, so that no bet divides by nothing.
    floored = np.maximum(share, 0.5 / events)
    estimate = np.asarray(floored / floored.sum())
    return Box(estimate, np.asarray(np.minimum(low, estimate)), np.asarray(np.maximum(high, estimate)))


def homogeneous(p: FloatArray, first: float, q: FloatArray, second: float) -> float:
    """Return the p-value of "two samples follow one law over bins".

    Args:
        p: Shares in the first sample, shape ``(K,)``.
        first: Its (effective) size.
        q: Shares in the second, shape ``(K,)``.
        second: Its (effective) size.

    Guarantees:
        Asymptotic, by the chi-squared approximation; bins with fewer than five expected events
        in either sample are one bin.

    References:
        Pearson, *Biometrika* 8 (1911): chi-squared test of homogeneity.

    >>> homogeneous(np.array([0.5, 0.5]), 1e3, np.array([0.5, 0.5]), 1e3)
    1.0
    >>> homogeneous(np.array([0.5, 0.5]), 1e3, np.array([0.6, 0.4]), 1e3) < 1e-4
    True
    """
    from scipy.special import chdtrc

    pooled = (first * p + second * q) / (first + second)
    rare = pooled * min(first, second) < 5
    if rare.any():
        p, q, pooled = (np.append(x[~rare], x[rare].sum()) for x in (p, q, pooled))
    known = pooled > 0
    if int(known.sum()) < 2:
        return 1.0
    statistic = ((p - q)[known] ** 2 / pooled[known]).sum() / (1 / first + 1 / second)
    return float(chdtrc(int(known.sum()) - 1, statistic))
