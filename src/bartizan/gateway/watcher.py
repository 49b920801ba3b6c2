"""The thread that feeds one system's monitor."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from bartizan.alarms import Alarm, Events, Ground
from bartizan.errors import BartizanError, CalibrationError
from bartizan.gateway.keeping import load_monitor, save_monitor
from bartizan.gateway.minutes import Minutes
from bartizan.gateway.observations import Observation, Queue, events_of
from bartizan.gateway.status import StreamStatus
from bartizan.monitoring.streams import Stream
from bartizan.store import StreamPoint

_LOG = logging.getLogger("bartizan")
BATCH: Final = 256
"""Exchanges fed at once: a batch must not keep the interpreter from the event loop for long."""
WAIT_S: Final = 0.5
GATHER_S: Final = 0.05
POINTS_S: Final = 5.0
"""How often minutes are written; the current one is written again and again."""


class Monitor(Protocol):
    """What a watcher needs of a monitor; :class:`bartizan.monitoring.monitor.Monitor` is one."""

    def feed(self, events: Events) -> list[Alarm]:
        """Take events in order; return what is to be said.

        Raises:
            CalibrationError: The events lack a stream of the baseline.
        """
        ...

    def evidence(self) -> Mapping[str, float]:
        """Return each stream's evidence; their mean is the detector's."""
        ...

    def canaries(self, ground: Ground | None) -> None:
        """Tell what the model's canaries say."""
        ...

    def snapshot(self) -> bytes:
        """Return the state."""
        ...

    def restore(self, data: bytes) -> None:
        """Take a state back."""
        ...


@dataclass(frozen=True, slots=True)
class Watched:
    """A monitor and what it promises.

    Attributes:
        monitor: The monitor.
        streams: What it watches.
        threshold: The evidence at which it alarms.
        digest: Of its baseline.
        promise: Its false-alarm promise in words; empty where none is given.
        refused: Why none is given.
    """

    monitor: Monitor
    streams: tuple[Stream, ...]
    threshold: float
    digest: str
    promise: str
    refused: str


class Watcher:
    """Takes observations from a queue and feeds them to a monitor, in a thread of its own.

    Args:
        system: The system's name.
        watched: The monitor.
        queue: Where observations wait.
        on_alarm: Takes alarms.
        on_points: Takes minutes of streams.
        state: The file that the monitor's state is kept in.
        snapshot_s: How often it is kept.
        renew: Asked after each batch for another monitor to go on with; ``None``: with this one.

    Guarantees:
        Trouble with the monitor never reaches the data plane: it is told in ``problem``.
    """

    def __init__(
        self,
        system: str,
        watched: Watched,
        queue: Queue[Observation],
        *,
        on_alarm: Callable[[Alarm], None],
        on_points: Callable[[list[StreamPoint]], None],
        state: Path,
        snapshot_s: float,
        renew: Callable[[], Watched | None] | None = None,
    ) -> None:
        self.watched = watched
        self._system = system
        self._renew = renew
        self.events = 0
        self.unfit = 0
        self.why_unfit = ""
        self._trouble = ""
        self._unsaved = ""
        self.streams: tuple[StreamStatus, ...] = ()
        self._queue = queue
        self._on_alarm = on_alarm
        self._on_points = on_points
        self._state = state
        self._snapshot_s = snapshot_s
        self._minutes = Minutes(system, watched.streams, watched.threshold)
        self._last = 0.0
        self._ground: Ground | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch-{system}", daemon=True)

    @property
    def problem(self) -> str:
        """What is wrong; empty if nothing is."""
        return self._trouble or self._unsaved

    def start(self) -> None:
        """Take the state back, and begin."""
        kept, self._trouble = load_monitor(self._state, self.watched.digest)
        if kept is not None:
            try:
                self.watched.monitor.restore(kept)
            except (BartizanError, ValueError) as error:
                self._trouble = f"the monitor starts anew: its state can't be used: {error}"
        self._look()
        self._thread.start()

    def canaries(self, ground: Ground | None) -> None:
        """Tell the monitor what the model's canaries say, before its next events."""
        self._ground = ground

    def close(self, timeout_s: float) -> None:
        """Feed what waits, keep the state, stop."""
        self._queue.close()
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._loop()
        except Exception as error:  # noqa: BLE001 - a thread must not die in silence
            self._trouble = f"nothing is watched any more: {type(error).__name__}"
            _LOG.exception("the watcher died")
            self._queue.close()  # what comes now is counted as dropped

    def _loop(self) -> None:
        saved = written = time.monotonic()
        while not (self._stop.is_set() and not len(self._queue)):
            taken = self._queue.take(BATCH, WAIT_S)
            if taken:
                self._feed(taken)
            now = time.monotonic()
            if now >= written + POINTS_S:
                self._write()
                written = now
            if now >= saved + self._snapshot_s:
                self._save()
                saved = now
            if taken and len(taken) < BATCH:
                self._stop.wait(GATHER_S)  # many small batches would cost more
        self._write()
        self._save()

    def _feed(self, taken: list[Observation]) -> None:
        monitor = self.watched.monitor
        monitor.canaries(self._ground)
        for events in events_of(taken, self._last):
            self._last = float(events.times[-1])
            try:
                alarms = monitor.feed(events)
            except CalibrationError as error:
                self.unfit += len(events)
                self.why_unfit = error.message
                continue
            except Exception as error:  # noqa: BLE001 - a monitor must never stop serving; it is said on /readyz
                self.unfit += len(events)
                self.why_unfit = f"the monitor failed: {type(error).__name__}"
                _LOG.exception("watching %d events failed", len(events))
                continue
            self.events += len(events)
            for alarm in alarms:
                self._on_alarm(alarm)
            self._minutes.add(events, monitor.evidence(), alarms)
        if self._renew is not None and (now := self._renew()) is not None:
            self._begin(now)
        self._look()

    def _begin(self, watched: Watched) -> None:
        """Watch with another monitor from here on."""
        if watched.digest != self.watched.digest:
            self._minutes = Minutes(self._system, watched.streams, watched.threshold)
        self.watched = watched

    def _look(self) -> None:
        alone = math.log(self.watched.threshold * max(1, len(self.watched.streams)))
        self.streams = tuple(
            StreamStatus(name, math.log(max(value, 1.0)), alone)
            for name, value in self.watched.monitor.evidence().items()
        )

    def _write(self) -> None:
        points = self._minutes.take()
        if points:
            self._on_points(points)

    def _save(self) -> None:
        try:
            save_monitor(self._state, self.watched.digest, self.watched.monitor.snapshot())
            self._unsaved = ""
        except OSError as error:
            self._unsaved = f"the monitor's state can't be saved: {error.strerror}"
        except Exception as error:  # noqa: BLE001 - state that can't be saved must not end the watch
            self._unsaved = f"the monitor's state can't be saved: {type(error).__name__}"
            _LOG.exception("saving a monitor's state failed")
