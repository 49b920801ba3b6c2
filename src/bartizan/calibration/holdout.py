"""What false-alarm rate a calibration would have had on benign data it did not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bartizan.calibration.build import build_table
from bartizan.errors import CalibrationError
from bartizan.stats.intervals import clopper_pearson
from bartizan.types import Measured


@dataclass(frozen=True, slots=True)
class Realised:
    """A realised false-alarm rate beside the promised one.

    Attributes:
        cell: The calibration cell.
        promised: The rate asked for.
        certified: The largest rate in force in any fold: the promised one, or what so few
            points can certify.
        flagged: Benign held-out interactions that raised an alarm.
        total: Benign held-out interactions.
        low: Lower end of the 95% interval of ``flagged / total``.
        high: Upper end.
    """

    cell: str
    promised: float
    certified: float
    flagged: int
    total: int
    low: float
    high: float


def realised_rates(
    interactions: Sequence[Measured],
    *,
    rate: float,
    units: Mapping[str, float],
    rng: np.random.Generator,
    folds: int = 5,
) -> tuple[Realised, ...]:
    """Cross-validate: calibrate on all folds but one, count alarms on that one.

    Folds share calibration points, so the interval, which takes held-out interactions as
    independent, is somewhat too narrow when alarms are many; it is meant for the eye.
    """
    fold = rng.integers(folds, size=len(interactions))
    counts: dict[str, list[int]] = {}
    certified: dict[str, float] = {}
    for k in range(folds):
        inside = [m for m, f in zip(interactions, fold, strict=True) if f != k]
        try:
            table = build_table(
                inside, name="fold", source="operator", created=0.0, units=units, versions={}, rng=rng
            )
        except CalibrationError:
            continue
        for measured, f in zip(interactions, fold, strict=True):
            cell = table.cells.get(measured.cell)
            if f != k or cell is None:
                continue
            level = table.level(measured.cell, rate)
            tally = counts.setdefault(measured.cell, [0, 0])
            tally[0] += cell.statistics.p_value(cell.statistic(measured)) <= level.threshold
            tally[1] += 1
            certified[measured.cell] = max(certified.get(measured.cell, 0.0), level.rate)
    return tuple(
        Realised(cell, rate, certified[cell], hits, n, *clopper_pearson(hits, n))
        for cell, (hits, n) in sorted(counts.items())
    )
