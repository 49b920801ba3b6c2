"""What the pages show: records and statuses turned into rows, cards and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

from bartizan.console.charts import Promise, promise
from bartizan.console.shapes import Cell, DetectorState, System
from bartizan.console.text import Piece, excerpt, visible
from bartizan.console.words import duration, enforced, moment, one_in, stamp
from bartizan.explanation.verdict import Explanation, explain, how_unusual
from bartizan.stats.conformal import points_needed
from bartizan.store import Event
from bartizan.types import Finding, Mode, PartSummary, Record, StepRecord

MAX_SPANS = 20
"""Span offsets written out per finding; all of them are highlighted."""
MAX_ROWS = 16
"""Rows of kept content shown per part."""
MAX_COLUMNS = 64
MAX_CELL_CHARS = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One exchange in a list, ready to be shown."""

    index: int
    id: str
    short_id: str
    link: str
    iso: str
    time: str
    effect: str
    enforced: str
    enforced_words: str
    system: str
    principal: str
    detector: str
    p_value: str
    added: str

    def shown(self) -> dict[str, Any]:
        """Return the row for a page that builds it from text: hidden characters made visible."""
        return {k: visible(v) if isinstance(v, str) else v for k, v in asdict(self).items()}


def row(event: Event) -> Row:
    """Present an exchange of a list."""
    words = [*event.detectors[:1], *(f"{n} more" for n in [len(event.detectors) - 1] if n > 0)]
    if not event.detectors and event.faults:
        words = [f"{event.faults} could not answer"]
    return Row(
        index=event.index,
        id=event.id,
        short_id=event.id if len(event.id) <= 14 else f"{event.id[:12]}…",
        link=exchange_link(event.id),
        iso=moment(event.time).isoformat(),
        time=stamp(event.time),
        effect=event.effect.name.lower(),
        enforced=event.enforced.name.lower(),
        enforced_words=enforced(event.effect, event.enforced),
        system=event.system,
        principal=event.principal,
        detector=", ".join(words) or "–",
        p_value=one_in(event.p_value),
        added=duration(event.added_us),
    )


def exchange_link(id: str) -> str:
    """Return the path of an exchange's page."""
    return f"/console/events/{quote(id, safe='')}"


@dataclass(frozen=True, slots=True)
class CellCard:
    """A calibration cell in words and as a drawing."""

    cell: Cell
    state: str
    tone: str
    promised: str
    certified: str
    realised: str
    judgement: str
    judgement_tone: str
    drawing: Promise | None
    drawing_words: str


@dataclass(frozen=True, slots=True)
class SystemCard:
    """One protected system."""

    system: System
    link: str
    streams: str
    enforcing: bool
    promised: str
    cells: tuple[CellCard, ...]
    detectors: Sequence[DetectorState]
    faults: int


def system_card(system: System) -> SystemCard:
    """Present a system."""
    return SystemCard(
        system=system,
        link=f"/console/calibration/{quote(system.name, safe='')}",
        streams=f"/console/streams/{quote(system.name, safe='')}",
        enforcing=system.mode is Mode.ENFORCE,
        promised=one_in(system.false_alarm_rate),
        cells=tuple(cell_card(cell, system.kind) for cell in system.cells),
        detectors=system.detectors,
        faults=sum(d.faults for d in system.detectors),
    )


def cell_card(cell: Cell, kind: str) -> CellCard:
    """Present a cell."""
    state, tone = calibration_words(cell, "requests" if kind == "predict" else "messages")
    verdict, verdict_tone = _judgement(cell)
    realised = "nothing judged yet"
    if cell.total:
        realised = f"{one_in(cell.realised)} ({cell.flagged:,} of {cell.total:,})"
    interval = f"between {one_in(cell.low)} and {one_in(cell.high)}" if cell.total else "unknown"
    return CellCard(
        cell=cell,
        state=state,
        tone=tone,
        promised=one_in(cell.promised),
        certified=one_in(cell.certified) if cell.source != "none" else "none",
        realised=realised,
        judgement=verdict,
        judgement_tone=verdict_tone,
        drawing=None
        if cell.source == "none"
        else promise(
            cell.promised, cell.certified, cell.realised, (cell.low, cell.high) if cell.total else None
        ),
        drawing_words=(
            f"Asked for {one_in(cell.promised)}, in force {one_in(cell.certified)}, "
            f"realised {realised}, 95% interval {interval}."
        ),
    )


