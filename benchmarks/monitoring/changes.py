"""How long until a change is found, at equal realised false alarms and at everybody's defaults.

A run is 1,000 to 2,000 events without change, whose alarms don't count, then the change for up to 8,000
events (300 to 1,300, and 2,000, for systems below 20,000 events a second). Ours is calibrated on
100,000 events; runs take turns over ten calibration sets.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.monitoring import contest, figures, remote, streams
from benchmarks.monitoring.contest import Contestant
from benchmarks.monitoring.peers import Peer
from benchmarks.monitoring.streams import Change, Kind

WARM_UP, SHORT_WARM_UP = 1000, 300
STAGGER = 1000
"""Runs start their change at different places of a window of a thousand."""

HORIZON, SHORT_HORIZON = 8000, 2000
RUNS, SLOW_RUNS = 100, 15
SLOW = 2e4
RAMPS = (2_000, 20_000, 200_000, 1_000_000)
BEFORE_RAMP = 5000
RAMP_SECONDS = 8.0


def run(*, quick: bool = False) -> dict[str, Any]:
    here, absent = remote.present()
    peers = [p for p in here if p.package]
    seconds = 0.2 if quick else 1.5
    kinds: dict[str, list[Change]] = {}
    for change in streams.changes():
        kinds.setdefault(change.kind.name, []).append(change)
    tables = []
    for found in kinds.values():
        numeric = not found[0].kind.categorical
        measure = _numeric if numeric else _coded
        tables += figures.timed(
            found[0].kind.name,
            lambda measure=measure, found=found: measure(found[0].kind, found, peers, seconds, quick=quick),
        )
    return {"tables": tables, "ramps": ramps(peers, quick=quick), "absent": absent}


def _numeric(
    kind: Kind, found: list[Change], peers: list[Peer], seconds: float, *, quick: bool
) -> list[dict[str, Any]]:
    curve = contest.rate_of_ours(40_000 if quick else 500_000)
    ours = [contest.ours_at(kind, a) for a in (1e3, 1e4, 1e6)]
    defaults = [contest.at_defaults(p, kind) for p in peers]
    tables = [
        _table("at defaults", kind, found, [*ours, *defaults, *contest.baselines(1000)], seconds, quick)
    ]
    for c in ours:
        c.null = curve[c.systems[0].detector.threshold]
    tables[0]["rows"][:3] = [c.as_dict() for c in ours]
    tables.append(_at_peers_rates(kind, found, defaults, curve, seconds, quick=quick))
    for c in ours[:2]:
        tables.append(_equal(kind, found, peers, c, seconds, quick=quick))
    return tables


def _coded(
    kind: Kind, found: list[Change], peers: list[Peer], seconds: float, *, quick: bool
) -> list[dict[str, Any]]:
    """Categories as codes, errors as 0 and 1, as these detectors are given them."""
    ours = [contest.ours_at(kind, a) for a in (1e3, 1e4, 1e6)]
    defaults = [contest.at_defaults(p, kind) for p in peers]
    tables = [
        _table("at defaults", kind, found, [*ours, *defaults, *contest.baselines(1000)], seconds, quick)
    ]
    fast = [p for p in peers if p.rate > SLOW]
    return [*tables, _equal(kind, found, fast, ours[0], seconds, quick=quick)]


def _at_peers_rates(
    kind: Kind, found: list[Change], defaults: list[Contestant], curve: dict, seconds: float, *, quick: bool
) -> dict[str, Any]:
    """Ours, at the rate that each peer has by default."""
    rivals = []
    for c in defaults:
        rate = c.null["rate"] if c.null["alarms"] else c.null["high"]
        threshold = contest.threshold_for(curve, rate)
        rivals.append(contest.ours_at(kind, threshold, f"ours, for {c.name}"))
        if not c.null["alarms"]:
            rivals[-1].setting += " (its upper limit)"
    return _table("ours at the default rate of each peer", kind, found, rivals, seconds, quick)


def _equal(
    kind: Kind, found: list[Change], peers: list[Peer], ours: Contestant, seconds: float, *, quick: bool
) -> dict[str, Any]:
    """Everybody at the rate that ours realises."""
    target = ours.null["rate"]
    title = f"everybody at {target:,.3g} realised"
    if not target:
        return {
            "title": title,
            "kind": kind.name,
            "changes": [],
            "rows": [],
            "unreachable": {"all": "ours raised none"},
        }
    rows, unreachable = [ours, *contest.baselines(target)], {}
    for p in peers:
        if quick and p.slow:
            continue
        # Seldom alarms take longer to count.
        patience = seconds * (8 if p.slow else 1) * (1 if target > 50 else 2)
        made = contest.tuned(p, kind, target, patience)
        if isinstance(made, str):
            unreachable[p.name] = made
        else:
            rows.append(made)
    return _table(title, kind, found, rows, seconds, quick) | {"unreachable": unreachable, "target": target}


def _table(
    title: str, kind: Kind, found: list[Change], rows: list[Contestant], seconds: float, quick: bool
) -> dict[str, Any]:
    for c in rows:
        c.null = c.null or contest.realised(c, kind, seconds * (6 if c.rate < SLOW else 1))
        for change in found:
            if change.name not in c.delays:
                c.delays[change.name] = _delays(c, change, quick=quick)
    return {
        "title": title,
        "kind": kind.name,
        "changes": [f.name for f in found],
        "rows": [c.as_dict() for c in rows],
    }


def _delays(c: Contestant, change: Change, *, quick: bool) -> dict[str, Any]:
    slow = c.rate < SLOW
    horizon = SHORT_HORIZON if slow else HORIZON
    runs = (SLOW_RUNS if slow else RUNS) // (5 if quick else 1)
    waits: list[int | None] = []
    for seed in range(runs):
        rng = np.random.default_rng([41, seed])
        warm = (SHORT_WARM_UP if slow else WARM_UP) + 379 * seed % STAGGER
        before, after = change.kind.before(rng, warm), change.after(rng, horizon)
        system = c.systems[seed % len(c.systems)]
        system.reset()
        system.update_block(before)
        at = system.first(after)
        waits.append(None if at is None else at + 1)
    return figures.delays(waits, horizon)


def ramps(peers: list[Peer], *, quick: bool) -> list[dict[str, Any]]:
    """Where on a slow rise to 2 standard deviations the first alarm comes, and how many come."""
    kind = Kind("numeric", streams.normal)
    rows = [contest.ours_at(kind, a) for a in (1e4, 1e6)]
    rows += [contest.at_defaults(p, kind) for p in peers]
    rows += contest.baselines(1000)
    return [
        {"system": f"{c.name}, {c.setting}", "ramps": {n: _ramp(c, n) for n in RAMPS[: 2 if quick else 4]}}
        for c in rows
    ]


def _ramp(c: Contestant, length: int) -> dict[str, Any] | None:
    if length / c.rate > RAMP_SECONDS:
        return None
    runs = 5 if length / c.rate < RAMP_SECONDS / 5 else 1
    displacements, alarms = [], []
    for seed in range(runs):
        rng = np.random.default_rng([51, seed])
        system = c.systems[seed % len(c.systems)]
        system.reset()
        system.update_block(rng.standard_normal(BEFORE_RAMP))
        found = system.update_block(streams.ramp(rng, length))
        displacements.append(2.0 * found[0] / length if len(found) else None)
        alarms.append(len(found))
    seen = [d for d in displacements if d is not None]
    return {"first": float(np.median(seen)) if seen else None, "alarms": float(np.mean(alarms)), "runs": runs}


def show(results: dict[str, Any]) -> None:
    out = figures.console()
    for t in results["tables"]:
        table = figures.grid(
            f"{t['kind']}: {t['title']}; median delay in events",
            "system",
            "setting",
            "false alarms per 1e6 [95%]",
            *t["changes"],
        )
        for r in t["rows"]:
            waits = (figures.delay(r["delays"].get(name)) for name in t["changes"])
            table.add_row(
                r["system"], r["setting"], figures.per_million(r["null"]) + _off(r, t.get("target")), *waits
            )
        out.print(table)
        for name, why in t.get("unreachable", {}).items():
            out.print(f"  {name}: rate not reachable: {why}")
    lengths = [str(n) for n in results["ramps"][0]["ramps"]]
    table = figures.grid(
        "ramps from 0 to 2σ: displacement at the first alarm, alarms in all",
        "system",
        *(f"{int(n):,}" for n in lengths),
    )
    for r in results["ramps"]:
        cells = {str(n): cell for n, cell in r["ramps"].items()}
        table.add_row(r["system"], *(_ramp_text(cells[n]) for n in lengths))
    out.print(table)
    for name in results["absent"]:
        out.print(f"{name}: absent")


def _off(row: dict[str, Any], target: float | None) -> str:
    """Return a mark where fresh events show that a rate is not the one aimed at after all."""
    if target is None or row["system"] == "always":
        return ""
    return "" if row["null"]["low"] <= target <= row["null"]["high"] else " ≠"


def _ramp_text(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return "- (slow)"
    return (
        f"{'never' if cell['first'] is None else format(cell['first'], '.2f') + 'σ'}, {cell['alarms']:,.0f}"
    )
