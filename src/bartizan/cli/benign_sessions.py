"""Benign sessions of a recording's own principals, so that searching ones stand out."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from bartizan import registry
from bartizan.alarms import Events
from bartizan.calibration.session_build import FIT_SHARE as CONTRAST_SHARE
from bartizan.calibration.session_build import MIN_SESSIONS, REFERENCE_SHARE, Watched, build_session_table
from bartizan.calibration.sessions import FIRST, SessionTable, due
from bartizan.errors import CalibrationError
from bartizan.features.principals import Tracker
from bartizan.features.sessions import Session
from bartizan.features.sketch import Scale
from bartizan.monitoring.sessions import RATE
from bartizan.monitoring.streams import as_numbers
from bartizan.stats.conformal import points_needed
from bartizan.types import FloatArray

LARGEST_RATE: Final = 0.01
"""A calibration that can't certify so few signals among benign sessions is of no use."""

MAX_SESSIONS: Final = 20_000


def learn_from_principals(
    events: Events, *, key: bytes, name: str, created: float, rng: np.random.Generator
) -> tuple[SessionTable | None, str]:
    """Learn what sessions of a benign recording look like.

    Args:
        events: Benign events with principals and outputs.
        key: A secret for the sketches.
        name: What the events are, for people.
        created: Seconds since the epoch.
        rng: Splits the sessions.

    Returns:
        The table, or ``None`` where too little is known; and a sentence that says so.
    """
    if not events.principals or events.outputs is None or not events.columns:
        return None, "sessions: not watched, they need inputs, principals and outputs"
    rows = np.stack([as_numbers(column) for column in events.columns.values()], axis=1)
    least = math.ceil(points_needed(LARGEST_RATE) / (1 - REFERENCE_SHARE - CONTRAST_SHARE))
    try:
        scale = Scale.of(rows, rng)
        benign = _sessions(events, rows, Tracker(scale, key, capacity=MAX_SESSIONS))
        if len(benign) < max(least, MIN_SESSIONS):
            return None, f"sessions: not watched, {len(benign):,} in the calibration are fewer than {least:,}"
        table = build_session_table(
            benign,
            registry.sequence_detectors(),
            scale=scale,
            name=name,
            created=created,
            rate=RATE,
            rng=rng,
        )
    except CalibrationError as error:
        return None, f"sessions: not watched, {error.message}"
    if not any(reference for by_length in table.references.values() for reference in by_length):
        return None, f"sessions: not watched, too few in the calibration have {FIRST} queries or more"
    long = sum(bool(session.views) for session in benign)
    rate = f"1 in {1 / table.level(RATE).rate:,.0f}"
    return table, (
        f"sessions: {len(benign):,} in the calibration, {long:,} of them of {FIRST} queries or more; at most "
        f"{rate} like them is called searching. Clients that explain or test the model are called so too, "
        "unless they are among them"
    )


def _sessions(events: Events, rows: FloatArray, tracker: Tracker) -> list[Watched]:
    """Return sessions as they looked at their checkpoints, as a live watch sees them."""
    seen: dict[int, list[Session]] = {}
    outputs = events.outputs
    for i, principal in enumerate(events.principals):
        if events.trusted is not None and events.trusted[i]:
            continue
        answer = None if outputs is None else outputs[i]
        live = tracker.observe(principal, float(events.times[i]), rows[i], answer).live
        if live.id not in seen and len(seen) >= MAX_SESSIONS:
            break
        views = seen.setdefault(live.id, [])
        if due(live.state.queries, live.checked):
            live.checked = live.state.queries
            views.append(live.state.view())
    return [Watched("recorded", tuple(views)) for views in seen.values()]
