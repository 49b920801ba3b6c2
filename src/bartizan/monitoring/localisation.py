"""Does a change concern some principals more than others? Each is held against its own past."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bartizan.alarms import Answer, Ground
from bartizan.monitoring.direction import Direction
from bartizan.monitoring.histories import Counts, Histories
from bartizan.monitoring.recent import Names, Stretch
from bartizan.stats.permutation import localise
from bartizan.types import FloatArray

LEVEL: Final = 0.01
"""Probability with which a change that is the same for all is called local, over all looks."""

MIN_EVENTS: Final = 48
STRATA: Final = 4
PERMUTATIONS_PER_ERROR: Final = 4
"""Permutations are this many times as many as it takes to reach the level at all."""
PRIOR_EVENTS: Final = 20.0
"""A principal's own past counts as much as everybody's once it is this many events long."""

MAX_NAMED: Final = 32
MIN_OWN: Final = 8
MAX_COMPARED: Final = 64
COMPARISONS: Final = 499
LEAST_APART: Final = 0.7
"""Standard deviations, in some stream, that somebody who stands out differs by at least."""


@dataclass(frozen=True, slots=True)
class Located:
    """The answer, and who stands out."""

    ground: Ground
    principals: tuple[str, ...] = ()


def locate(
    window: Stretch,
    direction: Direction,
    histories: Histories,
    usual: float,
    rng: np.random.Generator,
    looks: int,
) -> Located:
    """Test whether a change is the same for all principals, and for all groups of them.

    Args:
        window: Events since the change began.
        direction: The direction of the change.
        histories: What principals used to send.
        usual: Mean score of everybody before the change.
        rng: Source of the permutations.
        looks: How often the question is asked per alarm; each look has its share of the level.

    Guarantees:
        If scores, less each principal's usual one, are exchangeable between principals within
        slices of time, ``yes`` has probability at most :data:`LEVEL` over all looks and levels.
    """
    names = window.principals
    if len(window) < MIN_EVENTS or names[0] is None or len(set(names.tolist())) < 2:
        return Located(Ground("local", Answer.UNKNOWN, 0.0, "too few events or principals to compare"))
    scores = direction.scores(window.bins) - _own(names, direction, histories, usual)
    strata = np.arange(len(window)) * STRATA // len(window)
    levels = {"principal": names, **{n: g for n, g in window.groups.items() if len(set(g.tolist())) > 1}}
    level = LEVEL / (looks * len(levels))
    permutations = math.ceil(PERMUTATIONS_PER_ERROR / level)
    smallest, found = 1.0, []
    for kind, labels in levels.items():
        known, codes = np.unique(labels.astype(str), return_inverse=True)
        result = localise(scores, codes, strata, rng, permutations, level, higher=True)
        smallest = min(smallest, result.p_value * len(levels))
        if result.p_value <= level:
            found.append((kind, [str(known[e.group]) for e in result.strangest]))
    if not found:
        words = f"over {len(window):,} events no principal differs from the others"
        return Located(Ground("local", Answer.NO, 0.0, words, min(1.0, smallest)))
    kind, who = found[0]
    where = "" if kind == "principal" else f" of {kind}"
    words = f"over {len(window):,} events {len(who) or 'some'} principals{where} differ from the others"
    concerned = who if kind == "principal" else _members(window, kind, who)
    return Located(Ground("local", Answer.YES, LEVEL, words, smallest), tuple(concerned[:MAX_NAMED]))


def stands_out(window: Stretch, principal: str, rng: np.random.Generator, looks: int) -> Ground:
    """Test whether one principal's events follow another law than everybody else's.

    A permutation test on the largest difference, over streams, of mean position and of mean
    distance from the middle, over the principal's last :data:`MAX_COMPARED` events.

    Args:
        window: Recent events of everybody.
        principal: Whose events to compare.
        rng: Source of the permutations.
        looks: How often the question is asked; each look has its share of the level.
    """
    mine = np.flatnonzero(window.principals == principal)[-MAX_COMPARED:]
    others = np.flatnonzero(window.principals != principal)
    if len(mine) < MIN_OWN or len(others) < MIN_EVENTS:
        return Ground(
            "local", Answer.UNKNOWN, 0.0, "too few events of this principal, or of others, to compare"
        )
    where = np.concatenate([mine, others])
    z = _standardised(window.bins[where].astype(np.float64))
    statistic = _largest(z[: len(mine)])
    larger = sum(
        _largest(z[rng.choice(len(z), len(mine), replace=False)]) >= statistic for _ in range(COMPARISONS)
    )
    p = (1 + larger) / (COMPARISONS + 1)
    # Tenants always differ a little, and with enough events every difference is certain.
    differs = p <= LEVEL / looks and statistic >= LEAST_APART
    words = f"its {len(mine)} events {'differ' if differs else 'do not differ'} from those of others"
    return Ground("local", Answer.YES if differs else Answer.NO, LEVEL if differs else 0.0, words, p)


def _own(names: Names, direction: Direction, histories: Histories, usual: float) -> FloatArray:
    """Return what each event's principal usually scores, shrunk to everybody's by how little is known."""
    own: dict[str, float] = {}
    for name in set(names.tolist()):
        counts: Counts | None = histories.of(name)
        mean, events = (0.0, 0) if counts is None else direction.usual(counts)
        own[name] = (mean * events + usual * PRIOR_EVENTS) / (events + PRIOR_EVENTS)
    return np.array([own[name] for name in names.tolist()])


def _members(window: Stretch, kind: str, who: Sequence[str]) -> list[str]:
    """Return the principals behind some groups, most events first."""
    inside = np.isin(window.groups[kind].astype(str), who)
    names, counts = np.unique(window.principals[inside].astype(str), return_counts=True)
    return [str(n) for n in names[np.argsort(-counts, kind="stable")]]


def _standardised(bins: FloatArray) -> FloatArray:
    """Return positions and distances from the middle, each with mean 0 and deviation 1."""
    known = np.where(bins >= 0, bins, np.nan)
    counts = (~np.isnan(known)).sum(axis=0)
    centre = np.where(counts > 0, np.nansum(known, axis=0) / np.maximum(counts, 1), 0.0)
    apart = np.where(np.isnan(known), 0.0, known - centre)
    both = np.hstack([apart, np.abs(apart)])
    both -= both.mean(axis=0)
    return np.asarray(both / np.maximum(both.std(axis=0), 1e-12))


def _largest(z: FloatArray) -> float:
    return float(np.abs(z.mean(axis=0)).max())
