"""What an alarm does to the principals it concerns: who is contained, how, since when and how long.

A principal is never told which query tipped it. A measure starts some further queries or
seconds after the alarm, whichever comes first, and ends a fixed time after it *started*; both
numbers come from a keyed function of principal and alarm. Counting back from either end of a
measure leads no closer to the alarm than the operator's range of delays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from msgspec.structs import replace

from bartizan.alarms import Alarm, Cause
from bartizan.types import Value

CAPACITY = 10_000
"""Principals contained at once in one system."""

EVERYBODY = ""
"""Stands for all principals of a system: no principal is named like this."""

_PERSON = b"containment"

_SESSION = " \u203a "
"""Between a principal and its session in the name of a contained session. HTTP headers can't hold it, so no
caller can have a name that looks like another one's session."""


def session_of(principal: str, session: str) -> str:
    """Return the name under which a principal's session is contained; where it has none, the principal's.

    >>> session_of("alice", "s-1") != session_of("alice", "s-2"), session_of("alice", "")
    (True, 'alice')
    """
    return f"{principal}{_SESSION}{session}" if session else principal


def principal_of(name: str) -> str:
    """Return the principal that a contained name is, or is a session of.

    >>> principal_of(session_of("alice", "s-1")), principal_of("alice")
    ('alice', 'alice')
    """
    return name.partition(_SESSION)[0]


class Measure(IntEnum):
    """What is done to a principal; larger is harsher."""

    NONE = 0
    THROTTLE = 1
    DEGRADE = 2
    HOLD = 3
    BLOCK = 4


@dataclass(frozen=True, slots=True)
class Containment:
    """What an operator decided for one system.

    Attributes:
        attack: Measure against principals of an alarm taken for an attack.
        tenant_change: Measure where it may as well be an honest change of one tenant.
        model_changed: Measure against everybody when the model answers differently.
        duration_s: How long a measure lasts, from when it started.
        delay_queries: Fewest and most further queries before a measure starts.
        delay_s: Fewest and most seconds before it starts.
        throttle_per_s: Queries a second that a throttled principal gets.
        throttle_burst: How many it may send at once after a pause.
        throttle_wait_s: Longest wait of a throttled query; one that would wait longer is held.
        digits: Digits that a degraded score keeps.
        top_only: Degraded class scores say which class is first, and nothing else.
    """

    attack: Measure = Measure.HOLD
    tenant_change: Measure = Measure.NONE
    model_changed: Measure = Measure.NONE
    duration_s: float = 3600.0
    delay_queries: tuple[int, int] = (5, 50)
    delay_s: tuple[float, float] = (10.0, 120.0)
    throttle_per_s: float = 1.0
    throttle_burst: int = 5
    throttle_wait_s: float = 10.0
    digits: int = 1
    top_only: bool = False

    def against(self, cause: Cause) -> Measure:
        """Return the measure that an alarm of this cause asks for."""
        if cause is Cause.ATTACK:
            return self.attack
        if cause is Cause.TENANT_CHANGE:
            return self.tenant_change
        return self.model_changed if cause is Cause.MODEL_CHANGED else Measure.NONE


class Contained(Value, frozen=True, gc=False):
    """How one principal stands.

    Attributes:
        principal: Who; :data:`EVERYBODY` for all.
        measure: What is in force; ``NONE`` before the first measure started.
        pending: What will be in force; the same as ``measure`` once it is.
        cause: What the last alarm was taken for.
        alarm: Id of the last alarm.
        since: When the first alarm was raised, seconds since the epoch.
        queries_left: Further queries until ``pending`` starts.
        starts_by: When it starts at the latest.
        until: When it all ends; ``None`` before a measure started, and where only a person ends it.
    """

    principal: str
    measure: Measure
    pending: Measure
    cause: Cause
    alarm: str
    since: float
    queries_left: int
    starts_by: float
    until: float | None = None


class Imposed(Value, frozen=True, gc=False):
    """What one query, or one batch of them, has to bear.

    Attributes:
        measure: The measure.
        alarm: The alarm behind it.
        wait_s: How long the query waits first.
    """

    measure: Measure
    alarm: str
    wait_s: float = 0.0


