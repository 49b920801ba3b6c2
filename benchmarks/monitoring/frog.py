"""The boiling frog: how far can a patient attacker pull what is taken for normal?

First, slow ramps and who notices them (:mod:`benchmarks.monitoring.ramps`). Then recalibration: windows
of 10,000 events are offered one after the other while an attacker pulls, in one of several
ways; reported is how far the baseline in force ends up from the anchor, as total variation on the
watched stream and as the shift of a normal law that lies as far away. Beside it two ways in which
baselines are usually kept fresh. Last, what the guards cost an honest operator.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from bartizan.alarms import Events
from bartizan.monitoring.baseline import Baseline
from bartizan.monitoring.promotion import Limits, Promotion, Refusal
from bartizan.monitoring.recalibration import promote
from bartizan.stats.mixtures import total_variation
from benchmarks.monitoring import figures, ramps
from benchmarks.monitoring.frog_world import WINDOW, World, anchor_of, learnt

HOLD = 20
"""Windows for which an attacker stays where its ramp has ended."""

TRUSTED = 0.05
LIMITS = Limits(quarantine_s=0.0)
CONFIRMED = replace(LIMITS, trusted_share=TRUSTED / 2)
SYSTEMS = (("guarded", LIMITS), ("guarded, trusted source", CONFIRMED))
GREED = (0.1, 0.3, 0.6, 0.95)
"""Parts of the allowed step that the adaptive attacker dares to use."""

_NORMAL = NormalDist()
Shift = Callable[[Baseline, int], float]


def run(*, quick: bool = False) -> dict[str, Any]:
    lengths = (10_000, 100_000) if quick else (10_000, 100_000, 1_000_000)
    return {
        "limits": {
            "step": LIMITS.step,
            "total": LIMITS.total,
            "eta": LIMITS.eta,
            "cap": LIMITS.principal_share,
        },
        "alarms": ramps.run(lengths, 5 if quick else 10),
        "ramps": [r for share in ramps.SHARES for length in lengths for r in ramp(share, length)],
        "adaptive": [r for share in ramps.SHARES for r in adaptive(share, 30 if quick else 60)],
        "sybils": [sybils(accounts, 10 if quick else 40) for accounts in (1, 10, 100, 1000)],
        "honest": [r for what in HONEST for r in honest(what, 20 if quick else 60)],
    }


def pulled(
    anchor: Baseline, world: World, limits: Limits, windows: int, shift: Shift, seed: int = 0
) -> dict[str, Any]:
    """Offer windows to recalibration while an attacker pulls."""
    rng, current = np.random.default_rng([seed, 5]), anchor
    accepted, human, furthest = 0, 0, 0.0
    for r in range(windows):
        window = world.window(rng, r, WINDOW, shift(current, r))
        result = promote(
            window,
            anchor=anchor,
            current=current,
            now=np.inf,
            rng=rng,
            limits=limits,
            since=r * float(WINDOW) - 1,
        )
        if isinstance(result, Promotion):
            current, accepted = result.baseline, accepted + 1
        else:
            human += result.human
        furthest = max(furthest, distance(anchor, current))
    return _moved(furthest) | {"accepted": accepted / windows, "human": human, "windows": windows}


def distance(anchor: Baseline, current: Baseline) -> float:
    return total_variation(anchor.streams[0].share, current.streams[0].share)


def ramp(share: float, length: int) -> list[dict[str, Any]]:
    """Ramp, then stay; the anchored way with and without a trusted source, and the naive ways."""
    world, climb = World(share), max(1, length // WINDOW)
    anchor = anchor_of(world, 1)
    total = climb + HOLD

    def shift(_: Baseline, r: int) -> float:
        return float(ramps.GOAL * min(1.0, (r + 1) / climb))

    base = {"share": share, "length": length, "goal": share * ramps.GOAL}
    rows = [
        base | {"system": "guarded"} | pulled(anchor, world, LIMITS, total, shift),
        base
        | {"system": "guarded, trusted source"}
        | pulled(anchor, replace(world, trusted=TRUSTED), CONFIRMED, total, shift),
    ]
    return rows + [
        base | {"system": words} | naive(anchor, world, total, shift, gated=gated)
        for words, gated in (("relearnt every window", False), ("relearnt unless it alarms", True))
    ]


def naive(anchor: Baseline, world: World, windows: int, shift: Shift, *, gated: bool) -> dict[str, Any]:
    """Learn again from each window, always or where the detector has been quiet in it."""
    rng, current, alarms, accepted, furthest = np.random.default_rng(5), anchor, 0, 0, 0.0
    for r in range(windows):
        window = world.window(rng, r, WINDOW, shift(current, r))
        u = rng.random((WINDOW, len(current.streams)))
        alarm = bool(current.detector().run(current.bins(window, u), first=True))
        alarms += alarm
        if alarm and gated:
            continue
        current, accepted = (
            learnt(window, rng),
            accepted + 1,
        )
        # Its bins are its own, so it is measured on the anchor's, by a large sample of its law.
        bins = anchor.bins(window, u)[:, 0]
        law = np.bincount(bins, minlength=len(anchor.streams[0].share)) / WINDOW
        furthest = max(furthest, total_variation(anchor.streams[0].share, law))
    return _moved(furthest) | {"accepted": accepted / windows, "alarms": alarms, "windows": windows}


def adaptive(share: float, windows: int) -> list[dict[str, Any]]:
    """An attacker who knows the baselines and the limits, and stays just below them, at the best greed."""
    anchor = anchor_of(World(share), 2)
    rows = []
    for words, limits in SYSTEMS:
        world = World(share, trusted=limits.trusted_share and TRUSTED)
        tried = [
            {"greed": g} | pulled(anchor, world, limits, windows, _careful(anchor, limits, share, g))
            for g in GREED
        ]
        best = max(tried, key=lambda t: float(t["tv"]))
        rows.append({"system": words, "share": share, "tried": tried} | best)
    return rows


def _careful(anchor: Baseline, limits: Limits, share: float, greed: float) -> Shift:
    """Return the largest shift whose expected window passes both distances."""
    cuts, first = anchor.streams[0].cuts, anchor.streams[0].share
    assert cuts is not None
    edges = cuts.edges.tolist()

    def law(s: float) -> np.ndarray:
        evil = np.diff([0.0, *(_NORMAL.cdf(e - s) for e in edges), 1.0])
        return np.asarray((1 - share) * first + share * evil)

    laws = [(s, law(s)) for s in np.arange(0.0, 6.01, 0.1).tolist()]

    def shift(current: Baseline, _: int) -> float:
        now, best = current.streams[0].share, 0.0
        for s, window in laws:
            mixed = (1 - limits.eta) * now + limits.eta * window
            step, total = total_variation(mixed, now), total_variation(mixed, first)
            if step <= greed * limits.step and total <= 0.99 * limits.total:
                best = s
        return best

    return shift


def sybils(accounts: int, windows: int) -> dict[str, Any]:
    """A fifth of all events, far out, from few accounts or many: what the cap leaves of it."""
    world = World(0.2, accounts, networks=min(accounts, 200))
    free = replace(LIMITS, total=1.0, step=1.0)
    anchor = anchor_of(world, 3)
    # The same window twice, once with the attacker's events as everybody else's.
    pair = [once(anchor, world.window(np.random.default_rng(1), 0, WINDOW, own), free) for own in (0.0, 6.0)]
    guarded = pulled(anchor, world, LIMITS, windows, lambda current, r: 6.0)
    window = world.window(np.random.default_rng(1), 0, WINDOW, 6.0)
    realised = sum(p.startswith("account") for p in window.principals) / WINDOW
    bound = free.eta * min(realised, free.principal_share * min(accounts, world.networks))
    return {"accounts": accounts, "bound": bound, "once": distance(*pair), "guarded": guarded["tv"]} | {
        "guarded_accepted": guarded["accepted"],
        "guarded_human": guarded["human"],
    }


def once(anchor: Baseline, window: Events, limits: Limits) -> Baseline:
    rng = np.random.default_rng(2)
    result = promote(window, anchor=anchor, current=anchor, now=np.inf, rng=rng, limits=limits)
    assert isinstance(result, Promotion), result.reasons
    return result.baseline


HONEST: dict[str, tuple[World, Callable[[float], float]]] = {
    "nothing moves": (World(), lambda part: 0.0),
    "drift of .1 sd": (World(), lambda part: 0.1 * part),
    "drift of .5 sd": (World(), lambda part: 0.5 * part),
    "drift of 1 sd": (World(), lambda part: part),
    "season of .2 sd, twice": (World(), lambda part: 0.2 * float(np.sin(4 * np.pi * part))),
    "step of .3 sd halfway": (World(), lambda part: 0.3 * (part >= 0.5)),
    "few unequal clients, nothing moves": (World(heavy=True), lambda part: 0.0),
}


def honest(what: str, windows: int) -> list[dict[str, Any]]:
    """Drift without an attacker; a person who is asked signs a new anchor from the last five windows."""
    place, drift = HONEST[what]
    rows = []
    for words, limits in SYSTEMS:
        world = replace(place, trusted=limits.trusted_share and TRUSTED)
        rng = np.random.default_rng(11)
        anchor = current = anchor_of(world, 4)
        accepted, signed, lag = 0, 0, []
        refusals: dict[str, int] = {}
        for r in range(windows):
            moved = drift((r + 1) / windows)
            window = world.window(rng, r, WINDOW, 0.0, moved)
            result = promote(window, anchor=anchor, current=current, now=np.inf, rng=rng, limits=limits)
            if isinstance(result, Promotion):
                current, accepted = result.baseline, accepted + 1
            else:
                for kind in _kinds(result):
                    refusals[kind] = refusals.get(kind, 0) + 1
                if result.human:
                    signed += 1
                    recent = world.window(rng, r, 5 * WINDOW, 0.0, moved)
                    anchor = current = learnt(recent, rng)
            lag.append(_lag(current, moved, world))
        rows.append(
            {
                "what": what,
                "system": words,
                "windows": windows,
                "accepted": accepted / windows,
                "signed": signed,
            }
            | {"lag": float(np.mean(lag)), "lag_end": lag[-1], "refusals": refusals}
        )
    return rows


def _lag(current: Baseline, drift: float, world: World) -> float:
    """Return how far the baseline in force lies from the true law."""
    rng = np.random.default_rng(12)
    truth = world.window(rng, 0, 200_000 if world.heavy else 1, 0.0, drift)
    stream = current.streams[0]
    if world.heavy:
        bins = current.bins(truth, rng.random((len(truth), len(current.streams))))[:, 0]
        return total_variation(stream.share, np.bincount(bins, minlength=len(stream.share)) / len(truth))
    assert stream.cuts is not None
    law = np.diff([0.0, *(_NORMAL.cdf(e - drift) for e in stream.cuts.edges.tolist()), 1.0])
    return total_variation(stream.share, law)


def _kinds(refusal: Refusal) -> set[str]:
    words = {
        "at once": "step",
        "from the anchor, more": "total",
        "did not:": "trusted still",
        "nothing confirms": "unconfirmed",
    }
    return {kind for reason in refusal.reasons for word, kind in words.items() if word in reason}


def _moved(tv: float) -> dict[str, float]:
    return {"tv": tv, "sd": 2 * _NORMAL.inv_cdf((1 + tv) / 2)}


def show(results: dict[str, Any]) -> None:
    out = figures.console()
    table = figures.grid(
        "ramps to +2 sd of the attacker's events: displacement at the first alarm, median",
        "system", "share", "ramp", "attacker's own", "population", "events", "missed", "alarms", "taken for normal",
    )  # fmt: skip
    for r in results["alarms"]:
        table.add_row(
            r["system"],
            f"{r['share']:.0%}",
            f"{r['length']:,}",
            f"{r['own']:.2f} sd" if "own" in r else "-",
            f"{r['mean']:.3f} sd" if "own" in r else "-",
            f"{r['events']:,.0f}" if "own" in r else "-",
            f"{r['missed']:.0%}",
            f"{r['alarms']:.1f}" if "alarms" in r else "",
            f"{r['taken_for_normal']:.2f} sd" if r.get("taken_for_normal") else "",
        )
    out.print(table)
    limits = results["limits"]
    table = figures.grid(
        f"accepted by recalibration in all (step {limits['step']}, total {limits['total']} allowed)",
        "system", "share", "ramp", "windows", "taken in", "furthest from the anchor", "as a shift", "asked a person", "alarmed",
    )  # fmt: skip
    for r in results["ramps"]:
        table.add_row(r["system"], f"{r['share']:.0%}", f"{r['length']:,}", *_cells(r))
    for r in results["adaptive"]:
        table.add_row(f"{r['system']}; adaptive, greed {r['greed']}", f"{r['share']:.0%}", "", *_cells(r))
    out.print(table)
    table = figures.grid(
        "a fifth of all events at +6 sd, from few accounts or many: distance moved",
        "accounts", "bound a promotion", "without step and total, once", "with them, in all", "taken in", "asked a person",
    )  # fmt: skip
    for r in results["sybils"]:
        table.add_row(
            str(r["accounts"]),
            f"{r['bound']:.4f}",
            f"{r['once']:.4f}",
            f"{r['guarded']:.4f}",
            f"{r['guarded_accepted']:.0%}",
            str(r["guarded_human"]),
        )
    out.print(table)
    table = figures.grid(
        "honest operators: what the guards cost",
        "drift over the windows", "system", "windows", "taken in", "a person signs", "mean lag", "lag at the end", "refused for",
    )  # fmt: skip
    for r in results["honest"]:
        why = ", ".join(f"{k} {v}" for k, v in sorted(r["refusals"].items()))
        table.add_row(
            r["what"],
            r["system"],
            str(r["windows"]),
            f"{r['accepted']:.0%}",
            str(r["signed"]),
            f"{r['lag']:.3f}",
            f"{r['lag_end']:.3f}",
            why,
        )
    out.print(table)


def _cells(r: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(r["windows"]),
        f"{r['accepted']:.0%}",
        f"{r['tv']:.3f}",
        f"{r['sd']:.2f} sd",
        str(r.get("human", "-")),
        str(r.get("alarms", "-")),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    start = time.perf_counter()
    results = run(quick=args.quick)
    show(results)
    print(f"{time.perf_counter() - start:,.0f} s")
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
