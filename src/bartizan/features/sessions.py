"""What is remembered of one session: a bounded ring of queries and running sums over them.

A *chain* is a set of queries of which each is near to an earlier one. A client that explains
an answer sends a cloud around one row, and the order inside the cloud means nothing; a client
that searches decides each query by the answers before it, and the order means everything. So
most sums here are *sequential ranks*: how a query compares with the kept ones of its own
chain. Whatever the cloud looks like, they average to nothing when its order is exchangeable.

References:
    Sequential ranks: Barndorff-Nielsen, *Ann. Math. Stat.* 34 (1963); records: Renyi (1962).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Final

import numpy as np

from bartizan.features.answer import Answer
from bartizan.features.sketch import DISTANCE_EDGES, SingleArray
from bartizan.types import FloatArray, Value

RING: Final = 64
"""Queries kept of a session."""

MAX_QUERIES: Final = 1024
"""Queries of a session; the next one begins another."""

SAME: Final = 1e-6
"""Sketches this close, in units, are the same row again."""

CELLS: Final = 4096
"""Places in which a session marks the cells it visited."""

MAX_ACCOUNTS: Final = 16
"""Accounts remembered of one session."""

MAX_CLASSES: Final = 256
"""Classes counted one by one; the others count as one."""

DEEPEST_FLIP: Final = 8.0
"""A change of answer between nearest rows counts at most this much, in natural-log units."""

MEMORY: Final = 0.97
"""Share of the accumulated step that is left after another one."""

FEW: Final = 3
"""A rank among fewer queries says nothing."""

CONFIDENT: Final = 0.95
"""Confidence from which an answer counts as one that the model is sure of."""

_QUANTITIES = 5
_MARGIN, _REACH, _APART, _LEAD, _HOP = range(_QUANTITIES)
_WHOLE = (_LEAD, _APART, _HOP)
_FIRST_ROOM = 8


class Session(Value, frozen=True, gc=False):
    """A session as numbers: all that detectors see of it.

    Attributes:
        queries: How many queries.
        repeats: Queries that were exact copies of a kept one.
        near: Queries near to an earlier one, but not the same.
        sure: Near queries and repeats on which the model was confident.
        longest: Queries of the longest chain.
        flips: Near queries that the model answered differently from their nearest one.
        flip_depth: Sum over flips of how much nearer than near the pair was, natural logarithm.
        records: Margins lower than any before in their chain, less those that chance gives.
        record_variance: Variance of that number in an exchangeable order.
        ranked: How many sequential ranks there are.
        margin_trend: Sum of sequential ranks of the margin, each in [-1, 1].
        reach_trend: Sum of sequential ranks of the distance to the chain's first query.
        step_trend: Sum of sequential ranks of the distance to the nearest query.
        parent_trend: Sum of sequential ranks of the margin of the nearest query, that from which
            this one was made: whoever climbs goes on from the best so far.
        rank_variance: Variance of each of those sums in an exchangeable order.
        lead_trend: Sum of ranks, among all kept queries, of the lead of the first class over the second.
        apart_trend: The same of the distance to the nearest query.
        hop_trend: The same of the distance to the query before.
        parent_lead_trend: The same of the lead of the nearest query.
        whole_variance: Variance of each of those four sums in an exchangeable order.
        persistence: Squared length of the sum of recent steps over the sum of their squares.
        turn: Sum of cosines between consecutive steps.
        turns: How many cosines.
        cells: How many different cells were visited.
        classes: How often each class was the answer, most first.
        known_classes: How many classes the model has; 0 if its answers are no classification.
        distances: How many neighbour distances fell into each bin.
        law: Share of benign neighbour distances in each bin.
        seconds: Time between the first and the last query.
        accounts: How many accounts sent the queries.
    """

    queries: int
    repeats: int
    near: int
    sure: int
    longest: int
    flips: int
    flip_depth: float
    records: float
    record_variance: float
    ranked: int
    margin_trend: float
    reach_trend: float
    step_trend: float
    parent_trend: float
    rank_variance: float
    lead_trend: float
    apart_trend: float
    hop_trend: float
    parent_lead_trend: float
    whole_variance: float
    persistence: float
    turn: float
    turns: int
    cells: int
    classes: tuple[int, ...]
    known_classes: int
    distances: tuple[int, ...]
    law: tuple[float, ...]
    seconds: float
    accounts: int


class Chain:
    """Queries that hang together."""

    __slots__ = ("best", "id", "label", "length", "origin")

    def __init__(self, number: int, origin: SingleArray, label: int, margin: float) -> None:
        self.id = number
        self.origin = origin
        self.label = label
        self.best = margin
        self.length = 1


class State:
    """The memory of one session; grows to its bound and no further."""

    __slots__ = (
        "_bloom",
        "_chain_ids",
        "_chains",
        "_quantities",
        "_ring",
        "_step",
        "_steps",
        "_steps_squared",
        "accounts",
        "began",
        "cells",
        "class_counts",
        "distances",
        "flip_depth",
        "flips",
        "known_classes",
        "labels",
        "last",
        "law",
        "longest",
        "near",
        "near_distance",
        "next_chain",
        "queries",
        "rank_variance",
        "ranked",
        "record_variance",
        "records",
        "repeats",
        "sure",
        "trend",
        "turn",
        "turns",
        "whole",
        "whole_variance",
        "written",
    )

    def __init__(self, width: int, near_distance: float, law: tuple[float, ...], time: float) -> None:
        self.near_distance = near_distance
        self.law = law
        self.began = self.last = time
        self.accounts: list[str] = []
        self.queries = self.repeats = self.near = self.sure = self.flips = self.ranked = self.turns = 0
        self.longest = self.cells = self.known_classes = self.written = self.next_chain = self._bloom = 0
        self.flip_depth = self.records = self.record_variance = self.rank_variance = self.turn = 0.0
        self.trend = [0.0] * 4
        self.whole = [0.0] * 4
        self.whole_variance = 0.0
        self.class_counts: dict[int, int] = {}
        self.distances = [0] * (len(DISTANCE_EDGES) + 1)
        self.labels: list[int] = []
        self._ring: SingleArray = np.zeros((_FIRST_ROOM, width), np.float32)
        self._quantities: FloatArray = np.zeros((_FIRST_ROOM, _QUANTITIES))
        self._chain_ids = np.zeros(_FIRST_ROOM, np.int64)
        self._chains: list[Chain] = []
        self._step: SingleArray | None = None
        self._steps = np.zeros(width, np.float32)
        self._steps_squared = 0.0

    @property
    def filled(self) -> int:
        """How many queries the ring holds."""
        return min(self.written, RING)

    def nearest(self, sketch: SingleArray) -> tuple[int, float]:
        """Return where in the ring the nearest query is and how far; infinitely far if there is none."""
        filled = self.filled
        if not filled:
            return -1, math.inf
        apart = self._ring[:filled] - sketch
        squared = np.einsum("nd,nd->n", apart, apart)
        index = int(squared.argmin())
        return index, math.sqrt(squared[index])

    def add(
        self,
        sketch: SingleArray,
        cell: int,
        answer: Answer | None,
        account: str,
        time: float,
        nearest: tuple[int, float],
    ) -> None:
        """Take in one query.

        Args:
            sketch: The row's sketch.
            cell: The cell in which it lies.
            answer: What the model answered, if known.
            account: Who asked.
            time: When, seconds since the epoch.
            nearest: What :meth:`nearest` says of the sketch.
        """
        self.queries += 1
        self.last = time
        if account not in self.accounts and len(self.accounts) < MAX_ACCOUNTS:
            self.accounts.append(account)
        label, sure = -1, False
        if answer is not None:
            label, sure = answer.label, answer.confidence >= CONFIDENT
            self.known_classes = len(answer.logs)
            counted = min(label, MAX_CLASSES)
            self.class_counts[counted] = self.class_counts.get(counted, 0) + 1
        mark = 1 << cell % CELLS
        if not self._bloom & mark:
            self._bloom |= mark
            self.cells += 1
        index, distance = nearest
        if distance <= SAME:
            self.repeats += 1
            self.sure += sure
            return
        if index >= 0:
            self.distances[bisect_right(DISTANCE_EDGES, distance)] += 1
        lead = answer.lead() if answer is not None else 0.0
        apart = distance if index >= 0 else 0.0
        hop = self._hop(sketch)
        if distance > self.near_distance:
            margin = answer.margin(label) if answer is not None else 0.0
            chain = Chain(self.next_chain, sketch, label, margin)
            self.next_chain += 1
            values = (margin, 0.0, apart, lead, hop)
            self._rank(chain, values, index, near=False)
        else:
            self.near += 1
            self.sure += sure
            chain, margin, reach = self._extend(sketch, answer, label, index, distance)
            values = (margin, reach, apart, lead, hop)
            self._rank(chain, values, index, near=True)
        self._keep(sketch, label, chain, values)

    def seed(self, other: State, index: int, account: str) -> None:
        """Begin with one kept query of another session."""
        sketch, label = other._ring[index].copy(), other.labels[index]
        known = other._quantities[index]
        margin, lead = float(known[_MARGIN]), float(known[_LEAD])
        chain = Chain(self.next_chain, sketch, label, margin if label == other._chains[index].label else lead)
        self.next_chain += 1
        self.accounts.append(account)
        self.queries += 1
        self._keep(sketch, label, chain, (chain.best, 0.0, 0.0, lead, 0.0))

    def _hop(self, sketch: SingleArray) -> float:
        """Return the distance to the query before, and compare the way from it with the way before that."""
        if not self.written:
            return 0.0
        step = sketch - self._ring[(self.written - 1) % RING]
        before, self._step = self._step, step
        length = math.sqrt(step @ step)
        if before is not None:
            lengths = length * math.sqrt(before @ before)
            if lengths > 0.0:
                self.turn += float(step @ before) / lengths
                self.turns += 1
        return length

    def _extend(
        self, sketch: SingleArray, answer: Answer | None, label: int, index: int, distance: float
    ) -> tuple[Chain, float, float]:
        """Take in a query near to the one at ``index``; return its chain, its margin and its reach."""
        chain = self._chains[index]
        chain.length += 1
        self.longest = max(self.longest, chain.length)
        if label != self.labels[index]:
            self.flips += 1
            self.flip_depth += min(math.log(self.near_distance / distance), DEEPEST_FLIP)
        margin = answer.margin(chain.label) if answer is not None and chain.label >= 0 else 0.0
        chance = 1.0 / chain.length
        self.records -= chance
        self.record_variance += chance * (1.0 - chance)
        if margin < chain.best:
            chain.best = margin
            self.records += 1.0
        step = sketch - self._ring[index]
        self._steps = MEMORY * self._steps + step
        self._steps_squared = MEMORY * MEMORY * self._steps_squared + distance * distance
        away = sketch - chain.origin
        return chain, margin, math.sqrt(away @ away)

    def _rank(self, chain: Chain, values: tuple[float, ...], parent: int, *, near: bool) -> None:
        """Rank a query's quantities, and its nearest query's, among the kept ones."""
        filled = self.filled
        if filled < FEW:
            return
        kept = self._quantities[:filled]
        above = np.sign(np.array(values) - kept)
        older = np.sign(kept[parent] - kept)
        totals, whole = above.sum(axis=0).tolist(), self.whole
        for k, quantity in enumerate(_WHOLE):
            whole[k] += totals[quantity] / filled
        whole[3] += float(older[:, _LEAD].sum()) / filled
        self.whole_variance += (filled + 2) / (3 * filled)
        if not near:
            return
        mine = self._chain_ids[:filled] == chain.id
        among = int(np.count_nonzero(mine))
        if among < FEW:
            return
        totals, trend = (mine @ above).tolist(), self.trend
        for k in (_MARGIN, _REACH, _APART):
            trend[k] += totals[k] / among
        trend[3] += float(mine @ older[:, _MARGIN]) / among
        self.ranked += 1
        self.rank_variance += (among + 2) / (3 * among)

    def _keep(self, sketch: SingleArray, label: int, chain: Chain, values: tuple[float, ...]) -> None:
        """Write a query into the ring, over the oldest if it is full."""
        place = self.written % RING
        if place == len(self._ring) < RING:
            room = min(RING, 2 * len(self._ring))
            self._ring = np.resize(self._ring, (room, self._ring.shape[1]))
            self._quantities = np.resize(self._quantities, (room, _QUANTITIES))
            self._chain_ids = np.resize(self._chain_ids, room)
        self._ring[place] = sketch
        self._quantities[place] = values
        self._chain_ids[place] = chain.id
        if self.written < RING:
            self.labels.append(label)
            self._chains.append(chain)
        else:
            self.labels[place] = label
            self._chains[place] = chain
        self.written += 1

    def view(self) -> Session:
        """Return the session as numbers."""
        squared = self._steps_squared
        margin, reach, step, parent = self.trend
        lead, apart, hop, parent_lead = self.whole
        return Session(
            self.queries, self.repeats, self.near, self.sure, self.longest, self.flips, self.flip_depth,
            self.records, self.record_variance, self.ranked, margin, reach, step, parent,
            self.rank_variance, lead, apart, hop, parent_lead, self.whole_variance,
            float(self._steps @ self._steps) / squared if squared > 0.0 else 1.0,
            self.turn, self.turns, self.cells,
            tuple(sorted(self.class_counts.values(), reverse=True)), self.known_classes,
            tuple(self.distances), self.law, self.last - self.began, len(self.accounts),
        )  # fmt: skip
