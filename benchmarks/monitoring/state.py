"""Memory after a million events, and whether a restart in the middle changes an alarm.

``python -m benchmarks.monitoring state [--quick]``
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bartizan.alarms import Alarm, Events
from bartizan.monitoring.baseline import Baseline, Settings
from bartizan.monitoring.learning import learn
from bartizan.monitoring.monitor import Monitor

FEATURES = 16
PRINCIPALS = 2_000
PIECE = 8_192
SHIFT = 0.5


def run(*, quick: bool = False) -> dict[str, Any]:
    """Return the figures."""
    events = 100_000 if quick else 1_000_000
    baseline = _baseline()
    return {
        "memory": _memory(baseline, events),
        "restart": _restarts(baseline, 8 if quick else 40),
    }


def show(results: dict[str, Any]) -> None:
    """Print the figures."""
    memory, restart = results["memory"], results["restart"]
    grid = Table(title=f"after {memory['events']:,} events", title_justify="left")
    for heading in ("what", "figure"):
        grid.add_column(heading)
    rows = [
        ("streams", f"{memory['streams']}"),
        ("monitor in all", f"{memory['bytes'] / 2**20:.2f} MiB"),
        ("of it evidence, per stream", f"{memory['evidence_per_stream']:,.0f} bytes"),
        ("of it recent bins, per stream", f"{memory['recent_per_stream']:,.0f} bytes"),
        (
            "of it past counts, per principal",
            f"{memory['per_principal']:,.0f} bytes ({memory['principals']:,} of them)",
        ),
        ("largest size seen on the way", f"{memory['largest'] / 2**20:.2f} MiB"),
        ("saved state", f"{memory['snapshot'] / 2**20:.2f} MiB"),
        ("events per second, everything", f"{memory['events_per_s']:,.0f}"),
        ("feature updates per second", f"{memory['events_per_s'] * memory['streams']:,.0f}"),
    ]
    for row in rows:
        grid.add_row(*row)
    console = Console(highlight=False)
    console.print(grid)
    console.print(
        f"restarts in the middle: {restart['same']} of {restart['runs']} runs gave the same alarms "
        f"({restart['alarms']} alarms in all)"
    )


def _events(rng: np.random.Generator, n: int, start: int = 0, shift: float = 0.0) -> Events:
    x = rng.normal(size=(n, FEATURES))
    x[:, 0] += shift
    who = rng.zipf(1.3, n) % PRINCIPALS
    return Events(
        start + np.arange(float(n)),
        {f"x{i}": x[:, i] for i in range(FEATURES)},
        principals=tuple(f"p{i}" for i in who.tolist()),
        trusted=rng.random(n) < 0.02,
    )


def _baseline() -> Baseline:
    rng = np.random.default_rng(0)
    return learn(_events(rng, 100_000), name="state", created=0.0, rng=rng, settings=Settings(1e6))


def _memory(baseline: Baseline, events: int) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    monitor = Monitor(baseline, system="state", key=b"state")
    largest = 0
    for start in range(0, events, PIECE):
        monitor.feed(_events(rng, min(PIECE, events - start), start))
        largest = max(largest, tracemalloc.get_traced_memory()[0] - before)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    counts = [mine for _, mine in monitor.histories.items()]
    return {
        "events": events,
        "streams": len(baseline.streams),
        "bytes": held,
        "largest": largest,
        "evidence_per_stream": monitor.detector.evidence.nbytes / len(baseline.streams),
        "recent_per_stream": monitor.recent.all().bins.nbytes / len(baseline.streams),
        "per_principal": float(np.mean([c.nbytes for c in counts])),
        "principals": len(counts),
        "snapshot": len(monitor.snapshot()),
        "events_per_s": _speed(baseline),
    }


def _speed(baseline: Baseline, events: int = 200_000) -> float:
    monitor = Monitor(baseline, system="speed", key=b"speed")
    stream = _events(np.random.default_rng(2), events)
    began = time.perf_counter()
    monitor.feed(stream)
    return events / (time.perf_counter() - began)


def _restarts(baseline: Baseline, runs: int) -> dict[str, int]:
    same = alarms = 0
    for seed in range(runs):
        rng = np.random.default_rng([3, seed])
        calm, moved = _events(rng, 3_000), _events(rng, 6_000, 3_000, SHIFT)
        cut = int(rng.integers(1, 6_000))
        whole = Monitor(baseline, system="restart", key=b"restart")
        expected = whole.feed(calm) + whole.feed(moved)
        same += _with_restart(baseline, [calm, moved.part(0, cut)], moved.part(cut, 6_000)) == expected
        alarms += len(expected)
    return {"runs": runs, "same": same, "alarms": alarms}


def _with_restart(baseline: Baseline, before: list[Events], after: Events) -> list[Alarm]:
    first = Monitor(baseline, system="restart", key=b"restart")
    found = [alarm for events in before for alarm in first.feed(events)]
    second = Monitor(baseline, system="restart", key=b"restart")
    second.restore(first.snapshot())
    return found + second.feed(after)
