"""The table for people and the document for machines."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.latency.load import Load
from benchmarks.latency.measure import Cell, Results, added, ratio
from benchmarks.latency.peers import LITELLM, NGINX, Peer
from benchmarks.latency.workload import CHUNKS

GOAL_CPU_US = 150.0
GOAL_NGINX = 0.15
GOAL_LITELLM = 75.0
GOAL_CHUNK_US = 40.0
GOALS_AT = 16
"""Connections at which the goals are read."""


def document(results: Results, peers: tuple[Peer, ...], python: str) -> dict[str, Any]:
    """Return everything as plain data; ``python`` is the interpreter that was measured."""
    return {
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "python": interpreter(python)},
        "load_average": os.getloadavg(),
        "goals": {
            "at_connections": GOALS_AT,
            "inspected_cpu_us": GOAL_CPU_US,
            "times_nginx": GOAL_NGINX,
            "times_litellm": GOAL_LITELLM,
            "cpu_us_per_chunk": GOAL_CHUNK_US,
        },
        "peers": {p.name: p.what for p in peers},
        "missing": dict(results.missing),
        "cells": [_plain(results, c) for c in results.cells],
    }


def show(console: Console, results: Results, peers: tuple[Peer, ...]) -> None:
    """Print the tables."""
    inspects = {p.name for p in peers if p.inspects}
    counts = sorted({c.connections for c in results.cells if c.kind == "whole"})
    for count in counts:
        console.print(_whole_table(results, count, inspects))
    console.print(_stream_table(results, inspects))
    for name, why in results.missing:
        console.print(f"[yellow]{name} was not measured:[/] {escape(why)}")
    lost = sum(c.dropped for c in results.cells)
    if lost:
        console.print(f"[red]{lost} exchanges were served and not recorded: the disk was too slow[/]")


def _whole_table(results: Results, count: int, inspects: set[str]) -> Table:
    table = Table(title=f"Whole answers, {count} connection{'s' * (count > 1)}", title_justify="left")
    for name in ("peer", "answers/s", "p50 ms", "p99 ms", "added p50", "added p99", "CPU µs", "per core/s",
                 "× nginx", "× LiteLLM", "errors"):  # fmt: skip
        table.add_column(name, justify="left" if name == "peer" else "right", no_wrap=True)
    for cell in results.cells:
        if cell.kind != "whole" or cell.connections != count:
            continue
        held = cell.peer in inspects and count == GOALS_AT
        got = cell.load
        table.add_row(
            cell.peer, f"{got.done / got.seconds:,.0f}", f"{got.p50_us / 1e3:.2f}", f"{got.p99_us / 1e3:.2f}",
            *_added(results, cell),
            _held(cell.cpu_us, "{:.0f}", GOAL_CPU_US if held else None, below=True),
            f"{1e6 / cell.cpu_us:,.0f}" if cell.cpu_us else "",
            _held(ratio(results, cell, NGINX), "{:.2f}", GOAL_NGINX if held else None),
            _held(ratio(results, cell, LITELLM), "{:.0f}", GOAL_LITELLM if held else None),
            _errors(got, cell),
        )  # fmt: skip
    return table


def _stream_table(results: Results, inspects: set[str]) -> Table:
    table = Table(title=f"Streams of {CHUNKS} chunks, 5 ms apart, 16 connections", title_justify="left")
    for name in ("peer", "total p50 ms", "added", "first byte ms", "added first", "CPU µs/stream", "CPU µs/chunk",
                 "× nginx", "errors"):  # fmt: skip
        table.add_column(name, justify="left" if name == "peer" else "right", no_wrap=True)
    direct = next((c for c in results.cells if c.kind == "stream" and c.cpu_us is None), None)
    for cell in results.cells:
        if cell.kind != "stream":
            continue
        got = cell.load
        per_chunk = cell.cpu_us / CHUNKS if cell.cpu_us else None
        table.add_row(
            cell.peer, f"{got.p50_us / 1e3:.1f}",
            f"{(got.p50_us - direct.load.p50_us) / 1e3:+.1f}" if direct else "",
            f"{got.first_us / 1e3:.2f}",
            f"{(got.first_us - direct.load.first_us) / 1e3:+.2f}" if direct else "",
            f"{cell.cpu_us:,.0f}" if cell.cpu_us else "",
            _held(per_chunk, "{:.1f}", GOAL_CHUNK_US if cell.peer in inspects else None, below=True),
            _held(ratio(results, cell, NGINX), "{:.2f}", None),
            _errors(got, cell),
        )  # fmt: skip
    return table


def _added(results: Results, cell: Cell) -> tuple[str, str]:
    more = added(results, cell)
    if more is None or cell.cpu_us is None:
        return "", ""
    return f"{more[0] / 1e3:+.2f}", f"{more[1] / 1e3:+.2f}"


def _held(value: float | None, form: str, goal: float | None, *, below: bool = False) -> str:
    """Return a figure, with its goal beside it."""
    if value is None:
        return ""
    said = form.format(value)
    if goal is None:
        return said
    met = value <= goal if below else value >= goal
    return f"[{'green' if met else 'red'}]{said}[/] [dim]({'≤' if below else '≥'} {goal:g})[/]"


def _errors(got: Load, cell: Cell) -> str:
    lost = f", {cell.dropped} unrecorded" if cell.dropped else ""
    return f"[red]{got.errors}{lost}[/]" if got.errors or lost else "0"


def _plain(results: Results, cell: Cell) -> dict[str, Any]:
    more = added(results, cell)
    return asdict(cell) | {
        "answers_per_s": cell.load.done / cell.load.seconds,
        "answers_per_core_s": 1e6 / cell.cpu_us if cell.cpu_us else None,
        "added_p50_us": more[0] if more else None,
        "added_p99_us": more[1] if more else None,
        "times_nginx": ratio(results, cell, NGINX),
        "times_litellm": ratio(results, cell, LITELLM),
        "cpu_us_per_chunk": cell.cpu_us / CHUNKS if cell.cpu_us and cell.kind == "stream" else None,
    }


_LOOP = """
import platform, time
def loop():
    began, total = time.perf_counter(), 0
    for i in range(1_000_000):
        total += i * 2
    return time.perf_counter() - began
print(platform.python_version(), f"{min(loop() for _ in range(5)) * 1e3:.0f}")
"""


def interpreter(python: str) -> dict[str, str]:
    """Return an interpreter's version and how long it takes for a million turns of a small loop.

    How an interpreter was compiled changes what it costs by up to a half, and few say how.
    """
    asked = subprocess.run([python, "-c", _LOOP], capture_output=True, text=True, check=True).stdout.split()
    return {"version": asked[0], "million_turns_ms": asked[1]}


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo") as info:
            return next((x.partition(":")[2].strip() for x in info if x.startswith("model name")), "")
    except OSError:
        return platform.processor()
