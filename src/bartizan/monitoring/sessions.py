"""Watches what each principal asks, session by session, and over sessions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np

from bartizan import registry
from bartizan.alarms import SessionSignal
from bartizan.calibration.session_build import Watched, build_session_table
from bartizan.calibration.sessions import EVASION, EXTRACTION, SessionTable, band, due
from bartizan.errors import CalibrationError
from bartizan.features import kept
from bartizan.features.principals import Account, Live, Tracker
from bartizan.features.sessions import Session
from bartizan.features.signature import signature
from bartizan.features.sketch import Scale
from bartizan.monitoring.clients import Model, Recorded, simulate_benign
from bartizan.monitoring.searchers import COPYING, simulate_searches
from bartizan.ports import SequenceDetector
from bartizan.stats.conformal import keyed_uniform
from bartizan.types import FloatArray

RATE: Final = 1e-3
"""Share of benign sessions that may ever signal."""

SESSIONS: Final = 5_800
"""Benign sessions to simulate: enough to certify :data:`RATE`."""

SEARCHES: Final = 1_200
"""Searches to simulate, over all kinds."""

ACCOUNTS: Final = 4096
"""Accounts remembered while recorded sessions are watched."""

PATIENT_SHARE: Final = 0.15
"""Unusually long benign sessions to learn from, as a share of the benign ones: honest people who go
on for hours are too rare to be met otherwise, and nothing looks more like a copying of the model."""

BLUR: Final = 0.5
"""A principal's threshold lies up to this far above the certified one, in natural-log units, at a
place that only the key's holder can know: what tips one account tells nothing about another."""

EXPLAINED: Final = 2
"""Detectors whose evidence is shown for a session that a contrast found."""

LEARNED: Final = {
    EVASION: "The signs come together as in a search for another answer.",
    EXTRACTION: "The signs come together as in a copying of the model.",
}

MAX_TOLD: Final = 1024
"""Accounts of one lineage that are signalled."""

JOINED: Final = "It goes on with a search that other accounts began."

SLOW: Final = "sequence.accumulated"
"""Stands for the evidence over an account's finished sessions."""


class SessionWatch:
    """Keeps every principal's session and signals the ones that are too unlike benign ones.

    Args:
        table: What benign sessions look like.
        key: The secret behind sketches, grids and thresholds.
        capacity: Accounts remembered.
        rate: Share of benign sessions that may ever signal. A rate that the table can't certify
            becomes the smallest that it can.
        detectors: All detectors of sequences; default: the registered ones.

    Guarantees:
        Of benign sessions at most ``level.rate`` ever signal, with the certification's
        confidence over the calibration draw, if they are drawn like the calibration's sessions.
        Over an account's finished sessions there are at most ``sessions * level.rate`` further
        signals in expectation, if its sessions are independent given the kind of client it is:
        ``M <- (M + 1) * payoff`` restarts at 0 when it reaches ``1 / level.rate``
        (:mod:`bartizan.stats.edetector` has the proof).
    """

    def __init__(
        self,
        table: SessionTable,
        key: bytes,
        *,
        capacity: int = 10_000,
        rate: float = RATE,
        detectors: Sequence[SequenceDetector] | None = None,
    ) -> None:
        self.table = table
        self.level = table.level(rate)
        self.tracker = Tracker(table.scale, key, capacity=capacity)
        self.detectors = tuple(registry.sequence_detectors() if detectors is None else detectors)
        self._key = key
        self._payoffs = table.payoffs().tolist()
        self._calm = table.calm()

    def observe(
        self, principal: str, time: float, row: FloatArray, outputs: FloatArray | None
    ) -> SessionSignal | None:
        """Take one query.

        Args:
            principal: Who asked.
            time: Seconds since the epoch.
            row: Shape ``(d,)``.
            outputs: What the model answered, shape ``(k,)``; ``None`` if unknown.

        Returns:
            A signal the first time a session's statistic passes the principal's threshold, when
            another account goes on with a session that was signalled, or when the account's
            finished sessions together pass; at most one per query. A row of
            another width can't be compared and is left to whoever watches the schema.
        """
        if row.shape != self.table.scale.centre.shape:
            return None
        taken = self.tracker.observe(principal, time, row, outputs)
        slow = None if taken.ended is None else self._finish(principal, time, taken.ended, taken.account)
        live = taken.live
        queries = live.state.queries
        if live.told and principal not in live.told and len(live.told) < MAX_TOLD:
            live.told.append(principal)
            return self._signal(principal, time, live, JOINED)
        if not due(queries, live.checked):
            return slow
        live.checked = queries
        view = live.state.view()
        value, name = self._statistic(view)
        if value > live.statistic:
            live.statistic, live.detector = value, name
            if value >= self._calm:
                self.tracker.protect(principal)
        if live.told or live.statistic <= self._threshold(live.owner):
            return slow
        live.told = list(dict.fromkeys((principal, *live.state.accounts)))
        return self._signal(principal, time, live, self._summary(view, live.detector))

    def _signal(self, principal: str, time: float, live: Live, summary: str) -> SessionSignal:
        return SessionSignal(
            principal,
            self.table.p_value(live.statistic),
            self.level.rate,
            live.detector,
            summary,
            live.state.queries,
            tuple(a for a in live.state.accounts if a != principal),
            time,
        )

    def snapshot(self) -> bytes:
        """Return everything remembered."""
        return kept.encode(self.tracker)

    def restore(self, data: bytes) -> None:
        """Take over what :meth:`snapshot` returned; with the same table and key, the same signals follow.

        Raises:
            CalibrationError: The bytes are no snapshot.
        """
        try:
            kept.restore(self.tracker, data)
        except ValueError as error:
            raise CalibrationError(str(error), hint="start without the snapshot") from error

    def _statistic(self, view: Session) -> tuple[float, str]:
        scores = {d.spec.name: d.score(view) for d in self.detectors}
        vector = None if not self.table.contrasts else np.array(signature(view))
        return self.table.statistic(view.queries, scores, vector)

    def _threshold(self, owner: str) -> float:
        return self.level.threshold + BLUR * keyed_uniform(self._key, f"threshold {owner}")

    def _finish(self, principal: str, time: float, ended: Live, account: Account) -> SessionSignal | None:
        """Add a finished session to its account's evidence."""
        worst = self.table.worst_p_value(ended.statistic)
        account.evidence = (account.evidence + 1.0) * self._payoffs[band(worst)]
        if account.evidence >= self._slow_floor:
            self.tracker.protect(principal)
        if account.evidence < 1.0 / self.level.rate:
            return None
        account.evidence = 0.0
        return SessionSignal(
            principal,
            worst,
            self.level.rate,
            SLOW,
            f"None of the last of {account.sessions} sessions stood out alone; together they do.",
            ended.state.queries,
            tuple(a for a in ended.state.accounts if a != principal),
            time,
        )

    @property
    def _slow_floor(self) -> float:
        return math.sqrt(1.0 / self.level.rate)

    def _summary(self, view: Session, name: str) -> str:
        """Say what the strangest detector saw; for the contrast, what the strangest single ones did."""
        by_name = {d.spec.name: d for d in self.detectors}
        if name in by_name:
            return by_name[name].evidence(view).summary
        alone = {d.spec.name: self._surprise(view, d) for d in self.detectors}
        first = sorted(alone, key=lambda n: -alone[n])[:EXPLAINED]
        seen = " ".join(by_name[n].evidence(view).summary for n in first)
        return f"{LEARNED[name]} {seen}" if name in LEARNED else seen

    def _surprise(self, view: Session, detector: SequenceDetector) -> float:
        return self.table.surprise(view.queries, detector.spec.name, detector.score(view))


