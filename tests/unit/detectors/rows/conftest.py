from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bartizan.ports import Detector
from bartizan.types import Evidence, FloatArray, Interaction, Origin, Part, PartKind, Principal, Rows, Step


class OncePerPart:
    """Features of one interaction, each computed once, as the pipeline does it."""

    def __init__(self, part: Part) -> None:
        principal = Principal("somebody", "header")
        self.interaction = Interaction("1", "digits", Step.EXCHANGE, principal, (part,))
        self._made: dict[Any, Any] = {}

    def of_part(self, make: Callable[[Part], Any], part: Part) -> Any:
        if (make, id(part)) not in self._made:
            self._made[make, id(part)] = make(part)
        return self._made[make, id(part)]

    def of_interaction(self, make: Callable[[Interaction], Any]) -> Any:
        return make(self.interaction)


class Judge:
    """Gives rows to a detector."""

    def score(self, detector: Detector, inputs: Any, outputs: Any = None) -> tuple[float, ...]:
        part = self.part(inputs, outputs)
        return detector.score(part, OncePerPart(part)).values

    def evidence(
        self, detector: Detector, inputs: Any, outputs: Any = None, *, unit: int = 0, columns: Any = ()
    ) -> Evidence:
        part = self.part(inputs, outputs, columns)
        return detector.evidence(part, OncePerPart(part), unit)

    def of_rows(self, detector: Detector, rows: Rows) -> tuple[float, ...]:
        part = Part(PartKind.ROWS, Origin.USER, rows=rows)
        return detector.score(part, OncePerPart(part)).values

    def evidence_of_rows(self, detector: Detector, rows: Rows, unit: int = 0) -> Evidence:
        part = Part(PartKind.ROWS, Origin.USER, rows=rows)
        return detector.evidence(part, OncePerPart(part), unit)

    @staticmethod
    def part(inputs: Any, outputs: Any = None, columns: tuple[str, ...] = ()) -> Part:
        as_array: Callable[[Any], FloatArray] = lambda rows: np.asarray(rows, dtype=np.float64)  # noqa: E731
        answered = None if outputs is None else as_array(outputs)
        rows = Rows(as_array(inputs), answered, columns)
        return Part(PartKind.ROWS, Origin.USER, rows=rows)


@pytest.fixture(scope="session")
def judge() -> Judge:
    return Judge()
