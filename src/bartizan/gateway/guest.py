"""One exchange with a watched system: what its principal has to bear, and what the monitor is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from bartizan.gateway.containment import Containing
from bartizan.policy.containment import Imposed, Measure
from bartizan.ports import WireProtocol
from bartizan.types import Mode, Part, Verdict


class Guest:
    """One exchange with a watched system. Made anew for each.

    Args:
        containing: Who is contained.
        principal: Who is calling.
        exchange: The exchange's id.
        observe: Takes the judged parts, for the monitor.
    """

    def __init__(
        self,
        containing: Containing,
        principal: str,
        exchange: str,
        observe: Callable[[tuple[Part, ...]], None],
    ) -> None:
        self._containing = containing
        self._principal = principal
        self._exchange = exchange
        self._observe = observe
        self._imposed: Imposed | None = None
        self._began = time.perf_counter()

    @property
    def note(self) -> str:
        """What was done to the principal, for the record."""
        return "" if self._imposed is None else self._containing.note(self._imposed)

    async def arrive(self, parts: tuple[Part, ...]) -> tuple[Verdict, tuple[Part, ...]] | None:
        """Let the principal bear what it has to.

        Returns:
            The verdict to record and the parts that nobody will look at for it; ``None`` for
            a principal that is not contained.
        """
        queries = sum(len(p.rows.inputs) for p in parts if p.rows is not None)
        imposed = self._imposed = self._containing.impose(self._principal, max(1, queries))
        if imposed is None:
            return None
        await self._containing.wait(imposed, self._exchange)
        stops = imposed.measure >= Measure.HOLD and self._containing.mode is Mode.ENFORCE
        left = parts if stops else ()
        return self._containing.verdict(imposed, left), left

    def answered(self, parts: tuple[Part, ...]) -> None:
        """Take note of the model's answer."""
        self._containing.took(time.perf_counter() - self._began)
        self._observe(parts)

    async def given(self, protocol: WireProtocol, body: bytes, headers: Mapping[str, str]) -> bytes | Verdict:
        """Return the answer as the principal gets it, or the verdict by which it gets none.

        What can't be given with fewer digits is not given.
        """
        imposed = self._imposed
        enforcing = self._containing.mode is Mode.ENFORCE
        if imposed is None or imposed.measure is not Measure.DEGRADE or not enforcing:
            return body
        # A large answer takes long to rewrite, and others must not wait for it.
        coarse = await asyncio.to_thread(self._containing.coarsened, protocol, body, headers)
        if coarse is not None:
            return coarse
        self._imposed = Imposed(Measure.HOLD, imposed.alarm)
        return self._containing.verdict(self._imposed, ())
