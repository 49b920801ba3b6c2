"""Events wait here until complaints about them would have arrived; whoever is found out is thrown out."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import numpy as np

from bartizan.alarms import Events
from bartizan.monitoring.selection import join, select
from bartizan.types import FloatArray

SLICES: Final = 16
"""Slices of time that a quarantine is cut into; twice as many are kept."""

MAX_DISOWNED: Final = 4096


@dataclass(slots=True)
class _Slice:
    number: int
    events: Events
    priorities: FloatArray


class Quarantine:
    """A bounded sample of recent events, by age.

    Time is cut into slices, each of which keeps a uniform sample of its events: a flood pushes
    out only what came in the same slice, and nobody can time what is kept.

    Args:
        seconds: How long events wait.
        capacity: How many events are kept altogether.
        rng: Chooses the sample; nobody outside may be able to predict it.
    """

    def __init__(self, seconds: float, capacity: int, rng: np.random.Generator) -> None:
        if seconds <= 0 or capacity < 2 * SLICES:
            raise ValueError(f"a quarantine takes time, and at least {2 * SLICES} events")
        self.seconds = seconds
        self._width = seconds / SLICES
        self._per_slice = capacity // (2 * SLICES)
        self._rng = rng
        self._slices: list[_Slice] = []
        self._disowned: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(s.events) for s in self._slices)

    def add(self, events: Events) -> None:
        """Take events in time order; those of disowned principals stay out."""
        if self._disowned and events.principals:
            events = select(events, np.array([p not in self._disowned for p in events.principals]))
        numbers = np.floor(events.times / self._width).astype(np.int64)
        for number in np.unique(numbers).tolist():
            where = np.flatnonzero(numbers == number)
            self._extend(number, select(events, where), self._rng.random(len(where)))
        self._slices = self._slices[-2 * SLICES :]

    def disown(self, principal: str) -> int:
        """Throw out what a principal sent, and what it will send; return how much was thrown out."""
        self._disowned[principal] = None
        self._disowned.move_to_end(principal)
        while len(self._disowned) > MAX_DISOWNED:
            self._disowned.popitem(last=False)
        before = len(self)
        for held in self._slices:
            if held.events.principals:
                self._keep(held, np.flatnonzero([p != principal for p in held.events.principals]))
        return before - len(self)

    def take(self, now: float) -> Events | None:
        """Return, and let go of, the events of all slices that have waited long enough, in time order."""
        done = [s for s in self._slices if (s.number + 1) * self._width <= now - self.seconds]
        self._slices = self._slices[len(done) :]
        done = [s for s in done if len(s.events)]
        if not done:
            return None
        events = join([s.events for s in done])
        return select(events, np.argsort(events.times, kind="stable"))

    def _extend(self, number: int, events: Events, priorities: FloatArray) -> None:
        if not self._slices or number > self._slices[-1].number:
            self._slices.append(_Slice(number, events, priorities))
        else:  # late events join the newest slice: they only wait longer
            last = self._slices[-1]
            last.events = join([last.events, events])
            last.priorities = np.concatenate([last.priorities, priorities])
        last = self._slices[-1]
        if len(last.events) > self._per_slice:
            best = np.argpartition(last.priorities, self._per_slice)[: self._per_slice]
            self._keep(last, np.sort(best))

    def _keep(self, held: _Slice, where: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        held.events, held.priorities = select(held.events, where), held.priorities[where]
