"""Copies the ledger into the query store: late if need be, never twice, never with a gap.

The position up to which it got is kept in the same transaction as the rows, so a crash,
a lost connection or a dropped database only mean that it goes on from there.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from bartizan.errors import LedgerError
from bartizan.store.database import explain
from bartizan.store.entries import LogReader
from bartizan.store.points import Points
from bartizan.store.records import ALARM_PREFIX, CONTROL_PREFIX, decode_alarm, decode_record
from bartizan.store.rows import (
    Row,
    alarm_row,
    concerned_rows,
    exchange_row,
    measured_rows,
    minute_rows,
)
from bartizan.store.segments import SegmentLog
from bartizan.store.tables import (
    SCHEMA,
    alarms,
    concerned,
    exchanges,
    kept,
    measured,
    metadata,
    minutes,
    progress,
)

BATCH_RECORDS = 1_000
PAUSE_S = 0.25
START_S = 2.0
RETRY_S = 0.5
RETRY_LONGEST_S = 30.0


class Projection:
    """A thread that keeps the query store up with the ledger.

    Args:
        engine: The query store.
        log: The ledger.
        points: The history of streams, written along the way.

    Guarantees:
        Trouble with the database never reaches the ledger: it is told in ``error``, and
        tried again.
    """

    def __init__(self, engine: Engine, log: SegmentLog, points: Points) -> None:
        self.error = ""
        self.unreadable = 0
        self.position = 0
        self._engine = engine
        self._log = log
        self._points = points
        self._reader = LogReader(lambda: log.segments)
        self._ledger = str(log.verifier)
        self._ready = False
        self._deleted = 0
        self._stop = False
        self._work = threading.Event()
        self._hurry = threading.Event()
        self._looked = threading.Event()
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="bartizan-projection", daemon=True)

    def start(self) -> None:
        """Start the thread, and give it a moment to look at the database."""
        self._work.set()
        self._thread.start()
        self._looked.wait(START_S)

    def wake(self) -> None:
        """Say that the ledger grew."""
        self._work.set()

    def wait_for(self, position: int, timeout_s: float) -> bool:
        """Wait until everything before a position, and every point, was copied; return whether it was."""
        self._hurry.set()
        self._work.set()
        with self._moved:
            return self._moved.wait_for(
                lambda: self.position >= position and not self._points.pending, timeout_s
            )

    def close(self, timeout_s: float) -> bool:
        """Catch up if the database lets us, then stop. Returns whether it stopped in time."""
        self._stop = True
        self._hurry.set()
        self._work.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._loop()
        finally:
            if not self._stop:
                self.error = self.error or "the projection thread died"

    def _loop(self) -> None:
        retry = RETRY_S
        while not (self._stop and (self.error or self._caught_up())):
            self._work.wait()
            self._work.clear()
            while self._pass():
                self._looked.set()
            self._looked.set()
            if self.error and not self._stop:
                self._hurry.wait(retry)
                self._work.set()
                retry = min(2 * retry, RETRY_LONGEST_S)
            elif not self._stop:
                retry = RETRY_S
                # Rows may come a moment late; many small transactions would cost more.
                self._hurry.wait(PAUSE_S)
            self._hurry.clear()

    def _caught_up(self) -> bool:
        return self.position >= self._log.size and not self._points.pending

    def _pass(self) -> bool:
        """Copy one batch. Returns whether there is more to do at once."""
        try:
            if not self._ready:
                self._prepare()
            moved = self._copy()
        except SQLAlchemyError as error:
            self.error, self._ready = explain(error), False
            return False
        except (LedgerError, OSError) as error:
            self.error, self._ready = str(error), False
            return False
        self.error = ""
        return moved

    def _prepare(self) -> None:
        """Make the tables, and find out where to go on."""
        with self._engine.begin() as connection:
            metadata.create_all(connection)
            kept.create_all(connection)
            known = connection.execute(select(progress)).all()
            if any(row.schema_version != SCHEMA for row in known):
                metadata.drop_all(connection)
                metadata.create_all(connection)
                known = []
            if any(row.ledger != self._ledger for row in known):
                raise LedgerError("this database is the query store of another ledger")
            if not known:
                connection.execute(
                    insert(progress).values(ledger=self._ledger, next_position=0, schema_version=SCHEMA)
                )
            position = known[0].next_position if known else 0
        if position > self._log.size:
            raise LedgerError(
                f"the query store has seen {position} ledger entries and the ledger has {self._log.size}"
            )
        self._deleted = 0
        self._move_to(position)
        self._ready = True

    def _copy(self) -> bool:
        first, entries = self._reader.entries(self.position, BATCH_RECORDS)
        end = first + len(entries)
        pruned = self._log.pruned_before
        if end == self.position and pruned <= self._deleted and not self._points.pending:
            return False
        rows = _rows(first, entries)
        with self._engine.begin() as connection:
            if pruned > self._deleted:
                for table in (exchanges, measured, alarms, concerned):
                    connection.execute(delete(table).where(table.c.position < pruned))
            for table, new in (
                (exchanges, rows.exchanges),
                (measured, rows.measured),
                (alarms, rows.alarms),
                (concerned, rows.concerned),
            ):
                if new:
                    connection.execute(insert(table), new)
            _add_minutes(connection, rows.exchanges)
            self._points.write(connection)
            connection.execute(update(progress).values(next_position=end))
        self._points.written()
        self._deleted = max(pruned, self._deleted)
        self.unreadable += rows.unreadable
        self._move_to(end)
        return end < self._log.size

    def _move_to(self, position: int) -> None:
        with self._moved:
            self.position = position
            self._moved.notify_all()


@dataclass(slots=True)
class _Rows:
    """What a stretch of the ledger adds to each table."""

    exchanges: list[Row] = field(default_factory=list)
    measured: list[Row] = field(default_factory=list)
    alarms: list[Row] = field(default_factory=list)
    concerned: list[Row] = field(default_factory=list)
    unreadable: int = 0

    def add(self, position: int, entry: bytes) -> None:
        """Add one entry.

        Raises:
            ValueError: It is none of this version.
        """
        if entry.startswith(CONTROL_PREFIX):
            return
        if entry.startswith(ALARM_PREFIX):
            alarm = decode_alarm(entry)
            self.alarms.append(alarm_row(position, alarm, entry))
            self.concerned += concerned_rows(position, alarm)
            return
        record = decode_record(entry)
        self.exchanges.append(exchange_row(position, record, entry))
        self.measured += measured_rows(position, record)


def _rows(first: int, entries: list[bytes]) -> _Rows:
    rows = _Rows()
    for position, entry in enumerate(entries, first):
        try:
            rows.add(position, entry)
        except ValueError:
            rows.unreadable += 1
    return rows


def _add_minutes(connection: Connection, rows: list[Row]) -> None:
    """Add to the rows of minutes, making those that are missing. One writer, so no race."""
    for row in minute_rows(rows):
        same = (
            (minutes.c.system == row["system"])
            & (minutes.c.minute == row["minute"])
            & (minutes.c.effect == row["effect"])
        )
        more = {
            minutes.c.exchanges: minutes.c.exchanges + row["exchanges"],
            minutes.c.added_us: minutes.c.added_us + row["added_us"],
        }
        if not connection.execute(update(minutes).where(same).values(more)).rowcount:
            connection.execute(insert(minutes).values(row))
