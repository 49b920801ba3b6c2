"""An interaction on its way through the pipeline: what was scored so far, and what is still to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bartizan.calibration.plan import Slot
from bartizan.features.once import OncePerInteraction
from bartizan.types import DetectorSpec, Fault, FaultReason, Interaction, Part, Unjudged


@dataclass(slots=True)
class Pending:
    """An interaction on its way through the pipeline."""

    interaction: Interaction
    features: OncePerInteraction
    deadline_ns: int
    deferred: list[tuple[Slot, Part]] = field(default_factory=list)
    scored: list[tuple[Slot, Part, tuple[float, ...]]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)
    remembered: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    trusted: list[str] = field(default_factory=list)
    unjudged: list[Unjudged] = field(default_factory=list)
    units: int = 0

    def lack(self, slot: Slot, part: Part, why: str) -> None:
        """Note a detector that has nothing to look at; where asking the model failed, as its fault."""
        name, failed = slot.spec.name, part.rows.failed if part.rows is not None else None
        if failed is not None and slot.spec.needs_variants:
            self.faults.append(Fault(name, failed, why, part.path))
        else:
            self.unjudged.append(Unjudged(part.path, f"{name} needs {why}"))

    def note_sampled(self, spec: DetectorSpec, part: Part) -> None:
        """Note a text that a detector does not read whole."""
        if 0 < spec.limit_chars < len(part.text):
            why = f"{spec.name} samples text beyond {spec.limit_chars} characters"
            self.unjudged.append(Unjudged(part.path, why))

    def expire(self, remaining: Sequence[tuple[Slot, Part]]) -> None:
        """Note detectors that could not answer in time."""
        for slot, part in remaining:
            self.faults.append(Fault(slot.spec.name, FaultReason.TIMEOUT, "deadline passed", part.path))
