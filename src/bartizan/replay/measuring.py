"""The scores that a step would have under the candidate: stored ones, and fresh ones where needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bartizan.calibration.plan import Slot
from bartizan.pipeline import PARTS_COUNTED
from bartizan.replay.content import Afresh
from bartizan.replay.side import Side
from bartizan.replay.stored import NotKept, Stored
from bartizan.types import (
    Fault,
    FaultReason,
    Measured,
    Origin,
    PartKind,
    PartSummary,
    Step,
    StepRecord,
    Unjudged,
)

NOBODY = "no detector judges this kind of part"
_RECORDED = frozenset({FaultReason.TIMEOUT, FaultReason.CRASH, FaultReason.UNAVAILABLE})


@dataclass(slots=True)
class Gathered:
    """What a step is decided from.

    Attributes:
        cell: Its calibration cell.
        maxima: Largest score of each score key.
        units: How many text parts or rows count.
        carriers: Per score key, the parts that could have given it, with their size in units.
        exact: Scores of single parts, by key and place, where they are known.
        specs: Per score key, the detector.
        faults: Detectors that give no answer.
        unjudged: What nobody looks at.
        judged: Places of the parts that are looked at.
        rescored: Content was judged afresh.
    """

    cell: str
    maxima: dict[str, float] = field(default_factory=dict)
    units: int = 0
    carriers: dict[str, dict[str, int]] = field(default_factory=dict)
    exact: dict[tuple[str, str], float] = field(default_factory=dict)
    specs: dict[str, Slot] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    unjudged: list[Unjudged] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)
    rescored: bool = False

    @property
    def measured(self) -> Measured | None:
        """The scores as calibration takes them; ``None`` if there are none."""
        return Measured(self.cell, self.units, dict(self.maxima)) if self.maxima else None

    def take(self, slot: Slot, value: float) -> None:
        """Take one score of a key; the largest counts."""
        self.maxima[slot.key] = max(self.maxima.get(slot.key, value), value)


def gather(
    step: StepRecord,
    request: StepRecord | None,
    side: Side,
    stored: Stored,
    out: frozenset[str],
    *,
    cut: bool,
) -> Gathered:
    """Return what a step is decided from.

    Args:
        step: As recorded.
        request: The request that a response answers.
        side: The candidate.
        stored: Which of the stored scores hold for it.
        out: Places of parts that are not looked at: they were stopped in an earlier turn.
        cut: The verdict speaks of a stretch of a stream, its scores of all of it.

    Raises:
        NotKept: A score is needed that is neither kept nor can be made again.
    """
    gathered = Gathered(_cell(step))
    verdict = step.verdict
    seen = frozenset(p.path for p in step.parts) if cut else frozenset(verdict.coverage.judged)
    if missing := seen - {p.path for p in step.parts}:
        raise NotKept(f"{len(missing)} judged parts are not in the record")
    plan, scores = side.plans[gathered.cell], verdict.measured.maxima if verdict.measured else {}
    afresh = Afresh(step, request)
    for part in step.parts:
        slots = plan[part.kind, part.origin]
        if part.path in out:
            continue
        if not slots:
            if part.origin is not Origin.OPERATOR:
                gathered.unjudged.append(Unjudged(part.path, NOBODY))
            continue
        gathered.judged.append(part.path)
        _count(gathered, part)
        for slot in slots:
            if slot.fault is not None:
                gathered.faults.append(slot.fault)
            if not slot.scores:
                continue
            known = part.path in seen and (slot.key in scores or _excused(step, slot.spec.name, part.path))
            if known and not (known := not stored.problem(slot.spec, verdict)) and part.kind is PartKind.ROWS:
                raise NotKept(stored.problem(slot.spec, verdict))
            if not known:
                _score(gathered, afresh, slot, part)
            elif slot.key in scores and not _excused(step, slot.spec.name, part.path):
                _carry(gathered, slot, part)
                gathered.take(slot, scores[slot.key])
    gathered.faults += _still(step, side)
    gathered.unjudged += _still_unjudged(step, side, out)
    return gathered


def _score(gathered: Gathered, afresh: Afresh, slot: Slot, part: PartSummary) -> None:
    value = max(afresh.score(slot, part), default=0.0)
    _carry(gathered, slot, part)
    gathered.take(slot, value)
    gathered.exact[slot.key, part.path] = value
    gathered.rescored = True
    if 0 < slot.spec.limit_chars < part.size:
        why = f"{slot.spec.name} samples text beyond {slot.spec.limit_chars} characters"
        gathered.unjudged.append(Unjudged(part.path, why))


def _carry(gathered: Gathered, slot: Slot, part: PartSummary) -> None:
    size = part.size if part.kind is PartKind.ROWS else 1
    gathered.carriers.setdefault(slot.key, {})[part.path] = size
    gathered.specs[slot.key] = slot


def _count(gathered: Gathered, part: PartSummary) -> None:
    """Count a part as the pipeline does."""
    if part.kind is PartKind.ROWS:
        gathered.units += part.size
    elif gathered.units < PARTS_COUNTED:
        gathered.units += 1


def _cell(step: StepRecord) -> str:
    """Return a step's calibration cell.

    Raises:
        NotKept: It depends on a part of an earlier turn.
    """
    if step.verdict.measured is not None:
        return step.verdict.measured.cell
    if step.step is not Step.REQUEST:
        return step.step.value
    if any(p.origin >= Origin.TOOL for p in step.parts):
        return "request.data"
    if step.verdict.coverage.remembered:
        raise NotKept("nothing was scored, and where parts of earlier turns came from isn't kept")
    return "request.user"


def _excused(step: StepRecord, name: str, path: str) -> bool:
    """Whether the record says why a detector has no score for a part."""
    verdict = step.verdict
    return any(
        f.detector == name and f.reason in _RECORDED and f.part in ("", path) for f in verdict.faults
    ) or any(u.part == path and u.why.startswith(f"{name} needs ") for u in verdict.coverage.unjudged)


def _still(step: StepRecord, side: Side) -> Iterator[Fault]:
    """Yield recorded faults of detectors that stay: what happened then would have happened anyway."""
    names = side.names
    return (f for f in step.verdict.faults if f.detector in names and f.reason in _RECORDED)


def _still_unjudged(step: StepRecord, side: Side, out: frozenset[str]) -> Iterator[Unjudged]:
    """Yield what stays unjudged: opaque content, and what a detector that stays could not look at."""
    places, names = {p.path for p in step.parts}, side.names
    for unjudged in step.verdict.coverage.unjudged:
        detector, _, rest = unjudged.why.partition(" ")
        about = rest.startswith(("needs ", "samples "))
        if unjudged.part in places and not about:
            continue  # asked anew for this side's detectors
        if unjudged.part not in out and (not about or detector in names):
            yield unjudged
