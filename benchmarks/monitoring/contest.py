"""Who is compared in :mod:`benchmarks.monitoring.changes`, and at which false-alarm rate.

Rates are made equal both ways: peers are tuned to ours by the setting that moves theirs, and ours,
whose threshold is continuous, is set to the rate that each peer has at its defaults.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bartizan.stats.bets import numeric_bets
from bartizan.stats.bins import Cuts
from benchmarks.monitoring import figures, ours, remote
from benchmarks.monitoring.peers import Peer, System, peer
from benchmarks.monitoring.streams import Kind

CALIBRATION = 100_000
CALIBRATIONS = 10
GRID = (20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 3e3, 1e4, 3e4, 1e5, 1e6)
TUNING_STEPS = 7
CLOSE = 1.15
"""Near enough to a target to stop tuning."""

SEEN = 3
"""Alarms to be expected while a setting is tried; fewer say nothing."""

REACHED = 1.6
"""A tuned rate counts as equal within this factor of its target."""


@dataclass(slots=True)
class Contestant:
    """A system at one setting, with what it did.

    Attributes:
        name: As in the tables.
        systems: Set-ups that differ in their calibration; runs take turns.
        rate: Events a second, roughly.
        setting: In words.
        null: Its realised false alarms.
        delays: By change.
    """

    name: str
    systems: Sequence[System]
    rate: float
    setting: str
    null: dict[str, Any] = field(default_factory=dict)
    delays: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"system": self.name, "setting": self.setting, "null": self.null, "delays": self.delays}


def ours_at(kind: Kind, threshold: float, name: str = "ours") -> Contestant:
    """Return ours at a threshold, over several calibration sets."""
    systems = []
    for seed in range(CALIBRATIONS):
        reference = kind.before(np.random.default_rng([seed, 1]), CALIBRATION)
        systems.append(ours.Ours(reference, threshold, categorical=kind.categorical))
    return Contestant(name, systems, 3e5, f"A={threshold:,.0f}")


def rate_of_ours(events: int) -> dict[float, dict[str, Any]]:
    """Return our realised false alarms on normal events at every threshold of the grid."""
    cuts = []
    for seed in range(20):
        rng = np.random.default_rng([seed, 2])
        cuts.append(Cuts.of(rng.standard_normal(CALIBRATION), rng))
    many = ours.Parallel([numeric_bets(c.box(ours.DELTA)) for c in cuts for _ in range(4)], GRID)
    rng = np.random.default_rng(3)
    for start in range(0, events, 20_000):
        size = min(20_000, events - start)
        drawn = [ours.placed(c, rng.standard_normal(size), np.zeros(size)) for c in cuts for _ in range(4)]
        many.run(np.stack(drawn, axis=1))
    total = many.alarms.sum(axis=1)
    return {a: figures.rate(int(c), events * 80) for a, c in zip(GRID, total, strict=True)}


def threshold_for(curve: dict[float, dict[str, Any]], rate: float) -> float:
    """Return the threshold at which ours has a rate, between those that were measured."""
    known = [(math.log(r["rate"]), math.log(a)) for a, r in curve.items() if r["rate"] > 0]
    known.sort()
    xs, ys = zip(*known, strict=True)
    return float(math.exp(np.interp(math.log(rate), xs, ys)))


def at_defaults(p: Peer, kind: Kind) -> Contestant:
    """Return a peer as it comes."""
    return Contestant(p.name, _set_up(p, kind, {}), p.rate, f"{p.knob}={p.default:g}" if p.knob else "-")


def baselines(rate: float) -> list[Contestant]:
    """Return always-alarm, and random alarms at a rate per million."""
    dice = remote.make(peer("random"), np.empty(0), rate=rate / figures.MILLION)
    always = remote.make(peer("always"), np.empty(0))
    return [
        Contestant("always", [always], 1e6, "-"),
        Contestant("random", [dice], 1e6, f"p={rate / figures.MILLION:.3g}"),
    ]


def tuned(p: Peer, kind: Kind, target: float, seconds: float) -> Contestant | str:
    """Tune a peer to a false-alarm rate per million; or say why that can't be done.

    Args:
        p: The peer.
        kind: The stream.
        target: False alarms per million.
        seconds: How long a setting may be tried, on an idle core.
    """
    if p.package == "evidently":
        if not p.knob:
            return "its distance has no error rate"
        threshold = target * 1000 / figures.MILLION
        return _contestant(p, kind, {"threshold": threshold}, threshold)
    if p.package == "alibi_detect":
        ert = figures.MILLION / target
        if 10 * ert > 1e5:
            return f"an ERT of {ert:,.0f} needs {10 * ert:,.0f} bootstraps"
        return _contestant(p, kind, {"ert": ert, "n_bootstraps": 10 * ert}, ert)
    if p.rate * seconds * target < SEEN * figures.MILLION:
        return f"{SEEN} alarms would take {SEEN * figures.MILLION / target / p.rate:,.0f} s to count, for each setting tried"
    return _searched(p, kind, target, seconds)


def _searched(p: Peer, kind: Kind, target: float, seconds: float) -> Contestant | str:
    most, least = (math.log(end) for end in p.span)
    reference = kind.before(np.random.default_rng(21), 5000)
    events = int(min(p.rate * seconds, 3e6))
    best: tuple[float, float, float] | None = None
    for step in range(TUNING_STEPS):
        at = most if step == 0 else (most + least) / 2
        found = _rate(remote.make(p, reference, **{p.knob: math.exp(at)}), kind, events, seed=22 + step)
        if step == 0 and found < target / REACHED:
            return f"at most {found:,.3g} with {p.knob}={math.exp(at):g}"
        off = abs(math.log(max(found, 0.1) / target))
        if best is None or off < best[0]:
            best = (off, math.exp(at), found)
        if step > 0:
            most, least = (at, least) if found > target else (most, at)
        if best[0] < math.log(CLOSE):
            break
    assert best is not None
    if best[0] > math.log(REACHED):
        return f"nearest is {best[2]:,.3g} with {p.knob}={best[1]:.4g}"
    return _contestant(p, kind, {p.knob: best[1]}, best[1])


def _contestant(p: Peer, kind: Kind, settings: dict[str, float], value: float) -> Contestant:
    return Contestant(p.name, _set_up(p, kind, settings), p.rate, f"{p.knob}={value:.4g}")


def _set_up(p: Peer, kind: Kind, settings: dict[str, float]) -> list[System]:
    # Only evidently and alibi look at the reference; a set-up of alibi takes seconds.
    number = {"evidently": CALIBRATIONS}.get(p.package, 1)
    references = [kind.before(np.random.default_rng([seed, 4]), 5000) for seed in range(number)]
    return [remote.make(p, reference, **settings) for reference in references]


def realised(contestant: Contestant, kind: Kind, seconds: float) -> dict[str, Any]:
    """Count false alarms on fresh events, over all its calibrations."""
    each = int(min(contestant.rate * seconds, 3e6) / len(contestant.systems))
    alarms = 0
    for i, system in enumerate(contestant.systems):
        system.reset()
        alarms += len(system.update_block(kind.before(np.random.default_rng([31, i]), each)))
    return figures.rate(alarms, each * len(contestant.systems))


def _rate(system: System, kind: Kind, events: int, seed: int) -> float:
    return (
        len(system.update_block(kind.before(np.random.default_rng(seed), events))) * figures.MILLION / events
    )
