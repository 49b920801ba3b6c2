"""Decides one recorded step again, by the candidate's calibration and policy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from bartizan.pipeline import MAX_FINDINGS
from bartizan.policy.decide import decide
from bartizan.replay.measuring import Gathered, gather
from bartizan.replay.side import Side
from bartizan.replay.stored import NotKept, Stored
from bartizan.types import (
    Coverage,
    Effect,
    Evidence,
    Finding,
    Measured,
    Mode,
    Part,
    PartKind,
    PValue,
    Step,
    StepRecord,
    Verdict,
)

CONTAINED = "contained"
RULES = frozenset({"none", "false-alarm-rate", "fault", "unjudged", "remembered"})
"""The policy's own rules. Containment follows alarms about streams, which a replay leaves as they were."""

_UNSEEN = Evidence("decided from stored scores")


@dataclass(frozen=True, slots=True)
class Replayed:
    """A step under the candidate.

    Attributes:
        verdict: What is decided; its findings have no evidence.
        stopped: Effects per place of a part; ``None`` where it can't be told.
        rescored: Content was judged afresh.
    """

    verdict: Verdict
    stopped: Mapping[str, Effect | None]
    rescored: bool = False


def replay_step(
    step: StepRecord,
    request: StepRecord | None,
    side: Side,
    stored: Stored,
    *,
    removed: tuple[str, ...] = (),
    stream: bool = False,
) -> Replayed:
    """Decide a step again.

    Args:
        step: As recorded.
        request: The request that a response answers.
        side: The candidate.
        stored: Which stored scores hold for it.
        removed: Places of parts that the candidate stopped earlier in the conversation.
        stream: The step is an answer that was streamed.

    Raises:
        NotKept: The record does not keep what the decision needs.
    """
    before = step.verdict
    if before.rule == CONTAINED:
        return Replayed(replace(before, mode=side.policy.mode), {})
    if before.rule not in RULES:
        raise NotKept(f"the rule {before.rule} is not replayed")
    cut = stream and before.enforced > Effect.ALLOW
    out = frozenset((*removed, *before.removed))
    gathered = gather(step, request, side, stored, out, cut=cut)
    p_value, level, findings = _calibrated(gathered, gathered.measured, side)
    verdict = decide(
        side.policy,
        parts=tuple(Part(p.kind, p.origin, p.path) for p in step.parts),
        findings=findings,
        faults=tuple(dict.fromkeys(gathered.faults)),
        coverage=_coverage(step, gathered, removed),
        p_value=p_value,
        rate=level,
        measured=gathered.measured,
        removed=removed,
    )
    if stream and step.step is Step.RESPONSE:
        _check_stream(gathered, side, verdict, cut=cut)
    return Replayed(verdict, _stopped(step, gathered, side, findings), gathered.rescored)


def _calibrated(
    gathered: Gathered, measured: Measured | None, side: Side
) -> tuple[PValue | None, float, tuple[Finding, ...]]:
    """Rank the scores as :meth:`bartizan.pipeline.Pipeline.finish` does, with one finding a score key."""
    cell = side.table.cells.get(gathered.cell)
    if measured is None or cell is None:
        return None, 1.0, ()
    level, digest = side.level(gathered.cell), side.table.digest
    p_value = PValue(cell.statistics.p_value(cell.statistic(measured)), cell.statistics.n, digest)
    if p_value.value > level.threshold:
        return p_value, level.rate, ()
    found = []
    for key, value in measured.maxima.items():
        statistic = _statistic(gathered, side, key, value)
        if statistic is None or cell.statistics.p_value(statistic) > level.threshold:
            continue
        spec, ranking = gathered.specs[key].spec, cell.references[key].ranking
        effect = side.policy.effects.get(spec.name, spec.effect)
        ranked = PValue(ranking.p_value(value), ranking.n, digest)
        finding = Finding(spec.name, value, ranked, "", None, _UNSEEN, effect, spec.taxonomy)
        found.append((statistic, key, finding))
    found.sort(key=lambda f: -f[0])
    _check_number(gathered, [(key, finding.effect) for _, key, finding in found])
    return p_value, level.rate, tuple(finding for _, _, finding in found)


