"""Whose query belongs to which session: a bounded memory that a flood of new names can't empty."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from bartizan.features.answer import Answer, read_answer
from bartizan.features.lineage import CAPACITY, NearIndex
from bartizan.features.sessions import MAX_QUERIES, SAME, State
from bartizan.features.sketch import Scale, SingleArray, Sketch
from bartizan.types import FloatArray

IDLE_SECONDS: Final = 1800.0
"""A session ends when nothing was asked for so long."""

PROTECTED_SHARE: Final = 0.25
"""Share of the capacity set apart for accounts with evidence against them."""

LINK_SHARE: Final = 0.5
"""A query continues another account's session only within this share of the near distance."""

LINEAGE_SHARE: Final = 0.25
"""Lineages remembered, as a share of the accounts."""

MAX_NAME: Final = 256
"""Characters of a principal's name that are kept."""

T = TypeVar("T")


@dataclass(slots=True)
class Live:
    """A session in progress.

    Attributes:
        id: Its number; never used again.
        owner: The account that began it.
        state: What is remembered.
        statistic: The largest statistic so far; whoever scores sets it.
        detector: Which detector that was.
        told: Accounts that it was reported for; none before it was.
        checked: Queries up to which it was scored.
    """

    id: int
    owner: str
    state: State
    statistic: float = 0.0
    detector: str = ""
    told: list[str] = field(default_factory=list)
    checked: int = 0


@dataclass(slots=True)
class Account:
    """What is remembered of a principal across sessions.

    Attributes:
        session: Number of its session.
        linked: Number of the lineage to which its queries last belonged; -1: none.
        last: When it last asked.
        evidence: Evidence over its finished sessions; whoever scores sets it.
        sessions: How many sessions it has finished.
    """

    session: int
    linked: int = -1
    last: float = 0.0
    evidence: float = 0.0
    sessions: int = 0


@dataclass(slots=True)
class Taken:
    """Where a query went.

    Attributes:
        live: The session that it continued.
        account: The account that sent it.
        ended: The account's session that ended before it, if one did.
    """

    live: Live
    account: Account
    ended: Live | None = None


@dataclass(slots=True)
class Tiers(Generic[T]):
    """Accounts by name in two tiers, each forgetting what was used longest ago."""

    capacity: int
    common: OrderedDict[str, T] = field(default_factory=OrderedDict)
    protected: OrderedDict[str, T] = field(default_factory=OrderedDict)

    def get(self, name: str) -> T | None:
        """Return an account and mark it as used."""
        for tier in (self.common, self.protected):
            account = tier.get(name)
            if account is not None:
                tier.move_to_end(name)
                return account
        return None

    def put(self, name: str, account: T) -> T | None:
        """Keep a new account; return the one forgotten for it, if any."""
        self.common[name] = account
        return self._evicted()

    def protect(self, name: str) -> T | None:
        """Move an account out of reach of floods; return the one forgotten for it, if any."""
        account = self.common.pop(name, None)
        if account is None:
            return None
        self.protected[name] = account
        if len(self.protected) > int(self.capacity * PROTECTED_SHARE):
            older, demoted = self.protected.popitem(last=False)
            self.common[older] = demoted
        return self._evicted()

    def _evicted(self) -> T | None:
        room = self.capacity - int(self.capacity * PROTECTED_SHARE)
        return self.common.popitem(last=False)[1] if len(self.common) > room else None

    def __len__(self) -> int:
        return len(self.common) + len(self.protected)


class Tracker:
    """Gives every query to a session.

    Args:
        scale: What reference rows taught.
        key: The secret behind sketches, cells and grids.
        capacity: Accounts remembered.
        remembered: Queries in the near index.
    """

    def __init__(
        self, scale: Scale, key: bytes, *, capacity: int = 10_000, remembered: int = CAPACITY
    ) -> None:
        self.scale = scale
        self.tiers = Tiers[Account](max(4, capacity))
        self.live: dict[int, Live] = {}
        self.index = NearIndex(min(len(scale.centre), 32), key, remembered)
        self._sketch = Sketch(scale, key)
        self.lineages: OrderedDict[int, None] = OrderedDict()
        self.next = 0

    def observe(self, principal: str, time: float, row: FloatArray, outputs: FloatArray | None) -> Taken:
        """Take in one query.

        Args:
            principal: Who asked.
            time: Seconds since the epoch.
            row: Shape ``(d,)``.
            outputs: What the model answered, shape ``(k,)``; ``None`` if unknown.
        """
        name = principal[:MAX_NAME]
        taken = self._account(name, time)
        own = taken.live
        sketch = self._sketch.of(row)
        nearest = own.state.nearest(sketch)
        names, cell = self.index.place(sketch)
        if nearest[1] > self.scale.near:
            other = self._elsewhere(names, sketch, taken, time)
            if other is not None:
                taken.live, nearest = other
        answer: Answer | None = read_answer(outputs)
        live = taken.live
        live.state.add(sketch, cell, answer, name, time, nearest)
        self.index.put(names, live.id)
        return taken

    def protect(self, name: str) -> None:
        """Keep an account from being forgotten when many new ones come."""
        self._forget(self.tiers.protect(name[:MAX_NAME]))

    def _account(self, name: str, time: float) -> Taken:
        account = self.tiers.get(name)
        if account is None:
            live = self._begin(name, time)
            account = Account(live.id, last=time)
            self._forget(self.tiers.put(name, account))
            return Taken(live, account)
        live, ended = self.live[account.session], None
        if time - max(account.last, live.state.last) > IDLE_SECONDS or live.state.queries >= MAX_QUERIES:
            ended = self.live.pop(account.session)
            account.sessions += 1
            live = self._begin(name, time)
            account.session, account.linked = live.id, -1
        account.last = time
        return Taken(live, account, ended)

    def _begin(self, name: str, time: float) -> Live:
        state = State(self.index.width, self.scale.near, self.scale.law, time)
        live = Live(self.next, name, state)
        self.next += 1
        self.live[live.id] = live
        return live

    def _elsewhere(
        self, names: list[bytes], sketch: SingleArray, taken: Taken, time: float
    ) -> tuple[Live, tuple[int, float]] | None:
        """Return the lineage that this query continues, if another account's query is so near.

        A lineage is a session of its own, begun with the one query that was continued: what else
        that account asked does not become part of a stranger's session.
        """
        account, reach = taken.account, self.scale.near * LINK_SHARE
        for number in (account.linked, *self.index.find(names)):
            other = self.live.get(number)
            if other is None or other is taken.live or other.state.queries >= MAX_QUERIES:
                continue
            if time - other.state.last > IDLE_SECONDS:
                continue
            nearest = other.state.nearest(sketch)
            # An exact copy says nothing: popular rows are sent by many.
            if not SAME < nearest[1] <= reach:
                continue
            lineage = other
            if number not in self.lineages:
                lineage = self._begin(other.owner, time)
                lineage.state.seed(other.state, nearest[0], other.owner)
                nearest = (0, nearest[1])
            self._use_lineage(lineage.id)
            account.linked = lineage.id
            return lineage, nearest
        return None

    def _use_lineage(self, number: int) -> None:
        self.lineages[number] = None
        self.lineages.move_to_end(number)
        if len(self.lineages) > int(self.tiers.capacity * LINEAGE_SHARE) + 1:
            self.live.pop(self.lineages.popitem(last=False)[0], None)

    def _forget(self, account: Account | None) -> None:
        if account is not None:
            self.live.pop(account.session, None)
