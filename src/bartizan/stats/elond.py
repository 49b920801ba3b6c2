"""Many hypotheses, one after the other, with a bound on the share of false discoveries."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_FloatArray = npt.NDArray[np.float64]

_TOTAL = 2.1097428013
"""Sum of ``1 / (j log(j)^2)`` over ``j = 2, 3, ...``, rounded up."""

_SMALLEST = 1e-300
_NEAR_ONE = 1e-3


def gamma(index: int) -> float:
    """Return the share of the level that the ``index``-th hypothesis (from 1) is tested with.

    ``1 / (2.11 j log(j)^2)`` with ``j = index + 1``; the shares of all hypotheses sum to one.
    It falls about as slowly as a summable sequence can: the ten-thousandth hypothesis needs
    90 times less evidence than under ``6 / (pi i)^2``, and the first only 1.2 times more.

    >>> round(gamma(1), 3), f"{gamma(10_000):.1e}"
    (0.493, '5.6e-07')
    """
    j = index + 1
    return 1 / (_TOTAL * j * math.log(j) ** 2)


@dataclass(slots=True)
class ELond:
    """e-LOND: hypotheses arrive one by one, each with an e-value, and are decided at once.

    Hypothesis ``i`` is rejected when ``e_i >= 1 / (q * gamma_i * (R + 1))``, ``R`` being how
    many were rejected before. The three fields are the whole state: a copy of them is a
    snapshot, and a step takes constant time and memory.

    Attributes:
        level: ``q``, in (0, 1).
        tested: How many hypotheses have been decided.
        rejected: How many of them were rejected.

    Guarantees:
        At every time the expected share of false rejections among all rejections (FDR) is at
        most ``level``, under any dependence between the e-values, if those of true hypotheses
        have expectation at most 1. Why: when ``i`` is rejected the number of rejections is at
        least ``R_(i-1) + 1``, so its part in the FDR is at most ``E[q gamma_i e_i]``.

        An e-process read at a stopping time is such an e-value. A Shiryaev-Roberts statistic is
        not: its expectation grows with time. A principal tested twice is two hypotheses.

    References:
        Xu, Ramdas, *Online multiple testing with e-values*, AISTATS 2024, arXiv 2311.06412.

    >>> procedure = ELond(0.1)
    >>> [procedure.test(e) for e in (30.0, 30.0, 90.0)]
    [True, False, True]
    >>> procedure
    ELond(level=0.1, tested=3, rejected=2)
    """

    level: float
    tested: int = 0
    rejected: int = 0

    def __post_init__(self) -> None:
        """Check the state, which may come from a snapshot.

        Raises:
            ValueError: The level is not in (0, 1) or the counts contradict each other.
        """
        if not 0 < self.level < 1:
            raise ValueError("level must lie in (0, 1)")
        if not 0 <= self.rejected <= self.tested:
            raise ValueError("there cannot be more rejections than tests")

    @property
    def threshold(self) -> float:
        """The e-value from which the next hypothesis will be rejected."""
        return 1 / (self.level * gamma(self.tested + 1) * (self.rejected + 1))

    def test(self, e_value: float) -> bool:
        """Decide the next hypothesis; return whether it is rejected.

        Raises:
            ValueError: The e-value is negative or NaN; the hypothesis is then not counted.
        """
        if not e_value >= 0:
            raise ValueError("e-values are not negative")
        reject = e_value >= self.threshold
        self.tested += 1
        self.rejected += reject
        return reject


def calibrate_p(p: npt.ArrayLike, kappa: float | None = None) -> _FloatArray:
    """Return e-values made from p-values, elementwise.

    Args:
        p: p-values in [0, 1]; those below 1e-300 count as 1e-300, which only lowers e-values.
        kappa: Power of ``kappa * p^(kappa-1)``, in (0, 1); small bets on small p-values.
            ``None``: the mean of these over all ``kappa``, ``(1 - p + p log p) / (p log(p)^2)``,
            which needs no choice and, for small p, is within a log-squared factor of ``1/p``.

    Guarantees:
        ``E[e] <= 1`` if ``P(p <= a) <= a`` for all ``a``: both functions fall in ``p`` and
        integrate to 1. Both are admissible: no calibrator is larger everywhere.

    References:
        Vovk, Wang, *E-values: calibration, combination and applications*, Ann. Statist. 49 (2021), sec. 2.

    Raises:
        ValueError: A p-value is not in [0, 1] or ``kappa`` not in (0, 1).

    >>> calibrate_p([0.0001, 0.25, 1.0], kappa=0.5).tolist()
    [50.0, 1.0, 0.5]
    >>> calibrate_p([0.0001, 1.0]).round(2).tolist()
    [117.76, 0.5]
    """
    values = np.asarray(p, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p-values must lie in [0, 1]")
    if kappa is not None and not 0 < kappa < 1:
        raise ValueError("kappa must lie in (0, 1)")
    values = np.maximum(values, _SMALLEST)
    if kappa is not None:
        return np.asarray(kappa * values ** (kappa - 1))
    surprise = -np.log(values)
    # With s = -log p the mixture is (e^s - 1 - s) / s^2, which cancels near s = 0.
    near = surprise < _NEAR_ONE
    s = np.where(near, 1.0, surprise)
    series = 0.5 + surprise / 6 + surprise**2 / 24
    return np.asarray(np.where(near, series, (np.expm1(s) - s) / s**2))
