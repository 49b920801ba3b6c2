"""What a classifier answered to one row, read without an array's overhead: once per query of a stream."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from bartizan.types import FloatArray

SMALLEST_SHARE: Final = 1e-9
"""Probabilities below this are this, in logarithms."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model answered to one row.

    Attributes:
        label: The most likely class.
        confidence: Its probability.
        logs: Natural logarithms of the probabilities, up to a common constant.
    """

    label: int
    confidence: float
    logs: list[float]

    def lead(self) -> float:
        """Return the lead of the most likely class over the next one, in natural-log units."""
        return self.margin(self.label)

    def margin(self, label: int) -> float:
        """Return the lead of a class over the best other one, in natural-log units."""
        logs = self.logs
        if label >= len(logs):
            return 0.0
        if label != self.label:
            return logs[label] - logs[self.label]
        mine, logs[label] = logs[label], -math.inf
        best = max(logs)
        logs[label] = mine
        return mine - best


def read_answer(outputs: FloatArray | None) -> Answer | None:
    """Read one row of a model's outputs as probabilities or logits.

    The rules are those of :func:`bartizan.features.rows.read_answers`.

    Args:
        outputs: Shape ``(k,)``.

    Returns:
        ``None`` if there is no answer, it is not made of numbers, or is no classification.
    """
    if outputs is None:
        return None
    values: list[float] = outputs.tolist()
    if len(values) == 1 and 0.0 <= values[0] <= 1.0:
        values = [1.0 - values[0], values[0]]
    if len(values) < 2:
        return None
    total, top = sum(values), max(values)
    if not math.isfinite(total):
        return None
    label = values.index(top)
    if abs(total - 1.0) <= 0.02 and min(values) >= 0.0:
        log = math.log
        return Answer(label, top, [log(v) if v > SMALLEST_SHARE else log(SMALLEST_SHARE) for v in values])
    exp = math.exp
    return Answer(label, 1.0 / sum(exp(max(v - top, -700.0)) for v in values), values)
