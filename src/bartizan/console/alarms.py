"""What the pages say about alarms and about who is contained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from bartizan.alarms import Alarm, Answer, Cause, Ground, StreamShare
from bartizan.console.shapes import Contained, System
from bartizan.console.words import one_in, stamp
from bartizan.policy.containment import principal_of

MAX_NAMED = 100
"""Principals listed on an alarm's page."""

TONES = {
    Cause.ATTACK: "bad",
    Cause.TENANT_CHANGE: "warn",
    Cause.MODEL_CHANGED: "bad",
    Cause.PIPELINE_FAULT: "warn",
    Cause.BENIGN_DRIFT: "good",
    Cause.UNDETERMINED: "muted",
}
QUESTIONS = {
    "global": "Did the stream as a whole change?",
    "local": "Do some principals differ from the rest?",
    "search": "Does somebody search?",
    "trusted": "Did the trusted source move, too?",
    "canary": "Does the model answer its canaries differently?",
    "turns": "Are its turns together too unlike benign ones?",
    "probing": "Does somebody edit a stopped text until it passes?",
}
ANSWER_TONES = {Answer.YES: "warn", Answer.NO: "good", Answer.UNKNOWN: "muted"}
MEASURES = {
    "none": "nothing yet",
    "throttle": "its queries are delayed",
    "degrade": "its answers have fewer digits",
    "hold": "its queries are held",
    "block": "its queries are blocked",
}


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One alarm in a list."""

    alarm: Alarm
    link: str
    tone: str
    streams: str
    principals: str


@dataclass(frozen=True, slots=True)
class GroundView:
    """One row of the triage table."""

    ground: Ground
    question: str
    tone: str
    error: str
    p_value: str


@dataclass(frozen=True, slots=True)
class ShareView:
    """How much of the evidence one stream carries; ``width`` is a share of 100."""

    share: StreamShare
    width: float


@dataclass(frozen=True, slots=True)
class AlarmView:
    """One alarm, ready to be shown."""

    row: AlarmRow
    grounds: tuple[GroundView, ...]
    shares: tuple[ShareView, ...]
    principals: tuple[tuple[str, str], ...]
    more_principals: int
    evidence: str
    error: str
    onset: str
    raised: str
    earlier: tuple[AlarmRow, ...]


@dataclass(frozen=True, slots=True)
class ContainedView:
    """How a principal stands in one system."""

    contained: Contained
    system: str
    enforcing: bool
    link: str
    state: str
    until: str
    action: str


def alarm_link(id: str) -> str:
    """Return the path of an alarm's page."""
    return f"/console/alarms/{quote(id, safe='')}"


def principal_link(name: str) -> str:
    """Return the path of a principal's page."""
    return f"/console/principals/{quote(name, safe='')}"


def streams_link(system: str) -> str:
    """Return the path of a system's streams."""
    return f"/console/streams/{quote(system, safe='')}"


def alarm_row(alarm: Alarm) -> AlarmRow:
    """Present an alarm of a list."""
    named = [s.name for s in alarm.streams[:2]]
    return AlarmRow(
        alarm=alarm,
        link=alarm_link(alarm.id),
        tone=TONES[alarm.cause],
        streams=_listed(named, len(alarm.streams)) or "–",
        principals=_listed(list(alarm.principals[:1]), len(alarm.principals)) or "–",
    )


def alarm_view(told: Sequence[Alarm]) -> AlarmView:
    """Present one alarm.

    Args:
        told: The alarm each time it was told, the last time first.
    """
    alarm = told[0]
    beyond = " or earlier: it lies before what is remembered" if alarm.onset_index < 0 else ""
    return AlarmView(
        row=alarm_row(alarm),
        grounds=tuple(_ground(g) for g in alarm.grounds),
        shares=tuple(ShareView(s, max(0.0, min(100.0, 100 * s.share))) for s in alarm.streams),
        principals=tuple((p, principal_link(p)) for p in alarm.principals[:MAX_NAMED]),
        more_principals=max(0, len(alarm.principals) - MAX_NAMED),
        evidence=f"{alarm.log_evidence:.2f} (natural logarithm)",
        error=one_in(alarm.error) if alarm.error > 0 else "none asserted",
        raised=_told_words(alarm, told[-1]),
        onset=f"{stamp(alarm.onset)} UTC{beyond}",
        earlier=tuple(alarm_row(a) for a in told[1:]),
    )


def _told_words(last: Alarm, first: Alarm) -> str:
    raised = f"{stamp(first.time)} UTC, at event {first.index:,}"
    if first.time == last.time:
        return raised
    return f"{raised}; cause as of {stamp(last.time)} UTC, event {last.index:,}"


def contained_views(systems: Iterable[System], principal: str | None = None) -> tuple[ContainedView, ...]:
    """Present who is contained, in all systems; everybody, or one principal."""
    return tuple(
        _contained(entry, system.name, enforcing=system.watch.enforcing)
        for system in systems
        if system.watch is not None
        for entry in system.watch.contained
        if principal is None or principal_of(entry.principal) == principal
    )


def _contained(entry: Contained, system: str, *, enforcing: bool) -> ContainedView:
    state = MEASURES.get(entry.measure, entry.measure)
    if entry.pending != entry.measure:
        soon = MEASURES.get(entry.pending, entry.pending)
        state = f"{state}; by {stamp(entry.starts_by)} UTC at the latest: {soon}"
    if not enforcing:
        state = f"only recorded (observe mode): {state}"
    where = quote(system, safe="")
    everybody = entry.principal == ""
    return ContainedView(
        contained=entry,
        system=system,
        enforcing=enforcing,
        link=streams_link(system) if everybody else principal_link(principal_of(entry.principal)),
        state=state.replace("its ", "all ", 1) if everybody else state,
        until=_until(entry),
        action=f"/api/v1/systems/{where}/release"
        if everybody
        else f"/api/v1/principals/{quote(entry.principal, safe='')}/release?system={where}",
    )


def _until(entry: Contained) -> str:
    if entry.until is not None:
        return f"{stamp(entry.until)} UTC"
    return "let go by hand" if entry.measure == entry.pending else "counted from when it starts"


def _ground(ground: Ground) -> GroundView:
    return GroundView(
        ground=ground,
        question=QUESTIONS.get(ground.kind, ground.kind),
        tone=ANSWER_TONES[ground.answer],
        error=one_in(ground.error) if ground.error > 0 else "–",
        p_value=f"{ground.p_value:.2g}" if ground.p_value is not None else "–",
    )


def _listed(names: list[str], total: int) -> str:
    more = total - len(names)
    return ", ".join([*names, *([f"{more:,} more"] if more > 0 else [])])