def _statistic(gathered: Gathered, side: Side, key: str, value: float) -> float | None:
    reference = side.table.cells[gathered.cell].references.get(key)
    return None if reference is None else reference.surprise(value) - math.log(max(1, gathered.units))


def _check_number(gathered: Gathered, found: list[tuple[str, Effect]]) -> None:
    """Refuse where a verdict's limited list might leave the strongest effect out."""
    could = sum(sum(gathered.carriers[key].values()) for key, _ in found)
    if could > MAX_FINDINGS and found[0][1] is not max(effect for _, effect in found):
        raise NotKept(f"more than {MAX_FINDINGS} findings may compete for the verdict")


def _check_stream(gathered: Gathered, side: Side, verdict: Verdict, *, cut: bool) -> None:
    """Refuse where a stream's verdict depends on more than its scores as a whole.

    A stream that was cut has no rest. One that is enforced is judged text by text as it flows,
    and a text by itself is worth more than among several.
    """
    if cut and verdict.effect < Effect.HOLD:
        raise NotKept("its stream was cut or redacted as it flowed; what else it held isn't kept")
    cell = side.table.cells.get(gathered.cell)
    if cell is None or gathered.units <= 1 or side.policy.mode is Mode.OBSERVE:
        return
    threshold = side.level(gathered.cell).threshold
    alone = [
        side.policy.effects.get(slot.spec.name, slot.spec.effect)
        for key, slot in gathered.specs.items()
        if key in cell.references
        and cell.statistics.p_value(cell.references[key].surprise(gathered.maxima[key])) <= threshold
    ]
    if max(alone, default=Effect.ALLOW) > verdict.effect:
        raise NotKept("as it flows, one text of the answer by itself might be stopped")


def _coverage(step: StepRecord, gathered: Gathered, removed: tuple[str, ...]) -> Coverage:
    before = step.verdict
    earlier = (*before.coverage.remembered, *before.removed)
    return Coverage(
        judged=tuple(gathered.judged),
        remembered=tuple(path for path in earlier if path not in removed),
        trusted=before.coverage.trusted,
        unjudged=tuple(gathered.unjudged),
    )


def _stopped(
    step: StepRecord, gathered: Gathered, side: Side, findings: tuple[Finding, ...]
) -> dict[str, Effect | None]:
    """Return which parts the findings are about, as far as stored scores tell."""
    stopped: dict[str, Effect | None] = {}
    rows = frozenset(p.path for p in step.parts if p.kind is PartKind.ROWS)
    effects = {f.detector: f.effect for f in findings if f.effect > Effect.ALLOW}
    for key, places in gathered.carriers.items():
        effect = effects.get(gathered.specs[key].spec.name)
        if effect is None:
            continue
        for path in places:
            if path in rows:
                continue
            value = _score_at(step, gathered, key, path, side)
            if value is None:
                stopped.setdefault(path, None)
            elif value and _flags(gathered, side, key, value[0]):
                stopped[path] = max(effect, stopped.get(path) or Effect.ALLOW)
    return stopped


def _flags(gathered: Gathered, side: Side, key: str, value: float) -> bool:
    statistic = _statistic(gathered, side, key, value)
    cell = side.table.cells[gathered.cell]
    threshold = side.level(gathered.cell).threshold
    return statistic is not None and cell.statistics.p_value(statistic) <= threshold


def _score_at(
    step: StepRecord, gathered: Gathered, key: str, path: str, side: Side
) -> tuple[float, ...] | None:
    """Return one part's score as a tuple, an empty one if it was found harmless, ``None`` if unknown."""
    before = step.verdict
    if (key, path) in gathered.exact:
        return (gathered.exact[key, path],)
    if len(gathered.carriers[key]) == 1:
        return (gathered.maxima[key],)
    name = gathered.specs[key].spec.name
    listed = [f.score for f in before.findings if f.detector == name and f.part == path]
    if listed:
        return (max(listed),)
    complete = before.p_value is not None and len(before.findings) < MAX_FINDINGS
    if not complete or before.p_value is None or before.p_value.calibration != side.table.digest:
        return None
    units = before.measured.units if before.measured is not None else 0
    looser = side.table.level(gathered.cell, before.level).threshold >= side.level(gathered.cell).threshold
    return () if looser and units == gathered.units else None
