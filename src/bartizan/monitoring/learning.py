"""Learns a baseline from benign events, and finds out what may be promised.

Three questions are answered before anything is promised: are there enough events, do they
depend on each other, and does the detector keep its rate on the last fifth of them? Where
events depend, only every ``h``-th is fed; where no ``h`` helps, nothing is promised.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from bartizan.alarms import Events
from bartizan.errors import CalibrationError
from bartizan.monitoring.baseline import Baseline, Check, Settings
from bartizan.monitoring.dependence import dependent_streams
from bartizan.monitoring.selection import select
from bartizan.monitoring.stored import sealed
from bartizan.monitoring.streams import Stream, learn_stream, sources
from bartizan.stats.edetector import MAX_THRESHOLD, EDetector
from bartizan.types import FloatArray

MIN_EVENTS: Final = 500
"""Fewer events teach nothing: not even a change of a whole standard deviation would be seen."""

THINNINGS: Final = (1, 2, 5, 10, 20, 50, 100, 200)
HELD_OUT: Final = 0.2
EXPECTED_IN_CHECK: Final = 10.0
"""False alarms allowed in the self-check: enough to tell a kept promise from a broken one."""


def learn(
    events: Events, *, name: str, created: float, rng: np.random.Generator, settings: Settings | None = None
) -> Baseline:
    """Learn a baseline from benign events in time order.

    Args:
        events: Benign events, none of which the system was tuned on.
        name: What they are, for people.
        created: Seconds since the epoch.
        rng: Breaks ties.
        settings: What the operator chose.

    Raises:
        CalibrationError: There are too few events, or a column holds nothing to learn from.
    """
    settings = settings or Settings()
    if not 1 <= settings.events_per_alarm <= MAX_THRESHOLD or not 0 < settings.delta < 1:
        raise CalibrationError(
            f"1 false alarm per {settings.events_per_alarm:g} events can't be asked for",
            hint=f"ask for 1 per 1 to {MAX_THRESHOLD:g} events",
        )
    if len(events) < MIN_EVENTS:
        raise CalibrationError(
            f"{len(events)} events are too few to learn a baseline from",
            hint=f"give at least {MIN_EVENTS}; 5,000 find shifts of half a standard deviation",
        )
    why, first, passed = "", None, False
    for every in THINNINGS:
        kept = select(events, np.arange(0, len(events), every))
        if len(kept) < MIN_EVENTS:
            break
        baseline = _learn(
            kept, Baseline(name, created, len(kept), (), every, settings, Check(0, 0, 0.0)), rng
        )
        # Where events depended, one step beyond the first that looks independent: passing is no proof.
        if not baseline.refused and (every == 1 or passed):
            return sealed(baseline)
        passed = not baseline.refused
        why, first = why or baseline.refused, first or baseline
    if first is None:
        raise CalibrationError("no event is left", hint="give more events")
    return sealed(replace(first, refused=why))


def _learn(events: Events, draft: Baseline, rng: np.random.Generator) -> Baseline:
    """Learn the streams, and say in ``refused`` why nothing may be promised, if so."""
    u = rng.random((len(events), len(sources(events))))
    early = int(len(events) * (1 - HELD_OUT))
    started = replace(draft, streams=_streams(events.part(0, early), draft.settings, rng))
    check = _check(started, events.part(early, len(events)), u[early:])
    learnt = replace(draft, streams=_streams(events, draft.settings, rng), check=check)
    apart = f" {learnt.every} apart" if learnt.every > 1 else ""
    if moved := dependent_streams(learnt.bins(events, u), learnt.streams):
        return replace(learnt, refused=f"events{apart} depend on each other: {', '.join(moved[:3])}")
    if not check.kept:
        why = f"{check.alarms} alarms where at most {check.expected:.0f} were to be expected"
        return replace(learnt, refused=f"the last fifth of the calibration differs from the rest: {why}")
    return learnt


def _streams(events: Events, settings: Settings, rng: np.random.Generator) -> tuple[Stream, ...]:
    found = sources(events)
    delta = settings.delta / len(found)
    return tuple(learn_stream(name, values, delta, rng) for name, values in found.items())


def _check(started: Baseline, events: Events, u: FloatArray) -> Check:
    threshold = max(1.0, len(events) / EXPECTED_IN_CHECK)
    detector = EDetector([s.bets for s in started.streams], threshold)
    alarms = len(detector.run(started.bins(events, u)))
    return Check(len(events), alarms, len(events) / threshold)
