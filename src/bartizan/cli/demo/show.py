"""The demo from beginning to end, and its one screen."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bartizan.cli.demo.stage import Stage, staged
from bartizan.errors import ConfigError
from bartizan.explanation.verdict import explain_record
from bartizan.stats.intervals import clopper_pearson
from bartizan.store import verify
from bartizan.store.reading import open_reader

_NEEDED = ("sklearn", "openai", "tritonclient")


def run_demo(*, once: bool, folder: Path | None, as_json: bool) -> int:
    """Run the demo; return 0 if honest traffic passed within the promise and the ledger verifies.

    Raises:
        ConfigError: The extra ``demo`` is not installed.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the demo needs {', '.join(missing)}", hint="pip install 'bartizan[demo]', or `make setup`"
        )
    console = Console(stderr=as_json)
    with tempfile.TemporaryDirectory(prefix="bartizan-demo-") as made:
        where = folder or Path(made)
        where.mkdir(parents=True, exist_ok=True)
        with staged(where) as stage:
            figures = _drive(stage, console)
            if not as_json:
                _screen(console, stage, figures)
            if not once:
                console.print("\nPress Ctrl-C to stop.")
                _wait()
        report = verify(where / "bartizan-data")
        figures["ledger"] = {"verified": not report.problems, "entries": report.records}
        if as_json:
            print(json.dumps(figures))
        else:
            words = "verifies" if not report.problems else f"DOES NOT VERIFY: {report.problems[0]}"
            console.print(f"ledger after shutdown: {report.records:,} entries, {words}")
    return 0 if not report.problems and figures["kept"] and figures["attacks_stopped"] else 1


def _drive(stage: Stage, console: Console) -> dict[str, Any]:
    from bartizan.cli.demo.traffic import plan

    work = plan(stage)
    columns = (
        TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("sending", total=sum(len(sends) for _, sends in work))
        for tally, sends in work:
            progress.update(task, description=tally.family)
            for send in sends:
                tally.sent += 1
                record = send()
                if record is not None:
                    tally.stopped += 1
                    tally.records.append(record)
                progress.advance(task)
    return _figures(stage, [tally for tally, _ in work])


def _figures(stage: Stage, tallies: Sequence[Any]) -> dict[str, Any]:
    reader = open_reader(stage.store)
    # The last records are still on their way into the query store.
    time.sleep(0.5)
    added = sorted(reader.latency(5000))
    promises = []
    for system, rate in _promised(stage):
        mine = [t for t in tallies if t.system == system and not t.hostile]
        flagged, sent = sum(t.stopped for t in mine), sum(t.sent for t in mine)
        low, high = clopper_pearson(flagged, sent)
        promises.append(
            {"system": system, "promised": rate, "flagged": flagged, "sent": sent, "low": low, "high": high}
        )
    hostile = [t for t in tallies if t.hostile]
    return {
        "traffic": [
            {
                "system": t.system,
                "family": t.family,
                "hostile": t.hostile,
                "sent": t.sent,
                "stopped": t.stopped,
            }
            for t in tallies
        ],
        "examples": _examples(reader, hostile),
        "false_alarms": promises,
        "kept": all(p["low"] <= p["promised"] for p in promises),
        "attacks_stopped": sum(t.stopped for t in hostile),
        "attacks_sent": sum(t.sent for t in hostile),
        "added_ms": {
            "p50": added[len(added) // 2] / 1000 if added else 0.0,
            "p99": added[int(len(added) * 0.99)] / 1000 if added else 0.0,
        },
    }


def _promised(stage: Stage) -> Iterable[tuple[str, float]]:
    from bartizan.cli.demo.stage import status

    answer: Any = status(stage)
    systems = answer["gateway"]["systems"]
    for system in systems:
        in_force = max((c["certified"] for c in system["cells"]), default=1.0)
        yield system["name"], max(system["false_alarm_rate"], in_force)


def _examples(reader: Any, hostile: Sequence[Any]) -> list[dict[str, str]]:
    """Explain one stopped message of each of the first few families."""
    examples = []
    for tally in hostile:
        name = next((r for r in tally.records if r.startswith("bz-")), None)
        record = reader.record(name) if name else None
        if record is None:
            continue
        reasons = [r for _, text in explain_record(record) for r in text.reasons]
        if reasons:
            examples.append({"family": tally.family, "record": record.id, "why": reasons[0]})
    return examples


def _screen(console: Console, stage: Stage, figures: dict[str, Any]) -> None:
    table = Table(title="what was sent, what was stopped", title_justify="left", header_style="bold")
    for heading in ("system", "traffic", "sent", "stopped"):
        table.add_column(heading, justify="right" if heading in ("sent", "stopped") else "left")
    for row in figures["traffic"]:
        good = (row["stopped"] > 0) == row["hostile"]
        colour = "green" if good else "yellow"
        table.add_row(
            row["system"], row["family"], str(row["sent"]), f"[{colour}]{row['stopped']}[/{colour}]"
        )
    console.print(table)
    console.print("\n[bold]why, for example[/bold] (`bartizan explain ID` says all)")
    for example in figures["examples"][:3] + figures["examples"][-3:]:
        console.print(f"  {example['family']}: {example['why']}", highlight=False, markup=False)
    console.print("\n[bold]false alarms[/bold]")
    for p in figures["false_alarms"]:
        console.print(
            f"  {p['system']}: in force at most 1 in {1 / p['promised']:,.0f}; "
            f"realised {p['flagged']} of {p['sent']} (95%: {p['low']:.2%} to {p['high']:.2%})",
            highlight=False,
        )
    added = figures["added_ms"]
    console.print(f"[bold]added latency[/bold] p50 {added['p50']:.2f} ms, p99 {added['p99']:.2f} ms")
    if stage.stand_in:
        console.print("the chat upstream is a rule-based stand-in, calibrated by the shipped table alone")
    console.print(f"[bold]console[/bold] {stage.admin}/console/  token {stage.token}")
    for command in stage.commands:
        console.print(f"  $ {command}", highlight=False, soft_wrap=True)


def _wait() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return
