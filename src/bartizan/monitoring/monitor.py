"""Watches one system's stream: events in, alarms out. The same code on a file and in the gateway."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from typing import Final, Protocol

import numpy as np

from bartizan.alarms import Alarm, Answer, BoolArray, Cause, Events, Ground, SessionSignal
from bartizan.monitoring.baseline import Baseline
from bartizan.monitoring.direction import Direction
from bartizan.monitoring.episode import LOOKS, QUIET, Episode
from bartizan.monitoring.histories import Histories
from bartizan.monitoring.localisation import MAX_NAMED, Located, locate, stands_out
from bartizan.monitoring.recent import BLOCK, WINDOW, Recent, Stretch, stretch_of
from bartizan.monitoring.state import restore, snapshot
from bartizan.monitoring.streams import IntArray, as_numbers
from bartizan.monitoring.triage import ADVICE, decide, error_of
from bartizan.monitoring.trusted import compare
from bartizan.stats.edetector import Crossing
from bartizan.types import FloatArray

TRUSTED_KEPT: Final = 4096 + BLOCK
MAX_SIGNALS: Final = 1024
SEARCH_LOOKS: Final = (256, 1024)
"""Events after a search was signalled at which it is asked again whether the principal stands out:
searches are signalled after a handful of queries, from which little else can be told."""

MAX_SUSPECTS: Final = 256
_DRAWS: Final = 4
"""Numbers that one step of the Philox counter gives."""


class Sessions(Protocol):
    """A watch over what each principal asks; :class:`bartizan.monitoring.sessions.SessionWatch` is one."""

    def observe(
        self, principal: str, time: float, row: FloatArray, outputs: FloatArray | None
    ) -> SessionSignal | None:
        """Take one query; return a signal the first time a session is too unlike benign ones."""
        ...

    def snapshot(self) -> bytes:
        """Return the state."""
        ...

    def restore(self, data: bytes) -> None:
        """Take a state back."""
        ...


class Monitor:
    """Watches one stream.

    Args:
        baseline: What the stream is held against.
        system: The system's name, for the alarms.
        key: Secret; breaks ties and draws permutations so that nobody can predict them, and an
            audit can repeat them.
        sessions: Watches what each principal asks; without it nobody is found searching.

    Guarantees:
        The baseline's promise (:attr:`Baseline.promise`) holds for alarms whose ``global`` ground
        is ``yes``; an episode of several crossings is one alarm, which only lowers their number.
        Alarms that begin with a searching session have that session's own stated rate.
        Events one by one or in blocks give the same alarms.
    """

    def __init__(
        self, baseline: Baseline, *, system: str, key: bytes, sessions: Sessions | None = None
    ) -> None:
        self.baseline = baseline
        self.system = system
        self.sessions = sessions
        self._key = key
        self._philox = int.from_bytes(hashlib.sha256(key).digest()[:16], "big")
        streams = len(baseline.streams)
        self.detector = baseline.detector()
        self.count = 0
        self.fed_from = 0
        self.untrusted = 0
        self.episode: Episode | None = None
        self.recent = Recent(streams)
        self.trusted = Recent(streams, TRUSTED_KEPT)
        self.histories = Histories(streams, max(len(s.share) for s in baseline.streams))
        self.absorbed = 0
        self.signals: OrderedDict[str, tuple[int, SessionSignal]] = OrderedDict()
        self.canary: Ground | None = None
        self.suspects: list[tuple[int, str, SessionSignal]] = []

    def feed(self, events: Events) -> list[Alarm]:
        """Take events in order; return new alarms, and alarms whose cause became clearer.

        Raises:
            CalibrationError: The events lack a stream of the baseline.
        """
        alarms: list[Alarm] = []
        for start in range(0, len(events), BLOCK):
            alarms += self._block(events.part(start, min(start + BLOCK, len(events))))
        return alarms

    def canaries(self, ground: Ground | None) -> None:
        """Tell what the model's canaries say: moved, or, with ``None``, nothing against it."""
        self.canary = ground

    def evidence(self) -> dict[str, float]:
        """Return each stream's evidence now, beside the threshold it would alone have to reach."""
        return dict(zip((s.name for s in self.baseline.streams), self.detector.by_stream(), strict=True))

    def snapshot(self) -> bytes:
        """Return the state, so that watching goes on after a restart as if nothing had happened."""
        return snapshot(self)

    def restore(self, data: bytes) -> None:
        """Take a state back, in a monitor that has seen nothing yet.

        Raises:
            CalibrationError: The bytes are no state, or one of another baseline.
        """
        restore(self, data)

    def _block(self, events: Events) -> list[Alarm]:
        first, n = self.count, len(events)
        bins = self.baseline.bins(events, self._uniforms(first, n, len(self.baseline.streams)))
        index = np.arange(first, first + n)
        trusted = events.trusted if events.trusted is not None else np.zeros(n, dtype=np.bool_)
        order = self.untrusted + np.cumsum(~trusted) - 1
        fed = ~trusted & (order % self.baseline.every == 0)
        stretch = stretch_of(events, index, bins, fed)
        self.recent.extend(stretch.at(np.flatnonzero(~trusted)))
        self.trusted.extend(stretch.at(np.flatnonzero(trusted)))
        signals = self._watch_sessions(events, index, trusted)
        alarms = self._run(index[fed], bins[fed], signals, first + n - 1)
        self.count, self.untrusted = first + n, self.untrusted + int((~trusted).sum())
        self._absorb(self.count - 1)
        return alarms

    def _run(
        self, index: IntArray, bins: IntArray, signals: list[tuple[int, SessionSignal]], last: int
    ) -> list[Alarm]:
        """Feed the detector, stopping wherever something is to be said."""
        alarms: list[Alarm] = []
        at = 0
        while True:
            looks = self.episode.looks if self.episode is not None else []
            stop = min([last, *looks[:1], *(i for i, _ in signals[:1]), *(s[0] for s in self.suspects[:1])])
            end = int(np.searchsorted(index, stop, side="right"))
            crossing = next(iter(self.detector.run(bins[at:end], first=True)), None)
            if crossing is not None:
                at += crossing.index + 1
                alarms += self._crossed(int(index[at - 1]), crossing)
                continue
            at = end
            if looks and looks[0] == stop:
                looks.pop(0)
                alarms += self._look(stop)
            while self.suspects and self.suspects[0][0] <= stop:
                alarms += self._asked_again(stop, *self.suspects.pop(0)[1:])
            while signals and signals[0][0] == stop:
                alarms.append(self._searched(*signals.pop(0)))
            if stop == last and not (self.episode and self.episode.looks[:1] == [stop]):
                return alarms

    def _crossed(self, index: int, crossing: Crossing) -> list[Alarm]:
        began, self.fed_from = self.fed_from, index + 1
        if self.episode is not None and index - self.episode.last <= QUIET:
            self.episode.last = index
            self.episode.crossings += 1
            return []
        direction = Direction.of(crossing, self.baseline.streams)
        window = self.recent.between(max(began, index - WINDOW + 1), index)
        fed = window.at(np.flatnonzero(window.fed))
        since = direction.since(fed)
        beyond = since == 0 and began < index - WINDOW + 1
        self.episode = Episode.at(
            self._name("stream", index),
            index,
            int(fed.index[since]),
            direction,
            crossing.log_evidence,
            beyond=beyond,
        )
        return self._look(index)

    def _look(self, index: int) -> list[Alarm]:
        """Ask for the cause of the alarm that is going on; tell it if it is new."""
        episode = self.episode
        if episode is None:
            return []
        streams, direction = self.baseline.streams, episode.direction
        self._absorb(index)
        usual = direction.expected(streams)
        window = self.recent.between(episode.onset, index)
        looks = len(LOOKS) + 1
        located = locate(window, direction, self.histories, usual, self._rng("local", index), looks)
        search = self._searching(index, located)
        grounds = [
            Ground("global", Answer.YES, 0.0, self._global_words(), None),
            located.ground,
            search,
            self._trusted(episode, window, index, usual, looks),
            *([self.canary] if self.canary is not None else []),
        ]
        shares = direction.named(streams)
        cause = decide(grounds, shares)
        if episode.said == (cause, bool(located.principals)):
            return []
        episode.said = (cause, bool(located.principals))
        times = self.recent.between(index, index).times
        return [
            Alarm(
                id=episode.id,
                system=self.system,
                time=float(times[-1]) if len(times) else float(window.times[-1]),
                index=index,
                cause=cause,
                onset=float(window.times[0]),
                onset_index=-1 if episode.beyond else episode.onset,
                streams=shares,
                principals=located.principals,
                grounds=tuple(grounds),
                log_evidence=episode.log_evidence,
                error=error_of(cause, grounds),
                promise=self.baseline.promise,
                advice=ADVICE[cause],
                crossings=episode.crossings,
            )
        ]

    def _searched(self, index: int, signal: SessionSignal) -> Alarm:
        """Say that a principal searches, and whether it also stands out; if not yet, ask again later."""
        alarm = self._search_alarm(index, self._name(f"session {signal.principal}", index), signal)
        if alarm.cause is not Cause.ATTACK and len(self.suspects) < MAX_SUSPECTS:
            self.suspects += [(index + later, alarm.id, signal) for later in SEARCH_LOOKS]
            self.suspects.sort(key=lambda s: s[0])
        return alarm

    def _asked_again(self, index: int, name: str, signal: SessionSignal) -> list[Alarm]:
        """Return the alarm of a search again if it has become an attack."""
        alarm = self._search_alarm(index, name, signal)
        if alarm.cause is not Cause.ATTACK:
            return []
        self.suspects = [s for s in self.suspects if s[1] != name]
        return [alarm]

    def _search_alarm(self, index: int, name: str, signal: SessionSignal) -> Alarm:
        window = self.recent.between(index - WINDOW + 1, index)
        mine = window.at(np.flatnonzero(window.principals == signal.principal))
        rng = self._rng(f"search {signal.principal}", index)
        local = stands_out(window, signal.principal, rng, 1 + len(SEARCH_LOOKS))
        going_on = self.episode is not None and index - self.episode.last <= QUIET
        words = self._global_words() if going_on else "the stream as a whole has not changed"
        grounds = [
            Ground("global", Answer.YES if going_on else Answer.NO, 0.0, words),
            local,
            Ground("search", Answer.YES, signal.level, signal.summary.rstrip("."), signal.p_value),
            *([self.canary] if self.canary is not None else []),
        ]
        cause = decide(grounds)
        return Alarm(
            id=name,
            system=self.system,
            time=float(window.times[-1]),
            index=index,
            cause=cause,
            onset=float(mine.times[0]) if len(mine) else float(window.times[-1]),
            onset_index=int(mine.index[0]) if len(mine) else index,
            streams=(),
            principals=tuple(dict.fromkeys((signal.principal, *signal.accounts)))[:MAX_NAMED],
            grounds=tuple(grounds),
            log_evidence=float(-np.log(signal.p_value)),
            error=error_of(cause, grounds),
            promise=f"at most 1 in {1 / signal.level:,.0f} benign sessions is called searching",
            advice=ADVICE[cause],
        )

    def _searching(self, index: int, located: Located) -> Ground:
        """Say whether somebody who stands out also searches; others who do have their own alarms."""
        if self.sessions is None:
            return Ground("search", Answer.UNKNOWN, 0.0, "nobody watches what principals ask")
        if located.ground.answer is Answer.UNKNOWN:
            return Ground("search", Answer.UNKNOWN, 0.0, "nobody is known to stand out")
        both = [self.signals[p][1] for p in located.principals if p in self.signals]
        if not both:
            return Ground("search", Answer.NO, 0.0, "nobody who stands out searches")
        error = min(1.0, len(located.principals) * max(s.level for s in both))
        words = f"{len(both)} of those who stand out search: {both[0].summary.rstrip('.')}"
        return Ground("search", Answer.YES, error, words, min(s.p_value for s in both))

    def _trusted(self, episode: Episode, window: Stretch, index: int, usual: float, looks: int) -> Ground:
        scores = episode.direction.scores
        earlier = self.recent.between(index - WINDOW + 1, episode.onset - 1)
        before = self.trusted.between(0, episode.onset - 1)
        after = self.trusted.between(episode.onset, index)
        return compare(
            (scores(before.bins), scores(after.bins)),
            (scores(earlier.bins), scores(window.bins)),
            usual,
            looks,
        )

    def _watch_sessions(
        self, events: Events, index: IntArray, trusted: BoolArray
    ) -> list[tuple[int, SessionSignal]]:
        if self.sessions is None or not events.principals:
            return []
        rows = np.stack([as_numbers(c) for c in events.columns.values()], axis=1)
        found: list[tuple[int, SessionSignal]] = []
        for i in np.flatnonzero(~trusted).tolist():
            outputs = None if events.outputs is None else events.outputs[i]
            signal = self.sessions.observe(events.principals[i], float(events.times[i]), rows[i], outputs)
            if signal is None:
                continue
            found.append((int(index[i]), signal))
            for name in (signal.principal, *signal.accounts):
                self.signals[name] = (int(index[i]), signal)
                self.signals.move_to_end(name)
        while len(self.signals) > MAX_SIGNALS:
            self.signals.popitem(last=False)
        return found

    def _absorb(self, index: int) -> None:
        """Let events that left the window of an alarm at ``index`` become history."""
        if index - WINDOW >= self.absorbed:
            self.histories.absorb(self.recent.between(self.absorbed, index - WINDOW))
            self.absorbed = index - WINDOW + 1

    def _uniforms(self, first: int, n: int, streams: int) -> FloatArray:
        """Return numbers that depend on the key and the event's number alone, shape ``(n, F)``."""
        per_event = -(-streams // _DRAWS)
        counter = np.array([first * per_event, 0, 0, 0], dtype=np.uint64)
        draws = np.random.Generator(np.random.Philox(key=self._philox, counter=counter))
        return draws.random((n, per_event * _DRAWS))[:, :streams]

    def _rng(self, what: str, index: int) -> np.random.Generator:
        seed = hmac.digest(self._key, f"{what} {index}".encode(), "sha256")
        return np.random.default_rng(int.from_bytes(seed[:16], "big"))

    def _name(self, what: str, index: int) -> str:
        text = f"{self.system} {self.baseline.digest} {what} {index}"
        return "al-" + hmac.digest(self._key, text.encode(), "sha256").hex()[:16]

    def _global_words(self) -> str:
        return f"the evidence reached 1 in {self.baseline.settings.events_per_alarm:,.0f} events"
