"""Attack, drift, or both: a rule over tests, each with its own error. Not a probability of malice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from bartizan.alarms import Answer, Cause, Ground, StreamShare
from bartizan.monitoring.streams import MISSING, SCHEMA

BROKEN_SHARE: Final = 0.5
"""Where missing values and broken schemas carry this much of the evidence, nobody drifted."""

ADVICE: Final = {
    Cause.ATTACK: "Contain the principals named here, and keep the baseline until they are dealt with.",
    Cause.TENANT_CHANGE: "Throttle the principals named here and ask them what changed; nothing here "
    "proves malice, so don't block.",
    Cause.BENIGN_DRIFT: "The world moved, and the trusted source with it: look at the model's accuracy, "
    "then recalibrate.",
    Cause.PIPELINE_FAULT: "Have a person look at what feeds the model: a changed producer, unit or join; "
    "a wide attack through many accounts looks the same.",
    Cause.MODEL_CHANGED: "Stop, and compare the hashes of weights and configuration with what was "
    "deployed: the same questions get other answers.",
    Cause.UNDETERMINED: "Nothing here tells drift from attack: name a trusted source, or give "
    "principals, so that the next alarm can.",
}

_RESTS_ON: Final = {
    Cause.ATTACK: ("local", "search"),
    Cause.TENANT_CHANGE: ("local", "search"),
    Cause.BENIGN_DRIFT: ("trusted",),
    Cause.PIPELINE_FAULT: ("trusted",),
    Cause.MODEL_CHANGED: ("canary",),
    Cause.UNDETERMINED: (),
}


def decide(grounds: Iterable[Ground], streams: Sequence[StreamShare] = ()) -> Cause:
    """Return what an alarm is taken for.

    ======  =====  ======  ========  ==================================
    global  local  search  trusted   cause
    ======  =====  ======  ========  ==================================
    any     any    any     any       model changed, if canaries moved
    any     yes    yes     any       attack
    any     any    any     moves     benign drift
    any     yes    no      still, ?  tenant change or attack
    any     no     yes     still, ?  tenant change or attack
    alarm   no     no      still     upstream or pipeline fault
    alarm   no     no      ?         undetermined; pipeline fault where the evidence
                                     is missing values and broken schemas
    ======  =====  ======  ========  ==================================

    ``unknown`` is never read as ``no``: it takes away the rows that need an answer.

    Args:
        grounds: One per kind; a kind that is not there is unknown.
        streams: Where the evidence is.
    """
    answers = {g.kind: g.answer for g in grounds}
    yes = {kind for kind, answer in answers.items() if answer is Answer.YES}
    if "canary" in yes:
        return Cause.MODEL_CHANGED
    if {"local", "search"} <= yes:
        return Cause.ATTACK
    if "trusted" in yes:
        return Cause.BENIGN_DRIFT
    if yes & {"local", "search"}:
        return Cause.TENANT_CHANGE
    if "global" not in yes:
        return Cause.UNDETERMINED
    broken = sum(s.share for s in streams if s.name in (MISSING, SCHEMA))
    still = answers.get("trusted") is Answer.NO
    return Cause.PIPELINE_FAULT if still or broken >= BROKEN_SHARE else Cause.UNDETERMINED


def error_of(cause: Cause, grounds: Iterable[Ground]) -> float:
    """Return the Bonferroni sum of the errors of the answers that a cause rests on."""
    return min(1.0, sum(g.error for g in grounds if g.kind in _RESTS_ON[cause]))
