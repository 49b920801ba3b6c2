"""Explains a verdict: what was seen where, how unusual it is, which rule decided, what nobody looked at."""

from __future__ import annotations

from dataclasses import dataclass

from bartizan.types import Effect, Finding, PValue, Record, Verdict


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict in words.

    Attributes:
        headline: What was decided, by which rule, in one sentence.
        reasons: One sentence per finding, strangest first.
        faults: One sentence per detector that could not answer.
        unjudged: One sentence per stretch nobody looked at.
        basis: What the p-value was measured against and which rate was in force.
    """

    headline: str
    reasons: tuple[str, ...]
    faults: tuple[str, ...]
    unjudged: tuple[str, ...]
    basis: str

    def __str__(self) -> str:
        lines = [self.headline, *(f"  - {r}" for r in self.reasons)]
        lines += [f"  ! {f}" for f in self.faults]
        lines += [f"  ? {u}" for u in self.unjudged]
        return "\n".join([*lines, f"  {self.basis}"])


_RULES = {
    "none": "nothing spoke against it",
    "false-alarm-rate": "it is stranger than the benign messages that the false-alarm rate spares",
    "fault": "a detector could not answer about untrusted content",
    "unjudged": "part of it could not be looked at",
    "contained": "its principal is contained after an alarm",
    "remembered": "a part was stopped earlier in this conversation and is taken out",
}
_DONE = {
    Effect.ALLOW: "Allowed",
    Effect.REDACT: "Redacted",
    Effect.HOLD: "Held",
    Effect.BLOCK: "Blocked",
}


def how_unusual(p_value: PValue) -> str:
    """Return a p-value in words.

    >>> how_unusual(PValue(1 / 4200, 10_000, "")), how_unusual(PValue(1 / 101, 100, ""))
    ('1 in 4,200 benign', 'rarer than all 100 benign ones seen')
    """
    if p_value.value <= 1 / (p_value.n + 1):
        return f"rarer than all {p_value.n:,} benign ones seen"
    if p_value.value > 0.5:
        return "nothing unusual"
    return f"1 in {1 / p_value.value:,.0f} benign"


def explain(verdict: Verdict) -> Explanation:
    """Explain a verdict."""
    done = _DONE[verdict.effect]
    if verdict.effect > verdict.enforced:
        done = f"Would be {done.lower()} (observe mode)"
    return Explanation(
        headline=f"{done}: {_RULES.get(verdict.rule, verdict.rule)} [rule {verdict.rule}].",
        reasons=tuple(_reason(f) for f in verdict.findings)
        + tuple(
            f"{path or 'the message'}: stopped earlier, replaced by a notice" for path in verdict.removed
        ),
        faults=tuple(
            f"{f.detector} gave no answer ({f.reason.value}{': ' + f.detail if f.detail else ''})"
            for f in verdict.faults
        ),
        unjudged=tuple(
            f"{u.part or 'the message'} was not judged: {u.why}" for u in verdict.coverage.unjudged
        ),
        basis=_basis(verdict),
    )


def explain_record(record: Record) -> tuple[tuple[str, Explanation], ...]:
    """Explain every judged step of a recorded exchange, as ``(step, explanation)``."""
    return tuple((s.step.value, explain(s.verdict)) for s in record.steps)


def _reason(finding: Finding) -> str:
    where = finding.part or "the text"
    if finding.row is not None:
        where += f" row {finding.row}"
    spans = ", ".join(f"{a}-{b}" for a, b in finding.evidence.spans[:4])
    more = len(finding.evidence.spans) - 4
    at = f" at characters {spans}{f' and {more} more' if more > 0 else ''}" if spans else ""
    columns = f" in columns {', '.join(finding.evidence.columns[:5])}" if finding.evidence.columns else ""
    ids = f" [{', '.join(finding.taxonomy)}]" if finding.taxonomy else ""
    return (
        f"{finding.detector} in {where}{at}{columns}: {finding.evidence.summary}; "
        f"score {finding.score:.3g}, {how_unusual(finding.p_value)}{ids}"
    )


def _basis(verdict: Verdict) -> str:
    if verdict.rule == "contained":
        return "An alarm about its principal's stream decided, not this query."
    if verdict.p_value is None:
        return "No calibrated detector answered, so nothing is known about how unusual it is."
    return (
        f"As a whole: {how_unusual(verdict.p_value)} (p = {verdict.p_value.value:.2g}, "
        f"against {verdict.p_value.n:,} benign messages); certified false-alarm rate in force: "
        f"1 in {1 / verdict.level:,.0f}; calibration {verdict.p_value.calibration[:12]}."
    )
