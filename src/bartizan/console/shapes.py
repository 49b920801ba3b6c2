"""What the console needs of the rest, as shapes.

The console and the gateway stand side by side and don't import each other; whoever puts
them together hands the gateway's status over, and it fits these shapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from bartizan.store import Bucket, Event, EventQuery, Proof, StoreHealth
from bartizan.types import Mode, Record


class Reads(Protocol):
    """What the console needs of the store. Called from worker threads."""

    def events(self, query: EventQuery) -> list[Event]:
        """Return exchanges, newest first."""
        ...

    def record(self, id: str) -> Record | None:
        """Return one exchange."""
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
