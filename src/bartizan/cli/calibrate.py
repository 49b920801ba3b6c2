"""``bartizan calibrate``: learn what is usual, and say which false-alarm rate that certifies."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table as Grid

from bartizan import registry
from bartizan.assembly import build_pipeline, generic_table, learned_path, protocols_of
from bartizan.calibration.build import REFERENCE_SHARE, build_table, with_missing_cells
from bartizan.calibration.holdout import Realised, realised_rates
from bartizan.calibration.table import Table, encode
from bartizan.cli.check import add_system_arguments, configured
from bartizan.cli.enrol import enrol_model
from bartizan.cli.lines import Line, judged, read
from bartizan.cli.outputs import asking
from bartizan.cli.row_calibration import (
    FIT_SHARE,
    Learnt,
    learnt,
    lines_of_rows,
    parted,
    print_selection,
    rows_of_lines,
)
from bartizan.cli.simulate_sessions import simulate_sessions
from bartizan.clock import WALL_CLOCK
from bartizan.config import Config, System
from bartizan.errors import CalibrationError
from bartizan.guard import Guard
from bartizan.monitoring.sessions import SESSIONS
from bartizan.stats.conformal import points_needed
from bartizan.store.reading import open_reader
from bartizan.types import Measured, Mode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("file", nargs="?", help="benign data in the form that `check` takes")
    add_system_arguments(parser)
    parser.add_argument("--from-traffic", action="store_true", help="use the scores of recorded traffic")
    parser.add_argument(
        "--fit", metavar="FILE", help="predict: reference rows to fit on, such as training data"
    )
    parser.add_argument("--model", help="predict: ask the upstream's model of this name for its outputs")
    parser.add_argument(
        "--sessions",
        nargs="?",
        type=int,
        const=SESSIONS,
        metavar="N",
        help=f"predict, with --model: simulate N benign sessions (default: {SESSIONS:,}), LIME and SHAP "
        "clients included, so that searches stand out; asks the model some hundred thousand rows",
    )
    parser.add_argument(
        "-o", "--out", type=Path, help="where to write the table; default: the system's own place"
    )
    parser.add_argument("--seed", type=int, default=0, help="splits the data; default: %(default)s")
    parser.add_argument("--json", action="store_true", help="JSON for machines")


def run(args: argparse.Namespace) -> int:
    """Calibrate one system."""
    if bool(args.file) == bool(args.from_traffic):
        raise CalibrationError("give either a FILE of benign data or --from-traffic")
    if args.sessions is not None and args.model is None:
        raise CalibrationError("--sessions asks the model", hint="name it with --model")
    config, name = configured(args)
    system = config.system(name).model_copy(update={"mode": Mode.OBSERVE})
    rate, rng = config.rate_of(system), np.random.default_rng(args.seed)
    found, first = Learnt(tuple(_names(system)), {}, None), None
    if args.from_traffic:
        rows = open_reader(config.store.path).measured(system.name, since=None, limit=None)
        measured = [Measured(r.cell, r.units, dict(r.maxima)) for r in rows]
    else:
        first, measured, found = _measure(config, system, args, rng)
    detectors = [registry.detector(n, system.options.get(n)) for n in found.names]
    units = {d.spec.name: d.spec.unit for d in detectors}
    table = build_table(
        measured,
        name=args.file or f"{system.name}, recorded traffic",
        source="operator",
        created=WALL_CLOCK(),
        units=units,
        versions={d.spec.name: d.spec.version for d in detectors},
        rng=rng,
        fitted=found.states,
        selection=found.selection,
        first=first,
    )
    held_out = realised_rates(measured, rate=rate, units=units, rng=rng)
    if system.kind == "chat":
        table = with_missing_cells(table, generic_table())
    out = args.out or learned_path(config.store.path, system.name)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(encode(table))
    _report(table, held_out, rate, out, as_json=args.json)
    return 0


def _names(system: System) -> Sequence[str]:
    """Return all detectors that a system's scores may come from, where none has been chosen."""
    return system.detectors if system.detectors is not None else registry.detectors_for(system.kind)