def calibration_words(cell: Cell, noun: str) -> tuple[str, str]:
    """Say what a cell's calibration is worth, and in which tone."""
    if cell.source == "none":
        return "not calibrated: nothing here can be flagged by its p-value", "bad"
    if cell.source == "generic":
        return "generic table: no guarantee on your traffic yet", "warn"
    certified = f"certified to {one_in(cell.certified)} by {cell.n:,} benign {noun}"
    if cell.certified <= cell.promised or not 0 < cell.promised < 1:
        return certified, "good"
    needed = points_needed(cell.promised)
    return f"{certified}; {one_in(cell.promised)} needs {needed:,}", "warn"


def _judgement(cell: Cell) -> tuple[str, str]:
    if not cell.total or cell.source == "none":
        return "nothing to compare yet", "muted"
    if cell.low > cell.certified:
        return "more than in force: attacks, drift, or a table that does not fit this traffic", "bad"
    if cell.high <= cell.certified:
        return "kept: the whole interval is at or below the rate in force", "good"
    return "in keeping with the rate in force", "good"


@dataclass(frozen=True, slots=True)
class FindingView:
    """A finding, with the numbers as people say them."""

    finding: Finding
    effect: str
    unusual: str
    spans: str
    anchor: str


@dataclass(frozen=True, slots=True)
class PartView:
    """A part of an exchange: its content where it was kept, and what is known without it.

    Attributes:
        part: As recorded.
        anchor: Name to link to, within the page.
        judged: Whether and when it was judged, in words.
        pieces: The text, cut and marked; empty if not kept.
        kept: Whether the text was kept, and how many characters of it.
        table: Kept rows, as text.
        spans: What findings point at, for when the content was not kept.
    """

    part: PartSummary
    anchor: str
    origin: str
    judged: str
    pieces: tuple[Piece, ...]
    kept: int | None
    table: tuple[tuple[str, ...], ...]
    spans: str


@dataclass(frozen=True, slots=True)
class StepView:
    """One judged step of an exchange."""

    step: StepRecord
    name: str
    effect: str
    enforced: str
    unusual: str
    level: str
    why: Explanation
    findings: tuple[FindingView, ...]
    parts: tuple[PartView, ...]


def steps(record: Record) -> tuple[StepView, ...]:
    """Present the steps of an exchange."""
    return tuple(_step(step, f"s{i}") for i, step in enumerate(record.steps))


def _step(step: StepRecord, prefix: str) -> StepView:
    verdict = step.verdict
    anchors = {part.path: f"{prefix}p{i}" for i, part in enumerate(step.parts)}
    return StepView(
        step=step,
        name=step.step.value,
        effect=verdict.effect.name.lower(),
        enforced=enforced(verdict.effect, verdict.enforced),
        unusual=how_unusual(verdict.p_value) if verdict.p_value else "not ranked",
        level=one_in(verdict.level),
        why=explain(verdict),
        findings=tuple(_finding(f, anchors.get(f.part, "")) for f in verdict.findings),
        parts=tuple(_part(p, anchors[p.path], step) for p in step.parts),
    )


def _finding(finding: Finding, anchor: str) -> FindingView:
    return FindingView(
        finding=finding,
        effect=finding.effect.name.lower(),
        unusual=how_unusual(finding.p_value),
        spans=_spans(finding.evidence.spans),
        anchor=anchor,
    )


def _part(part: PartSummary, anchor: str, step: StepRecord) -> PartView:
    verdict = step.verdict
    here = [f for f in verdict.findings if f.part == part.path]
    spans = tuple(span for f in here for span in f.evidence.spans)
    text = part.content if isinstance(part.content, str) else None
    judged = "not judged"
    if part.path in verdict.coverage.judged:
        judged = "judged"
    elif part.path in verdict.coverage.remembered:
        judged = "judged before, taken from memory"
    elif part.path in verdict.coverage.trusted:
        judged = "the operator's own, not judged on purpose"
    return PartView(
        part=part,
        anchor=anchor,
        origin=part.origin.name.lower(),
        judged=judged,
        pieces=excerpt(text, spans) if text is not None else (),
        kept=len(text) if text is not None else None,
        table=_table(part.content) if text is None else (),
        spans=_spans(spans),
    )


def _spans(spans: Sequence[tuple[int, int]]) -> str:
    words = [f"{start:,}–{end:,}" for start, end in spans[:MAX_SPANS]]
    if len(spans) > MAX_SPANS:
        words.append(f"{len(spans) - MAX_SPANS} more")
    return ", ".join(words)


def _table(content: Any) -> tuple[tuple[str, ...], ...]:
    """Return kept rows as text; content of another form has no rows."""
    if not isinstance(content, list | tuple):
        return ()
    return tuple(
        tuple(_number(value) for value in row[:MAX_COLUMNS])
        for row in content[:MAX_ROWS]
        if isinstance(row, list | tuple)
    )


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:MAX_CELL_CHARS]
