"""What the store takes and gives back: frozen values, no SQL and no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bartizan.types import Effect

SEGMENT_BYTES = 64 * 1024 * 1024
SEGMENT_SECONDS = 86_400.0
QUEUE_RECORDS = 10_000
CHECKPOINT_SECONDS = 10.0
GROUP_MS = 10.0
GROUP_RECORDS = 2_048


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where the store lives and how it behaves.

    Attributes:
        path: The data directory; made with mode 0700 if it does not exist.
        database_url: SQLAlchemy URL of the query store; ``None``: SQLite in ``path``.
        origin: The ledger's name, as checkpoints and the verifier key carry it.
        retention_days: Records older than this are pruned; ``None`` keeps them for ever.
        segment_bytes: A segment file is closed once it is larger than this.
        segment_seconds: A segment file is closed once it is older than this, so that
            retention works at any rate of traffic.
        queue_records: Records that may wait for the disk; beyond that ``append`` raises.
        checkpoint_seconds: How often a signed checkpoint is written.
        group_ms: How long a record waits for company before its group is written.
    """

    path: Path
    database_url: str | None = None
    origin: str = "bartizan"
    retention_days: float | None = 30
    segment_bytes: int = SEGMENT_BYTES
    segment_seconds: float = SEGMENT_SECONDS
    queue_records: int = QUEUE_RECORDS
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    group_ms: float = GROUP_MS


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which exchanges to list, newest first. Conditions left out do not restrict.

    Attributes:
        system: Only this protected system.
        effect_at_least: Only exchanges whose effect is at least this.
        principal: Only this principal's.
        session: Only this session's.
        detector: Only exchanges with a finding of this detector.
        since: Only at or after this time, in seconds since the epoch.
        until: Only before this time.
        before_index: Only ledger indices below this: the next page starts at the last
            index of the page before.
        after_index: Only ledger indices above this: what is new since the last look.
        limit: At most this many.
    """

    system: str | None = None
    effect_at_least: Effect | None = None
    principal: str | None = None
    session: str | None = None
    detector: str | None = None
    since: float | None = None
    until: float | None = None
    before_index: int | None = None
    after_index: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Event:
    """One exchange in a list: the narrow row, without steps and findings.

    Attributes:
        index: Position in the ledger.
        faults: Detectors that could not answer, over all steps.
        unjudged: Stretches of content that nobody looked at, over all steps.
        detectors: Names of the detectors with findings, in alphabetical order.

    The other attributes are those of :class:`bartizan.types.Record`.
    """

    index: int
    id: str
    time: float
    system: str
    protocol: str
    principal: str
    session: str
    model: str
    effect: Effect
    enforced: Effect
    rule: str
    p_value: float | None
    status: int
    stream: bool
    added_us: int
    upstream_us: int
    faults: int
    unjudged: int
    detectors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many exchanges one minute saw with one effect.

    Attributes:
        minute: Start of the minute, in seconds since the epoch.
        effect: The effect.
        count: How many exchanges.
        added_us: Mean microseconds that Bartizan added to them.
    """

    minute: int
    effect: Effect
    count: int
    added_us: float


@dataclass(frozen=True, slots=True)
class MeasuredRow:
    """The scores of one judged step, as calibration reads them back.

    Attributes:
        index: The exchange's position in the ledger.
        step: Which of its steps, from 0.
        system: The protected system.
        cell: The calibration cell.
        time: Seconds since the epoch.
        principal: Who called.
        units: How many text parts or rows were scored.
        maxima: Largest score of each score key.
        p_value: The step's p-value; ``None`` if there was none.
        flagged: The p-value reached the level it was held against.
    """

    index: int
    step: int
    system: str
    cell: str
    time: float
    principal: str
    units: int
    maxima: Mapping[str, float]
    p_value: float | None
    flagged: bool


@dataclass(frozen=True, slots=True)
class StreamPoint:
    """One minute of one stream, for drawing.

    Attributes:
        system: The protected system.
        stream: The stream's name, as in :class:`bartizan.alarms.StreamShare`.
        minute: Start of the minute, in seconds since the epoch.
        last: Log evidence of a change when the minute ended.
        highest: Largest log evidence in the minute; an alarm resets it, so it can be above ``last``.
        threshold: Log evidence at which the stream alarms.
        value: Mean of its values, or the share of one category; ``None`` if it has none.
        events: How many events it saw in the minute.
    """

    system: str
    stream: str
    minute: int
    last: float
    highest: float
    threshold: float
    value: float | None
    events: int


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """How the store is doing.

    Attributes:
        ok: The ledger takes records and the query store follows.
        writable: The ledger takes records.
        queued: Records waiting for the disk.
        unprojected: Ledger entries that the query store has not seen yet.
        unreadable: Ledger entries that the query store could not make sense of.
        unwritten: Records that were accepted and lost to a write error.
        records: Entries in the ledger, its own control entries included.
        signed: How many of them the last checkpoint covers.
        checkpoint_age: Seconds since that checkpoint was signed.
        error: Why the ledger takes no more records; empty while it does.
        database_error: Why the query store does not follow, or why old records can't be
            pruned; empty while all is well.
    """

    ok: bool
    writable: bool
    queued: int
    unprojected: int
    unreadable: int
    unwritten: int
    records: int
    signed: int
    checkpoint_age: float
    error: str
    database_error: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows, without the ledger, that a record is in it.

    Attributes:
        id: The record's id.
        index: Its position in the ledger.
        size: Number of entries under the checkpoint.
        record: The record's bytes as text: what was hashed.
        path: Hex hashes from the leaf's sibling up to the root's child (RFC 9162 2.1.3).
        checkpoint: The signed note that covers it.
    """

    id: str
    index: int
    size: int
    record: str
    path: tuple[str, ...]
    checkpoint: str
