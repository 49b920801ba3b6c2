"""Alarms for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from rich.text import Text

from bartizan.alarms import Alarm, Answer, Cause

NAMED: Final = 5
WORDS: Final = 200
"""Characters shown of one piece of text: a recording may hold anything."""

_STYLES: Final = {
    Cause.ATTACK: "bold red",
    Cause.MODEL_CHANGED: "bold red",
    Cause.TENANT_CHANGE: "bold yellow",
    Cause.PIPELINE_FAULT: "bold yellow",
    Cause.UNDETERMINED: "bold magenta",
    Cause.BENIGN_DRIFT: "bold green",
}
_GROUNDS: Final = {
    "global": "the stream changed",
    "local": "some principals differ",
    "search": "somebody searches",
    "trusted": "the trusted source moved",
    "canary": "canaries moved",
}


def as_json(alarm: Alarm) -> dict[str, Any]:
    """Return an alarm as the object that ``--json`` prints."""
    fields = msgspec.to_builtins(alarm)
    fields["verdict"] = fields.pop("cause")
    fields["error_rate"] = fields.pop("error")
    fields["evidence"] = fields.pop("grounds")
    return dict(fields)


def as_text(alarm: Alarm, *, timed: bool = True, again: bool = False, promise: str = "") -> Text:
    """Return an alarm as one block of text.

    Args:
        alarm: The alarm.
        timed: Whether events have times of their own.
        again: Whether it was shown before, with less known about its cause.
        promise: What is promised of all alarms; only what an alarm promises beside it is shown.
    """
    title = Text(str(alarm.cause).upper(), style=_STYLES[alarm.cause])
    title.append(
        f"  {alarm.id}{'  (now clearer)' if again else ''}  {_moment(alarm.time, timed=timed)}", "dim"
    )
    title.append(f"event {alarm.index:,}", "dim")
    onset = f"event {alarm.onset_index:,}" if alarm.onset_index >= 0 else "before what is kept"
    lines = [("since", f"{_moment(alarm.onset, timed=timed)}{onset}")]
    if alarm.streams:
        lines.append(
            ("where", "; ".join(f"{s.name} {s.share:.0%} {s.change}" for s in alarm.streams[:NAMED]))
        )
    if alarm.principals:
        more = f" and {len(alarm.principals) - NAMED} more" if len(alarm.principals) > NAMED else ""
        lines.append(("who", ", ".join(p or "''" for p in alarm.principals[:NAMED]) + more))
    for ground in alarm.grounds:
        error = (
            f", wrong at most {_rate(ground.error)}" if ground.answer is Answer.YES and ground.error else ""
        )
        question = _GROUNDS.get(ground.kind, ground.kind)
        lines.append((str(ground.answer), f"{question}: {ground.summary}{error}"))
    if alarm.error:
        lines.append(("error", f"the verdict is wrong at most {_rate(alarm.error)}"))
    if alarm.promise not in ("", promise):
        lines.append(("promise", alarm.promise))
    lines.append(("do", alarm.advice))
    text = title
    for name, words in lines:
        text.append(f"\n  {name:<8} ", "dim").append(visible(words))
    return text


def visible(text: str, limit: int = 5 * WORDS) -> str:
    """Return text that can't steer a terminal: clients choose some of it."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)


def counted(alarms: Iterable[Alarm]) -> str:
    """Return how many alarms there are of each cause, in words."""
    causes = [alarm.cause for alarm in alarms]
    if not causes:
        return "no alarm"
    each = ", ".join(f"{causes.count(c)} {c}" for c in Cause if c in causes)
    return f"{len(causes)} alarm{'s' if len(causes) > 1 else ''}: {each}"


def _moment(time: float, *, timed: bool) -> str:
    if not timed:
        return ""
    try:
        return datetime.fromtimestamp(time, UTC).isoformat(" ", "seconds").replace("+00:00", "Z") + ", "
    except (ValueError, OverflowError, OSError):
        return f"{time:g} s, "


def _rate(error: float) -> str:
    return f"1 in {1 / error:,.0f}" if error < 0.5 else f"{error:.0%}"
