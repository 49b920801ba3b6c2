"""Slow ramps: how far an attacker has come when the anchored detector speaks, and when ADWIN does.

The attacker owns a share of the events and moves them from the benign law, N(0, 1), to +2 standard
deviations, linearly over a number of events; then it stays there for as long again. Each figure is of
independent streams; the same streams go to every system.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bartizan.stats.bets import numeric_bets
from bartizan.stats.bins import Cuts
from benchmarks.monitoring import ours, remote
from benchmarks.monitoring.peers import FloatArray, peer

SHARES = (0.01, 0.05, 0.2)
GOAL = 2.0
CALIBRATION = 100_000
THRESHOLD = 1e6
CHUNK = 500
"""Alarms are looked at this often, so displacements are known to a 500th of the shortest ramp's 20."""

ADWIN_SEEDS = 3


def shift_at(t: FloatArray, length: int) -> FloatArray:
    """Return the shift of the attacker's own events, in standard deviations."""
    return np.asarray(GOAL * np.minimum(t / length, 1.0))


def events(rng: np.random.Generator, share: float, start: int, n: int, length: int) -> FloatArray:
    """Return ``n`` events from the ``start``-th on."""
    evil = rng.random(n) < share
    return rng.normal(size=n) + evil * shift_at(np.arange(start, start + n, dtype=float), length)


def run(lengths: tuple[int, ...], seeds: int) -> list[dict[str, Any]]:
    rows = []
    for length in lengths:
        firsts = anchored(length, seeds)
        for share, found in zip(SHARES, firsts, strict=True):
            rows.append(_row("anchored, A=1e6", share, length, found))
        rows += [r for share in SHARES if (r := adwin(share, length)) is not None]
    return rows


def anchored(length: int, seeds: int) -> list[list[int | None]]:
    """Return each stream's first alarm, by attacker share."""
    rng = np.random.default_rng(0)
    keys = [(share, seed) for share in SHARES for seed in range(seeds)]
    cuts = [Cuts.of(rng.normal(size=CALIBRATION), rng) for _ in keys]
    many = ours.Parallel([numeric_bets(c.box(ours.DELTA)) for c in cuts], [THRESHOLD])
    rngs = [np.random.default_rng([length, i]) for i in range(len(keys))]
    first: list[int | None] = [None] * len(keys)
    for start in range(0, 2 * length, CHUNK):
        xs = [events(r, share, start, CHUNK, length) for r, (share, _) in zip(rngs, keys, strict=True)]
        bins = [ours.placed(c, x, np.full(CHUNK, 0.5)) for c, x in zip(cuts, xs, strict=True)]
        many.run(np.stack(bins, axis=1))
        for i in np.flatnonzero(many.alarms[0]).tolist():
            first[i] = start + CHUNK if first[i] is None else first[i]
        if all(f is not None for f in first):
            break
    return [first[k : k + seeds] for k in range(0, len(keys), seeds)]


def adwin(share: float, length: int) -> dict[str, Any] | None:
    """Return what ADWIN says, where river is installed."""
    river = peer("river ADWIN")
    if remote.home(river.package) is None:
        return None
    found: list[int | None] = []
    counts, quiet = [], []
    for seed in range(ADWIN_SEEDS):
        rng = np.random.default_rng([length, seed])
        system = remote.make(river, rng.normal(size=CALIBRATION))
        early = len(system.update_block(rng.normal(size=CALIBRATION)))
        alarms = system.update_block(events(rng, share, 0, 2 * length, length))
        found.append(int(alarms[0]) + 1 if len(alarms) else None)
        counts.append(len(alarms))
        quiet.append(not (alarms > 1.5 * length).any())
    row = _row("river ADWIN", share, length, found)
    return row | {
        "alarms": float(np.mean(counts)),
        "before": early,
        # It has taken the new level for normal, and nothing remembers the old one.
        "taken_for_normal": share * GOAL if all(quiet) else None,
    }


def _row(system: str, share: float, length: int, found: list[int | None]) -> dict[str, Any]:
    seen = [float(shift_at(np.array(float(f)), length)) for f in found if f is not None]
    row: dict[str, Any] = {"system": system, "share": share, "length": length, "streams": len(found)}
    row["missed"] = sum(f is None for f in found) / len(found)
    if seen and row["missed"] < 0.5:
        own = float(np.median([np.inf if f is None else shift_at(np.array(float(f)), length) for f in found]))
        row |= {"own": own, "mean": own * share, "own_worst": max(seen)}
        row["events"] = float(np.median([2 * length if f is None else f for f in found]))
    return row
