"""The decision point: an ordered list of rules, the first that applies decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bartizan.types import (
    Coverage,
    Effect,
    Fault,
    FaultReason,
    Finding,
    Measured,
    Mode,
    Origin,
    Part,
    PValue,
    Verdict,
)

_BLINDING = frozenset({FaultReason.TIMEOUT, FaultReason.CRASH, FaultReason.UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Policy:
    """What an operator decided for one system.

    Attributes:
        mode: ``observe`` records what would be done, ``enforce`` does it.
        on_fault: Effect when a detector could not answer about content of an untrusted origin.
        on_unjudged: Effect when a part was not looked at.
        effects: Effect per detector, over the detector's own suggestion.
    """

    mode: Mode = Mode.OBSERVE
    on_fault: Effect = Effect.BLOCK
    on_unjudged: Effect = Effect.ALLOW
    effects: Mapping[str, Effect] = field(default_factory=dict)


def decide(
    policy: Policy,
    *,
    parts: tuple[Part, ...],
    findings: tuple[Finding, ...],
    faults: tuple[Fault, ...],
    coverage: Coverage,
    p_value: PValue | None,
    rate: float,
    measured: Measured | None,
    removed: tuple[str, ...] = (),
) -> Verdict:
    """Return the verdict: the strongest effect any rule asks for, and the rule that asked.

    The rules, strongest effect first and in this order among equals:

    ``false-alarm-rate``
        The interaction is stranger than the certified share of benign ones.
    ``fault``
        A detector could not answer about content that does not come from the operator.
    ``unjudged``
        Some content was not looked at.
    ``remembered``
        A part was stopped earlier in this conversation; it is removed, the rest goes on.
    ``none``
        Nothing speaks against it.
    """
    asked = [(Effect.ALLOW, "none")]
    if removed:
        asked.append((Effect.REDACT, "remembered"))
    if coverage.unjudged:
        asked.append((policy.on_unjudged, "unjudged"))
    if _blinded(parts, faults):
        asked.append((policy.on_fault, "fault"))
    if findings:
        asked.append((max(f.effect for f in findings), "false-alarm-rate"))
    effect = max(e for e, _ in asked)
    rule = next(r for e, r in reversed(asked) if e == effect) if effect > Effect.ALLOW else "none"
    return Verdict(
        effect=effect,
        rule=rule,
        mode=policy.mode,
        p_value=p_value,
        level=rate,
        findings=findings,
        faults=faults,
        coverage=coverage,
        measured=measured,
        removed=removed,
    )


def _blinded(parts: tuple[Part, ...], faults: tuple[Fault, ...]) -> bool:
    """Whether a fault hides content of an untrusted origin.

    A detector without calibration is not blinding: start-up refuses to enforce with one.
    """
    if not faults:
        return False
    untrusted = {p.path for p in parts if p.origin > Origin.OPERATOR}
    return any(f.reason in _BLINDING and (not f.part or f.part in untrusted) for f in faults)
