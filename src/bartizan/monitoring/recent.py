"""The last few thousand events: who sent them when, and the bins they fell into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bartizan.alarms import BoolArray, Events
from bartizan.monitoring.streams import IntArray
from bartizan.types import FloatArray

WINDOW: Final = 8192
"""Events an alarm is explained from. What came before is known by its counts alone."""

BLOCK: Final = 1024
"""Events taken at once."""

Names = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some consecutive events.

    Attributes:
        index: Their numbers in the stream, shape ``(n,)``.
        times: Seconds since the epoch, shape ``(n,)``.
        bins: Shape ``(n, F)``.
        fed: Whether each went into the detector, shape ``(n,)``.
        principals: Who sent them, shape ``(n,)``; ``None`` where nobody is known.
        groups: Coarser names, each of shape ``(n,)``.
    """

    index: IntArray
    times: FloatArray
    bins: npt.NDArray[np.int8]
    fed: BoolArray
    principals: Names
    groups: Mapping[str, Names]

    def __len__(self) -> int:
        return len(self.index)

    def at(self, where: npt.NDArray[Any]) -> Stretch:
        """Return the events at some positions."""
        return Stretch(
            self.index[where],
            self.times[where],
            self.bins[where],
            self.fed[where],
            self.principals[where],
            {name: column[where] for name, column in self.groups.items()},
        )


def stretch_of(events: Events, index: IntArray, bins: IntArray, fed: BoolArray) -> Stretch:
    """Return events as they are remembered."""
    nobody: Names = np.full(len(events), None, dtype=np.object_)
    return Stretch(
        index,
        events.times,
        bins.astype(np.int8),
        fed,
        _names(events.principals) if events.principals else nobody,
        {name: _names(values) for name, values in events.groups.items()},
    )


class Recent:
    """A ring of events. What it keeps beyond a window lets a block be taken before it is looked at.

    Args:
        streams: How many streams there are.
        capacity: How many events it keeps.
    """

    def __init__(self, streams: int, capacity: int = WINDOW + BLOCK) -> None:
        self._capacity = capacity
        self._parts: list[Stretch] = []
        self._held = 0
        self._streams = streams

    def extend(self, events: Stretch) -> None:
        """Add events, and let go of the oldest."""
        if not len(events):
            return
        self._parts.append(events)
        self._held += len(events)
        # Small pieces are joined now and then, so that a look never meets thousands of them.
        if len(self._parts) > BLOCK or self._held > 2 * self._capacity:
            whole = self.all()
            self._parts = [whole.at(np.arange(len(whole))[-self._capacity :])]
            self._held = len(self._parts[0])

    def all(self) -> Stretch:
        """Return what is kept, in order: at least the last ``capacity`` events."""
        if not self._parts:
            none = np.empty(0, dtype=np.int64)
            bins = np.empty((0, self._streams), dtype=np.int8)
            return Stretch(none, np.empty(0), bins, none.astype(np.bool_), none.astype(np.object_), {})
        parts = self._parts
        names = sorted(set().union(*(p.groups for p in parts)))
        joined = Stretch(
            np.concatenate([p.index for p in parts]),
            np.concatenate([p.times for p in parts]),
            np.concatenate([p.bins for p in parts]),
            np.concatenate([p.fed for p in parts]),
            np.concatenate([p.principals for p in parts]),
            {n: np.concatenate([p.groups.get(n, p.principals) for p in parts]) for n in names},
        )
        self._parts = [joined]
        return joined

    def between(self, first: int, last: int) -> Stretch:
        """Return the events numbered ``first`` to ``last``, both included, that are still kept."""
        kept = self.all()
        low, high = np.searchsorted(kept.index, [first, last + 1])
        return kept.at(np.arange(low, high))


def _names(values: tuple[str, ...]) -> Names:
    names = np.empty(len(values), dtype=np.object_)
    names[:] = values
    return names
