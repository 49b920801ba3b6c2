"""Shows what a replay finds, to people and to machines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from bartizan.cli.events import LEAST_COLUMNS, visible
from bartizan.errors import BartizanError
from bartizan.replay.outcome import Compared, Decision, Kind
from bartizan.replay.recommend import Advice, Recommendation
from bartizan.replay.side import Side
from bartizan.replay.tally import Count, Summary

UNTOLD = "can't tell"
UNTOLD_SHOWN = 20
"""Decisions that can't be told, listed one by one for people; the rest is counted by reason."""

_STYLES = {
    Kind.BLOCKED: "red",
    Kind.HELD: "magenta",
    Kind.REDACTED: "yellow",
    Kind.RELAXED: "cyan",
    Kind.ALLOWED: "green",
}
_ADVICE = {Advice.REFUSE: "bold red", Advice.NOT_YET: "bold yellow"}


class Show(Protocol):
    """Where findings go, one by one as they are found."""

    failed: bool

    def exchange(self, compared: Compared) -> None:
        """Show one exchange, if there is something to say of it."""
        ...

    def error(self, name: Any, error: BartizanError) -> None:
        """Show something that can't be judged at all."""
        ...

    def summary(self, summary: Summary, advice: Recommendation, side: Side) -> None:
        """Show the sum of it."""
        ...


class ShowJson:
    """One JSON object a line: every change, every decision that can't be told, and last the summary."""

    def __init__(self) -> None:
        self.failed = False

    def exchange(self, compared: Compared) -> None:
        """Print a change, or a decision that can't be told."""
        kind = compared.kind
        if kind is None and compared.after is not None:
            return
        _print(
            {
                "id": compared.id,
                "change": None if kind is None else kind.value,
                "before": _decision(compared.before),
                "after": None if compared.after is None else _decision(compared.after),
                "why": compared.why,
                "rescored": compared.rescored,
            }
        )

    def error(self, name: Any, error: BartizanError) -> None:
        """Print what can't be judged."""
        self.failed = True
        _print({"id": name, "error": error.message})

    def summary(self, summary: Summary, advice: Recommendation, side: Side) -> None:
        """Print the summary."""
        fields = msgspec.to_builtins(summary)
        fields["kinds"] = {kind.value: msgspec.to_builtins(c) for kind, c in summary.kinds.items()}
        fields["advice"], fields["reason"] = advice.advice.value, advice.reason
        fields["candidate"] = {
            "system": side.system.name,
            "mode": side.policy.mode.value,
            "false_alarm_rate": side.rate,
            "calibration": side.table.digest,
            "detectors": sorted(side.names),
        }
        _print({"summary": fields})


class ShowText:
    """A line for each change, then tables."""

    def __init__(self) -> None:
        self.failed = False
        self._console = Console(highlight=False, soft_wrap=True)
        self._untold = 0

    def exchange(self, compared: Compared) -> None:
        """Print a change; of decisions that can't be told, the first few."""
        kind = compared.kind
        if compared.after is None:
            self._untold += 1
            if self._untold <= UNTOLD_SHOWN:
                self._line(compared, UNTOLD, "dim", f"{compared.before}")
        elif kind is not None:
            self._line(compared, kind.value, _STYLES[kind], f"{compared.before} → {compared.after}")

    def error(self, name: Any, error: BartizanError) -> None:
        """Print what can't be judged."""
        self.failed = True
        self._console.print(Text(f"{visible(str(name)).plain:<34}error: {error.message}", "bold red"))

    def summary(self, summary: Summary, advice: Recommendation, side: Side) -> None:
        """Print the tables and the advice."""
        if self._untold > UNTOLD_SHOWN:
            self._console.print(f"… and {self._untold - UNTOLD_SHOWN:,} more that can't be told (--json)")
        self._console.print()
        wide = Console(highlight=False, width=max(self._console.width, LEAST_COLUMNS))
        for grid in (_changes(summary), _cells(summary)):
            wide.print(grid)
            wide.print()
        for note in notes(summary):
            self._console.print(Text(note))
        style = _ADVICE.get(advice.advice, "bold green")
        self._console.print(Text(str(advice), style))

    def _line(self, compared: Compared, what: str, style: str, decisions: str) -> None:
        line = Text.assemble(f"{visible(str(compared.id)).plain:<34}", (f"{what:<21}", style))
        line.append(f"{decisions:<28} ")
        line.append("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in compared.why))
        self._console.print(line)


def notes(summary: Summary) -> Iterable[str]:
    """Return what a reader must know to read the counts."""
    for why, times in summary.unknown.items():
        yield f"can't tell {times:,}: {why}"
    if summary.flagged:
        yield f"{summary.flagged:,} of the newly stopped were flagged before, and only recorded"
    if summary.attacks:
        yield f"{summary.attacks:,} are known attacks and count neither for nor against the promise"
    if summary.unjudged:
        yield f"{summary.unjudged:,} exchanges in which nothing was judged are left out"
    if summary.rescored:
        yield f"{summary.rescored:,} were judged afresh from their content"
    if summary.assumed:
        yield (
            f"{summary.assumed:,} were judged against a calibration that is not at hand: their scores are "
            "taken to come from the detectors as they are now"
        )
    if summary.older:
        yield (
            f"{summary.older:,} are older than the candidate's calibration; if it was learnt from them, "
            "their alarms say little about the promise"
        )
    if any(cell.source == "generic" and cell.alarms.total for cell in summary.cells):
        yield "the shipped calibration promises nothing about your traffic: `bartizan calibrate`"


def _changes(summary: Summary) -> Grid:
    grid = Grid(title=f"{summary.replayed:,} exchanges", title_justify="left", box=None, pad_edge=False)
    for heading in ("decision", "exchanges", "share", "95% interval"):
        grid.add_column(heading, no_wrap=True)
    grid.add_row("as before", f"{summary.same:,}", *_shares(Count.of(summary.same, summary.told)))
    for kind, number in summary.kinds.items():
        grid.add_row(Text(kind.value, _STYLES[kind]), f"{number.hits:,}", *_shares(number))
    if summary.told < summary.replayed:
        grid.add_row(UNTOLD, f"{summary.replayed - summary.told:,}", "", "")
    return grid


def _cells(summary: Summary) -> Grid:
    grid = Grid(title="alarms of the candidate", title_justify="left", box=None, pad_edge=False)
    for heading in ("cell", "judged", "alarms", "95% interval", "asked", "certified (99%)", "calibration"):
        grid.add_column(heading, no_wrap=True)
    for cell in summary.cells:
        share, interval = _shares(cell.alarms)
        grid.add_row(
            cell.cell,
            f"{cell.alarms.total:,}" + (f" (+{cell.unknown:,}?)" if cell.unknown else ""),
            f"{cell.alarms.hits:,} ({share})" if share else f"{cell.alarms.hits:,}",
            interval,
            f"1 in {1 / cell.requested:,.0f}",
            "nothing" if cell.certified >= 1 else f"1 in {1 / cell.certified:,.0f}",
            cell.source,
        )
    return grid


def _shares(number: Count) -> tuple[str, str]:
    if not number.total:
        return "", ""
    return f"{number.hits / number.total:.2%}", f"{number.low:.2%} to {number.high:.2%}"


def _decision(decision: Decision) -> dict[str, str]:
    return {
        "effect": decision.effect.name.lower(),
        "enforced": decision.enforced.name.lower(),
        "rule": decision.rule,
    }


def _print(value: Any) -> None:
    print(msgspec.json.encode(value).decode(), flush=True)
