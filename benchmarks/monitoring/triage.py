"""Attack, drift, or both? Confusion matrices of the triage on eight situations.

Four things that happen to a classifier's traffic, {uniform drift, drift of unequal size per tenant,
one attacker, sybils}, each with and without a trusted source. Attackers search for adversarial rows
through the model's scores, or its labels, while everybody else's traffic goes on; sybils share one search among
twenty accounts, or all send shifted rows.

``python -m benchmarks.monitoring triage [--quick]``
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from bartizan.alarms import Alarm, Cause, Events
from bartizan.monitoring.baseline import Baseline, Settings
from bartizan.monitoring.learning import learn
from bartizan.monitoring.monitor import Monitor
from bartizan.stats.intervals import clopper_pearson
from benchmarks.monitoring.tenants import Tenants, session_watch

FloatArray = npt.NDArray[np.float64]
Rng = np.random.Generator

CALM = 10_000
CHANGED = 4_608
"""Long enough for every look at the cause, the last one 4,096 events after the onset."""
STATES = 8
TRUSTED = 0.03
SYBILS = 20
ATTACK_SHARE = 0.08
"""Share of the traffic that an attack, all its accounts together, makes up."""

KEY = b"benchmark"


@dataclass(frozen=True, slots=True)
class Situation:
    """Something that happens, and what it may be called.

    Attributes:
        name: For the table.
        benign: Whether calling it an attack is a false accusation.
        right: The causes that are right, with and without a trusted source.
        change: Changes rows, given who sent them and who is trusted.
        search: Accounts that search for adversarial rows; none: nobody does.
        boundary: They search by labels along the boundary (HopSkipJump), not by scores (SimBA).
    """

    name: str
    benign: bool
    right: tuple[frozenset[Cause], frozenset[Cause]]
    change: Callable[[Rng, FloatArray, FloatArray, FloatArray], None] | None = None
    search: int = 0
    boundary: bool = False


def _uniform(rng: Rng, x: FloatArray, who: FloatArray, trusted: FloatArray) -> None:
    x[:, :2] += rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 0.9)


def _unequal(rng: Rng, x: FloatArray, who: FloatArray, trusted: FloatArray) -> None:
    sizes = rng.exponential(0.7, int(who.max()) + 1)
    # The trusted source is the operator's own sample of the same world: it moves as the world does.
    moved = np.where(trusted > 0, np.average(sizes[who.astype(int)]), sizes[who.astype(int)])
    x[:, 0] += moved


def _sybils(rng: Rng, x: FloatArray, who: FloatArray, trusted: FloatArray) -> None:
    crowd = rng.choice(int(who.max()) + 1, SYBILS, replace=False)
    x[np.isin(who, crowd) & (trusted == 0), 1] += rng.uniform(1.5, 2.5)


_DRIFT = (frozenset({Cause.BENIGN_DRIFT}), frozenset({Cause.UNDETERMINED}))
_UNEQUAL = (
    frozenset({Cause.BENIGN_DRIFT, Cause.TENANT_CHANGE}),
    frozenset({Cause.TENANT_CHANGE, Cause.UNDETERMINED}),
)
_ATTACK = (frozenset({Cause.ATTACK}),) * 2
_CROWD = (
    frozenset({Cause.ATTACK, Cause.TENANT_CHANGE, Cause.PIPELINE_FAULT}),
    frozenset({Cause.ATTACK, Cause.TENANT_CHANGE}),
)

SITUATIONS = (
    Situation("nothing happens", True, (frozenset(), frozenset())),
    Situation("uniform drift", True, _DRIFT, _uniform),
    Situation("drift, unequal per tenant", True, _UNEQUAL, _unequal),
    Situation("one attacker searches by scores", False, _ATTACK, search=1),
    Situation("one attacker searches the boundary", False, _ATTACK, search=1, boundary=True),
    Situation("20 sybils search", False, _ATTACK, search=SYBILS),
    Situation("20 sybils send shifted rows", False, _CROWD, _sybils),
)


def run(*, quick: bool = False) -> dict[str, Any]:
    """Return the confusion matrices."""
    runs = 12 if quick else 200
    tenants = Tenants(0)
    table = session_watch(tenants, quick=quick)
    baseline = _baseline(tenants)
    cells = {}
    for trusted in (True, False):
        states = [_calm(tenants, baseline, trusted, seed) for seed in range(STATES)]
        for situation in SITUATIONS:
            began = time.perf_counter()
            found = [
                _one(tenants, baseline, table(), states[r % STATES], situation, trusted, r)
                for r in range(runs)
            ]
            cells[f"{situation.name} | {'trusted' if trusted else 'no trusted'}"] = _cell(
                situation, found, trusted, time.perf_counter() - began
            )
    return {"runs": runs, "level": table().level.rate, "cells": cells}


def show(results: dict[str, Any]) -> None:
    """Print the confusion matrices."""
    names = [c.value for c in Cause if c is not Cause.MODEL_CHANGED] + ["no alarm"]
    grid = Table(
        title=f"verdicts in {results['runs']} runs a row; sessions at 1 in {1 / results['level']:,.0f}",
        title_justify="left",
    )
    for heading in (
        "what happened",
        "trusted source",
        *names,
        "right",
        "called attack (95%)",
        "median events to verdict",
    ):
        grid.add_column(heading)
    for key, cell in results["cells"].items():
        name, _, trusted = key.partition(" | ")
        low, high = cell["attack_interval"]
        grid.add_row(
            name,
            trusted,
            *(str(cell["causes"].get(n, 0)) for n in names),
            f"{cell['right']:.0%}",
            f"{cell['attack']:.1%} [{low:.1%}, {high:.1%}]"
            + (" FALSE" if cell["benign"] and cell["attack"] else ""),
            "-" if cell["delay"] is None else f"{cell['delay']:,.0f}",
        )
    Console(highlight=False, width=190).print(grid)


def _baseline(tenants: Tenants) -> Baseline:
    rng = np.random.default_rng(1)
    return learn(tenants.events(rng, 60_000), name="triage", created=0.0, rng=rng, settings=Settings(1e6))


def _calm(tenants: Tenants, baseline: Baseline, trusted: bool, seed: int) -> bytes:
    """Return the state of a monitor that has seen quiet traffic; sessions begin after it."""
    monitor = Monitor(baseline, system="triage", key=KEY)
    monitor.feed(tenants.events(np.random.default_rng([2, seed]), CALM, trusted=TRUSTED if trusted else 0.0))
    return monitor.snapshot()


def _one(
    tenants: Tenants,
    baseline: Baseline,
    sessions: Any,
    state: bytes,
    what: Situation,
    trusted: bool,
    seed: int,
) -> tuple[str, int | None, bool]:
    """Return the final verdict, events until it first stood, and whether anybody was called an attacker."""
    rng = np.random.default_rng([3, seed, sum(what.name.encode())])
    monitor = Monitor(baseline, system="triage", key=KEY, sessions=sessions)
    monitor.restore(state)
    alarms: list[Alarm] = []
    for events in _traffic(tenants, rng, what, TRUSTED if trusted else 0.0):
        alarms += monitor.feed(events)
    if not alarms:
        return "no alarm", None, False
    attacks = [a for a in alarms if a.cause is Cause.ATTACK]
    # One list for a person: the gravest of what was said, otherwise the stream's last word.
    final = (attacks or [a for a in alarms if a.grounds[0].answer == "yes"] or alarms)[-1].cause
    first = next(a for a in alarms if a.cause is final)
    return final.value, first.index - CALM + 1, bool(attacks)


def _traffic(tenants: Tenants, rng: Rng, what: Situation, trusted: float) -> Iterator[Events]:
    start = CALM
    if what.search:
        yield tenants.searched(
            rng, CHANGED, what.search, ATTACK_SHARE, boundary=what.boundary, trusted=trusted, start=start
        )
        return
    change = None if what.change is None else lambda x, who, sure: what.change(rng, x, who, sure)
    yield tenants.events(rng, CHANGED, change, trusted=trusted, start=start)


def _cell(
    what: Situation, found: list[tuple[str, int | None, bool]], trusted: bool, seconds: float
) -> dict[str, Any]:
    causes = Counter(cause for cause, _, _ in found)
    right = {c.value for c in what.right[0 if trusted else 1]} or {"no alarm"}
    attacks = sum(called for _, _, called in found)
    waits = [wait for _, wait, _ in found if wait is not None]
    return {
        "benign": what.benign,
        "causes": dict(causes),
        "right": sum(n for c, n in causes.items() if c in right) / len(found),
        "attack": attacks / len(found),
        "attack_interval": clopper_pearson(attacks, len(found)),
        "delay": float(np.median(waits)) if waits else None,
        "seconds": seconds,
    }
