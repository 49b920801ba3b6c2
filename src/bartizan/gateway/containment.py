"""Carries containment out on the data plane, in the protocol's own forms."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from bartizan.alarms import Alarm
from bartizan.errors import ProtocolError
from bartizan.policy.containment import Contained, Containment, Containments, Imposed, Measure
from bartizan.ports import WireProtocol
from bartizan.types import Coverage, Effect, Mode, Part, Unjudged, Verdict

RULE = "contained"
EFFECTS = {
    Measure.THROTTLE: Effect.ALLOW,
    Measure.DEGRADE: Effect.REDACT,
    Measure.HOLD: Effect.HOLD,
    Measure.BLOCK: Effect.BLOCK,
}
DONE = {
    Measure.THROTTLE: "delayed",
    Measure.DEGRADE: "answered with fewer digits",
    Measure.HOLD: "held",
    Measure.BLOCK: "blocked",
}
PACE_KEPT = 64
"""Durations of recent exchanges that a stopped one is given, so that it comes no faster than others."""
PACE_LONGEST_S = 5.0
MAX_PACED = 64
"""Stopped exchanges that wait at once; a flood of more must not take the place of others' exchanges."""


@runtime_checkable
class Coarsens(Protocol):
    """A wire protocol whose answers can be given with fewer digits."""

    def coarsen(self, document: Any, headers: Mapping[str, str], digits: int, *, top_only: bool) -> bytes:
        """Return an answer with coarser scores.

        Raises:
            ProtocolError: ``not_rewritable``.
        """
        ...


class Containing:
    """Who is contained in one system; may be asked from any thread.

    Args:
        policy: What the operator decided.
        mode: Under ``observe`` measures are recorded and not carried out.
        key: The installation's key.
        clock: Seconds since the epoch.
        sleep: Waits on the event loop.
    """

    def __init__(
        self,
        policy: Containment,
        mode: Mode,
        key: bytes,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.policy = policy
        self.mode = mode
        self._key = key
        self._clock = clock
        self._sleep = sleep
        self._state = Containments(policy, key)
        self._lock = threading.Lock()
        self._pace: deque[float] = deque(maxlen=PACE_KEPT)
        self._paced = 0

    def on_alarm(self, alarm: Alarm) -> tuple[Contained, ...]:
        """Contain whom an alarm concerns."""
        with self._lock:
            return self._state.apply(alarm, self._clock())

    def impose(self, principal: str, queries: int = 1) -> Imposed | None:
        """Count queries, one for each row, and return what they have to bear."""
        with self._lock:
            return self._state.impose(principal, self._clock(), queries)

    def release(self, principal: str) -> bool:
        """Let a principal go, or everybody's hold end; return whether there was one."""
        with self._lock:
            return self._state.release(principal)

    def entries(self) -> tuple[Contained, ...]:
        """Return everybody who is contained."""
        with self._lock:
            return self._state.entries(self._clock())

    def entry(self, principal: str) -> Contained | None:
        """Return how a principal stands."""
        with self._lock:
            return self._state.entry(principal, self._clock())

    def restore(self, entries: Iterable[Contained]) -> None:
        """Take back what :meth:`entries` returned before a restart."""
        with self._lock:
            self._state.restore(entries)

    @property
    def let_go(self) -> int:
        """How many were let go early because too many were contained."""
        return self._state.let_go

    def took(self, seconds: float) -> None:
        """Note how long an exchange took that was answered."""
        self._pace.append(min(seconds, PACE_LONGEST_S))

    async def wait(self, imposed: Imposed, exchange: str) -> None:
        """Let a query wait as long as it has to.

        One that is stopped waits as long as some recent exchange took: an answer that came at
        once would say that it is the principal that is stopped, and not what it sent.
        """
        if self.mode is not Mode.ENFORCE:
            return
        if imposed.measure < Measure.HOLD:
            if imposed.wait_s > 0:
                await self._sleep(imposed.wait_s)
        elif self._pace and self._paced < MAX_PACED:
            drawn = hashlib.blake2b(exchange.encode(), key=self._key[:64], digest_size=8).digest()
            self._paced += 1
            try:
                await self._sleep(self._pace[int.from_bytes(drawn, "big") % len(self._pace)])
            finally:
                self._paced -= 1

    def verdict(self, imposed: Imposed, parts: tuple[Part, ...]) -> Verdict:
        """Return what is recorded of a contained query; ``parts`` that nobody looks at for it."""
        unjudged = tuple(Unjudged(part.path, "its principal is contained") for part in parts)
        return Verdict(
            effect=EFFECTS[imposed.measure],
            rule=RULE,
            mode=self.mode,
            p_value=None,
            level=0.0,
            coverage=Coverage(unjudged=unjudged),
        )

    def note(self, imposed: Imposed) -> str:
        """Return the measure in words, for the record."""
        done = DONE[imposed.measure]
        if imposed.measure is Measure.THROTTLE and self.mode is Mode.ENFORCE:
            done = f"{done} {imposed.wait_s:.2f} s"
        would = "" if self.mode is Mode.ENFORCE else "would be "
        return f"contained after alarm {imposed.alarm}: {would}{done}"

    def coarsened(self, protocol: WireProtocol, body: bytes, headers: Mapping[str, str]) -> bytes | None:
        """Return an answer with fewer digits; ``None`` if that can't be done, so that it must not go."""
        if not isinstance(protocol, Coarsens):
            return None
        try:
            return protocol.coarsen(body, headers, self.policy.digits, top_only=self.policy.top_only)
        except ProtocolError:
            return None
