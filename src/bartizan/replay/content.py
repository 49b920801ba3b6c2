"""Scores parts afresh, where the ledger kept their content and a detector needs it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bartizan.calibration.plan import Slot, lacking
from bartizan.features.once import OncePerInteraction
from bartizan.ports import Unavailable
from bartizan.replay.stored import NotKept
from bartizan.types import Interaction, Part, PartKind, PartSummary, Principal, Rows, Step, StepRecord

NOT_KEPT = "its content was not kept"


def whole(summary: PartSummary) -> Part | None:
    """Return a part as it was, or ``None`` if the record holds none or not all of it."""
    content, rows = summary.content, None
    if summary.kind is PartKind.ROWS:
        if not isinstance(content, list) or len(content) != summary.size:
            return None
        rows, content = Rows(np.asarray(content, dtype=np.float64).reshape(len(content), -1)), ""
    elif not isinstance(content, str) or len(content) != summary.size:
        return None
    return Part(summary.kind, summary.origin, summary.path, content, rows, summary.name, summary.digest)


class Afresh:
    """Scores the parts of one step.

    Args:
        step: The step.
        request: The request that a response answers, which some detectors look at too.
    """

    def __init__(self, step: StepRecord, request: StepRecord | None) -> None:
        self._step = step
        self._before = request.parts if request is not None else ()
        steps = (step,) if request is None else (step, request)
        self._gaps = any(s.verdict.coverage.remembered for s in steps)
        self._parts = {s.path: part for s in step.parts if (part := whole(s)) is not None}
        context = tuple(part for s in self._before if (part := whole(s)) is not None)
        everything = (*self._parts.values(), *context)
        self._all = len(everything) == len(step.parts) + len(self._before) and not self._gaps
        interaction = Interaction(
            "", "", step.step, Principal("", "replay"), tuple(self._parts.values()), context
        )
        self._features = OncePerInteraction(interaction)

    def score(self, slot: Slot, summary: PartSummary) -> Sequence[float]:
        """Return a detector's scores for one part.

        Raises:
            NotKept: The record does not hold what the detector looks at.
        """
        name, part = slot.spec.name, self._parts.get(summary.path)
        if part is None:
            raise NotKept(f"{name} has no usable score of {summary.path or 'it'}: {NOT_KEPT}")
        if slot.spec.contextual and not self._all:
            raise NotKept(f"{name} looks at the whole conversation, of which not all was kept")
        if slot.spec.contextual and self._step.step is Step.RESPONSE and not self._before:
            raise NotKept(f"{name} looks at the request, which was not kept")
        if part.rows is not None and (lack := lacking(slot.spec, part.rows)):
            raise NotKept(f"{name} needs {lack}: {NOT_KEPT}")
        try:
            return slot.detector.score(part, self._features).values
        except Unavailable as error:
            raise NotKept(f"{name} gives no answer: {error}") from error
