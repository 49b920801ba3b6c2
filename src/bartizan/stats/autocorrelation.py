"""How long a stream remembers, and whether it remembers at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_FloatArray = npt.NDArray[np.float64]

_WINDOW = 5.0
"""Sum autocorrelations up to the first lag that is this many times the sum so far."""

_FEW_PAIRS = 100.0
"""Below so many expected pairs of rare values their number is judged as a Poisson count."""

_RARE = 0.25


def integrated_time(x: npt.ArrayLike, max_lag: int) -> float:
    """Return the integrated autocorrelation time of a series: ``1 + 2 * sum of autocorrelations``.

    A mean over ``n`` events is as uncertain as one over ``n / time`` independent ones, and one
    event in a few ``time`` is nearly independent of the last. It is 1 for independent events
    and for a constant series, ``(1 + f) / (1 - f)`` for AR(1) with coefficient ``f``, below 1
    where neighbours alternate.

    Args:
        x: Finite values in time order, shape ``(n,)``.
        max_lag: No lag beyond this is summed; memory that outlasts it is underestimated.

    Guarantees:
        Consistent for series whose autocorrelations decay geometrically, if ``max_lag`` is
        several times their time. An estimate, not a bound.

    References:
        Sokal, *Monte Carlo Methods in Statistical Mechanics* (1989), sec. 3, automatic windowing.

    Raises:
        ValueError: There are fewer than two values, one is not finite, or ``max_lag`` is below 1.

    >>> noise = np.random.default_rng(0).normal(size=20_000)
    >>> round(integrated_time(noise, 100)), round(integrated_time(noise[1:] + noise[:-1], 100))
    (1, 2)
    """
    series = np.asarray(x, dtype=np.float64)
    if series.ndim != 1 or series.size < 2 or not np.isfinite(series).all():
        raise ValueError("expected a series of at least two finite values")
    if max_lag < 1:
        raise ValueError("max_lag must be at least 1")
    series = series - series.mean()
    largest = float(np.abs(series).max())
    if largest == 0:
        return 1.0
    lags = min(max_lag, series.size - 1)
    size = 1 << (series.size + lags - 1).bit_length()
    power = np.abs(np.fft.rfft(series / largest, size)) ** 2
    covariances = np.fft.irfft(power, size)[: lags + 1]
    times = 2 * np.cumsum(covariances / covariances[0]) - 1
    enough = np.flatnonzero(np.arange(1, lags + 1) >= _WINDOW * times[1:])
    return max(0.0, float(times[1 + enough[0]] if enough.size else times[-1]))


def integrated_times(x: npt.ArrayLike, max_lag: int) -> _FloatArray:
    """Return :func:`integrated_time` of each column of ``x``, shape ``(n, d)``.

    Column by column, so that memory stays a small multiple of one column.

    >>> integrated_times(np.column_stack([np.ones(50), np.arange(50) % 2]), 10).round(2).tolist()
    [1.0, 0.0]
    """
    matrix = np.asarray(x, dtype=np.float64)
    if matrix.ndim != 2:
        raise ValueError("expected a matrix")
    return np.array([integrated_time(matrix[:, i], max_lag) for i in range(matrix.shape[1])])


@dataclass(frozen=True, slots=True)
class LagTest:
    """Whether a series remembers.

    Attributes:
        dependent: Whether independence was rejected.
        lag: The lag with the strongest evidence.
        autocorrelation: The rank autocorrelation there.
        p_value: Of the hypothesis of no dependence at any of the lags, adjusted for their number.
    """

    dependent: bool
    lag: int
    autocorrelation: float
    p_value: float


def lag_test(x: npt.ArrayLike, lags: Sequence[int], level: float = 0.01) -> LagTest:
    """Test whether a series is autocorrelated at any of ``lags``, heavy tails and ties included.

    Values are replaced by their midranks. Each lagged product sum is compared with its exact
    mean and variance over all orders of the same values, and the worst two-sided normal p-value
    is multiplied by the number of lags. Where one value so prevails that fewer than about 100
    pairs of other values are expected, the sum is not normal: then the pairs themselves are
    counted and compared, upwards only, with a Poisson law.

    Args:
        x: Finite values in time order, shape ``(n,)``, such as bin numbers.
        lags: Distinct positive lags, each at most ``n - 4``.
        level: Probability with which an independent series may be called dependent.

    Guarantees:
        For independent identically distributed values ``dependent`` has probability at most
        ``level``, up to the error of the normal approximation, which fades as ``n`` grows.
        No rejection is no proof: only these lags and only monotone dependence are looked at,
        which misses, say, variance that comes in waves.

    References:
        Wald, Wolfowitz, *Ann. Math. Statist.* 14 (1943); Moran, *Biometrika* 35 (1948).

    Raises:
        ValueError: A value is not finite, or a lag is not in range, or there is none.

    >>> noise = np.random.default_rng(0).normal(size=2_000)
    >>> lag_test(noise, range(1, 11)).dependent
    False
    >>> found = lag_test(noise[1:] + noise[:-1], range(1, 11))
    >>> found.dependent, found.lag, round(found.autocorrelation, 1)
    (True, 1, 0.5)
    """
    series = np.asarray(x, dtype=np.float64)
    if series.ndim != 1 or not np.isfinite(series).all():
        raise ValueError("expected a series of finite values")
    if not lags or min(lags) < 1 or max(lags) > series.size - 4 or len(set(lags)) < len(lags):
        raise ValueError("lags must be distinct, at least one, and between 1 and n - 4")
    _, inverse, counts = np.unique(series, return_inverse=True, return_counts=True)
    if counts.size == 1:
        return LagTest(dependent=False, lag=min(lags), autocorrelation=0.0, p_value=1.0)
    ranks = (np.cumsum(counts) - (counts + 1) / 2 - (series.size - 1) / 2)[inverse]
    ranks = ranks / np.abs(ranks).max()
    rare = inverse != np.argmax(counts)
    m = int(rare.sum())
    sparse = m < _RARE * series.size and m * m < _FEW_PAIRS * series.size
    ps = [_pairs_p(rare, m, lag) if sparse else _product_p(ranks, lag) for lag in lags]
    worst = int(np.argmin(ps))
    p_value = min(1.0, len(lags) * ps[worst])
    value = float(ranks[: -lags[worst]] @ ranks[lags[worst] :]) / float(ranks @ ranks)
    return LagTest(p_value <= level, int(lags[worst]), value, p_value)


def _product_p(r: _FloatArray, lag: int) -> float:
    """Return the two-sided p-value of ``sum r_t r_(t+lag)`` among all orders of centred ``r``."""
    n = r.size
    squared = r * r
    s2, s4 = float(squared.sum()), float(squared @ squared)
    # Means of products of distinct entries follow from power sums, the first of which is 0.
    two = -s2 / (n * (n - 1))
    squares = (s2 * s2 - s4) / (n * (n - 1))
    three = (2 * s4 - s2 * s2) / (n * (n - 1) * (n - 2))
    four = (3 * s2 * s2 - 6 * s4) / (n * (n - 1) * (n - 2) * (n - 3))
    pairs = n - lag
    chained = 2 * max(n - 2 * lag, 0)
    mean = pairs * two
    second = pairs * squares + chained * three + (pairs * pairs - pairs - chained) * four
    deviation = math.sqrt(max(second - mean * mean, 0.0))
    if deviation == 0:
        return 1.0
    return math.erfc(abs(float(r[:-lag] @ r[lag:]) - mean) / deviation / math.sqrt(2))


def _pairs_p(rare: npt.NDArray[np.bool_], m: int, lag: int) -> float:
    """Return the chance of so many pairs of rare values ``lag`` apart, as a Poisson tail."""
    n = rare.size
    mean = (n - lag) * m * (m - 1) / (n * (n - 1))
    found = int((rare[:-lag] & rare[lag:]).sum())
    term, below = math.exp(-mean), 0.0
    for k in range(found):
        below += term
        term *= mean / (k + 1)
    # Past the mode the tail is summed itself: 1 - below would lose every digit there.
    tail, k = 0.0, found
    while found > mean and term > tail * 1e-12:
        tail += term
        k += 1
        term *= mean / k
    return tail if found > mean else max(0.0, 1 - below)
