"""The one thread that writes the ledger: takes records from a bounded queue in groups."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from bartizan.alarms import Alarm
from bartizan.errors import LedgerError
from bartizan.store.records import encode_entry
from bartizan.store.segments import SegmentLog
from bartizan.store.views import GROUP_RECORDS, StoreSettings
from bartizan.types import Receipt, Record


@dataclass(frozen=True, slots=True)
class _Call:
    """Something to do in the writer's thread, between two groups."""

    what: Callable[[], Any]
    ticket: Future[Any]


_Entry = tuple[Record | Alarm, Future[Receipt] | None]


class Writer:
    """Group commit: one sync per group, then the acknowledgements.

    Args:
        log: Where to write. Nobody else may write to it.
        settings: Queue length, group window and checkpoint interval.
        on_commit: Called after each group is on disk.

    Guarantees:
        A ticket is fulfilled only after the record is on disk. After a write error
        nothing is written any more, every caller is told, and ``error`` says why.
    """

    def __init__(self, log: SegmentLog, settings: StoreSettings, on_commit: Callable[[], None]) -> None:
        self.error = ""
        self.unwritten = 0
        self._log = log
        self._limit = settings.queue_records
        self._window = settings.group_ms / 1000
        self._period = settings.checkpoint_seconds
        self._on_commit = on_commit
        self._queue: SimpleQueue[_Entry | _Call | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._hurry = threading.Event()
        self._closed = False
        self._group: list[_Entry] = []
        self._thread = threading.Thread(target=self._run, name="bartizan-ledger", daemon=True)
        self._thread.start()

    @property
    def queued(self) -> int:
        """Records waiting for the disk, near enough."""
        return self._queue.qsize()

    def put(self, record: Record | Alarm, ticket: Future[Receipt] | None = None) -> None:
        """Queue a record or an alarm; returns at once.

        Raises:
            LedgerError: The queue is full, the ledger is closed, or it failed.
        """
        with self._gate:
            if self._closed or self.error:
                raise self._refusal()
            if self._queue.qsize() >= self._limit:
                raise LedgerError(
                    f"{self._limit} records are waiting for the disk already",
                    hint="the disk is too slow for this traffic, or is stuck",
                )
            self._queue.put((record, ticket))
        if ticket is not None:
            self._hurry.set()

    def call(self, what: Callable[[], Any]) -> Future[Any]:
        """Run something in the writer's thread after everything queued so far is on disk.

        Raises:
            LedgerError: The ledger is closed or failed.
        """
        ticket: Future[Any] = Future()
        with self._gate:
            if self._closed or self.error:
                raise self._refusal()
            self._queue.put(_Call(what, ticket))
        self._hurry.set()
        return ticket

    def close(self, timeout_s: float) -> bool:
        """Write what is queued, sign, stop. Returns whether it was done in time."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._hurry.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _refusal(self) -> LedgerError:
        if self.error:
            return LedgerError(
                f"the ledger stopped after a write error: {self.error}",
                hint="make room or repair the disk, then restart",
            )
        return LedgerError("the ledger is closed")

    def _run(self) -> None:
        try:
            self._loop()
        finally:
            # If the loop died of a bug, nobody may be left waiting.
            with self._gate:
                if not self._closed:
                    self.error = self.error or "the writer thread died"
            self._refuse(self._group)
            self._refuse_rest()

    def _loop(self) -> None:
        due = monotonic() + self._period
        running = True
        while running:
            running = self._handle(self._gather(due - monotonic()))
            if monotonic() >= due or not running:
                self._guarded(self._log.sign)
                due = monotonic() + self._period

    def _gather(self, wait: float) -> list[_Entry | _Call | None]:
        """Wait for a first item, give others a moment to join, and take what is there."""
        try:
            items = [self._queue.get(timeout=max(wait, 0.0))]
        except Empty:
            return []
        if self._queue.qsize() < GROUP_RECORDS:
            self._hurry.wait(self._window)
        self._hurry.clear()
        while len(items) < GROUP_RECORDS:
            try:
                items.append(self._queue.get_nowait())
            except Empty:
                break
        return items

    def _handle(self, items: list[_Entry | _Call | None]) -> bool:
        group: list[_Entry] = []
        for item in items:
            if isinstance(item, tuple):
                group.append(item)
                continue
            self._commit(group)
            group = []
            if item is None:
                return False
            self._answer(item)
        self._commit(group)
        return True

    def _commit(self, group: list[_Entry]) -> None:
        if not group:
            return
        self._group = group
        entries = [encode_entry(record) for record, _ in group]
        written = self._guarded(lambda: self._log.append(entries))
        self._group = []
        if written is None:
            self._refuse(group)
            return
        for (record, ticket), (index, leaf) in zip(group, written, strict=True):
            if ticket is not None and ticket.set_running_or_notify_cancel():
                ticket.set_result(Receipt(record.id, index, leaf.hex()))
        self._on_commit()

    def _answer(self, call: _Call) -> None:
        if not call.ticket.set_running_or_notify_cancel():
            return
        result = self._guarded(lambda: (call.what(),))
        if result is None:
            call.ticket.set_exception(self._refusal())
        else:
            call.ticket.set_result(result[0])
        self._on_commit()

    def _guarded(self, what: Callable[[], Any]) -> Any:
        """Do something to the log unless it failed before; ``None`` if it fails."""
        if self.error:
            return None
        try:
            return what()
        except (OSError, LedgerError) as error:
            self.error = str(error)
            return None

    def _refuse(self, group: list[_Entry]) -> None:
        self.unwritten += len(group)
        for _, ticket in group:
            _fail(ticket, self._refusal())

    def _refuse_rest(self) -> None:
        while True:
            try:
                item = self._queue.get_nowait()
            except Empty:
                return
            if isinstance(item, tuple):
                self._refuse([item])
            elif item is not None:
                _fail(item.ticket, self._refusal())


def _fail(ticket: Future[Any] | None, error: LedgerError) -> None:
    if ticket is not None and ticket.set_running_or_notify_cancel():
        ticket.set_exception(error)
