"""``bartizan config``: check a configuration, or print what may stand in one."""

from __future__ import annotations

import argparse
from pathlib import Path

from bartizan.assembly import build_pipeline
from bartizan.config import load, schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("action", choices=("check", "schema"))
    parser.add_argument(
        "-c", "--config", type=Path, default=Path("bartizan.yaml"), help="default: %(default)s"
    )


def run(args: argparse.Namespace) -> int:
    """Check or print."""
    if args.action == "schema":
        print(schema())
        return 0
    config = load(args.config)
    for system in config.systems:
        pipeline = build_pipeline(config, system)
        names = ", ".join(d.spec.name for d in pipeline.detectors)
        rate = config.rate_of(system)
        print(f"{system.name}: {system.kind}, {system.mode.value}, 1 in {1 / rate:,.0f}; {names}")
        for cell in sorted(pipeline.table.cells):
            level = pipeline.table.level(cell, rate)
            n = pipeline.table.cells[cell].statistics.n
            source = pipeline.table.cells[cell].source
            print(f"  {cell}: certified 1 in {1 / level.rate:,.0f} by {n:,} benign messages ({source})")
        if not pipeline.table.cells:
            print("  not calibrated: it observes until `bartizan calibrate` has run")
    return 0
