"""The end of the p-values that matters: how many fell below each small level."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bartizan.console.charts import chance_band

LEVELS = (0.1, 0.01, 0.001, 0.0001)


@dataclass(frozen=True, slots=True)
class TailRow:
    """One level.

    Attributes:
        level: The level.
        expected: Mean number of p-values at or below it, on benign traffic at most.
        most: Largest number that chance explains, at 97.5%.
        seen: How many there are.
    """

    level: float
    expected: float
    most: int
    seen: int

    @property
    def exceeded(self) -> bool:
        """Whether there are more than chance explains."""
        return self.seen > self.most


def tail(p_values: Sequence[float], calibrated_on: int, levels: Iterable[float]) -> tuple[TailRow, ...]:
    """Count p-values at or below each level, largest level first.

    Args:
        p_values: Newest p-values of a cell.
        calibrated_on: Benign interactions the cell was calibrated on.
        levels: Levels to show besides :data:`LEVELS`, such as the one in force.
    """
    if not p_values:
        return ()
    ordered = sorted(p_values)
    n = len(ordered)
    wanted = sorted({level for level in (*LEVELS, *levels) if 0 < level < 1}, reverse=True)
    return tuple(
        TailRow(a, a * n, chance_band(n, a, calibrated_on)[1], bisect_right(ordered, a)) for a in wanted
    )
