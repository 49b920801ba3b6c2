"""False alarms where nothing changes: promised and realised.

Ours: 20 calibration sets, each drawn from the law of another real column, times 20 streams of a
million events drawn from the same law. With a column's empirical law as the population, drawing
with replacement is i.i.d. drawing, for calibration and stream alike; every value is an atom, and
some columns have five distinct values. Reported are the mean and the worst calibration set.

Besides, without simulation: for thousands of calibration sets the bets' exact expected payoffs under
the population. A payoff above 1 is what breaks the promise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bartizan.stats.bets import numeric_bets
from bartizan.stats.bins import Cuts
from bartizan.stats.intervals import poisson
from benchmarks.monitoring import figures, ours, remote, streams
from benchmarks.monitoring.peers import FloatArray, Peer

CALIBRATION = (5_000, 20_000, 100_000)
THRESHOLDS = (1e3, 1e4, 1e6)
SETS, SEEDS = 20, 20
CHUNK = 20_000


def run(*, quick: bool = False) -> dict[str, Any]:
    events, seeds = (50_000, SEEDS // 10) if quick else (1_000_000, SEEDS)
    columns, absent = streams.columns()
    rng = np.random.default_rng(0)
    same = [
        ours.agrees(draw(rng, 20_000), draw(rng, 20_000), 50.0)
        for draw in (streams.normal, columns[0].draw, columns[-1].draw)
    ]
    rows: list[dict[str, Any]] = []
    for n in CALIBRATION:
        rows += figures.timed(f"resampled, n={n:,}", lambda n=n: resampled(columns, n, events, seeds))
    sets = 3_000_000 if quick else 30_000_000
    return {
        "absent": list(absent),
        "columns": [{"name": c.name, "values": len(c.values), "distinct": c.distinct} for c in columns],
        "same": all(same),
        "resampled": rows,
        "expected": [
            figures.timed(f"payoffs, n={n:,}", lambda n=n: expected(columns, n, sets // n))
            for n in CALIBRATION
        ],
        "peers": figures.timed("peers", lambda: against_peers(quick=quick)),
    }


def resampled(columns: tuple[streams.Column, ...], n: int, events: int, seeds: int) -> list[dict[str, Any]]:
    """Count the alarms of ``len(columns) * seeds`` streams at every threshold."""
    cuts, bets = [], []
    for i, column in enumerate(columns[:SETS]):
        rng = np.random.default_rng([n, i])
        cuts.append(Cuts.of(column.draw(rng, n), rng))
        bets.append(numeric_bets(cuts[-1].box(ours.DELTA)))
    sets = len(cuts)
    many = ours.Parallel([bets[i] for i in range(sets) for _ in range(seeds)], THRESHOLDS)
    rngs = [np.random.default_rng([n, i, s + 1]) for i in range(sets) for s in range(seeds)]
    for start in range(0, events, CHUNK):
        size = min(CHUNK, events - start)
        many.run(
            np.stack(
                [_bins(columns[k // seeds], cuts[k // seeds], r, size) for k, r in enumerate(rngs)], axis=1
            )
        )
    return [
        _row(columns, n, a, counts.reshape(sets, seeds), events)
        for a, counts in zip(THRESHOLDS, many.alarms, strict=True)
    ]


def _bins(column: streams.Column, cuts: Cuts, rng: np.random.Generator, n: int) -> np.ndarray:
    return ours.placed(cuts, column.draw(rng, n), rng.random(n)).astype(np.int16)


def _row(
    columns: tuple[streams.Column, ...], n: int, a: float, counts: np.ndarray, events: int
) -> dict[str, Any]:
    by_set = counts.sum(axis=1)
    worst = int(by_set.argmax())
    each = events * counts.shape[1]
    promise = figures.MILLION / a
    over = [figures.rate(int(c), each) for c in by_set]
    return {
        "n": n,
        "bootstrap": n > max(len(c.values) for c in columns),
        "threshold": a,
        "promise": promise,
        "streams": int(counts.size),
        "mean": figures.rate(int(by_set.sum()), each * len(by_set)),
        "worst": figures.rate(int(by_set[worst]), each),
        "worst_column": columns[worst].name,
        "sets_over": sum(r["rate"] > promise for r in over),
        "sets_surely_over": sum(r["low"] > promise for r in over),
    }


def expected(columns: tuple[streams.Column, ...], n: int, sets: int) -> dict[str, Any]:
    """Return the share of calibration sets under which some bet gains on unchanged data."""
    worst, gaining = 0.0, 0
    for i in range(sets):
        rng = np.random.default_rng([n, i, 0])
        column = columns[i % len(columns)]
        cuts = Cuts.of(column.draw(rng, n), rng)
        payoff = float((_law(column.values, cuts) @ np.exp(numeric_bets(cuts.box(ours.DELTA)).log)).max())
        worst, gaining = max(worst, payoff), gaining + (payoff > 1.0)
    low, high = poisson(gaining)
    return {"n": n, "sets": sets, "gaining": gaining, "low": low / sets, "high": high / sets, "worst": worst}


def _law(values: FloatArray, cuts: Cuts) -> FloatArray:
    """Return the exact bin probabilities of a population; an atom on an edge is split by the tie-break."""
    ordered = np.sort(values)
    below = np.searchsorted(ordered, cuts.edges, side="left")
    level = np.searchsorted(ordered, cuts.edges, side="right")
    return np.diff(np.concatenate([[0.0], (below + (level - below) * cuts.breaks) / len(ordered), [1.0]]))


def against_peers(*, quick: bool) -> list[dict[str, Any]]:
    """Count everybody's alarms, at their defaults, on simulated nulls."""
    here, absent = remote.present()
    seconds = 0.5 if quick else 2.0
    nulls = {
        "i.i.d.": streams.normal,
        "AR(1) .3": streams.autoregressive(0.3),
        "AR(1) .6": streams.autoregressive(0.6),
        "GARCH": streams.garch(),
    }
    rows = [_ours(nulls, a, 200_000 if quick else 1_000_000) for a in (1e3, 1e4)]
    rows += [_peer(p, nulls, seconds) for p in here]
    return rows + [{"system": name, "nominal": "absent"} for name in absent]


