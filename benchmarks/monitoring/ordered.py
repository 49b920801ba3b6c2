"""Streams whose events depend on each other: either the promise holds, or none is made.

The shipped baseline is learnt from the first part of a stream in time order; the rest is watched.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bartizan.alarms import Events
from bartizan.errors import CalibrationError
from bartizan.monitoring.baseline import Baseline, Settings
from bartizan.monitoring.learning import learn
from benchmarks.monitoring import figures, streams
from benchmarks.monitoring.peers import FloatArray

CALIBRATION = 20_000
A_SIMULATED, A_REAL = 1e4, 1e3
SIMULATED = {
    "i.i.d. normal": streams.normal,
    "AR(1) .1": streams.autoregressive(0.1),
    "AR(1) .3": streams.autoregressive(0.3),
    "AR(1) .6": streams.autoregressive(0.6),
    "AR(1) .9": streams.autoregressive(0.9),
    "GARCH(1, 1)": streams.garch(),
    "GARCH(1, 1), slow": streams.garch(0.03, 0.965),
    "correlated at lag 7 only": streams.echo,
    "7 clients in turn, AR(1) .9": streams.in_turn(7, 0.9),
    "24 clients in turn, AR(1) .9": streams.in_turn(24, 0.9),
    "a daily cycle": streams.daily,
    "bursts of 30 equal events": streams.bursts,
}


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    draws, events = (2, 100_000) if quick else (8, 300_000)
    rows = [_simulated(name, draw, draws, events) for name, draw in SIMULATED.items()]
    found, _ = streams.series()
    return rows + [_real(column) for column in found]


def watch(first: FloatArray, rest: FloatArray, a: float, seed: int) -> tuple[Baseline, int]:
    """Learn from the first part; return the baseline and the alarms on the rest.

    An alarm is counted whether or not it was covered by a promise.
    """
    rng = np.random.default_rng(seed)
    baseline = learn(_events(first), name="benchmark", created=0.0, rng=rng, settings=Settings(a))
    fed = _events(rest[:: baseline.every])
    bins = baseline.bins(fed, rng.random((len(fed), len(baseline.streams))))
    return baseline, len(baseline.detector().run(bins))


def _events(values: FloatArray) -> Events:
    return Events(np.arange(len(values), dtype=np.float64), {"x": values})


def _simulated(name: str, draw: streams.Sampler, draws: int, events: int) -> dict[str, Any]:
    outcomes = []
    for seed in range(draws):
        values = draw(np.random.default_rng([5, seed]), CALIBRATION + events)
        outcomes.append((*watch(values[:CALIBRATION], values[CALIBRATION:], A_SIMULATED, seed), events))
    return _row(name, A_SIMULATED, outcomes)


def _real(column: streams.Column) -> dict[str, Any]:
    half = len(column.values) // 2
    try:
        outcome = watch(column.values[:half], column.values[half:], A_REAL, 0)
    except CalibrationError as error:
        return {"stream": column.name, "threshold": A_REAL, "error": str(error)}
    return _row(column.name, A_REAL, [(*outcome, len(column.values) - half)])


def _row(name: str, a: float, outcomes: list[tuple[Baseline, int, int]]) -> dict[str, Any]:
    made = [(b, alarms, events) for b, alarms, events in outcomes if b.promise]
    refused = [(b, alarms, events) for b, alarms, events in outcomes if not b.promise]
    return {
        "stream": name,
        "threshold": a,
        "promise": figures.MILLION / a,
        "promised": len(made),
        "refused": len(refused),
        "every": sorted({b.every for b, _, _ in made}),
        "why": sorted({b.refused for b, _, _ in refused})[:1],
        "under_promise": _rate(made),
        "without": _rate(refused),
        "worst": max((alarms * figures.MILLION / events for _, alarms, events in made), default=None),
    }


def _rate(outcomes: list[tuple[Baseline, int, int]]) -> dict[str, Any] | None:
    if not outcomes:
        return None
    return figures.rate(sum(alarms for _, alarms, _ in outcomes), sum(events for _, _, events in outcomes))


def show(results: list[dict[str, Any]]) -> None:
    out = figures.console()
    table = figures.grid(
        "streams in time order: alarms per million events [95% Poisson]",
        "stream",
        "promise asked for",
        "made / refused",
        "1 event in",
        "where promised",
        "worst calibration",
        "where refused",
    )
    for r in results:
        if "error" in r:
            table.add_row(r["stream"], "", "error", "", r["error"])
            continue
        table.add_row(
            r["stream"],
            f"≤{r['promise']:,.0f}",
            f"{r['promised']} / {r['refused']}",
            ", ".join(map(str, r["every"])) or "-",
            figures.per_million(r["under_promise"]),
            "-" if r["worst"] is None else f"{r['worst']:,.0f}",
            figures.per_million(r["without"]),
        )
    out.print(table)
    for r in results:
        for why in r.get("why", ()):
            out.print(f"{r['stream']}: {why}")
