"""One exchange with a watched system: what its principal has to bear, and what the monitor is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from bartizan.calibration.table import Table
from bartizan.gateway.containment import Containing
from bartizan.policy.containment import Imposed, Measure
from bartizan.ports import WireProtocol
from bartizan.types import Interaction, Mode, Part, Verdict


class Guest:
    """One exchange with a watched system. Made anew for each.

    Args:
        containing: Who is contained.
        names: Who is calling: every name under which the caller may be contained.
        exchange: The exchange's id.
        observe: Takes the judged parts of a predictive system, for the monitor.
    """

    def __init__(
        self,
        containing: Containing,
        names: tuple[str, ...],
        exchange: str,
        observe: Callable[[tuple[Part, ...]], None] | None = None,
    ) -> None:
        self._containing = containing
        self._names = names
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
        each = [self._containing.impose(name, max(1, queries)) for name in self._names]
        imposed = max((i for i in each if i is not None), key=lambda i: i.measure, default=None)
        self._imposed = imposed
        if imposed is None:
            return None
        await self._containing.wait(imposed, self._exchange)
        stops = imposed.measure >= Measure.HOLD and self._containing.mode is Mode.ENFORCE
        left = parts if stops else ()
        return self._containing.verdict(imposed, left), left

    def answered(self, parts: tuple[Part, ...]) -> None:
        """Take note of the model's answer."""
        self._containing.took(time.perf_counter() - self._began)
        if self._observe is not None:
            self._observe(parts)

    def judged(self, interaction: Interaction, verdict: Verdict, table: Table) -> None:
        """Take note of what was said of a request; only conversations have something to note.

        Args:
            interaction: The request.
            verdict: What was said of it.
            table: The calibration behind that.
        """

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
