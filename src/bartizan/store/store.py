"""The store: one ledger, one projection of it, behind one door."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from time import monotonic
from types import TracebackType
from typing import Any, Self

from bartizan.alarms import Alarm, Cause
from bartizan.errors import LedgerError
from bartizan.store.database import open_engine
from bartizan.store.layout import Layout
from bartizan.store.notes import check_name
from bartizan.store.points import Points
from bartizan.store.projection import Projection
from bartizan.store.proofs import make_proof
from bartizan.store.queries import Queries
from bartizan.store.retention import Retention
from bartizan.store.segments import SegmentLog
from bartizan.store.views import (
    Bucket,
    Event,
    EventQuery,
    MeasuredRow,
    Proof,
    StoreHealth,
    StoreSettings,
    StreamPoint,
)
from bartizan.store.writer import Writer
from bartizan.types import Receipt, Record

WAIT_S = 30.0


class Store:
    """Keeps what happened, and answers questions about it. Safe to use from many threads.

    Args:
        settings: Where, and how.
        clock: Seconds since the epoch.

    Raises:
        LedgerError: The ledger is in use by another process, damaged, or shorter than
            what was signed.
        ConfigError: The database URL can't be used.

    Guarantees:
        A record with a receipt is on disk, survives any crash, and is covered by the next
        signed checkpoint. The ledger needs no database: while that is down, records are
        still taken, and show up in queries later.
    """

    def __init__(self, settings: StoreSettings, clock: Callable[[], float]) -> None:
        layout = Layout(settings.path)
        self._clock = clock
        self._log = SegmentLog(
            layout,
            origin=check_name(settings.origin),
            clock=clock,
            segment_bytes=settings.segment_bytes,
            segment_seconds=settings.segment_seconds,
        )
        try:
            self._engine = open_engine(layout, settings.database_url)
        except BaseException:
            self._log.close()
            raise
        self._queries = Queries(self._engine)
        self._points = Points(settings.retention_days)
        self._projection = Projection(self._engine, self._log, self._points)
        self._writer = Writer(self._log, settings, self._projection.wake)
        self._retention = Retention(layout, self._log, self._writer, clock, settings.retention_days)
        self._projection.start()
        self._open = True

    def append(self, record: Record) -> None:
        """Queue a record and return at once; see :class:`bartizan.ports.Ledger`.

        Raises:
            LedgerError: The queue is full, or the ledger is closed or failed.
        """
        self._writer.put(record)

    def submit(self, record: Record) -> Future[Receipt]:
        """Queue a record and return what becomes its receipt once it is on disk.

        Raises:
            LedgerError: As for :meth:`append`. The future may hold one, too.
        """
        ticket: Future[Receipt] = Future()
        self._writer.put(record, ticket)
        return ticket

    def receipt(self, record: Record, timeout_s: float = WAIT_S) -> Receipt:
        """Append a record and wait until it is on disk.

        Raises:
            LedgerError: As for :meth:`append`, or it took too long.
        """
        receipt: Receipt = _result(self.submit(record), timeout_s)
        return receipt

    def append_alarm(self, alarm: Alarm) -> None:
        """Queue an alarm and return at once; it is an entry of the ledger like a record.

        Raises:
            LedgerError: As for :meth:`append`.
        """
        self._writer.put(alarm)

    def add_points(self, points: Iterable[StreamPoint]) -> None:
        """Keep minutes of streams for drawing; a later point of the same minute replaces an earlier one.

        They go to the query store alone, and are given up if it stays away too long.
        """
        self._points.put(points)
        self._projection.wake()

    def flush(self, timeout_s: float = WAIT_S) -> None:
        """Wait until everything queued so far is on disk and in the query store.

        Raises:
            LedgerError: It took too long, or the ledger failed.
        """
        end = monotonic() + timeout_s
        size = _result(self._writer.call(lambda: self._log.size), timeout_s)
        if not self._projection.wait_for(size, max(end - monotonic(), 0.0)):
            why = self._projection.error or "it is still catching up"
            raise LedgerError(f"the query store does not follow: {why}")

    def events(self, query: EventQuery) -> list[Event]:
        """Return exchanges as narrow rows, newest in the ledger first."""
        return self._queries.events(query)

    def record(self, id: str) -> Record | None:
        """Return a whole record, or ``None`` if there is none (any more)."""
        return self._queries.record(id)

    def records(self, *, limit: int = 50) -> Iterable[Record]:
        """Return whole records, newest first."""
        return self._queries.records(limit)

    def alarms(
        self,
        system: str | None = None,
        cause: Cause | None = None,
        principal: str | None = None,
        since: float | None = None,
        limit: int = 50,
    ) -> list[Alarm]:
        """Return alarms as they were told last, newest in the ledger first.

        Conditions left out do not restrict.
        """
        return self._queries.alarms(system, cause, principal, since, limit)

    def alarm(self, id: str) -> Alarm | None:
        """Return an alarm as it was told last, or ``None`` if there is none (any more)."""
        return self._queries.alarm(id)

    def alarm_tellings(self, id: str, limit: int = 50) -> list[Alarm]:
        """Return an alarm each time it was told, the last time first: causes become clearer."""
        return self._queries.alarm_tellings(id, limit)

    def stream_points(self, system: str, since: float, until: float) -> list[StreamPoint]:
        """Return the minutes of a system's streams, oldest first."""
        return self._queries.stream_points(system, since, until)

    def traffic(self, since: float, until: float, system: str | None = None) -> list[Bucket]:
        """Return per minute and effect how many exchanges there were, oldest first."""
        return self._queries.traffic(since, until, system)

    def latency(self, limit: int = 2000) -> list[int]:
        """Return the microseconds added to the newest exchanges, newest first."""
        return self._queries.latency(limit)

    def measured(
        self, system: str, *, since: float | None = None, limit: int | None = None
    ) -> Iterator[MeasuredRow]:
        """Yield the scores of judged steps, newest first."""
        return self._queries.measured(system, since, limit)

    def p_values(self, system: str, cell: str, limit: int) -> list[float]:
        """Return the newest p-values of a calibration cell, newest first."""
        return self._queries.p_values(system, cell, limit)

    def alarm_counts(self, system: str, cell: str, since: float | None = None) -> tuple[int, int]:
        """Return how many steps of a cell were flagged, and how many had a p-value at all."""
        return self._queries.alarm_counts(system, cell, since)

    def prove(self, id: str) -> Proof:
        """Return a proof that a record or an alarm is in the ledger; see :func:`~.proofs.verify_proof`.

        Raises:
            LedgerError: There is no such record, or only its hash is left.
        """
        index = self._queries.position(id)
        if index is None:
            self.flush()
            index = self._queries.position(id)
        if index is None:
            raise LedgerError(f"no record {id!r}", hint="it may have been pruned: see retention")
        checkpoint = self._log.checkpoint
        if index >= checkpoint.size:
            checkpoint = _result(self._writer.call(self._log.sign), WAIT_S)
        return make_proof(index, checkpoint, self._log.blocks, self._log.segments)

    def prune(self, older_than: float) -> int:
        """Reduce old closed segments to their hashes; their rows go with the next projection.

        Args:
            older_than: Seconds since the epoch: a segment goes if all of it is older.

        Returns:
            How many ledger entries were pruned.

        Raises:
            LedgerError: The ledger is closed, failed or damaged.
        """
        try:
            pruned = self._retention.prune(older_than)
        except (OSError, TimeoutError) as error:
            raise LedgerError(f"pruning did not finish: {error}") from error
        self._projection.wake()
        return pruned

    def checkpoint(self) -> str:
        """Return the last signed checkpoint, to be kept where this machine can't change it."""
        return self._log.checkpoint.note

    @property
    def verifier_key(self) -> str:
        """The public key that checkpoints and proofs are verified with."""
        return str(self._log.verifier)

    def health(self) -> StoreHealth:
        """Return how the store is doing."""
        error = self._writer.error or ("" if self._open else "the ledger is closed")
        database_error = self._projection.error or self._retention.error
        return StoreHealth(
            ok=not error and not database_error,
            writable=not error,
            queued=self._writer.queued,
            unprojected=max(self._log.size - self._projection.position, 0),
            unreadable=self._projection.unreadable,
            unwritten=self._writer.unwritten,
            records=self._log.size,
            signed=self._log.checkpoint.size,
            checkpoint_age=max(self._clock() - self._log.signed_at, 0.0),
            error=error,
            database_error=database_error,
        )

    def close(self, timeout_s: float = WAIT_S) -> None:
        """Write what is queued, sign a checkpoint, let the query store catch up, and stop.

        Raises:
            LedgerError: Not everything that was accepted could be written in time.
        """
        if not self._open:
            return
        self._open = False
        end = monotonic() + timeout_s
        self._retention.close(timeout_s)
        written = self._writer.close(max(end - monotonic(), 0.0))
        self._projection.close(max(end - monotonic(), 0.0))
        self._engine.dispose()
        if not written:
            # The writer still holds the files; the lock goes with the process.
            raise LedgerError(f"the ledger was not closed within {timeout_s} s")
        self._log.close()
        if self._writer.error:
            raise LedgerError(f"{self._writer.unwritten} records were not written: {self._writer.error}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _result(ticket: Future[Any], timeout_s: float) -> Any:
    try:
        return ticket.result(timeout_s)
    except TimeoutError:
        raise LedgerError(f"the disk did not answer within {timeout_s} s") from None
    except CancelledError:
        raise LedgerError("the record was given up") from None
