"""``bartizan check``: judge JSON lines, rows or text in batch; one verdict a line, in order."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from bartizan.assembly import load_table
from bartizan.cli.lines import Line, judged, read, total
from bartizan.config import Config, from_mapping, load
from bartizan.errors import BartizanError
from bartizan.explanation.verdict import explain, how_unusual
from bartizan.guard import Guard, joined
from bartizan.types import Effect, Verdict

_COLOURS = {Effect.ALLOW: "green", Effect.REDACT: "yellow", Effect.HOLD: "yellow", Effect.BLOCK: "red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("file", nargs="?", default="-", help="JSON lines, .npy, .npz or .csv; - is stdin")
    add_system_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--explain", action="store_true", help="add the explanation")
    parser.epilog = (
        'lines: {"id", "text", "origin": "user"|"tool"|"web"}; {"id", "request", "response"?}; '
        '{"id", "row", "outputs"?, "embedding"?}. '
        "Exit code 1 if anything would be blocked, 2 if a line could not be judged."
    )


def add_system_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that choose a system; shared with ``calibrate``."""
    parser.add_argument("-c", "--config", type=Path, help="bartizan.yaml; without it, shipped defaults")
    parser.add_argument("--system", help="name of the system; may be left out if there is only one")
    parser.add_argument("--kind", choices=("chat", "predict"), default="chat", help="without a configuration")
    parser.add_argument("--calibration", type=Path, help="a table made by `bartizan calibrate`")
    parser.add_argument("--rate", type=float, help="false-alarm rate, over the configured one")


def configured(args: argparse.Namespace) -> tuple[Config, str | None]:
    """Return the configuration that the arguments ask for, and the system's name."""
    if args.config is not None:
        config, name = load(args.config), args.system
    else:
        system = {
            "name": args.system or "default",
            "kind": args.kind,
            "upstream": {"url": "http://localhost"},
        }
        config = from_mapping({"systems": [system]}, base=Path("bartizan-none"))
        name = None
    chosen = config.system(name)
    changes: dict[str, Any] = {}
    if args.rate is not None:
        changes["false_alarm_rate"] = args.rate
    if args.calibration is not None:
        load_table(args.calibration)
        changes["calibration"] = chosen.calibration.model_copy(update={"file": args.calibration})
    changed = chosen.model_copy(update=changes)
    systems = tuple(changed if s.name == chosen.name else s for s in config.systems)
    return config.model_copy(update={"systems": systems}), chosen.name


def run(args: argparse.Namespace) -> int:
    """Judge every line."""
    config, name = configured(args)
    guard = Guard.from_config(config, name)
    show = _show_json if args.json else _show_text
    blocked = failed = False
    for line in _progress(read(args.file), total(args.file)):
        try:
            verdicts = judged(guard, line)
        except BartizanError as error:
            failed = True
            _show_error(line, error, as_json=args.json)
            continue
        verdict = verdicts[0] if len(verdicts) == 1 else joined(*verdicts)
        blocked = blocked or verdict.effect >= Effect.HOLD
        show(line.id, verdict, explained=args.explain)
    return 2 if failed else int(blocked)


def as_json(name: Any, verdict: Verdict, *, explained: bool) -> dict[str, Any]:
    """Return a verdict as the object that ``--json`` prints."""
    out: dict[str, Any] = {
        "id": name,
        "effect": verdict.effect.name.lower(),
        "rule": verdict.rule,
        "p_value": None if verdict.p_value is None else verdict.p_value.value,
        "level": verdict.level,
        "findings": [
            {
                "detector": f.detector,
                "score": f.score,
                "p_value": f.p_value.value,
                "effect": f.effect.name.lower(),
                "part": f.part,
                "row": f.row,
                "spans": f.evidence.spans,
                "columns": f.evidence.columns,
                "summary": f.evidence.summary,
                "taxonomy": f.taxonomy,
            }
            for f in verdict.findings
        ],
        "coverage": {
            "judged": verdict.coverage.judged,
            "trusted": verdict.coverage.trusted,
            "unjudged": [{"part": u.part, "why": u.why} for u in verdict.coverage.unjudged],
        },
        "faults": [
            {"detector": f.detector, "reason": f.reason.value, "detail": f.detail, "part": f.part}
            for f in verdict.faults
        ],
    }
    if explained:
        out["explanation"] = str(explain(verdict))
    return out


def _show_json(name: Any, verdict: Verdict, *, explained: bool) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(as_json(name, verdict, explained=explained)) + b"\n")
    sys.stdout.buffer.flush()


def _show_text(name: Any, verdict: Verdict, *, explained: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    colour = _COLOURS[verdict.effect]
    rare = how_unusual(verdict.p_value) if verdict.p_value else "uncalibrated"
    seen = ", ".join(dict.fromkeys(f.detector for f in verdict.findings))
    extra = "".join(f"  ! {f.detector}: {f.reason.value}" for f in verdict.faults[:3])
    gap = "  ? unjudged parts" if verdict.coverage.unjudged else ""
    effect = f"[{colour}]{verdict.effect.name:<7}[/{colour}]"
    console.print(f"{escape(str(name)):<24} {effect} {rare:<28} {escape(seen + extra)}{gap}")
    if explained:
        console.print(escape(str(explain(verdict))))


def _show_error(line: Line, error: BartizanError, *, as_json: bool) -> None:
    if as_json:
        body = {"id": line.id, "error": {"message": error.message, "hint": error.hint}}
        sys.stdout.buffer.write(msgspec.json.encode(body) + b"\n")
        sys.stdout.buffer.flush()
    else:
        print(f"{line.id!s:<24} ERROR   {error.message}")


def _progress(lines: Iterable[Line], count: int | None) -> Iterable[Line]:
    """Show progress on a terminal, unless the verdicts themselves go there."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield from lines
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(lines, total=count, description="judging")
