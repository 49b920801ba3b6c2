"""Watches one system: exchanges go to its monitor, alarms to the ledger and to containment."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from bartizan.alarms import Alarm, Ground
from bartizan.assembly import containment_of
from bartizan.config import System, secret
from bartizan.gateway.baselines import renewal, watched_of
from bartizan.gateway.containment import Containing
from bartizan.gateway.guest import Guest
from bartizan.gateway.metrics import Metrics
from bartizan.gateway.observations import Observation, Queue
from bartizan.gateway.raising import Raising, TakesAlarms
from bartizan.gateway.status import WatchStatus, contained_status
from bartizan.gateway.turns import TurnWatching
from bartizan.gateway.watcher import Watched, Watcher
from bartizan.store import StreamPoint
from bartizan.types import Mode, Part, PartKind, Principal

_NAME_CHARS = 128
_CLOSE_S = 10.0
SEVERAL = "an exchange with several batch sizes, or without rows, is no event"


class Keeps(TakesAlarms, Protocol):
    """Where alarms and the history of streams go; the store is one."""

    def add_points(self, points: list[StreamPoint]) -> None:
        """Keep minutes of streams for drawing."""
        ...


class Watching:
    """One predictive system under watch.

    Args:
        system: Its configuration.
        containing: Who is contained.
        store: Where alarms go.
        metrics: Counts them.
        clock: Seconds since the epoch.
        state: The file, without suffix, that state is kept in over a restart.
        watched: Its monitor; ``None`` where there is no baseline, nor one to come.
        renew: Gives another monitor to go on with, once there is one.
    """

    def __init__(
        self,
        system: System,
        containing: Containing,
        store: Keeps,
        metrics: Metrics,
        clock: Callable[[], float],
        state: Path,
        watched: Watched | None = None,
        renew: Callable[[], Watched | None] | None = None,
    ) -> None:
        settings = system.monitoring
        self.containing = containing
        self._system = system
        self._metrics = metrics
        self._clock = clock
        self._queue = Queue[Observation](settings.queue)
        self._unfit = 0
        self._trusted = frozenset(settings.trusted_principals)
        self._trusted_header = (settings.trusted_header or "").lower()
        self._trusted_token = (secret(settings.trusted_token_env) or "").encode()
        self._levels = tuple((level, name.lower()) for level, name in settings.group_headers.items())
        self._watcher: Watcher | None = None
        if watched is not None:
            self._watcher = Watcher(
                system.name,
                watched,
                self._queue,
                on_alarm=self.on_alarm,
                on_points=store.add_points,
                state=state.with_suffix(".monitor"),
                snapshot_s=settings.snapshot_s,
                renew=renew,
            )
        self._raising = Raising(containing, store, metrics, state.with_suffix(".contained"))
        metrics.watched(system.name, lambda: len(containing.entries()), lambda: len(self._queue))

    def start(self) -> None:
        """Begin to watch."""
        if self._watcher is not None:
            self._watcher.start()

    def close(self) -> None:
        """Watch what waits, keep the state, stop."""
        if self._watcher is not None:
            self._watcher.close(_CLOSE_S)
        self._raising.save()

    def guest(self, principal: Principal, headers: dict[str, str], exchange: str) -> Guest:
        """Receive an exchange; the header that marks trusted traffic is taken out of ``headers``."""
        given = headers.pop(self._trusted_header, "").encode() if self._trusted_header else b""
        marked = bool(given) and hmac.compare_digest(given, self._trusted_token)
        trusted = marked or principal.id in self._trusted
        groups = tuple((level, headers.get(name, "")[:_NAME_CHARS]) for level, name in self._levels)

        def observe(parts: tuple[Part, ...]) -> None:
            rows = [p.rows for p in parts if p.kind is PartKind.ROWS and p.rows is not None]
            if len(rows) == 1 and len(rows[0].inputs):
                self._observe(Observation(self._clock(), principal.id, rows[0], exchange, trusted, groups))
            else:
                self._observe(None)

        return Guest(self.containing, (principal.id,), exchange, observe)

    def _observe(self, observation: Observation | None) -> None:
        """Tell the monitor about a judged exchange. Never blocks; what is left out is counted."""
        if self._watcher is None:
            return
        if observation is None:
            self._unfit += 1
            self._metrics.unwatched(self._system.name, "unfit")
        elif not self._queue.put(observation):
            self._metrics.unwatched(self._system.name, "queue full")

    def on_alarm(self, alarm: Alarm) -> None:
        """Record an alarm, and contain whom it concerns. May be called from any thread."""
        self._raising.tell(alarm)

    def canaries(self, ground: Ground | None) -> None:
        """Tell the monitor what the model's canaries say; ``None``: nothing against it."""
        if self._watcher is not None:
            self._watcher.canaries(ground)

    def release(self, principal: str) -> bool:
        """Let a principal go; return whether it was contained."""
        return self._raising.release(principal)

    def status(self) -> WatchStatus:
        """Return what is watched, and how that goes."""
        watcher = self._watcher
        promised = watcher.watched if watcher is not None else None
        return WatchStatus(
            baseline=promised.digest if promised else "",
            promise=promised.promise if promised else "",
            refused=promised.refused if promised else "",
            events=watcher.events if watcher else 0,
            queued=len(self._queue),
            dropped=self._queue.dropped,
            unfit=self._unfit + (watcher.unfit if watcher else 0),
            why_unfit=(watcher.why_unfit if watcher else "") or (SEVERAL if self._unfit else ""),
            problem=(watcher.problem if watcher else "") or self._raising.problem,
            alarms=self._raising.alarms,
            unrecorded=self._raising.unrecorded,
            streams=watcher.streams if watcher else (),
            contained=tuple(contained_status(c) for c in self.containing.entries()),
            let_go=self.containing.let_go,
            enforcing=self.containing.mode is Mode.ENFORCE,
        )

    def check(self) -> str:
        """Return ``ok``, or what is wrong with watching."""
        now = self.status()
        wrong = [
            now.problem,
            f"{now.dropped:,} exchanges were not watched: the queue was full" if now.dropped else "",
            f"{now.unfit:,} exchanges do not fit: {now.why_unfit}" if now.unfit else "",
            f"{now.unrecorded:,} alarms are not in the ledger" if now.unrecorded else "",
        ]
        return "; ".join(w for w in wrong if w) or "ok"


def watching_of(
    system: System, key: bytes, store: Keeps, metrics: Metrics, clock: Callable[[], float], data: Path
) -> Watching | TurnWatching | None:
    """Return what watches a system; ``None`` for a conversation whose turns aren't to be watched.

    Args:
        system: Its configuration.
        key: The installation's key.
        store: Where alarms go.
        metrics: Counts them.
        clock: Seconds since the epoch.
        data: The data directory.

    Raises:
        ConfigError: Its baseline can't be read, or a secret is missing.
    """
    containing = Containing(containment_of(system), system.mode, key, clock)
    state = data / "watch" / system.name
    if system.kind != "predict":
        return TurnWatching(system, containing, store, metrics, key, state) if system.turns.watch else None
    watched = watched_of(system, key, data, clock)
    renew = None if watched is None else renewal(system, key, data, watched)
    return Watching(system, containing, store, metrics, clock, state, watched, renew)
