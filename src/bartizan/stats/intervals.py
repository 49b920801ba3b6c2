"""Confidence intervals for rates and counts."""

from __future__ import annotations

import math
from statistics import NormalDist


def clopper_pearson(hits: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact confidence interval of a binomial rate.

    Guarantees:
        Covers the true rate with at least ``confidence``, for every rate and every ``trials``.

    References:
        Clopper, Pearson, *Biometrika* 26 (1934).

    >>> low, high = clopper_pearson(0, 100)
    >>> low, round(high, 4)
    (0.0, 0.0362)
    >>> clopper_pearson(0, 0)
    (0.0, 1.0)
    """
    if trials <= 0:
        return 0.0, 1.0
    # scipy takes 0.1 s to import, and intervals are only wanted by people.
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else float(betaincinv(hits, trials - hits + 1, tail))
    high = 1.0 if hits == trials else float(betaincinv(hits + 1, trials - hits, 1 - tail))
    return low, high


def wilson(hits: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a binomial rate: shorter than the exact one.

    Guarantees:
        None for a single rate: coverage is near ``confidence`` on average over rates, and can
        fall below it, most for rates near 0 or 1. Use :func:`clopper_pearson` for a promise.

    References:
        Wilson, *JASA* 22 (1927); Brown, Cai, DasGupta, *Statist. Sci.* 16 (2001).

    >>> [round(end, 4) for end in wilson(5, 50)]
    [0.0435, 0.2136]
    >>> wilson(0, 0)
    (0.0, 1.0)
    """
    if trials <= 0:
        return 0.0, 1.0
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    centre = (hits + z2 / 2) / (trials + z2)
    reach = math.sqrt(z2 * (hits * (trials - hits) / trials + z2 / 4)) / (trials + z2)
    low = 0.0 if hits == 0 else centre - reach
    high = 1.0 if hits == trials else centre + reach
    return low, high


def poisson(count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact confidence interval of the expected number of events, given ``count``.

    For a rate per event divide both ends by the number of events watched.

    Guarantees:
        Covers the expectation with at least ``confidence``, whatever it is, if the count is
        Poisson distributed: events that do not come in bursts.

    References:
        Garwood, *Biometrika* 28 (1936).

    >>> [round(end, 3) for end in poisson(0)], [round(end, 3) for end in poisson(10)]
    ([0.0, 3.689], [4.795, 18.39])
    """
    # scipy takes 0.1 s to import, and intervals are only wanted by people.
    from scipy.special import gammainccinv, gammaincinv

    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(gammaincinv(count, tail))
    return low, float(gammainccinv(count + 1, tail))
