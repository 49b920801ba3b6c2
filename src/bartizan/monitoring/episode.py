"""A change that is going on: from its first alarm until it has been quiet for long."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from bartizan.alarms import Cause
from bartizan.monitoring.direction import Direction

LOOKS: Final = (256, 512, 1024, 2048, 4096)
"""Events after the onset at which an alarm's cause is asked for again, beside the first time."""

QUIET: Final = 8192
"""Events without a crossing after which the next one is a new alarm."""


@dataclass(slots=True)
class Episode:
    """One alarm of the stream, and what is still to be asked about it.

    Attributes:
        id: The alarm's id.
        began: Number of the event at which it was raised.
        onset: Number of the event at which the change began.
        beyond: The onset lies before what is remembered.
        direction: What changed.
        log_evidence: When it was raised.
        last: Number of the event of the latest crossing.
        crossings: How many there were.
        looks: Numbers of the events at which its cause is asked for again.
        said: Cause as last told, and whether principals were named; ``None`` before.
    """

    id: str
    began: int
    onset: int
    beyond: bool
    direction: Direction
    log_evidence: float
    last: int
    crossings: int = 1
    looks: list[int] = field(default_factory=list)
    said: tuple[Cause, bool] | None = None

    @classmethod
    def at(
        cls, id: str, index: int, onset: int, direction: Direction, log_evidence: float, *, beyond: bool
    ) -> Episode:
        """Begin an episode, and plan its looks."""
        looks = [onset + size - 1 for size in LOOKS if onset + size - 1 > index]
        return cls(id, index, onset, beyond, direction, log_evidence, index, looks=looks)
