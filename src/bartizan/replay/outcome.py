"""What replaying says of one exchange: before, after, and what kind of change that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bartizan.types import Effect, Step, Verdict


class Kind(StrEnum):
    """Kinds of changed decisions."""

    BLOCKED = "newly blocked"
    HELD = "newly held"
    REDACTED = "newly redacted"
    RELAXED = "treated more gently"
    ALLOWED = "newly allowed"


_STRONGER = {Effect.BLOCK: Kind.BLOCKED, Effect.HOLD: Kind.HELD, Effect.REDACT: Kind.REDACTED}


@dataclass(frozen=True, slots=True)
class Decision:
    """What was, or would be, decided about an exchange.

    Attributes:
        effect: What the policy asks for.
        enforced: What is carried out.
        rule: The rule behind ``effect``.
    """

    effect: Effect
    enforced: Effect
    rule: str

    def __str__(self) -> str:
        name = self.effect.name.lower()
        return name if self.effect is self.enforced else f"{name} (observed)"


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """One judged step.

    Attributes:
        step: Which half of the exchange.
        cell: Its calibration cell; empty where nothing scored it.
        alarmed: Whether the candidate's false-alarm rule speaks against it; ``None``: can't be told.
    """

    step: Step
    cell: str
    alarmed: bool | None


@dataclass(frozen=True, slots=True)
class Compared:
    """One exchange, before and after.

    Attributes:
        id: The record's id, or the line's.
        before: What was decided.
        after: What the candidate would decide; ``None`` where it can't be told.
        why: What makes the difference, or why it can't be told.
        steps: What the candidate was asked about.
        rescored: Content was judged afresh.
        assumed: Stored scores were taken to come from the detectors as they are now.
        time: Seconds since the epoch, or 0.
    """

    id: Any
    before: Decision
    after: Decision | None
    why: str = ""
    steps: tuple[StepOutcome, ...] = ()
    rescored: bool = False
    assumed: bool = False
    time: float = 0.0

    @property
    def kind(self) -> Kind | None:
        """What kind of change it is; ``None`` if there is none, or it can't be told."""
        return None if self.after is None else kind_of(self.before, self.after)


def kind_of(before: Decision, after: Decision) -> Kind | None:
    """Return the kind of a change: of what is carried out or, where that stays, of what is decided."""
    old, new = before.enforced, after.enforced
    if old is new:
        old, new = before.effect, after.effect
    if old is new:
        return None
    if new > old:
        return _STRONGER[new]
    return Kind.ALLOWED if new is Effect.ALLOW else Kind.RELAXED


def decision_of(verdicts: tuple[Verdict, ...]) -> Decision:
    """Return the decision about an exchange: that of its strongest step."""
    lead = max(verdicts, key=lambda v: v.effect)
    return Decision(lead.effect, max(v.enforced for v in verdicts), lead.rule)


def reason(before: tuple[Verdict, ...], after: tuple[Verdict, ...], thresholds: Mapping[str, float]) -> str:
    """Say in one line what makes the difference.

    Args:
        before: Verdicts of the steps, as recorded.
        after: The candidate's.
        thresholds: Per calibration cell, the largest p-value that the candidate alarms at.
    """
    new = max(after, key=lambda v: v.effect)
    old = max(before, key=lambda v: v.effect)
    lead = new if new.effect > Effect.ALLOW else next((v for v in after if v.measured is not None), new)
    if lead.p_value is not None and "false-alarm-rate" in (new.rule, old.rule):
        threshold = thresholds.get(lead.measured.cell, 0.0) if lead.measured is not None else 0.0
        names = ", ".join(dict.fromkeys(f.detector for f in (new.findings or old.findings)))
        sign = "≤" if lead.p_value.value <= threshold else ">"
        said = f"{names}: p {lead.p_value.value:.2g} {sign} {threshold:.2g}"
    elif new.rule == "fault":
        said = "no answer from " + ", ".join(dict.fromkeys(f.detector for f in new.faults))
    elif new.rule == "unjudged":
        said = "not judged: " + "; ".join(dict.fromkeys(u.why for u in new.coverage.unjudged[:3]))
    elif new.rule == "remembered":
        said = "a part was stopped earlier in the conversation"
    else:
        said = f"rule {old.rule} no longer speaks against it" if old.rule != new.rule else f"rule {new.rule}"
    if old.effect is new.effect and old.mode is not new.mode:
        return f"{said}; mode {old.mode.value} to {new.mode.value}"
    return said
