"""What watching costs: updates a second, memory a feature, set-up, installation; everybody in the same run.

An update is one event of one feature. Peers watch one feature a time, so theirs is counted on one and
stays what it is for many. Ratios are to the first row of the table, measured within the same minute.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from typing import Any

import numpy as np

from bartizan.alarms import Events
from bartizan.monitoring.baseline import Baseline, Settings
from bartizan.monitoring.learning import learn
from bartizan.monitoring.monitor import Monitor
from bartizan.stats.bets import numeric_bets
from bartizan.stats.bins import Cuts
from bartizan.stats.edetector import EDetector
from benchmarks.monitoring import figures, footprint, ours, remote

FEATURES = (1, 16, 256)
CALIBRATION = 20_000
REPEATS = 5
UPDATES = 2_000_000
"""Feature-updates that one timing takes."""

SECONDS = 2.0
MEMORY_EVENTS, SLOW_MEMORY_EVENTS = 1_000_000, 20_000
THRESHOLD = 1e6


def run(*, quick: bool = False) -> dict[str, Any]:
    updates = UPDATES // (10 if quick else 1)
    rows = [row for f in FEATURES for row in _ours(f, updates)]
    here, absent = remote.present()
    rows += [_peer(p, quick=quick) for p in here if p.package]
    return {"speed": rows, "memory": _memory(quick=quick), "absent": absent}


def _ours(features: int, updates: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    n = updates // features
    start = time.perf_counter()
    cuts = [Cuts.of(rng.standard_normal(CALIBRATION), rng) for _ in range(features)]
    detector = EDetector([numeric_bets(c.box(ours.DELTA)) for c in cuts], THRESHOLD)
    set_up = time.perf_counter() - start
    values, u = rng.standard_normal((features, n)), rng.random((features, n))

    def bins() -> np.ndarray:
        return np.stack([c.place(v, w) for c, v, w in zip(cuts, values, u, strict=True)], axis=1)

    ready = bins()
    few = ready[: max(1, n // 10)]
    monitor = Monitor(_baseline(features), system="benchmark", key=b"benchmark")
    events = _events(rng, features, max(1, n // 4))
    rows = [
        ("detector", lambda: detector.run(ready), n),
        ("detector, from numbers", lambda: detector.run(bins()), n),
        ("detector, event by event", lambda: [detector.run(row[None, :]) for row in few], len(few)),
        ("monitor: streams, histories, alarms", lambda: monitor.feed(events), len(events)),
    ]
    return [
        {
            "system": f"ours, {name}",
            "features": features,
            "updates": features * count / _best(call),
            "set_up": set_up if name == "detector" else None,
        }
        for name, call, count in rows
    ]


def _baseline(features: int) -> Baseline:
    rng = np.random.default_rng(1)
    return learn(
        _events(rng, features, CALIBRATION // 4),
        name="benchmark",
        created=0.0,
        rng=rng,
        settings=Settings(THRESHOLD),
    )


def _events(rng: np.random.Generator, features: int, n: int) -> Events:
    return Events(np.arange(n, dtype=np.float64), {f"x{f}": rng.standard_normal(n) for f in range(features)})


def _best(call: Callable[[], object]) -> float:
    """Return the shortest of several runs: what is left is what others did to the machine."""
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)


def _peer(p: Any, *, quick: bool) -> dict[str, Any]:
    rng = np.random.default_rng(2)
    reference = rng.standard_normal(5000)
    start = time.perf_counter()
    system = remote.make(p, reference)
    set_up = time.perf_counter() - start
    n = int(p.rate * SECONDS / REPEATS / (10 if quick else 1)) + 1000
    taken = min(remote.timed_block(system, rng.standard_normal(n))[1] for _ in range(REPEATS))
    events = (SLOW_MEMORY_EVENTS if p.rate < 5e4 else MEMORY_EVENTS) // (10 if quick else 1)
    return {
        "system": p.name,
        "features": 1,
        "updates": n / taken,
        "set_up": set_up,
        "bytes": remote.held_bytes(p, reference, rng.standard_normal(events)),
        "bytes_after": events,
        "install": remote.install(p),
    }


def _memory(*, quick: bool) -> list[dict[str, Any]]:
    """Ours after few events and after many: it must be the same."""
    rows = []
    for features in (1, 16):
        baseline = _baseline(features)
        for events in (10_000, 100_000 if quick else 1_000_000):
            monitor = _fed(baseline, features, events)
            rows.append(
                {
                    "features": features,
                    "events": events,
                    "evidence": monitor.detector.evidence.nbytes / features,
                    "snapshot": len(monitor.snapshot()) / features,
                }
            )
    rng = np.random.default_rng(3)
    reference = rng.standard_normal(CALIBRATION)
    held = footprint.bytes_after(lambda: ours.Ours(reference, THRESHOLD), rng.standard_normal(100_000))
    return [*rows, {"detector": held, "install": footprint.install_mb(_requirements())}]


def _fed(baseline: Baseline, features: int, events: int) -> Monitor:
    rng = np.random.default_rng(4)
    monitor = Monitor(baseline, system="benchmark", key=b"benchmark")
    for _ in range(events // 10_000):
        monitor.feed(_events(rng, features, 10_000))
    return monitor


def _requirements() -> list[str]:
    return tomllib.loads((remote.ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


def show(results: dict[str, Any]) -> None:
    out = figures.console()
    first = results["speed"][0]["updates"]
    table = figures.grid(
        "one core",
        "system",
        "features",
        "feature-updates/s",
        "ratio",
        "set-up s",
        "bytes a feature",
        "after",
        "install MB",
    )
    for r in results["speed"]:
        install = r.get("install")
        table.add_row(
            r["system"],
            str(r["features"]),
            f"{r['updates']:,.0f}",
            f"{r['updates'] / first:.2g}",
            "-" if r["set_up"] is None else f"{r['set_up']:.2f}",
            f"{r['bytes']:,}" if "bytes" in r else "-",
            f"{r['bytes_after']:,}" if "bytes_after" in r else "-",
            f"{install['mb']:,} ({install['distributions']})" if install else "-",
        )
    out.print(table)
    *rows, last = results["memory"]
    table = figures.grid(
        "ours, memory a feature in bytes", "features", "after events", "evidence", "snapshot of the monitor"
    )
    for r in rows:
        table.add_row(
            str(r["features"]), f"{r['events']:,}", f"{r['evidence']:,.0f}", f"{r['snapshot']:,.0f}"
        )
    out.print(table)
    size = last["install"]
    out.print(f"ours, a detector of one stream with its tables: {last['detector']:,} bytes")
    out.print(
        f"ours, all that the product requires: {size['mb']:,} MB, {size['distributions']} distributions"
    )
    for name in results["absent"]:
        out.print(f"{name}: absent")
