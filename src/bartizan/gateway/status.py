"""What the gateway says about itself: filled by the data plane, shown by the admin plane."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bartizan.policy.containment import Contained
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
class StreamStatus:
    """One watched stream now.

    Attributes:
        name: As in :class:`bartizan.alarms.StreamShare`.
        log_evidence: Natural logarithm of the evidence that it changed; 0 where there is none.
        threshold: What that would have to reach for an alarm of this stream alone.
    """

    name: str
    log_evidence: float
    threshold: float


@dataclass(frozen=True, slots=True)
class ContainedStatus:
    """A principal that an alarm contained.

    Attributes:
        principal: Who; empty for everybody.
        measure: What is in force: ``none``, ``throttle``, ``degrade``, ``hold`` or ``block``.
        pending: What will be in force, if that is something else.
        cause: What the alarm was taken for.
        alarm: The last alarm's id.
        since: When the first alarm was raised, seconds since the epoch.
        starts_by: When the pending measure starts at the latest.
        until: When it ends; ``None`` before it started, and where only a person ends it.
    """

    principal: str
    measure: str
    pending: str
    cause: str
    alarm: str
    since: float
    starts_by: float
    until: float | None


def contained_status(entry: Contained) -> ContainedStatus:
    """Return how a principal stands, in the words of the admin plane."""
    return ContainedStatus(
        principal=entry.principal,
        measure=entry.measure.name.lower(),
        pending=entry.pending.name.lower(),
        cause=entry.cause.value,
        alarm=entry.alarm,
        since=entry.since,
        starts_by=entry.starts_by,
        until=entry.until,
    )


@dataclass(frozen=True, slots=True)
class WatchStatus:
    """How one system is watched.

    Attributes:
        baseline: The baseline's digest; empty where nothing is watched.
        promise: What it promises about false alarms; empty where nothing.
        refused: Why it promises nothing.
        events: Events watched since start-up.
        queued: Exchanges that wait to be watched.
        dropped: Exchanges that were not watched because too many waited.
        unfit: Exchanges and events that were not watched because they don't fit the baseline.
        why_unfit: Why the last of them didn't.
        problem: What else is wrong; empty if nothing.
        alarms: Alarms told since start-up, a changed cause counted again.
        unrecorded: Alarms that the ledger did not take.
        streams: The streams.
        contained: Who is contained.
        let_go: How many were let go early because too many were contained.
        enforcing: Whether containment is carried out, or only recorded.
    """

    baseline: str = ""
    promise: str = ""
    refused: str = ""
    events: int = 0
    queued: int = 0
    dropped: int = 0
    unfit: int = 0
    why_unfit: str = ""
    problem: str = ""
    alarms: int = 0
    unrecorded: int = 0
    streams: tuple[StreamStatus, ...] = ()
    contained: tuple[ContainedStatus, ...] = ()
    let_go: int = 0
    enforcing: bool = False


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
        watch: How it is watched over time; ``None`` for kinds that are not.
    """

    name: str
    kind: str
    mode: Mode
    upstream: str
    protocols: tuple[str, ...]
    false_alarm_rate: float
    cells: tuple[CellStatus, ...] = ()
    detectors: tuple[DetectorStatus, ...] = ()
    watch: WatchStatus | None = None


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
