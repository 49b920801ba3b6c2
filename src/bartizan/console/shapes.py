"""What the console needs of the rest, as shapes.

The console and the gateway stand side by side and don't import each other; whoever puts
them together hands the gateway's status over, and it fits these shapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from bartizan.alarms import Alarm, Cause
from bartizan.store import Bucket, Event, EventQuery, Proof, StoreHealth, StreamPoint
from bartizan.types import Mode, Record


class Reads(Protocol):
    """What the console needs of the store. Called from worker threads."""

    def events(self, query: EventQuery) -> list[Event]:
        """Return exchanges, newest first."""
        ...

    def record(self, id: str) -> Record | None:
        """Return one exchange."""
        ...

    def alarms(
        self,
        system: str | None = None,
        cause: Cause | None = None,
        principal: str | None = None,
        since: float | None = None,
        limit: int = 50,
    ) -> list[Alarm]:
        """Return alarms as they were told last, newest first."""
        ...

    def alarm_tellings(self, id: str, limit: int = 50) -> list[Alarm]:
        """Return an alarm each time it was told, the last time first."""
        ...

    def stream_points(self, system: str, since: float, until: float) -> list[StreamPoint]:
        """Return the minutes of a system's streams, oldest first."""
        ...

    def traffic(self, since: float, until: float, system: str | None = None) -> list[Bucket]:
        """Return counts by minute and effect."""
        ...

    def latency(self, limit: int = 2000) -> list[int]:
        """Return the microseconds added to the newest exchanges."""
        ...

    def p_values(self, system: str, cell: str, limit: int) -> list[float]:
        """Return the newest p-values of a calibration cell."""
        ...

    def prove(self, id: str) -> Proof:
        """Return the proof that an exchange is in the ledger."""
        ...

    def health(self) -> StoreHealth:
        """Return how the store is doing."""
        ...


class Cell(Protocol):
    """How one calibration cell keeps its promise."""

    @property
    def cell(self) -> str: ...  # noqa: D102 - documented where it is filled
    @property
    def n(self) -> int: ...  # noqa: D102
    @property
    def calibration(self) -> str: ...  # noqa: D102
    @property
    def source(self) -> str: ...  # noqa: D102
    @property
    def promised(self) -> float: ...  # noqa: D102
    @property
    def certified(self) -> float: ...  # noqa: D102
    @property
    def flagged(self) -> int: ...  # noqa: D102
    @property
    def total(self) -> int: ...  # noqa: D102
    @property
    def realised(self) -> float: ...  # noqa: D102
    @property
    def low(self) -> float: ...  # noqa: D102
    @property
    def high(self) -> float: ...  # noqa: D102


class DetectorState(Protocol):
    """One detector of a system, as measured."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def maturity(self) -> str: ...  # noqa: D102
    @property
    def calibrated(self) -> bool: ...  # noqa: D102
    @property
    def inline(self) -> bool: ...  # noqa: D102
    @property
    def p50_us(self) -> int: ...  # noqa: D102
    @property
    def p99_us(self) -> int: ...  # noqa: D102
    @property
    def faults(self) -> int: ...  # noqa: D102


class Contained(Protocol):
    """A principal that an alarm contained."""

    @property
    def principal(self) -> str: ...  # noqa: D102
    @property
    def measure(self) -> str: ...  # noqa: D102
    @property
    def pending(self) -> str: ...  # noqa: D102
    @property
    def cause(self) -> str: ...  # noqa: D102
    @property
    def alarm(self) -> str: ...  # noqa: D102
    @property
    def since(self) -> float: ...  # noqa: D102
    @property
    def starts_by(self) -> float: ...  # noqa: D102
    @property
    def until(self) -> float | None: ...  # noqa: D102


class Watch(Protocol):
    """How one system is watched."""

    @property
    def baseline(self) -> str: ...  # noqa: D102
    @property
    def promise(self) -> str: ...  # noqa: D102
    @property
    def refused(self) -> str: ...  # noqa: D102
    @property
    def events(self) -> int: ...  # noqa: D102
    @property
    def queued(self) -> int: ...  # noqa: D102
    @property
    def dropped(self) -> int: ...  # noqa: D102
    @property
    def unfit(self) -> int: ...  # noqa: D102
    @property
    def why_unfit(self) -> str: ...  # noqa: D102
    @property
    def problem(self) -> str: ...  # noqa: D102
    @property
    def alarms(self) -> int: ...  # noqa: D102
    @property
    def contained(self) -> Sequence[Contained]: ...  # noqa: D102
    @property
    def let_go(self) -> int: ...  # noqa: D102
    @property
    def enforcing(self) -> bool: ...  # noqa: D102


class System(Protocol):
    """One protected system."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def mode(self) -> Mode: ...  # noqa: D102
    @property
    def upstream(self) -> str: ...  # noqa: D102
    @property
    def protocols(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def false_alarm_rate(self) -> float: ...  # noqa: D102
    @property
    def cells(self) -> Sequence[Cell]: ...  # noqa: D102
    @property
    def detectors(self) -> Sequence[DetectorState]: ...  # noqa: D102
    @property
    def watch(self) -> Watch | None: ...  # noqa: D102


class Gateway(Protocol):
    """The whole gateway at one moment."""

    @property
    def version(self) -> str: ...  # noqa: D102
    @property
    def started_at(self) -> float: ...  # noqa: D102
    @property
    def ready(self) -> bool: ...  # noqa: D102
    @property
    def checks(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def systems(self) -> Sequence[System]: ...  # noqa: D102
    @property
    def in_flight(self) -> int: ...  # noqa: D102