def _ours(nulls: dict[str, streams.Sampler], a: float, events: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "system": f"ours, bare, n=1e5, A={a:.0e}",
        "nominal": f"≤{figures.MILLION / a:,.0f}",
    }
    for name, draw in nulls.items():
        rng = np.random.default_rng(11)
        system = ours.Ours(draw(rng, 100_000), a)
        row[name] = figures.rate(len(system.update_block(draw(rng, events))), events)
    return row


def _peer(p: Peer, nulls: dict[str, streams.Sampler], seconds: float) -> dict[str, Any]:
    events = int(min(p.rate * seconds * (4 if p.slow else 1), 10_000_000 if p.package else 200_000))
    row: dict[str, Any] = {"system": p.name, "nominal": p.nominal}
    for name, draw in nulls.items():
        rng = np.random.default_rng(12)
        reference = draw(rng, 20_000)
        system = remote.make(p, reference)
        row[name] = figures.rate(len(system.update_block(draw(rng, events))), events)
    return row


def show(results: dict[str, Any]) -> None:
    out = figures.console()
    table = figures.grid(
        "real columns, resampled: false alarms per million events [95% Poisson]",
        "calibration",
        "promise",
        "streams",
        "mean",
        "worst set",
        "its column",
        "sets over",
        "surely over",
    )
    for r in results["resampled"]:
        table.add_row(
            f"{r['n']:,}{' (bootstrap)' if r['bootstrap'] else ''}",
            f"≤{r['promise']:,.0f}",
            f"{r['streams']} × {r['mean']['events'] // r['streams']:,}",
            figures.per_million(r["mean"]),
            figures.per_million(r["worst"]),
            r["worst_column"] if r["worst"]["alarms"] else "-",
            str(r["sets_over"]),
            str(r["sets_surely_over"]),
        )
    out.print(table)
    out.print(
        f"side-by-side stepping counts as the shipped detector does: {'yes' if results['same'] else 'NO'}"
    )
    table = figures.grid(
        "calibration sets whose bets gain on unchanged data (allowed: 0.1%)",
        "calibration",
        "sets",
        "gaining",
        "share, 95%",
        "largest expected payoff",
    )
    for r in results["expected"]:
        table.add_row(
            f"{r['n']:,}",
            f"{r['sets']:,}",
            str(r["gaining"]),
            f"{r['low']:.3%} to {r['high']:.3%}",
            f"{r['worst']:.6f}",
        )
    out.print(table)
    names = ("i.i.d.", "AR(1) .3", "AR(1) .6", "GARCH")
    table = figures.grid(
        "simulated nulls, everybody at defaults: false alarms per million events [95% Poisson]",
        "system",
        "nominal",
        *names,
        "events each",
    )
    for r in results["peers"]:
        events = r.get("i.i.d.", {}).get("events")
        table.add_row(
            r["system"],
            r["nominal"],
            *(figures.per_million(r.get(name)) for name in names),
            f"{events:,}" if events else "-",
        )
    out.print(table)
    if results["absent"]:
        out.print(f"not installed, their columns left out: {', '.join(results['absent'])}")