def learn_sessions(
    rows: FloatArray,
    model: Model,
    rng: np.random.Generator,
    *,
    key: bytes,
    name: str,
    created: float,
    sessions: int = SESSIONS,
    searches: int = SEARCHES,
    rate: float = RATE,
    progress: Callable[[int, int], None] | None = None,
) -> SessionTable:
    """Simulate benign clients, and clients that search, against a model and build a table of them.

    Args:
        rows: Benign rows, shape ``(m, d)``; half of them only set the scale.
        model: Rows of shape ``(n, d)`` to outputs of shape ``(n, k)``.
        rng: Where all choices come from.
        key: A secret for the sketches; another one than in production does as well.
        name: What the rows are, for people.
        created: Seconds since the epoch.
        sessions: Benign sessions to simulate.
        searches: Searches to simulate; 0: nothing is learned from searches.
        rate: Rate at which power is measured.
        progress: Told how many sessions are done, and of how many.

    Raises:
        CalibrationError: There are too few rows or sessions.
    """
    scale = Scale.of(rows, rng)
    total = sessions + searches
    told = (lambda done, _: progress(done, total)) if progress is not None else None
    benign = watch_recorded(simulate_benign(rows, model, sessions, rng, progress=told), scale, key)
    after = (lambda done, _: progress(sessions + done, total)) if progress is not None else None
    found = watch_recorded(simulate_searches(rows, model, searches, rng, progress=after), scale, key)
    groups = {
        EVASION: [w for w in found if w.kind not in COPYING],
        EXTRACTION: [w for w in found if w.kind in COPYING],
    }
    extra = int(sessions * PATIENT_SHARE) if searches else 0
    patient = watch_recorded(simulate_benign(rows, model, extra, rng, patient=True), scale, key)
    return build_session_table(
        benign,
        registry.sequence_detectors(),
        searching=groups,
        patient=patient,
        scale=scale,
        name=name,
        created=created,
        rate=rate,
        rng=rng,
    )


def watch_recorded(recorded: Iterable[Recorded], scale: Scale, key: bytes) -> list[Watched]:
    """Return clients' sessions as they looked at their checkpoints, in order.

    Whatever a client's queries touch counts as its own session: that of a second account, or the
    lineage of somebody else's query that it came near to. So the promise is about clients, and
    having many accounts or popular rows does not thin it out.
    """
    tracker = Tracker(scale, key, capacity=ACCOUNTS)
    watched = []
    for number, session in enumerate(recorded):
        views: list[Session] = []
        queries = zip(session.rows, session.outputs, session.accounts, strict=True)
        for k, (row, outputs, account) in enumerate(queries):
            live = tracker.observe(f"{number}/{account}", float(k), row, outputs).live
            if due(live.state.queries, live.checked):
                live.checked = live.state.queries
                views.append(live.state.view())
        watched.append(Watched(session.kind, tuple(views)))
    return watched
