"""Bets on conformal p-values that no calibration set makes favourable, up to a stated confidence.

Conformal p-values of many messages share one calibration set. Each alone is valid on average over
such sets; given the set at hand they may all be too small together, and evidence that is
multiplied over a session would grow on benign ones. So the bets here are made against the largest
distribution of p-values that the calibration set leaves possible.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

CONFIDENCE: Final = 0.95
"""Confidence over the draw of the calibration set with which no bet gains on benign messages."""

KAPPAS: Final = (0.25, 0.5)
"""Powers of the calibrators ``kappa p^(kappa-1)``: one for small p-values, one for many larger ones."""

_STEP: Final = 2 ** (1 / 6)
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Payoffs:
    """What each p-value pays, one number for each of :data:`KAPPAS`.

    Attributes:
        n: Calibration points behind the p-values.
        ranks: Largest rank ``p (n + 1)`` of each band, ascending; the last is ``n + 1``.
        bounds: Largest probability, given the calibration set, that a benign message falls into a
            band or a stranger one; the last is 1.
        values: What a band pays, shape ``(bands, len(KAPPAS))``; falls from band to band.

    Guarantees:
        With probability :data:`CONFIDENCE` over the calibration draw each column has mean at most 1
        on benign messages that are i.i.d. with the calibration set, **given** that set; so also
        on any whose p-values are, given the past, no smaller than that in distribution.
    """

    n: int
    ranks: tuple[int, ...]
    bounds: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]

    def of(self, p_value: float) -> tuple[float, ...]:
        """Return what a p-value of this calibration pays."""
        rank = math.ceil(p_value * (self.n + 1) - _ROUNDING)
        return self.values[min(bisect_left(self.ranks, rank), len(self.ranks) - 1)]


@lru_cache(maxsize=64)
def conditional_payoffs(n: int, trimmed: float = 0.0, confidence: float = CONFIDENCE) -> Payoffs:
    """Return the bets on the p-values of one calibration.

    Given the calibration set, the probability ``G(k)`` of ``p <= k/(n+1)`` on benign messages is
    Beta(k, n+1-k) distributed, or smaller with ties. Upper quantiles at a geometric grid of ranks,
    with the error shared among them, bound all of them at once; a band pays the mean of
    ``kappa u^(kappa-1)`` between its neighbour's bound and its own.

    Args:
        n: Calibration points, 0 or more; with 0 every p-value is 1 and nothing can be won.
        trimmed: Share of the strangest points that were left out of the calibration.
        confidence: Over the draw of the calibration set.

    Guarantees:
        See :class:`Payoffs`. Proof: payoffs ``e_1 >= e_2 >= ...`` fall, so by summation by parts
        their mean is largest where ``G(k_j)`` equals its bound ``u_j``, and there it is
        ``sum_j (u_j^kappa - u_(j-1)^kappa) = 1``.

    References:
        Vovk, *Conditional validity of inductive conformal predictors* (2012), prop. 2a; Bates et al.,
        *Testing for outliers with conformal p-values*, arXiv 2104.08279, sec. 3; Vovk, Wang,
        *E-values: calibration, combination and applications*, Ann. Statist. 49 (2021), sec. 2.

    >>> bets = conditional_payoffs(2000)
    >>> [round(v, 2) for v in bets.of(0.05)], [round(v, 2) for v in bets.of(1.0)]
    ([1.97, 1.98], [0.26, 0.51])
    """
    if n < 0 or not 0 <= trimmed < 1 or not 0 < confidence < 1:
        raise ValueError("n must not be negative, trimmed must lie in [0, 1) and confidence in (0, 1)")
    ranks = _grid(n)
    bounds = _bounds(ranks[:-1], n, trimmed, (1 - confidence) / max(1, len(ranks) - 1))
    values, below = [], 0.0
    kept_ranks: list[int] = []
    kept_bounds: list[float] = []
    for rank, bound in zip(ranks, [*bounds, 1.0], strict=True):
        if bound <= below:  # several ranks whose bound is 1: one band
            kept_ranks[-1] = rank
            continue
        values.append(tuple((bound**k - below**k) / (bound - below) for k in KAPPAS))
        kept_ranks.append(rank)
        kept_bounds.append(bound)
        below = bound
    return Payoffs(n, tuple(kept_ranks), tuple(kept_bounds), tuple(values))


def _grid(n: int) -> tuple[int, ...]:
    ranks, at = [], 1.0
    while at <= n:
        ranks.append(int(at))
        at = max(at + 1, at * _STEP)
    return (*ranks, n + 1)


def _bounds(ranks: tuple[int, ...], n: int, trimmed: float, error: float) -> list[float]:
    quantile = _beta_quantile()
    return [min(1.0, float(quantile(k, n + 1 - k, 1 - error)) + trimmed) for k in ranks]


def _beta_quantile() -> Any:
    # scipy is only needed while a table is set up, and takes 0.1 s to import.
    from scipy.special import betaincinv

    return betaincinv
