"""What the gateway says about itself: filled by the data plane, shown by the admin plane."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bartizan.types import Mode

Source = Literal["generic", "operator", "live", "none"]


@dataclass(frozen=True, slots=True)
class CellStatus:
    """How one calibration cell keeps its promise.

    Attributes:
        cell: The cell's name.
        n: Benign interactions the cell was calibrated on.
        calibration: The table's digest; empty where there is none.
        source: Where the table came from: shipped (``generic``), given by the operator,
            learned from ``live`` traffic, or ``none``.
        promised: The false-alarm rate the operator asked for.
        certified: The rate in force: the promised one or the smallest that can be certified.
        flagged: Interactions flagged in this cell.
        total: Interactions judged in this cell.
        realised: ``flagged / total``; 0 where nothing was judged.
        low: Lower end of the 95% Clopper-Pearson interval around ``realised``.
        high: Upper end of that interval.
    """

    cell: str
    n: int
    calibration: str
    source: Source
    promised: float
    certified: float
    flagged: int
    total: int
    realised: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class DetectorStatus:
    """One detector of a system, as measured.

    Attributes:
        name: Dotted name, as in the registry.
        maturity: ``sandbox``, ``incubating`` or ``stable``.
        calibrated: Whether the calibration in force ranks its scores.
        inline: True if it runs before the answer, False if after it.
        p50_us: Median cost of one call in microseconds; 0 before the first.
        p99_us: 99th percentile of that cost.
        faults: Times it could not answer since start-up.
    """

    name: str
    maturity: str
    calibrated: bool
    inline: bool
    p50_us: int = 0
    p99_us: int = 0
    faults: int = 0


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """One protected system.

    Attributes:
        name: Its name in the configuration.
        kind: ``chat``, ``tools`` or ``predict``.
        mode: Whether verdicts are only recorded or also carried out.
        upstream: Its base URL, without user name, password or query.
        protocols: Names of the wire protocols it speaks.
        false_alarm_rate: The rate the operator asked for.
        cells: One entry per calibration cell.
        detectors: One entry per detector.
    """

    name: str
    kind: str
    mode: Mode
    upstream: str
    protocols: tuple[str, ...]
    false_alarm_rate: float
    cells: tuple[CellStatus, ...] = ()
    detectors: tuple[DetectorStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """The whole gateway at one moment.

    Attributes:
        version: Bartizan's version.
        started_at: Seconds since the epoch.
        ready: Whether it may be sent traffic.
        checks: What readiness was decided on: name to ``"ok"`` or what is wrong.
        systems: Every protected system.
        in_flight: Exchanges being served now.
    """

    version: str
    started_at: float
    ready: bool
    checks: dict[str, str] = field(default_factory=dict)
    systems: tuple[SystemStatus, ...] = ()
    in_flight: int = 0
