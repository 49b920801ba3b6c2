"""Is a change the same for everybody, and if not, who differs: permutation of labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_FloatArray = npt.NDArray[np.float64]
_IntArray = npt.NDArray[np.int64]

MAX_EVENTS = 100_000
"""Longest window: 999 permutations of it take a few seconds. Longer ones are to be sampled."""

_CELLS = 1_000_000
"""Numbers per working array (8 MB); half a dozen such arrays are alive at once."""

_ROUNDS = 4
"""How often named groups are set aside and the rest looked at again."""

_MEDIAN_COST = np.pi / 2
"""Variance of a median over that of a mean: what measuring from the ordinary level adds."""

_SLACK = 1e-9
"""Sums of the same numbers in another order count as equal."""


@dataclass(frozen=True, slots=True)
class Excess:
    """How far one group's scores lie from everybody's in the same strata.

    Attributes:
        group: The group's code.
        events: How many events it has.
        excess: Its summed deviation in standard deviations of relabelled data; negative: lower.
        p_value: Its p-value, adjusted for all groups looked at.
    """

    group: int
    events: int
    excess: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Localisation:
    """Whether a shift is the same for all groups, and who differs.

    Attributes:
        p_value: Of the hypothesis that it is the same for all.
        statistic: Largest absolute excess over all groups; 0 where nothing can be compared.
        strangest: The groups named at the level asked for, strangest first. It can be empty
            though ``p_value`` is small: that somebody differs is easier to tell than who.
    """

    p_value: float
    statistic: float
    strangest: tuple[Excess, ...]


def localise(
    scores: npt.ArrayLike,
    groups: npt.ArrayLike,
    strata: npt.ArrayLike,
    rng: np.random.Generator,
    permutations: int = 999,
    level: float = 0.01,
    *,
    higher: bool = False,
) -> Localisation:
    """Test whether scores depend on the group, given the stratum, and name groups that differ.

    A group's excess is its sum of deviations from the stratum means over the standard deviation
    of that sum under relabelling, about ``sqrt(n_i)``. The largest one is compared with those
    after permuting scores within strata.

    Beside many deviating events the other groups seem to deviate the other way. So a group is
    named only if it lies as far from the ordinary level, the event-weighted median of group
    means, as from the mean of all; and named groups are set aside and the rest is looked at
    again, up to four times. With ``higher`` the ordinary level is the lower one of that median
    and the one in which every group counts once: then not even a group with most of the events
    passes for the ordinary one, as long as it is one of many.

    Args:
        scores: One finite score per event, at most ``MAX_EVENTS``; ranks serve best, and each
            group is best ranked against its own history, as benign shifts of unequal size are
            found like any others.
        groups: Integer code of each event's group.
        strata: Integer code of each event's stratum, such as a slice of time.
        rng: Source of the permutations.
        permutations: ``B``. No p-value falls below ``1 / (B + 1)``, so a lower level names nobody.
            Time is ``O(B n)`` a round, memory bounded to about 50 MB.
        level: Groups with an adjusted p-value up to this are named.
        higher: Only groups whose scores are higher than the others' count, and are named.

    Guarantees:
        ``P(p_value <= a) <= a`` if, within each stratum, scores are exchangeable over the events
        (no group differs; between strata they may), and likewise any group is named with
        probability at most ``level``. Where some groups differ, those that do not (having one
        law among themselves) are named with probability at most ``level`` once every group that
        differs has been set aside; before that only simulations say so, and only while groups
        that differ hold well under half of the events (with ``higher``: or are well under half
        of the groups): whoever holds more is the ordinary one.
        "Differs" does not mean "malicious".

    References:
        Westfall, Young, *Resampling-Based Multiple Testing* (1993), alg. 2.8;
        Phipson, Smyth, *Permutation p-values should never be zero* (2010).

    Raises:
        ValueError: Lengths differ, a score is not finite, there are no or too many events, or
            fewer than one permutation.

    >>> rng = np.random.default_rng(2)
    >>> group, hour = np.arange(600) % 6, np.arange(600) // 100
    >>> found = localise(rng.normal(size=600) + 2 * (group == 4), group, hour, rng)
    >>> found.p_value, [(e.group, e.excess > 0) for e in found.strangest]
    (0.001, [(4, True)])
    """
    values, codes, layers = _checked(scores, groups, strata, permutations)
    named: list[Excess] = []
    result: tuple[float, float] | None = None
    floor = 0.0
    for _ in range(_ROUNDS):
        window = _Window.of(values, codes, layers, higher=higher)
        joint, adjusted = _p_values(window, rng, permutations)
        if result is None:
            result = joint, float(window.reached(window.excess).max())
        hits = np.flatnonzero((adjusted <= level) & (window.apart > 0))
        if not hits.size:
            break
        hits = hits[np.argsort(-window.apart[hits], kind="stable")]
        named += [window.found(int(i), max(floor, float(adjusted[i]))) for i in hits]
        floor = named[-1].p_value
        rest = ~np.isin(codes, window.codes[hits])
        values, codes, layers = values[rest], codes[rest], layers[rest]
        if not values.size:
            break
    p_value, statistic = result if result is not None else (1.0, 0.0)
    return Localisation(p_value, statistic, tuple(named))


@dataclass(frozen=True, slots=True)
class _Window:
    """Events sorted by stratum, with deviations from stratum means.

    Attributes:
        deviations: Score minus its stratum's mean, shape ``(n,)``.
        labels: Index of each event's group into ``codes``.
        cuts: Where strata begin, and ``n``.
        codes: The groups' codes, ascending.
        sizes: The groups' numbers of events.
        spread: Standard deviation of each group's sum under relabelling; 0 where it cannot vary.
        excess: Each group's sum over its spread; 0 where the spread is 0.
        apart: Absolute excess, or the like about the ordinary level if that is smaller; 0 where
            the two have different signs, and on the side that does not count.
        higher: Whether only excesses above 0 count.
    """

    deviations: _FloatArray
    labels: _IntArray
    cuts: _IntArray
    codes: _IntArray
    sizes: _IntArray
    spread: _FloatArray
    excess: _FloatArray
    apart: _FloatArray
    higher: bool

    @classmethod
    def of(cls, scores: _FloatArray, groups: _IntArray, strata: _IntArray, *, higher: bool) -> _Window:
        order = np.argsort(strata, kind="stable")
        codes, labels = np.unique(groups[order], return_inverse=True)
        layers, counts = np.unique(strata, return_counts=True)
        layer = np.repeat(np.arange(layers.size), counts)
        means = np.bincount(layer, scores[order]) / counts
        deviations = scores[order] - means[layer]
        variances = np.bincount(layer, deviations**2) / np.maximum(counts - 1, 1)
        pairs, joint = np.unique(layer * codes.size + labels, return_counts=True)
        here = pairs // codes.size
        # Drawing n_is of m_s without replacement: variance n_is (1 - n_is / m_s) times the stratum's.
        parts = variances[here] * joint * (1 - joint / counts[here])
        spread = np.sqrt(np.bincount(pairs % codes.size, parts, minlength=codes.size))
        sums, sizes = np.bincount(labels, deviations), np.bincount(labels)
        excess = np.divide(sums, spread, out=np.zeros(codes.size), where=spread > 0)
        free = np.sqrt(np.bincount(labels, variances[layer]) * (1 + _MEDIAN_COST * sizes / labels.size))
        ordinary = _weighted_median(sums / sizes, sizes)
        if higher:
            ordinary = min(ordinary, _weighted_median(sums / sizes, np.ones_like(sizes)))
        departure = sums - sizes * ordinary
        departure = np.divide(departure, free, out=np.zeros(codes.size), where=spread > 0)
        nearer = np.minimum(np.abs(excess), np.abs(departure))
        counts_here = (np.sign(excess) == np.sign(departure)) & ((excess > 0) | (not higher))
        apart = np.where(counts_here, nearer, 0.0)
        cuts = np.append(0, np.cumsum(counts))
        return cls(deviations, labels, cuts, codes, sizes, spread, excess, apart, higher)

    def found(self, i: int, p_value: float) -> Excess:
        return Excess(int(self.codes[i]), int(self.sizes[i]), float(self.excess[i]), p_value)

    def reached(self, excesses: _FloatArray) -> _FloatArray:
        """Return excesses as they are compared: both sides, or the upper one alone."""
        return excesses if self.higher else np.abs(excesses)

    def relabelled(self, rng: np.random.Generator, permutations: int) -> Iterator[_FloatArray]:
        """Yield excesses of relabelled data as they are compared, shape ``(chunk, groups)``."""
        n, k = self.deviations.size, self.codes.size
        chunk = max(1, min(permutations, _CELLS // max(n, k)))
        inverse = np.divide(1.0, self.spread, out=np.zeros(k), where=self.spread > 0)
        cells = (np.arange(chunk)[:, None] * k + self.labels).ravel()
        # Permuting scores is permuting labels, and needs no index array for each permutation.
        for start in range(0, permutations, chunk):
            b = min(chunk, permutations - start)
            shuffled = np.tile(self.deviations, (b, 1))
            for low, high in zip(self.cuts[:-1], self.cuts[1:], strict=True):
                rng.permuted(shuffled[:, low:high], axis=1, out=shuffled[:, low:high])
            sums = np.bincount(cells[: b * n], shuffled.ravel(), minlength=b * k).reshape(b, k)
            yield self.reached(np.asarray(sums * inverse, dtype=np.float64))


def _weighted_median(values: _FloatArray, weights: _IntArray) -> float:
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(below, below[-1] / 2)]])


def _p_values(window: _Window, rng: np.random.Generator, permutations: int) -> tuple[float, _FloatArray]:
    """Return the joint hypothesis' p-value, and each group's step-down max-T p-value.

    Groups are judged by how far they are ``apart``, which is never more than the absolute
    excess that relabelled data are judged by: their p-values err upwards.
    """
    largest = float(window.reached(window.excess).max()) * (1 - _SLACK)
    descending = np.argsort(-window.apart, kind="stable")
    bar = window.apart[descending] * (1 - _SLACK)
    joint, reached = 0, np.zeros(bar.size, dtype=np.int64)
    for excesses in window.relabelled(rng, permutations):
        weakest_first = excesses[:, descending[::-1]]
        maxima = np.maximum.accumulate(weakest_first, axis=1)[:, ::-1]
        joint += int((maxima[:, 0] >= largest).sum())
        reached += (maxima >= bar).sum(axis=0)
    adjusted = np.empty(bar.size)
    adjusted[descending] = np.maximum.accumulate((1 + reached) / (permutations + 1))
    return (1 + joint) / (permutations + 1), adjusted


def _checked(scores: Any, groups: Any, strata: Any, permutations: int) -> tuple[Any, Any, Any]:
    values = np.asarray(scores, dtype=np.float64)
    codes, layers = np.asarray(groups, dtype=np.int64), np.asarray(strata, dtype=np.int64)
    if values.ndim != 1 or values.shape != codes.shape or values.shape != layers.shape:
        raise ValueError("scores, groups and strata must be of equal length")
    if not 0 < values.size <= MAX_EVENTS:
        raise ValueError(f"expected 1 to {MAX_EVENTS} events, got {values.size}")
    if not np.isfinite(values).all():
        raise ValueError("scores must be finite")
    if permutations < 1:
        raise ValueError("at least one permutation is needed")
    return values, codes, layers
