"""Sums a monitor's streams up by the minute, for drawing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from bartizan.alarms import Alarm, Column, Events
from bartizan.monitoring.streams import Stream, sources
from bartizan.store import StreamPoint

ALL = "all streams"
"""The detector's own evidence: the mean over its streams, which is what it alarms on."""
_SECONDS = 60


@dataclass(slots=True)
class _Minute:
    """One stream in the minute that is going on."""

    minute: int
    last: float = 0.0
    highest: float = 0.0
    total: float = 0.0
    valued: int = 0
    events: int = 0


class Minutes:
    """The minutes of one system's streams.

    Args:
        system: The system's name.
        streams: What is watched.
        threshold: The evidence at which the detector alarms.

    Evidence below 1, which says nothing, is drawn as 1: its logarithm as 0.
    """

    def __init__(self, system: str, streams: Iterable[Stream], threshold: float) -> None:
        self._system = system
        self._streams = {s.name: s for s in streams}
        self._alone = math.log(threshold * max(1, len(self._streams)))
        self._together = math.log(threshold)
        self._going: dict[str, _Minute] = {}
        self._over: list[StreamPoint] = []
        self._raised = ""

    def add(self, events: Events, evidence: Mapping[str, float], alarms: Iterable[Alarm]) -> None:
        """Add events that a monitor was fed, and its evidence after them.

        An alarm sets the evidence back, so its own evidence is kept as the minute's highest.
        Where there is no evidence at all nothing is watched yet, and nothing is drawn.
        """
        if not evidence:
            return
        minute = int(events.times[-1] // _SECONDS) * _SECONDS
        found = sources(events)
        for name, value in evidence.items():
            going = self._at(name, minute, len(events), value)
            stream, column = self._streams.get(name), found.get(name)
            if stream is not None and column is not None:
                total, valued = _summed(stream, column)
                going.total += total
                going.valued += valued
        mean = math.fsum(evidence.values()) / len(evidence)
        self._at(ALL, minute, len(events), mean)
        for alarm in alarms:
            if alarm.streams and alarm.id != self._raised:
                self._raised = alarm.id
                self._crossed(alarm)

    def take(self) -> list[StreamPoint]:
        """Return the minutes that are over since the last time, and those that are going on."""
        over, self._over = self._over, []
        return [*over, *(self._point(name, going) for name, going in self._going.items())]

    def _crossed(self, alarm: Alarm) -> None:
        """Note the evidence at which the detector alarmed, and what its streams had of it."""
        together = self._going[ALL]
        together.highest = max(together.highest, alarm.log_evidence)
        for stream in alarm.streams:
            going = self._going.get(stream.name)
            if going is not None and stream.share > 0:
                own = alarm.log_evidence + math.log(stream.share * len(self._streams))
                going.highest = max(going.highest, own)

    def _at(self, name: str, minute: int, events: int, evidence: float) -> _Minute:
        going = self._going.get(name)
        if going is None or going.minute != minute:
            if going is not None:
                self._over.append(self._point(name, going))
            going = self._going[name] = _Minute(minute)
        going.last = math.log(max(evidence, 1.0))
        going.highest = max(going.highest, going.last)
        going.events += events
        return going

    def _point(self, name: str, going: _Minute) -> StreamPoint:
        return StreamPoint(
            system=self._system,
            stream=name,
            minute=going.minute,
            last=going.last,
            highest=going.highest,
            threshold=self._together if name == ALL else self._alone,
            value=going.total / going.valued if going.valued else None,
            events=going.events,
        )


def _summed(stream: Stream, column: Column) -> tuple[float, int]:
    """Return sum and number of a stream's values; of categories, how many were the commonest one."""
    if stream.cuts is None:
        names = column.tolist()
        return float(sum(name == stream.categories[0] for name in names)), len(names)
    values = column.astype(np.float64)
    finite = values[np.isfinite(values)]
    return float(finite.sum()), len(finite)