def _measure(
    config: Config, system: System, args: argparse.Namespace, rng: np.random.Generator
) -> tuple[list[Measured] | None, list[Measured], Learnt]:
    """Return the scores of stage 1 (``None`` where they are yet to be parted) and of stage 2."""
    lines = _read(args.file)
    if system.kind == "chat":
        found = Learnt(tuple(_names(system)), {}, None)
        return None, _scored(config, system, found, lines), found
    with asking(system, args.model) if args.model is not None else nullcontext() as model:
        rank = rows_of_lines(lines, model)
        if args.model is not None and system.fingerprint is not None:
            enrol_model(system, system.fingerprint, config.store.path, rank.inputs)
        if args.sessions is not None and model is not None:
            simulate_sessions(system.name, rank.inputs, model, config.store.path, rng, sessions=args.sessions)
        if args.fit is not None:
            learn = rows_of_lines(_read(args.fit), model)
        else:
            learn, rank = parted(rank, rng, FIT_SHARE)
        first, rest = parted(rank, rng, REFERENCE_SHARE)
        found = learnt(
            system, learn, first, model, rate=config.rate_of(system), ranked=len(rest.inputs), rng=rng
        )
        stages = [lines_of_rows(found.asked(rows, model)) for rows in (first, rest)]
    one, two = (_scored(config, system, found, stage) for stage in stages)
    return one, two, found


def _scored(config: Config, system: System, found: Learnt, lines: Sequence[Line]) -> list[Measured]:
    table = Table("being made", 0.0, {}, found.states, selection=found.selection)
    guard = Guard(build_pipeline(config, system, table=table), protocols_of(system)[0])
    measured: list[Measured] = []
    for line in track(lines, "scoring benign data", console=Console(stderr=True), transient=True):
        measured.extend(v.measured for v in judged(guard, line) if v.measured is not None)
    return measured


def _read(source: str) -> list[Line]:
    lines = list(read(source))
    for line in lines:
        if line.error is not None:
            raise line.error
    return lines


def _report(table: Table, held_out: Sequence[Realised], rate: float, out: Path, *, as_json: bool) -> None:
    levels = {cell: table.level(cell, rate) for cell in sorted(table.cells)}
    if as_json:
        body: dict[str, Any] = {
            "table": str(out),
            "digest": table.digest,
            "cells": {
                cell: {"n": table.cells[cell].statistics.n, "source": table.cells[cell].source}
                | asdict(level)
                for cell, level in levels.items()
            },
            "held_out": [asdict(r) for r in held_out],
            "selection": None if table.selection is None else msgspec.structs.asdict(table.selection),
        }
        print(json.dumps(body))
        return
    console = Console(highlight=False)
    grid = Grid(title=f"promised: at most 1 in {1 / rate:,.0f} benign messages alarmed", title_justify="left")
    for heading in ("cell", "benign", "source", "certified (99%)", "realised, held out", "95% interval"):
        grid.add_column(heading)
    found = {r.cell: r for r in held_out}
    for cell, level in levels.items():
        realised = found.get(cell)
        grid.add_row(
            cell,
            f"{table.cells[cell].statistics.n:,}",
            table.cells[cell].source,
            f"1 in {1 / level.rate:,.0f}" + ("" if level.kept else " (not what was asked)"),
            f"{realised.flagged} of {realised.total:,}" if realised else "-",
            f"{realised.low:.2%} to {realised.high:.2%}" if realised else "-",
        )
    console.print(grid)
    if any(not level.kept for level in levels.values()):
        needed = math.ceil(points_needed(rate) / (1 - REFERENCE_SHARE))
        console.print(
            f"1 in {1 / rate:,.0f} needs {needed:,} benign messages per cell; "
            "until then Bartizan works at the certified rate."
        )
    if table.selection is not None:
        print_selection(console, table.selection)
    console.print(f"written to {out}")
