"""What the monitors are told about exchanges: a bounded queue, and events made of what is in it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, Protocol, TypeVar

import numpy as np

from bartizan.alarms import Column, Events
from bartizan.types import FloatArray, Rows

MAX_ELEMENTS = 4_000_000
"""Numbers that may wait at once, inputs and outputs together: 32 MB."""


class Sized(Protocol):
    """Something that takes room while it waits."""

    @property
    def elements(self) -> int:
        """How many numbers it holds, or takes the room of."""
        ...


T = TypeVar("T", bound=Sized)


@dataclass(frozen=True, slots=True)
class Observation:
    """One exchange as a monitor sees it.

    Attributes:
        time: Seconds since the epoch.
        principal: Who asked.
        rows: The inputs and what the model answered.
        id: The exchange's id.
        trusted: Whether it came from a trusted source.
        groups: ``(level, name)``: coarser names of the principal.
    """

    time: float
    principal: str
    rows: Rows
    id: str
    trusted: bool = False
    groups: tuple[tuple[str, str], ...] = ()

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        outputs = self.rows.outputs
        return int(self.rows.inputs.size) + (0 if outputs is None else int(outputs.size))


class Queue(Generic[T]):
    """Observations, or turns, that wait for the monitor. Putting never blocks.

    Args:
        capacity: How many may wait.
    """

    def __init__(self, capacity: int) -> None:
        self.dropped = 0
        self._capacity = capacity
        self._waiting: deque[T] = deque()
        self._elements = 0
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, observation: T) -> bool:
        """Queue an observation; return whether there was room. What had no room is counted."""
        size = observation.elements
        with self._changed:
            full = len(self._waiting) >= self._capacity or self._elements + size > MAX_ELEMENTS
            if full or self._closed:
                self.dropped += 1
                return False
            self._waiting.append(observation)
            self._elements += size
            self._changed.notify()
        return True

    def take(self, most: int, timeout_s: float) -> list[T]:
        """Return what waits, at most ``most``; waits for the first one up to ``timeout_s``."""
        with self._changed:
            if not self._waiting and not self._closed:
                self._changed.wait(timeout_s)
            taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            self._elements -= sum(o.elements for o in taken)
        return taken

    def close(self) -> None:
        """Take nothing any more; what waits can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def events_of(observations: Iterable[Observation], last: float) -> Iterator[Events]:
    """Yield the observations' rows as events, a new stretch wherever their form changes.

    Exchanges overlap, so their times may be a little out of order; streams have one order, that
    in which they were judged, and their times never decrease.

    Args:
        observations: In order.
        last: Time of the last event before.
    """
    for _, alike in groupby(observations, _form):
        events = _joined(list(alike), last)
        last = float(events.times[-1])
        yield events


def _form(observation: Observation) -> tuple[object, ...]:
    rows = observation.rows
    width = None if rows.outputs is None else rows.outputs.shape[1]
    levels = tuple(level for level, _ in observation.groups)
    return rows.columns, rows.inputs.shape[1], width, levels


def _joined(alike: list[Observation], last: float) -> Events:
    counts = [len(o.rows.inputs) for o in alike]
    inputs = np.concatenate([o.rows.inputs for o in alike])
    outputs = [o.rows.outputs for o in alike if o.rows.outputs is not None]
    times = np.maximum.accumulate(np.repeat([max(o.time, last) for o in alike], counts))
    return Events(
        times=times.astype(np.float64),
        columns=_columns(alike[0].rows, inputs),
        outputs=np.concatenate(outputs) if outputs else None,
        principals=_repeated((o.principal for o in alike), counts),
        trusted=np.repeat([o.trusted for o in alike], counts),
        ids=_repeated((o.id for o in alike), counts),
        groups={
            level: _repeated((o.groups[i][1] for o in alike), counts)
            for i, (level, _) in enumerate(alike[0].groups)
        },
    )


def _columns(rows: Rows, inputs: FloatArray) -> dict[str, Column]:
    names = rows.columns or tuple(str(i) for i in range(inputs.shape[1]))
    return {name: inputs[:, i] for i, name in enumerate(names)}


def _repeated(values: Iterable[str], counts: list[int]) -> tuple[str, ...]:
    return tuple(value for value, n in zip(values, counts, strict=True) for _ in range(n))
