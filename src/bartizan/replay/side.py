"""One side of the comparison: a system as configured, ready to decide from scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bartizan.assembly import build_pipeline
from bartizan.calibration.cells import CELLS
from bartizan.calibration.plan import Slot, cell_plan, ready
from bartizan.calibration.table import Level, Table
from bartizan.config import Config, System
from bartizan.pipeline import Pipeline
from bartizan.policy.decide import Policy
from bartizan.types import Origin, PartKind

Plan = Mapping[tuple[PartKind, Origin], tuple[Slot, ...]]


@dataclass(frozen=True, slots=True)
class Side:
    """What scores, what decides, and the calibration that scores are ranked against.

    Attributes:
        system: The configuration.
        rate: The false-alarm rate asked for.
        pipeline: The same as a pipeline, for content that can be judged afresh.
        plans: Per calibration cell, the detectors that look at each kind and origin of part.
        levels: Per calibration cell, the alarm rule in force.
    """

    system: System
    rate: float
    pipeline: Pipeline
    plans: Mapping[str, Plan]
    levels: Mapping[str, Level]

    @property
    def policy(self) -> Policy:
        """What decides."""
        return self.pipeline.policy

    @property
    def table(self) -> Table:
        """The calibration."""
        return self.pipeline.table

    @property
    def names(self) -> frozenset[str]:
        """The detectors that are on."""
        return frozenset(d.spec.name for d in self.pipeline.detectors)

    def level(self, cell: str) -> Level:
        """Return the alarm rule of a cell, also of one that has no calibration."""
        return self.levels.get(cell) or self.table.level(cell, self.rate)


def side_of(config: Config, system: System) -> Side:
    """Build one side from configuration.

    Raises:
        ConfigError: The system could not start like this, for instance because it is to enforce
            with a detector that has no calibration.
        CalibrationError: The calibration can't be read.
    """
    return side_with(system, build_pipeline(config, system))


def side_with(system: System, pipeline: Pipeline) -> Side:
    """Return the side that a system and its pipeline make."""
    table, rate = pipeline.table, pipeline.rate
    usable = [ready(d, table) for d in pipeline.detectors]
    return Side(
        system,
        rate,
        pipeline,
        {name: cell_plan(name, usable, table) for name in CELLS},
        {name: table.level(name, rate) for name in table.cells},
    )
