"""The anchor and the rolling baseline side by side: what is new, and what is drift accepted so far."""

from __future__ import annotations

import copy

import msgspec

from bartizan.alarms import Alarm, Answer, Events, Ground, SessionSignal
from bartizan.errors import CalibrationError
from bartizan.monitoring.baseline import Baseline
from bartizan.monitoring.episode import QUIET
from bartizan.monitoring.monitor import Monitor, Sessions
from bartizan.monitoring.recent import BLOCK
from bartizan.stats.mixtures import total_variation
from bartizan.types import FloatArray


class Pair:
    """Watches a stream against two baselines.

    Every alarm of the anchor is told, with a ground of kind ``rolling`` that says whether the
    rolling baseline alarms as well: if not, the stream is no further away than the drift
    accepted so far. The rolling baseline alarms alone where something new has happened that
    the anchor does not see, or not yet.

    Args:
        anchor: The anchor.
        rolling: The rolling baseline in force; the anchor itself before the first promotion.
        system: The system's name.
        key: As of :class:`~bartizan.monitoring.monitor.Monitor`.
        sessions: Likewise; asked once for both.

    Guarantees:
        The anchor's promise holds for the alarms with ``promise``; nothing is promised about
        those of the rolling baseline alone.
    """

    def __init__(
        self,
        anchor: Baseline,
        rolling: Baseline,
        *,
        system: str,
        key: bytes,
        sessions: Sessions | None = None,
    ) -> None:
        self.anchor = Monitor(anchor, system=system, key=key, sessions=sessions)
        self.rolling: Monitor | None = None
        self._key = key
        self.follow(rolling)

    def feed(self, events: Events) -> list[Alarm]:
        """Take events in order; return alarms as :meth:`Monitor.feed` does."""
        alarms: list[Alarm] = []
        for start in range(0, len(events), BLOCK):
            part = events.part(start, min(start + BLOCK, len(events)))
            first = self.anchor.feed(part)
            if self.rolling is None:
                alarms += first
                continue
            second = self.rolling.feed(part)
            alarms += sorted(
                [*(self._explained(a) for a in first), *(a for a in second if not self._covered(a))],
                key=lambda a: a.index,
            )
        return alarms

    def evidence(self) -> dict[str, float]:
        """Return each stream's evidence against the anchor."""
        return self.anchor.evidence()

    def canaries(self, ground: Ground | None) -> None:
        """Tell both what the model's canaries say."""
        self.anchor.canaries(ground)
        if self.rolling is not None:
            self.rolling.canaries(ground)

    def follow(self, rolling: Baseline) -> None:
        """Let another rolling baseline take over, after a promotion or a rollback.

        The anchor's bins are everybody's, so what is remembered of the stream stays good.
        """
        if rolling.digest == self.anchor.baseline.digest:
            self.rolling = None
            return
        first = self.anchor
        heard = None if first.sessions is None else _Heard()
        new = Monitor(rolling, system=first.system, key=self._key, sessions=heard)
        new.count, new.untrusted, new.absorbed = first.count, first.untrusted, first.absorbed
        new.fed_from = first.count
        new.recent, new.trusted = copy.deepcopy(first.recent), copy.deepcopy(first.trusted)
        new.histories = copy.deepcopy(first.histories)
        new.canary, new.signals = first.canary, first.signals
        self.rolling = new

    def snapshot(self) -> bytes:
        """Return the state of both."""
        second = b"" if self.rolling is None else self.rolling.snapshot()
        return msgspec.msgpack.encode((self.anchor.snapshot(), second))

    def restore(self, data: bytes) -> None:
        """Take a state back, of the same two baselines.

        Raises:
            CalibrationError: The bytes are no state, or one of other baselines.
        """
        try:
            first, second = msgspec.msgpack.decode(data, type=tuple[bytes, bytes])
        except msgspec.MsgspecError as error:
            raise CalibrationError(
                f"not a saved state: {error}", hint="remove it to start watching afresh"
            ) from error
        if bool(second) != (self.rolling is not None):
            raise CalibrationError(
                "the saved state belongs to other baselines", hint="remove it to start watching afresh"
            )
        self.anchor.restore(first)
        if self.rolling is not None:
            self.rolling.restore(second)

    def accepted(self) -> tuple[str, float]:
        """Return the stream that has moved furthest from the anchor by promotions, and how far."""
        if self.rolling is None:
            return "", 0.0
        pairs = zip(self.anchor.baseline.streams, self.rolling.baseline.streams, strict=True)
        return max(((a.name, total_variation(a.share, b.share)) for a, b in pairs), key=lambda m: m[1])

    def _explained(self, alarm: Alarm) -> Alarm:
        """Say beside an alarm of the anchor what the rolling baseline sees."""
        if self.rolling is None:
            return alarm
        name, moved = self.accepted()
        epoch = self.rolling.baseline.epoch
        far = f"{epoch} promotions moved {name} by {moved:.3f}"
        if _alarms(self.rolling, alarm.index):
            ground = Ground("rolling", Answer.YES, 0.0, f"beyond the drift accepted so far: {far}")
        else:
            ground = Ground("rolling", Answer.NO, 0.0, f"no further than the drift accepted so far: {far}")
        return msgspec.structs.replace(alarm, grounds=(*alarm.grounds, ground))

    def _covered(self, alarm: Alarm) -> bool:
        """Whether the anchor says the same already."""
        return _alarms(self.anchor, alarm.index)


class _Heard:
    """Sessions that another monitor watches: its signals are shared, so nothing is asked twice."""

    def observe(
        self, principal: str, time: float, row: FloatArray, outputs: FloatArray | None
    ) -> SessionSignal | None:
        return None

    def snapshot(self) -> bytes:
        return b""

    def restore(self, data: bytes) -> None:
        pass


def _alarms(monitor: Monitor, index: int) -> bool:
    """Whether a monitor's alarm is going on at an event."""
    return monitor.episode is not None and abs(index - monitor.episode.last) <= QUIET
