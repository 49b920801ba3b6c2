"""What happens to an alarm: it is counted, recorded, and contains whom it concerns."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from bartizan.alarms import Alarm
from bartizan.errors import LedgerError
from bartizan.gateway.containment import Containing
from bartizan.gateway.keeping import load_contained, save_contained
from bartizan.gateway.metrics import Metrics

_LOG = logging.getLogger("bartizan")


class TakesAlarms(Protocol):
    """Where alarms go; the store is one."""

    def append_alarm(self, alarm: Alarm) -> None:
        """Queue an alarm.

        Raises:
            LedgerError: The ledger takes nothing.
        """
        ...


class Raising:
    """Raises one system's alarms, and keeps who is contained over a restart. May be used from any thread.

    Args:
        containing: Who is contained.
        store: Where alarms go.
        metrics: Counts them.
        file: Where who is contained is kept.

    Attributes:
        alarms: Alarms told.
        unrecorded: Alarms that the ledger did not take.
        problem: What is wrong; empty if nothing is.
    """

    def __init__(self, containing: Containing, store: TakesAlarms, metrics: Metrics, file: Path) -> None:
        self.containing = containing
        self.alarms = 0
        self.unrecorded = 0
        self._store = store
        self._metrics = metrics
        self._file = file
        self._saving = threading.Lock()
        kept, self.problem = load_contained(file)
        containing.restore(kept)

    def tell(self, alarm: Alarm, concerned: tuple[str, ...] | None = None) -> None:
        """Record an alarm, and contain whom it concerns.

        Args:
            alarm: The alarm.
            concerned: Who is contained for it; default: its principals.
        """
        self.alarms += 1
        self._metrics.alarm(alarm.system, alarm.cause.value)
        try:
            self._store.append_alarm(alarm)
        except LedgerError as error:
            self.unrecorded += 1
            self._metrics.dropped("alarms")
            _LOG.error("alarm %s of %s is not in the ledger: %s", alarm.id, alarm.system, error.message)
        if self.containing.on_alarm(alarm if concerned is None else replace(alarm, principals=concerned)):
            self.save()

    def release(self, *names: str) -> bool:
        """Let everybody with these names go; return whether anybody was contained."""
        released = [self.containing.release(name) for name in names]
        if any(released):
            self.save()
        return any(released)

    def save(self) -> None:
        """Keep who is contained."""
        with self._saving:
            try:
                save_contained(self._file, self.containing.entries())
            except OSError as error:
                self.problem = f"who is contained can't be saved: {error.strerror}"
