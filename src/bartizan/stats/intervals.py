"""Confidence intervals for rates."""

from __future__ import annotations


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