class Containments:
    """Who is contained in one system. Pure: time is an argument, and the caller locks.

    Args:
        policy: What the operator decided.
        key: Makes delays that nobody else can compute.
        capacity: How many principals are kept; of more, those that end first are let go.
    """

    def __init__(self, policy: Containment, key: bytes, *, capacity: int = CAPACITY) -> None:
        self.policy = policy
        self.let_go = 0
        self._key = key[: hashlib.blake2b.MAX_KEY_SIZE]
        self._capacity = capacity
        self._kept: dict[str, Contained] = {}
        self._free_at: dict[str, float] = {}

    def apply(self, alarm: Alarm, now: float) -> tuple[Contained, ...]:
        """Contain whom an alarm concerns, and return how each of them stands now."""
        measure = self.policy.against(alarm.cause)
        if measure is Measure.NONE:
            return ()
        if alarm.cause is Cause.MODEL_CHANGED:
            # Nobody's query tipped it, so there is nothing to hide; only a person ends it.
            entry = Contained(EVERYBODY, measure, measure, alarm.cause, alarm.id, alarm.time, 0, now)
            self._kept[EVERYBODY] = entry
            return (entry,)
        names = dict.fromkeys(name for name in alarm.principals if name != EVERYBODY)
        return tuple(self._contain(name, measure, alarm, now) for name in names)

    def impose(self, principal: str, now: float, queries: int = 1) -> Imposed | None:
        """Count a principal's queries, and return what they have to bear, if anything.

        Args:
            principal: Who asks.
            now: Seconds since the epoch.
            queries: How many at once: a batch of rows is as many queries as it has rows.
        """
        everybody = self._kept.get(EVERYBODY)
        own = self._counted(principal, now, queries)
        entry = max((e for e in (own, everybody) if e is not None), key=lambda e: e.measure, default=None)
        if entry is None or entry.measure is Measure.NONE:
            return None
        if entry.measure is not Measure.THROTTLE:
            return Imposed(entry.measure, entry.alarm)
        wait_s = self._wait(entry.principal, now, queries)
        if wait_s is None:
            return Imposed(Measure.HOLD, entry.alarm)
        return Imposed(Measure.THROTTLE, entry.alarm, wait_s)

    def release(self, principal: str) -> bool:
        """Let a principal go; return whether it was contained."""
        self._free_at.pop(principal, None)
        return self._kept.pop(principal, None) is not None

    def entry(self, principal: str, now: float) -> Contained | None:
        """Return how a principal stands; ``None`` if it is not contained."""
        entry = self._kept.get(principal)
        return None if entry is None else self._current(entry, now)

    def entries(self, now: float) -> tuple[Contained, ...]:
        """Return everybody who is contained, in the order of their first alarms."""
        current = (self._current(entry, now) for entry in list(self._kept.values()))
        return tuple(entry for entry in current if entry is not None)

    def restore(self, entries: Iterable[Contained]) -> None:
        """Take back what :meth:`entries` returned."""
        self._kept = {entry.principal: entry for entry in entries}

    def _contain(self, principal: str, measure: Measure, alarm: Alarm, now: float) -> Contained:
        queries, seconds = self._delay(principal, alarm.id)
        before = self.entry(principal, now)
        fresh = Contained(
            principal, Measure.NONE, measure, alarm.cause, alarm.id, alarm.time, queries, now + seconds
        )
        if before is None:
            entry = fresh
            self._make_room(now)
        elif measure > before.pending:
            if before.measure is before.pending:
                entry = replace(fresh, measure=before.measure, since=before.since, until=before.until)
            else:  # what has not started yet starts no later for being harsher
                entry = replace(before, pending=measure, cause=alarm.cause, alarm=alarm.id)
        else:
            longer = now + seconds + self.policy.duration_s
            until = None if before.until is None else max(before.until, longer)
            entry = replace(before, cause=alarm.cause, alarm=alarm.id, until=until)
        self._kept[principal] = entry
        return entry

    def _counted(self, principal: str, now: float, queries: int) -> Contained | None:
        entry = self.entry(principal, now)
        if entry is None or entry.measure is entry.pending:
            return entry
        if entry.queries_left <= 0:
            entry = self._started(entry, now)
        else:
            entry = replace(entry, queries_left=entry.queries_left - queries)
        self._kept[principal] = entry
        return entry

    def _current(self, entry: Contained, now: float) -> Contained | None:
        """Return an entry as time has changed it; one that has ended is forgotten."""
        current = entry
        if entry.measure is not entry.pending and now >= entry.starts_by:
            current = self._started(entry, entry.starts_by)
        if current.until is not None and now >= current.until:
            self.release(entry.principal)
            return None
        if current is not entry:
            self._kept[entry.principal] = current
        return current

    def _started(self, entry: Contained, moment: float) -> Contained:
        until = moment + self.policy.duration_s
        return replace(entry, measure=entry.pending, queries_left=0, until=max(until, entry.until or 0.0))

    def _delay(self, principal: str, alarm: str) -> tuple[int, float]:
        text = f"{len(principal)}:{principal}{alarm}".encode(errors="surrogatepass")
        drawn = hashlib.blake2b(text, key=self._key, person=_PERSON, digest_size=16).digest()
        low, high = self.policy.delay_queries
        queries = low + int.from_bytes(drawn[:8], "big") % (high - low + 1)
        least, most = self.policy.delay_s
        return queries, least + (most - least) * int.from_bytes(drawn[8:], "big") / 2**64

    def _wait(self, principal: str, now: float, queries: int) -> float | None:
        """Return how long throttled queries wait; ``None`` if that is too long.

        A generic cell rate algorithm: one number a principal, and no more queries wait at once
        than ``throttle_wait_s`` and the rate allow.
        """
        interval = 1.0 / self.policy.throttle_per_s
        free_at = max(self._free_at.get(principal, 0.0), now)
        wait_s = max(0.0, free_at + (queries - self.policy.throttle_burst) * interval - now)
        if wait_s > self.policy.throttle_wait_s:
            return None
        self._free_at[principal] = free_at + queries * interval
        return wait_s

    def _make_room(self, now: float) -> None:
        if len(self._kept) < self._capacity:
            return
        entries = [e for e in self.entries(now) if e.principal != EVERYBODY]
        if len(entries) < self._capacity:
            return
        first = min(entries, key=lambda e: (e.starts_by + self.policy.duration_s, e.since))
        self.release(first.principal)
        self.let_go += 1
