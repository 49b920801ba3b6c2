"""Watches one conversational system: judged turns go to its watch, signals become alarms."""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
import time
from pathlib import Path
from typing import Final

from bartizan.calibration.table import Table
from bartizan.config import System
from bartizan.errors import BartizanError
from bartizan.features.likeness import MAX_CHARS
from bartizan.gateway.containment import Containing
from bartizan.gateway.guest import Guest
from bartizan.gateway.keeping import load_monitor, save_monitor
from bartizan.gateway.metrics import Metrics
from bartizan.gateway.observations import Queue
from bartizan.gateway.raising import Raising, TakesAlarms
from bartizan.gateway.status import WatchStatus, contained_status
from bartizan.monitoring.turn_alarms import alarm_of, promise_of
from bartizan.monitoring.turns import Kind, Rates, Turn, TurnSignal, TurnWatch
from bartizan.policy.containment import principal_of, session_of
from bartizan.types import Effect, Interaction, Mode, Origin, Principal, Verdict

_LOG = logging.getLogger("bartizan")
BATCH: Final = 64
"""Turns watched at once: a batch must not keep the interpreter from the event loop for long."""
WAIT_S: Final = 0.5
_CLOSE_S: Final = 10.0
_DIGEST: Final = "turns"
"""Stands in the saved state where a monitor has its baseline's digest: turns have none."""
NO_TURN: Final = "no turn has been judged yet"
GENERIC: Final = "the calibration is the shipped one, which promises nothing on this traffic"


class TurnWatching:
    """One conversational system under watch.

    Args:
        system: Its configuration.
        containing: Who is contained.
        store: Where alarms go.
        metrics: Counts them.
        key: The installation's key; the watch gets one made of it.
        state: The file, without suffix, that state is kept in over a restart.

    Guarantees:
        Trouble with the watch never reaches the data plane: it is told by :meth:`check`.
    """

    def __init__(
        self,
        system: System,
        containing: Containing,
        store: TakesAlarms,
        metrics: Metrics,
        key: bytes,
        state: Path,
    ) -> None:
        settings = system.turns
        self.containing = containing
        self._name = system.name
        self._by_session = system.containment.scope == "session"
        self._snapshot_s = settings.snapshot_s
        self._state = state.with_suffix(".turns")
        self._metrics = metrics
        self._key = hmac.digest(key, f"turns {system.name}".encode(), hashlib.sha256)
        self._rates = Rates(settings.session_rate, settings.turns_per_alarm, settings.probing_rate)
        self._watch = TurnWatch(self._key, self._rates)
        self._queue = Queue[Turn](settings.queue)
        self._raising = Raising(containing, store, metrics, state.with_suffix(".contained"))
        self._watched = 0
        self._unfit = 0
        self._trouble = ""
        self._unsaved = ""
        self._calibration = ""
        self._generic = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"turns-{system.name}", daemon=True)
        metrics.watched(system.name, lambda: len(containing.entries()), lambda: len(self._queue))

    def start(self) -> None:
        """Take the state back, and begin."""
        kept, self._trouble = load_monitor(self._state, _DIGEST)
        if kept is not None:
            try:
                self._watch.restore(kept)
            except BartizanError as error:
                self._trouble = f"turns are watched afresh: what was remembered can't be used: {error}"
        self._thread.start()

    def close(self) -> None:
        """Watch what waits, keep the state, stop."""
        self._queue.close()
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)
        self._raising.save()

    def guest(self, principal: Principal, headers: dict[str, str], exchange: str) -> Guest:
        """Receive an exchange; ``headers`` have nothing to say here."""
        names = tuple(dict.fromkeys((session_of(principal.id, principal.session), principal.id)))
        return _TurnGuest(self, names, exchange)

    def judged(self, interaction: Interaction, verdict: Verdict, table: Table) -> None:
        """Tell the watch about a judged request. Never blocks; what is left out is counted."""
        turn = turn_of(interaction, verdict, table)
        if turn is None:
            # Nothing new was said, or no calibrated detector looked at it.
            if verdict.coverage.judged:
                self._unfit += 1
                self._metrics.unwatched(self._name, "unfit")
            return
        self._calibration, self._generic = table.digest, turn.generic
        if not self._queue.put(turn):
            self._metrics.unwatched(self._name, "queue full")

    def release(self, principal: str) -> bool:
        """Let a principal, or one of its sessions, go; a principal's sessions go with it."""
        entries = self.containing.entries()
        sessions = [e.principal for e in entries if principal and principal_of(e.principal) == principal]
        return self._raising.release(principal, *sessions)

    def status(self) -> WatchStatus:
        """Return what is watched, and how that goes."""
        why = GENERIC if self._generic else ""
        return WatchStatus(
            baseline=self._calibration,
            promise="" if why else "; ".join(promise_of(kind, self._rates) for kind in Kind),
            refused=why if self._calibration else NO_TURN,
            events=self._watched,
            queued=len(self._queue),
            dropped=self._queue.dropped,
            unfit=self._unfit,
            why_unfit="no calibrated detector looked at the turn" if self._unfit else "",
            problem=self._trouble or self._unsaved or self._raising.problem,
            alarms=self._raising.alarms,
            unrecorded=self._raising.unrecorded,
            contained=tuple(contained_status(c) for c in self.containing.entries()),
            let_go=self.containing.let_go,
            enforcing=self.containing.mode is Mode.ENFORCE,
        )

    def check(self) -> str:
        """Return ``ok``, or what is wrong with watching."""
        now = self.status()
        wrong = [
            now.problem,
            f"{now.dropped:,} turns were not watched: the queue was full" if now.dropped else "",
            f"{now.unrecorded:,} alarms are not in the ledger" if now.unrecorded else "",
        ]
        return "; ".join(w for w in wrong if w) or "ok"

    def _run(self) -> None:
        try:
            self._loop()
        except Exception as error:  # noqa: BLE001 - a thread must not die in silence
            self._trouble = f"turns are not watched any more: {type(error).__name__}"
            _LOG.exception("the watch of turns died")
            self._queue.close()  # what comes now is counted as dropped

    def _loop(self) -> None:
        saved = time.monotonic()
        while not (self._stop.is_set() and not len(self._queue)):
            for turn in self._queue.take(BATCH, WAIT_S):
                for signal in self._watch.observe(turn):
                    self._tell(signal)
                self._watched += 1
            if time.monotonic() >= saved + self._snapshot_s:
                self._save()
                saved = time.monotonic()
        self._save()

    def _tell(self, signal: TurnSignal) -> None:
        turn = signal.turn
        alarm = alarm_of(signal, system=self._name, index=self._watched, rates=self._rates, key=self._key)
        concerned = session_of(turn.principal, turn.session) if self._by_session else turn.principal
        self._raising.tell(alarm, (concerned,))

    def _save(self) -> None:
        try:
            save_monitor(self._state, _DIGEST, self._watch.snapshot())
            self._unsaved = ""
        except OSError as error:
            self._unsaved = f"what is remembered of turns can't be saved: {error.strerror}"


