"""Follows benign drift without letting anybody boil the frog.

The *anchor* is signed, never changes, and its detector runs for ever. A *rolling* baseline beside
it takes in a window of events at a time, and only if every guard agrees. The rolling baseline
is partly chosen by the data that it judges, so nothing is promised about it; the
anchor's promise stays. What an attacker can win, and why, is derived in
``docs/concepts/recalibration.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from bartizan.alarms import Answer, Cause, Events, Ground
from bartizan.monitoring.baseline import Baseline
from bartizan.monitoring.capping import weights_of
from bartizan.monitoring.confirmation import Window, confirmations, objections
from bartizan.monitoring.mixing import mixed, together
from bartizan.monitoring.promotion import Circumstances, Limits, Movement, Promotion, Refusal, Replay
from bartizan.monitoring.selection import split
from bartizan.monitoring.streams import IntArray
from bartizan.stats.mixtures import total_variation
from bartizan.types import FloatArray

MIN_EVENTS: Final = 500
LARGE_CUT: Final = 0.1
_ROUNDING: Final = 1e-9
FREEZING: Final = (Cause.ATTACK, Cause.TENANT_CHANGE, Cause.MODEL_CHANGED, Cause.PIPELINE_FAULT)
"""Alarms that stop recalibration until somebody has closed them."""


def promote(
    window: Events,
    *,
    anchor: Baseline,
    current: Baseline,
    now: float,
    rng: np.random.Generator,
    limits: Limits,
    circumstances: Circumstances | None = None,
    since: float = -np.inf,
    epoch: int | None = None,
) -> Promotion | Refusal:
    """Take a window in, or say everything that speaks against it.

    Args:
        window: Events that have been in quarantine, in time order, trusted ones among them.
        anchor: The anchor in force.
        current: The rolling baseline in force; the anchor before the first promotion.
        now: Seconds since the epoch.
        rng: Breaks ties.
        limits: What the operator allows.
        circumstances: What else is known.
        since: Time of the last event already taken in.
        epoch: Number of this promotion since the anchor; default: one more than the last.

    Guarantees:
        A promoted baseline lies within ``limits.step`` of the one in force and within
        ``limits.total`` of the anchor, in total variation on every stream. Windows that differ only
        in one attacker's events give baselines that differ by at most
        :func:`bartizan.monitoring.capping.most_moved`.

    Raises:
        CalibrationError: The window lacks a stream, or the baselines don't belong together.
    """
    together(anchor, current)
    known = circumstances or Circumstances()
    untrusted, trusted = split(window)
    reasons = _standing(window, untrusted, now, since, limits, known)
    if reasons:
        return Refusal(tuple(reasons))
    weights = weights_of(untrusted, limits.principal_share)
    bins = current.bins(untrusted, rng.random((len(untrusted), len(current.streams))))
    shown = _window(current, bins, weights, trusted, known, rng)
    answers = {"the anchor": confirmations(anchor, shown, 2 * len(anchor.streams))}
    if current.epoch:
        answers["the baseline in force"] = confirmations(current, shown, 2 * len(anchor.streams))
    baseline = mixed(anchor, current, bins, weights, limits.eta, epoch or current.epoch + 1, now)
    movements = _movements(anchor, current, baseline)
    over = {m.stream: m.step / limits.step for m in movements if m.step > limits.step}
    if over and all(_confirmed(name, answers) for name in over):
        # The world did move: take in as much of it as one step may.
        eta = limits.eta / max(over.values()) * (1 - _ROUNDING)
        baseline = mixed(anchor, current, bins, weights, eta, epoch or current.epoch + 1, now)
        movements = _movements(anchor, current, baseline)
    reasons = _distances(movements, limits)
    for words, found in answers.items():
        reasons += objections(found, words, needed=limits.trusted_share > 0)
    reasons += [r for replay in known.replays if (r := _missed(baseline, replay, rng))]
    if reasons:
        far = any(m.step > limits.step or m.total > limits.total for m in movements)
        return Refusal(tuple(reasons), far, movements)
    return Promotion(baseline, movements, float(window.times[-1]), _unchecked(limits, known, weights))


def _movements(anchor: Baseline, current: Baseline, baseline: Baseline) -> tuple[Movement, ...]:
    return tuple(
        Movement(s.name, total_variation(s.share, c.share), total_variation(s.share, a.share))
        for s, c, a in zip(baseline.streams, current.streams, anchor.streams, strict=True)
    )


def _confirmed(stream: str, answers: Mapping[str, Mapping[str, Ground]]) -> bool:
    """Whether the trusted source moved with a stream, seen from every reference."""
    return all(stream in found and found[stream].answer is Answer.YES for found in answers.values())


def _standing(
    window: Events, untrusted: Events, now: float, since: float, limits: Limits, known: Circumstances
) -> list[str]:
    """Return what speaks against a window before its values are looked at."""
    reasons = [
        f"alarm {a.id} is open: {a.cause.value}; close it first"
        for a in known.open_alarms
        if a.cause in FREEZING
    ]
    if known.canary is not None and known.canary.answer is Answer.YES:
        reasons.append(f"the model's canaries moved: {known.canary.summary}")
    if len(untrusted) < MIN_EVENTS:
        return [*reasons, f"{len(untrusted)} events are too few; {MIN_EVENTS} are needed"]
    if (waited := now - float(window.times[-1])) < limits.quarantine_s:
        reasons.append(f"the newest event has waited {waited:,.0f} of {limits.quarantine_s:,.0f} seconds")
    if float(window.times[0]) <= since:
        reasons.append("the window begins before the last one ended: no event is taken in twice")
    if not untrusted.principals and limits.principal_share < 1:
        reasons.append("nobody knows who sent the events, so no principal's share can be capped")
    share = 1 - len(untrusted) / len(window)
    if share < limits.trusted_share:
        reasons.append(f"trusted sources supply {share:.1%} of the window, not {limits.trusted_share:.1%}")
    return reasons


def _distances(movements: Sequence[Movement], limits: Limits) -> list[str]:
    steps = [
        f"{m.stream} would move by {m.step:.3f} at once, more than {limits.step:g}; if it stays there, "
        "a person must sign a new anchor"
        for m in movements
        if m.step > limits.step
    ]
    return steps + [
        f"{m.stream} would lie {m.total:.3f} from the anchor, more than {limits.total:g}: a person must sign "
        "a new anchor"
        for m in movements
        if m.total > limits.total
    ]


def _window(
    current: Baseline,
    bins: IntArray,
    weights: FloatArray,
    trusted: Events,
    known: Circumstances,
    rng: np.random.Generator,
) -> Window:
    every, streams = current.every, len(current.streams)
    before = known.trusted_before

    def placed(events: Events | None) -> IntArray:
        if events is None or not len(events):
            return np.empty((0, streams), dtype=np.int64)
        return current.bins(events, rng.random((len(events), streams)))[::every]

    kept = rng.random(len(bins)) < weights
    return Window(bins[kept][::every], placed(trusted), placed(before))


def _missed(baseline: Baseline, replay: Replay, rng: np.random.Generator) -> str:
    """Return what is wrong if a baseline no longer finds an attack in time; empty where it does."""
    u = rng.random((len(replay.events), len(baseline.streams)))
    fed = baseline.bins(replay.events, u)[:: baseline.every]
    crossing = next(iter(baseline.detector().run(fed, first=True)), None)
    if crossing is not None and crossing.index * baseline.every < replay.within:
        return ""
    when = "never" if crossing is None else f"after {crossing.index * baseline.every + 1:,} events"
    return f"the attack {replay.name} would be found {when}, not within {replay.within:,}"


def _unchecked(limits: Limits, known: Circumstances, weights: FloatArray) -> tuple[str, ...]:
    said = []
    if (cut := 1 - float(weights.mean())) > LARGE_CUT:
        said.append(f"the cap left {cut:.0%} of the window out: a few principals send most of it")
    if limits.trusted_share == 0:
        said.append("no trusted source has to confirm a movement: only the caps and distances bound it")
    if known.canary is None:
        said.append("the model has no canaries")
    if not known.replays:
        said.append("no attack is on file to be found again")
    return tuple(said)
