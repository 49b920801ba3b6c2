"""Split-conformal p-values and the false-alarm rates that a calibration set can certify."""

from __future__ import annotations

import hashlib
import hmac
import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

CONFIDENCE = 0.99
"""Confidence over the draw of the calibration set with which a rate is certified."""

_EXACT_SHARE = 0.2
_BULK_KNOTS = 512


@dataclass(frozen=True, slots=True)
class Ranking:
    """Benign scores, kept so that a new score can be ranked among them.

    All distinct scores are kept in the upper fifth, where decisions are made; below it
    only quantiles are, and ranks there are rounded to the conservative side.

    Attributes:
        knots: Distinct scores, ascending.
        at_least: ``at_least[i]``: how many scores are ``>= knots[i]``.
        above: ``above[i]``: how many scores are ``> knots[i]``.
        n: How many scores there were.

    Guarantees:
        If the benign scores and a new benign score are exchangeable then
        ``P(p_value(score) <= a) <= a`` for every ``a``, ties included.

    References:
        Vovk, Gammerman, Shafer, *Algorithmic Learning in a Random World* (2005), 2.2;
        Bates et al., arXiv 2104.08279.

    >>> r = Ranking.of([0.0, 0.0, 1.0, 3.0])
    >>> [r.p_value(s) for s in (0.0, 0.5, 3.0, 9.0)]
    [1.0, 0.6, 0.4, 0.2]
    """

    knots: tuple[float, ...]
    at_least: tuple[int, ...]
    above: tuple[int, ...]
    n: int

    @classmethod
    def of(cls, scores: Iterable[float]) -> Ranking:
        """Rank finite scores; order does not matter.

        Raises:
            ValueError: A score is not finite.
        """
        array = np.sort(np.asarray(list(scores), dtype=np.float64))
        if not np.isfinite(array).all():
            raise ValueError("calibration scores must be finite")
        n = int(array.size)
        values, first = np.unique(array, return_index=True)
        at_least = n - first
        keep = np.ones(values.size, dtype=bool)
        exact_from = int(n * (1 - _EXACT_SHARE))
        bulk = np.flatnonzero(first < exact_from)
        if bulk.size > _BULK_KNOTS:
            keep[bulk] = False
            keep[bulk[np.linspace(0, bulk.size - 1, _BULK_KNOTS).astype(int)]] = True
        above = n - np.append(first[1:], n)
        return cls(
            tuple(values[keep].tolist()),
            tuple(at_least[keep].tolist()),
            tuple(above[keep].tolist()),
            n,
        )

    def count_at_least(self, score: float) -> int:
        """Return how many benign scores are ``>= score``, never too few."""
        i = bisect_right(self.knots, score) - 1
        if i < 0:
            return self.n
        return self.at_least[i] if self.knots[i] == score else self.above[i]

    def p_value(self, score: float) -> float:
        """Return the conservative p-value ``(1 + #{c >= score}) / (n + 1)``."""
        return (1 + self.count_at_least(score)) / (self.n + 1)

    def smoothed_p_value(self, score: float, u: float) -> float:
        """Return the randomised p-value, exactly uniform on benign scores, for streams.

        Args:
            score: The score to rank.
            u: Uniform on (0, 1), from :func:`keyed_uniform` so that an audit can repeat it.
        """
        i = bisect_right(self.knots, score) - 1
        if i < 0:
            above, ties = self.n, 0
        else:
            above = self.above[i]
            ties = self.at_least[i] - above if self.knots[i] == score else 0
        return (above + u * (1 + ties)) / (self.n + 1)


def keyed_uniform(key: bytes, request_id: str) -> float:
    """Return a number uniform on (0, 1) that only the key's holder can predict.

    >>> 0 < keyed_uniform(b"k", "request-1") < 1
    True
    """
    digest = hmac.digest(key, request_id.encode(), hashlib.sha256)
    return (int.from_bytes(digest[:8], "big") + 0.5) / 2.0**64


@lru_cache(maxsize=4096)
def certified_rank(n: int, rate: float, confidence: float = CONFIDENCE) -> int:
    """Return the largest rank ``k`` whose alarm rule ``p <= k/(n+1)`` keeps ``rate``.

    With calibration set drawn, the false-alarm rate of that rule is Beta(k, n+1-k)
    distributed. ``k`` is the largest with ``P(Beta(k, n+1-k) > rate) <= 1 - confidence``,
    which equals the binomial tail ``P(Bin(n, rate) <= k - 1)``.

    Guarantees:
        With probability ``confidence`` over the calibration draw, at most ``rate`` of
        benign requests raise an alarm, if benign traffic is i.i.d. with the calibration set.

    Returns:
        0 if no alarm at all can be certified with so few points.

    References:
        Vovk, *Conditional validity of inductive conformal predictors* (2012), prop. 2a.

    >>> certified_rank(458, 0.01), certified_rank(459, 0.01)
    (0, 1)
    >>> certified_rank(4602, 0.001), certified_rank(4603, 0.001)
    (0, 1)
    >>> certified_rank(100_000, 0.001)
    78
    """
    if not 0 < rate < 1 or n < 1:
        return 0
    tail = _binomial_tail()
    low, high = 0, n
    while low < high:
        k = (low + high + 1) // 2
        if float(tail(k - 1, n, rate)) <= 1 - confidence:
            low = k
        else:
            high = k - 1
    return low


def certifiable_rate(n: int, confidence: float = CONFIDENCE) -> float:
    """Return the smallest false-alarm rate that ``n`` calibration points can certify.

    >>> round(certifiable_rate(459), 4), certifiable_rate(0)
    (0.01, 1.0)
    """
    return 1.0 - math.pow(1 - confidence, 1 / n) if n else 1.0


def points_needed(rate: float, confidence: float = CONFIDENCE) -> int:
    """Return how many calibration points a rate needs before it can be certified.

    >>> points_needed(0.01), points_needed(0.001)
    (459, 4603)
    """
    return math.ceil(math.log(1 - confidence) / math.log1p(-rate))


def _binomial_tail() -> Any:
    # scipy is only needed while a table is set up, and takes 0.1 s to import.
    from scipy.special import bdtr

    return bdtr
