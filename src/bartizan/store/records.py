"""Entries of the ledger as bytes: records, alarms, and the control entries beside them.

The bytes are what is hashed, so they are made once, in the writer, and kept.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec
from msgspec.structs import replace

from bartizan.alarms import Alarm
from bartizan.store.frames import MAX_ENTRY_BYTES
from bartizan.types import Record

CONTROL_PREFIX = b'{"type":'
ALARM_PREFIX = b'{"entry":"alarm",'
"""What alarms begin with. They aren't control entries: a version that doesn't know them passes
over them, as over records of another version, and nothing needs them to open a ledger."""


class Recovered(msgspec.Struct, frozen=True, tag_field="type", tag="recovered"):
    """An interrupted write was cut off when the ledger was opened.

    Attributes:
        time: When.
        bytes: How many bytes were cut off; no acknowledged record was among them.
    """

    time: float
    bytes: int


class Pruned(msgspec.Struct, frozen=True, tag_field="type", tag="pruned"):
    """Entries before an index were reduced to their hashes, as retention demands.

    Attributes:
        time: When.
        before: The first index that was kept.
    """

    time: float
    before: int


class Key(msgspec.Struct, frozen=True, tag_field="type", tag="key"):
    """Checkpoints from here on are signed with this key.

    Attributes:
        time: When.
        verifier: The verifier key string.
    """

    time: float
    verifier: str


class Unwritable(msgspec.Struct, frozen=True, tag_field="type", tag="unwritable"):
    """An exchange or an alarm happened whose record could not be written as JSON.

    Attributes:
        time: When the exchange began, or the alarm was raised.
        id: Its id.
        why: What stood in the way.
    """

    time: float
    id: str
    why: str


Control = Recovered | Pruned | Key | Unwritable


class _AlarmEntry(msgspec.Struct, frozen=True, tag_field="entry", tag="alarm"):
    """An alarm as it stands in the ledger."""

    time: float
    alarm: Alarm


class _Timed(msgspec.Struct):
    """What every entry has."""

    time: float


def _plain(value: Any) -> Any:
    """Turn array-library scalars into Python's own."""
    item = getattr(value, "item", None)
    if callable(item):
        return item()
    raise TypeError(type(value).__name__)


_encoder = msgspec.json.Encoder(order="deterministic", enc_hook=_plain)
_records = msgspec.json.Decoder(Record)
_alarms = msgspec.json.Decoder(_AlarmEntry)
_times = msgspec.json.Decoder(_Timed)
_controls: msgspec.json.Decoder[Control] = msgspec.json.Decoder(Control)


def encode_entry(value: Record | Alarm) -> bytes:
    """Return the entry for a record or an alarm."""
    return encode_alarm(value) if isinstance(value, Alarm) else encode_record(value)


def encode_record(record: Record) -> bytes:
    """Return the entry for a record; the same record always gives the same bytes.

    A record with text that UTF-8 can't carry is written with that text escaped; one that
    is too large without the contents of its parts; one that still can't be written
    becomes an ``unwritable`` entry. None is ever left out.
    """
    try:
        entry = _encoder.encode(record)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return _encode_awkward(record)
    return entry if len(entry) <= MAX_ENTRY_BYTES else _encode_large(record)


def encode_alarm(alarm: Alarm) -> bytes:
    """Return the entry for an alarm; the same alarm always gives the same bytes.

    As for records: what JSON can't carry is written as near as it can be (an infinite
    evidence as the largest number), and what still can't becomes an ``unwritable`` entry.
    """
    finite = replace(alarm, log_evidence=_finite(alarm.log_evidence), error=_finite(alarm.error))
    try:
        plain = _escaped(msgspec.to_builtins(finite, enc_hook=_plain, str_keys=True))
        entry = ALARM_PREFIX + _encoder.encode({"alarm": plain, "time": float(alarm.time)})[1:]
        _alarms.decode(entry)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        return _unwritable(alarm, type(error).__name__)
    return entry if len(entry) <= MAX_ENTRY_BYTES else _unwritable(alarm, "TooLarge")


def encode_control(control: Control) -> bytes:
    """Return the entry for a control statement."""
    return _encoder.encode(control)


def decode_record(entry: bytes) -> Record:
    """Read a record back.

    Raises:
        ValueError: The bytes are no record of this version.
    """
    return _records.decode(entry)


def decode_alarm(entry: bytes) -> Alarm:
    """Read an alarm back.

    Raises:
        ValueError: The bytes are no alarm of this version.
    """
    return _alarms.decode(entry).alarm


def decode_entry(entry: bytes) -> Record | Alarm:
    """Read a record or an alarm back.

    Raises:
        ValueError: The bytes are neither, in this version.
    """
    return decode_alarm(entry) if entry.startswith(ALARM_PREFIX) else decode_record(entry)


def entry_time(entry: bytes) -> float:
    """Return when an entry of any sort was made.

    Raises:
        ValueError: It does not say.
    """
    return _times.decode(entry).time


def decode_control(entry: bytes) -> Control:
    """Read a control entry back.

    Raises:
        ValueError: The bytes are no control entry of this version.
    """
    return _controls.decode(entry)


def _encode_awkward(record: Record) -> bytes:
    try:
        entry = _encoder.encode(_escaped(msgspec.to_builtins(record, enc_hook=_plain, str_keys=True)))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        return _unwritable(record, type(error).__name__)
    return entry if len(entry) <= MAX_ENTRY_BYTES else _unwritable(record, "TooLarge")


def _encode_large(record: Record) -> bytes:
    steps = tuple(
        replace(step, parts=tuple(replace(part, content=None) for part in step.parts))
        for step in record.steps
    )
    note = (record.note + "; " if record.note else "") + "contents left out: too large for the ledger"
    entry = _encoder.encode(replace(record, steps=steps, note=note))
    return entry if len(entry) <= MAX_ENTRY_BYTES else _unwritable(record, "TooLarge")


def _unwritable(value: Record | Alarm, why: str) -> bytes:
    name = value.id.encode("utf-8", "backslashreplace").decode()[:1024]
    return _encoder.encode(Unwritable(time=_finite(value.time), id=name, why=why))


def _finite(value: float) -> float:
    return max(-sys.float_info.max, min(float(value), sys.float_info.max))


def _escaped(value: Any) -> Any:
    """Return plain data with lone surrogates written as backslash escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    return value