class _TurnGuest(Guest):
    """One exchange of a conversation. Made anew for each."""

    def __init__(self, watching: TurnWatching, names: tuple[str, ...], exchange: str) -> None:
        super().__init__(watching.containing, names, exchange)
        self._watching = watching

    def judged(self, interaction: Interaction, verdict: Verdict, table: Table) -> None:
        """Tell the watch."""
        self._watching.judged(interaction, verdict, table)


def turn_of(interaction: Interaction, verdict: Verdict, table: Table) -> Turn | None:
    """Return what the watch is told of a judged request; ``None`` if there is no p-value.

    Its text is that of the parts that were judged now, not remembered from earlier turns, and
    that the model did not say; of a long one the end.
    """
    p_value, measured = verdict.p_value, verdict.measured
    if p_value is None or measured is None:
        return None
    judged = frozenset(verdict.coverage.judged)
    texts: list[str] = []
    room = MAX_CHARS
    for part in reversed(interaction.parts):
        if room > 0 and part.path in judged and part.origin is not Origin.MODEL and part.text:
            texts.append(part.text[-room:])
            room -= len(texts[-1]) + 1
    cell = table.cells.get(measured.cell)
    return Turn(
        id=interaction.id,
        time=interaction.observed_at,
        principal=interaction.principal.id,
        session=interaction.principal.session,
        text="\n".join(reversed(texts)),
        p_value=p_value.value,
        n=p_value.n,
        trimmed=table.trimmed,
        # Findings, not the effect: a part that was stopped earlier is redacted in every later turn.
        stopped=any(f.effect > Effect.ALLOW for f in verdict.findings),
        generic=cell is None or cell.source == "generic",
    )
