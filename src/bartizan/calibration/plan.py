"""Which detectors look at what in a calibration cell, and which of them can't answer there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from bartizan.calibration.cells import score_key
from bartizan.calibration.table import Table
from bartizan.features.variants import KINDS, STATE, Recipe
from bartizan.ports import Cascade, Detector, Fittable
from bartizan.types import DetectorSpec, Fault, FaultReason, Origin, PartKind, Rows, Step


@dataclass(frozen=True, slots=True)
class Slot:
    """A detector's place in a cell.

    Attributes:
        detector: The detector, with its fitted state where it has one.
        spec: Its spec.
        key: The name under which its scores are calibrated here.
        fault: Why its scores mean nothing here, if so.
        scores: Whether it can score at all; without a reference it can, and that is how
            calibrations are learnt.
        cascade: Whether a cheap first tier may answer here and now.
    """

    detector: Detector
    spec: DetectorSpec
    key: str
    fault: Fault | None
    scores: bool
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class Copies:
    """Changed copies of rows that detectors want answers to.

    Attributes:
        recipe: How they are made.
        kinds: Which, in the order of :data:`bartizan.features.variants.KINDS`.
    """

    recipe: Recipe
    kinds: tuple[str, ...]


def ready(detector: Detector, table: Table) -> tuple[Detector, Fault | None]:
    """Return the detector as it can be used with a table, and why it can't, if so."""
    spec = detector.spec
    if spec.needs_fit:
        state = table.fitted.get(spec.name)
        if state is None:
            return detector, Fault(
                spec.name, FaultReason.UNCALIBRATED, "needs reference rows: run `bartizan calibrate`"
            )
        detector = cast("Fittable", detector).with_state(state)
    calibrated_with = table.versions.get(spec.name)
    if calibrated_with is not None and calibrated_with != spec.version:
        detail = f"calibrated as version {calibrated_with}, this is {spec.version}"
        return detector, Fault(spec.name, FaultReason.UNCALIBRATED, detail)
    return detector, None


def cell_plan(
    name: str, usable: Sequence[tuple[Detector, Fault | None]], table: Table
) -> dict[tuple[PartKind, Origin], tuple[Slot, ...]]:
    """Return, for every kind and origin of part, the detectors that look at it in a cell."""
    step = Step(name.partition(".")[0])
    cell = table.cells.get(name)
    references = cell.references if cell is not None else {}
    plan = {}
    for kind in PartKind:
        for origin in Origin:
            slots = []
            for detector, fault in usable:
                spec = detector.spec
                if step not in spec.steps or kind not in spec.kinds or origin not in spec.origins:
                    continue
                key = score_key(spec, origin)
                missing = Fault(spec.name, FaultReason.UNCALIBRATED, f"no calibration of {key} in {name}")
                problem = fault or (None if key in references else missing)
                # Without a reference it still scores: that is how calibrations are learnt.
                scores = not spec.needs_fit or spec.name in table.fitted
                cascade = problem is None and isinstance(detector, Cascade)
                slots.append(Slot(detector, spec, key, problem, scores, cascade))
            plan[kind, origin] = tuple(slots)
    return plan


def lacking(spec: DetectorSpec, rows: Rows | None) -> str:
    """Return what a detector needs and rows do not hold; empty if nothing."""
    if spec.needs_outputs and (rows is None or rows.outputs is None):
        return "the model's outputs, which were not given"
    if rows is None:
        return ""
    if spec.needs_embedding and rows.embedding is None:
        return "the model's embedding, which was not given"
    if any(kind not in rows.variants for kind in spec.needs_variants):
        return "the model's answers to changed copies: " + (rows.lacking or "they were not given")
    return ""


def copies_of(detectors: Sequence[Detector], table: Table) -> Copies | None:
    """Return which changed copies of rows the detectors want answers to, or ``None`` if none.

    Without a recipe in the table none can be made.
    """
    wanted = {kind for d in detectors for kind in d.spec.needs_variants}
    state = table.fitted.get(STATE)
    if not wanted or state is None:
        return None
    return Copies(Recipe.from_state(state), tuple(kind for kind in KINDS if kind in wanted))
