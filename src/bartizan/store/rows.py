"""Records and alarms as rows of the query store. Values are made fit for every database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from bartizan.alarms import Alarm
from bartizan.types import Record, StepRecord

SECONDS_PER_MINUTE = 60
LARGEST_INTEGER = 2**62
SEPARATOR = "|"

Row = dict[str, Any]


def exchange_row(position: int, record: Record, entry: bytes) -> Row:
    """Return the row of one exchange."""
    verdicts = [step.verdict for step in record.steps]
    detectors = {finding.detector for verdict in verdicts for finding in verdict.findings}
    return {
        "position": position,
        "id": row_text(record.id),
        "time": record.time,
        "system": row_text(record.system),
        "protocol": row_text(record.protocol),
        "principal": row_text(record.principal.id),
        "session": row_text(record.principal.session),
        "model": row_text(record.model),
        "effect": int(record.effect),
        "enforced": int(record.enforced),
        "rule": row_text(record.rule),
        "p_value": record.p_value,
        "status": _integer(record.status),
        "stream": record.stream,
        "added_us": _integer(record.added_us),
        "upstream_us": _integer(record.upstream_us),
        "faults": sum(len(verdict.faults) for verdict in verdicts),
        "unjudged": sum(len(verdict.coverage.unjudged) for verdict in verdicts),
        "detectors": pack_names(detectors),
        "body": entry,
    }


def alarm_row(position: int, alarm: Alarm, entry: bytes) -> Row:
    """Return the row of one alarm."""
    return {
        "position": position,
        "id": row_text(alarm.id),
        "time": alarm.time,
        "system": row_text(alarm.system),
        "cause": alarm.cause.value,
        "body": entry,
    }


def concerned_rows(position: int, alarm: Alarm) -> list[Row]:
    """Return one row for each principal that an alarm concerns."""
    return [
        {"position": position, "principal": name} for name in dict.fromkeys(map(row_text, alarm.principals))
    ]


def measured_rows(position: int, record: Record) -> list[Row]:
    """Return one row for each step with scores."""
    rows = (_measured_row(position, record, number, step) for number, step in enumerate(record.steps))
    return [row for row in rows if row is not None]


def minute_rows(rows: Iterable[Row]) -> list[Row]:
    """Return what exchanges add to the minutes they fall in."""
    counts: Counter[tuple[str, int, int]] = Counter()
    added: Counter[tuple[str, int, int]] = Counter()
    for row in rows:
        key = (row["system"], minute_of(row["time"]), row["effect"])
        counts[key] += 1
        added[key] += row["added_us"]
    return [
        {"system": system, "minute": minute, "effect": effect, "exchanges": count, "added_us": added[key]}
        for key, count in counts.items()
        for system, minute, effect in [key]
    ]


def minute_of(time: float) -> int:
    """Return the start of the minute that a time falls in."""
    return int(time // SECONDS_PER_MINUTE) * SECONDS_PER_MINUTE


def pack_names(names: Iterable[str]) -> str:
    """Return names as one text in which :func:`packed_name` finds any of them.

    >>> pack_names({"text.leak", "rows.range"})
    '|rows.range|text.leak|'
    """
    joined = SEPARATOR.join(sorted(row_text(name) for name in names))
    return f"{SEPARATOR}{joined}{SEPARATOR}" if joined else ""


def packed_name(name: str) -> str:
    """Return the text that occurs in packed names if and only if the name is among them."""
    return f"{SEPARATOR}{name}{SEPARATOR}"


def unpack_names(packed: str) -> tuple[str, ...]:
    """Return the names again."""
    return tuple(packed.strip(SEPARATOR).split(SEPARATOR)) if packed else ()


def _measured_row(position: int, record: Record, number: int, step: StepRecord) -> Row | None:
    measured, p_value = step.verdict.measured, step.verdict.p_value
    if measured is None:
        return None
    return {
        "position": position,
        "step": number,
        "system": row_text(record.system),
        "cell": row_text(measured.cell),
        "time": record.time,
        "principal": row_text(record.principal.id),
        "units": _integer(measured.units),
        "maxima": row_text(msgspec.json.encode(measured.maxima).decode()),
        "p_value": None if p_value is None else p_value.value,
        "flagged": p_value is not None and p_value.value <= step.verdict.level,
    }


def row_text(value: str) -> str:
    """Return a text as rows hold it.

    PostgreSQL's text has no NUL, and one awkward client must not stop the projection.
    """
    return value.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _integer(value: int) -> int:
    return max(-LARGEST_INTEGER, min(value, LARGEST_INTEGER))
