"""The geometry of a stream's evidence over time: points in, coordinates out. Templates write the SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bartizan.console.charts import WIDTH
from bartizan.store import StreamPoint

HEIGHT = 110.0
COLUMNS = 120
"""Stretches that a curve is cut into; of each, the largest evidence is drawn."""
_ROOM = 1.12
"""Height of the picture, in thresholds: an alarm just above the line still shows as above it."""


@dataclass(frozen=True, slots=True)
class Place:
    """One stretch of time in which something was seen.

    Attributes:
        start: Its start, in seconds since the epoch.
        x: Where its middle is drawn.
        y: Where its largest evidence is drawn.
        highest: Largest log evidence in it.
        last: Log evidence at its end.
        value: Mean of the stream's values in it; ``None`` if it has none.
        events: How many events it saw.
        above: Whether the evidence reached the threshold.
    """

    start: float
    x: float
    y: float
    highest: float
    last: float
    value: float | None
    events: int
    above: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """Where an alarm's change began, and where it was raised.

    Attributes:
        id: The alarm's id.
        cause: What it is taken for.
        onset_x: Where its onset is drawn; ``None`` where it lies before the picture.
        raised_x: Where it is drawn that it was raised.
    """

    id: str
    cause: str
    onset_x: float | None
    raised_x: float


@dataclass(frozen=True, slots=True)
class Curve:
    """One stream over time.

    Attributes:
        name: The stream's name.
        places: What was seen, in order.
        lines: Corners of the curve as SVG writes them; one piece for each stretch without a gap.
        line_y: Where the threshold is drawn.
        threshold: Log evidence at which an alarm is raised.
        top: Log evidence at the upper edge.
        marks: The alarms.
        ticks: ``(x, seconds since the epoch)`` along the axis.
        step_s: Seconds that one place stands for.
    """

    name: str
    places: tuple[Place, ...]
    lines: tuple[str, ...]
    line_y: float
    threshold: float
    top: float
    marks: tuple[Mark, ...]
    ticks: tuple[tuple[float, float], ...]
    step_s: float

    @property
    def highest(self) -> float:
        """Largest log evidence in the picture."""
        return max((p.highest for p in self.places), default=0.0)

    @property
    def events(self) -> int:
        """How many events are in the picture."""
        return sum(p.events for p in self.places)


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm as a picture needs it."""

    id: str
    cause: str
    onset: float
    time: float


def curve(
    name: str, points: Sequence[StreamPoint], alarms: Iterable[Raised], since: float, until: float
) -> Curve:
    """Draw one stream's minutes in ``[since, until)``, and the alarms raised in that time.

    Args:
        name: The stream's name.
        points: Its minutes, oldest first; those outside are left out.
        alarms: Alarms of the stream.
        since: Start of the picture, in seconds since the epoch.
        until: Its end.
    """
    step = (until - since) / COLUMNS
    stretches: dict[int, list[StreamPoint]] = {}
    for point in points:
        if since <= point.minute < until:
            stretches.setdefault(min(COLUMNS - 1, int((point.minute - since) / step)), []).append(point)
    shown = [p for stretch in stretches.values() for p in stretch]
    threshold = shown[-1].threshold if shown else 0.0
    top = max([1.0, threshold * _ROOM, *(p.highest for p in shown)])
    places = {i: _place(since, i, step, stretch, top) for i, stretch in sorted(stretches.items())}
    # A minute is the finest there is: shorter stretches without one are no gap.
    reach = max(1, round(60 / step) + 1)
    return Curve(
        name=name,
        places=tuple(places.values()),
        lines=_lines(places, reach),
        line_y=_y(threshold, top),
        threshold=threshold,
        top=top,
        marks=tuple(_mark(a, since, until) for a in alarms if since <= a.time < until),
        ticks=tuple((WIDTH * i / 6, since + (until - since) * i / 6) for i in range(7)),
        step_s=step,
    )


def _place(since: float, i: int, step: float, stretch: Sequence[StreamPoint], top: float) -> Place:
    highest = max(p.highest for p in stretch)
    valued = [(p.value, p.events) for p in stretch if p.value is not None and p.events > 0]
    weight = sum(n for _, n in valued)
    return Place(
        start=since + i * step,
        x=(i + 0.5) * WIDTH / COLUMNS,
        y=_y(highest, top),
        highest=highest,
        last=stretch[-1].last,
        value=sum(v * n for v, n in valued) / weight if weight else None,
        events=sum(p.events for p in stretch),
        above=any(p.highest >= p.threshold for p in stretch),
    )


def _lines(places: dict[int, Place], reach: int) -> tuple[str, ...]:
    pieces: list[list[str]] = []
    before = None
    for i, place in places.items():
        if before is None or i - before > reach:
            pieces.append([])
        pieces[-1].append(f"{place.x:.1f},{place.y:.1f}")
        before = i
    # A piece of one place would be a line without length, which isn't drawn.
    return tuple(" ".join(piece if len(piece) > 1 else piece * 2) for piece in pieces)


def _mark(alarm: Raised, since: float, until: float) -> Mark:
    onset = _x(alarm.onset, since, until) if since <= alarm.onset <= alarm.time else None
    return Mark(alarm.id, alarm.cause, onset, _x(alarm.time, since, until))


def _x(time: float, since: float, until: float) -> float:
    return WIDTH * (time - since) / (until - since)


def _y(value: float, top: float) -> float:
    return HEIGHT * (1 - min(max(value, 0.0), top) / top)
