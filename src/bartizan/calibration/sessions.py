"""Calibration of sessions: a whole session's p-value against benign sessions.

A session is scored at its 8th query and at checkpoints after that, each about a fifth further on
(:data:`CHECKPOINTS`), in two stages:

1. its *statistic* is a surprise in natural-log units. Where searches could be simulated, two
   contrasts (:mod:`bartizan.calibration.contrast`) have learned which signs come together in a
   search for another answer and in a copying of the model; the larger of their two surprises
   counts, each against whole benign sessions, and the detectors say what was seen. Where they
   could not, each detector's score is held against benign sessions of about the same length
   and the largest surprise counts;
2. the largest statistic over all checkpoints of a session is ranked among the largest ones of
   whole benign sessions that stage 1 never saw.

Guarantees:
    ``P(a benign session ever has p <= a) <= a`` if it is exchangeable with the benign sessions
    of stage 2: a session's p-value only falls while it goes on, and its last value is the rank
    of a maximum among maxima over whole sessions. A p-value calibrated query by query would
    get a new chance at every query.

    Of sessions of each *kind* of benign client alone (those that explain, for instance) at
    most :attr:`SessionLevel.kind_rates` ever signal, whatever share of the traffic they are.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bartizan.calibration.contrast import Contrast
from bartizan.calibration.table import Reference
from bartizan.features.sessions import MAX_QUERIES
from bartizan.features.sketch import Scale
from bartizan.stats.conformal import Ranking, certifiable_rate, certified_rank
from bartizan.types import FloatArray

FIRST: Final = 8
"""Queries before a session is scored at all."""

CHECKPOINTS: Final = tuple(sorted({round(FIRST * 2 ** (k / 4)) for k in range(29)} | {MAX_QUERIES}))
"""Numbers of queries at which a session is scored; the delay they cost is below a fifth."""

EVASION: Final = "contrast.evasion"
"""Name of what was learned of searches for another answer."""

EXTRACTION: Final = "contrast.extraction"
"""Name of what was learned of copying a model."""

KIND_FACTOR: Final = 10.0
"""A kind of benign client may signal at most so many times as often as all together."""

CALM: Final = 0.05
"""An account is kept from being forgotten once a session of its reaches this p-value."""

EDGES: Final = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
"""P-values on which the bets over finished sessions are placed."""

KEPT: Final = 0.5
"""Share of the stake on finished sessions that is never at risk."""

BET_CONFIDENCE: Final = 0.999
"""Confidence over the calibration draw with which no bet gains on benign sessions."""

_SHORTEST = 3
_LONGEST = 9


def stratum(queries: int) -> int:
    """Return with which sessions a session of this length is compared: the power of two below it.

    >>> [stratum(n) for n in (8, 15, 16, 1024)]
    [0, 0, 1, 6]
    """
    return min(_LONGEST, max(_SHORTEST, queries.bit_length() - 1)) - _SHORTEST


STRATA: Final = _LONGEST - _SHORTEST + 1


def due(queries: int, checked: int) -> bool:
    """Return whether a checkpoint lies after ``checked`` queries and at or before ``queries``."""
    return bisect_right(CHECKPOINTS, queries) > bisect_right(CHECKPOINTS, checked)


@dataclass(frozen=True, slots=True)
class SessionLevel:
    """The alarm rule in force for sessions.

    Attributes:
        requested: The rate the operator asked for.
        rate: The certified rate in force: the requested one, or the smallest that the
            calibration can certify.
        threshold: A session signals when its statistic is larger; infinite: never.
        kind_rates: Certified rate of each kind of benign client.
    """

    requested: float
    rate: float
    threshold: float
    kind_rates: Mapping[str, float]

    @property
    def kept(self) -> bool:
        """Whether the requested rate is certified."""
        return self.rate <= self.requested


@dataclass(frozen=True, slots=True)
class SessionTable:
    """What benign sessions look like.

    Attributes:
        name: What it was made from, for people.
        created: Seconds since the epoch.
        scale: How rows are sketched.
        references: Stage 1: per detector one reference a stratum, ``None`` where too few benign
            sessions are so long.
        contrasts: What was learned of searching sessions, if anything, and whole benign sessions'
            largest scores under it.
        statistics: Stage 2: the statistics of whole benign sessions.
        kinds: The same, of each kind of benign client.
        versions: Versions of the detectors.
        power: Share of each kind of simulated search that passes the threshold at the rate asked
            for when the table was made, and the median number of queries until then.
        digest: Hex SHA-256 of the encoded table.
    """

    name: str
    created: float
    scale: Scale
    references: Mapping[str, Sequence[Reference | None]]
    contrasts: Mapping[str, tuple[Contrast, Reference]]
    statistics: Ranking
    kinds: Mapping[str, Ranking]
    versions: Mapping[str, str] = field(default_factory=dict)
    power: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    digest: str = ""

    def statistic(
        self, queries: int, scores: Mapping[str, float], vector: FloatArray | None
    ) -> tuple[float, str]:
        """Return a session's statistic at a checkpoint, and which detector's it is.

        Args:
            queries: Length of the session.
            scores: Score of each detector.
            vector: The session's signature, for the contrasts.
        """
        best, name = 0.0, ""
        if vector is not None:
            for key, (contrast, reference) in self.contrasts.items():
                value = reference.surprise(contrast.score(vector))
                if value > best:
                    best, name = value, key
        if self.contrasts:
            return best, name
        for key, score in scores.items():
            value = self.surprise(queries, key, score)
            if value > best:
                best, name = value, key
        return best, name

    def surprise(self, queries: int, detector: str, score: float) -> float:
        """Return how strange a detector's score is for a session of this length; 0 if unknown."""
        known = self.references.get(detector)
        reference = known[stratum(queries)] if known else None
        return 0.0 if reference is None else reference.surprise(score)

    def p_value(self, statistic: float) -> float:
        """Return the p-value of a session with this largest statistic."""
        return self.statistics.p_value(statistic)

    def worst_p_value(self, statistic: float) -> float:
        """Return the largest p-value over all kinds of benign client: valid whatever kind it is."""
        return max([self.p_value(statistic), *(k.p_value(statistic) for k in self.kinds.values())])

    def level(self, rate: float) -> SessionLevel:
        """Return the alarm rule for a requested rate of benign sessions that ever signal."""
        in_force, threshold = _rule(self.statistics, rate)
        rates = {}
        for kind, ranking in self.kinds.items():
            rates[kind], beyond = _rule(ranking, min(0.5, in_force * KIND_FACTOR))
            threshold = max(threshold, beyond)
        return SessionLevel(rate, in_force, threshold, rates)

    def calm(self) -> float:
        """Return the statistic from which an account is worth remembering."""
        return _statistic_at(self.statistics, max(1, int(CALM * self.statistics.n)))

    def payoffs(self) -> FloatArray:
        """Return the bets' payoffs: entry ``j`` for a session whose worst p-value lies in band ``j``.

        Bands end at :data:`EDGES`; band 0 is above all of them.

        Guarantees:
            With confidence :data:`BET_CONFIDENCE` over the calibration draw, the mean payoff of a
            benign session is at most 1, for each kind of client and any mixture of kinds. The
            true share of sessions with ``p <= a`` among ``n`` calibration sessions is
            Beta(k, n + 1 - k) with ``k = floor(a (n + 1))``; each payoff is divided by an upper
            confidence bound of it, all bounds holding at once.
        """
        # scipy is only needed while a table is set up, and takes 0.1 s to import.
        from scipy.special import betaincinv

        rankings = list(self.kinds.values()) or [self.statistics]
        tail = (1.0 - BET_CONFIDENCE) / (len(rankings) * len(EDGES))
        shares = []
        for edge in EDGES:
            bounds = []
            for ranking in rankings:
                k = max(1, math.floor(edge * (ranking.n + 1)))
                bounds.append(float(betaincinv(k, max(1, ranking.n + 1 - k), 1.0 - tail)))
            shares.append(max(bounds))
        won = np.cumsum([(1.0 - KEPT) / len(EDGES) / share for share in shares])
        return np.concatenate([[KEPT], KEPT + won])


def band(p_value: float) -> int:
    """Return in which band of :meth:`SessionTable.payoffs` a p-value lies.

    >>> band(0.7), band(0.5), band(0.001)
    (0, 1, 7)
    """
    return sum(p_value <= edge for edge in EDGES)


def _rule(ranking: Ranking, rate: float) -> tuple[float, float]:
    """Return the certified rate and the statistic that has to be passed."""
    if ranking.n == 0:
        return 1.0, math.inf
    # A hair above the bound, where rounding would otherwise certify nothing.
    in_force = max(rate, min(1.0, certifiable_rate(ranking.n) * (1 + 1e-9)))
    k = certified_rank(ranking.n, in_force) if in_force < 1 else 0
    return in_force, _statistic_at(ranking, k) if k else math.inf


def _statistic_at(ranking: Ranking, rank: int) -> float:
    """Return the ``rank``-th largest calibration statistic; only larger ones have p <= rank/(n+1)."""
    for knot, count in zip(ranking.knots, ranking.at_least, strict=True):
        if count <= rank:
            return knot
    return ranking.knots[-1]
