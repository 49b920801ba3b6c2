"""Some events out of many, and many parts as one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from bartizan.alarms import Events


def select(events: Events, where: npt.NDArray[Any]) -> Events:
    """Return the events at some positions, or those that a mask marks."""
    at = np.flatnonzero(where) if where.dtype == np.bool_ else where
    positions = at.tolist()

    def names(values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(values[i] for i in positions) if values else ()

    return Events(
        events.times[at],
        {name: column[at] for name, column in events.columns.items()},
        None if events.outputs is None else events.outputs[at],
        names(events.principals),
        None if events.trusted is None else events.trusted[at],
        names(events.ids),
        {name: names(values) for name, values in events.groups.items()},
    )


def split(events: Events) -> tuple[Events, Events]:
    """Return the events of everybody else, and those of trusted sources."""
    trusted = events.trusted if events.trusted is not None else np.zeros(len(events), dtype=np.bool_)
    return select(events, ~trusted), select(events, trusted)


def join(parts: Sequence[Events]) -> Events:
    """Return parts of one stream as one; they must have the same columns.

    Raises:
        ValueError: They don't.
    """
    first = parts[0]
    if any(
        p.columns.keys() != first.columns.keys() or (p.outputs is None) != (first.outputs is None)
        for p in parts
    ):
        raise ValueError("parts of different streams")
    none = [np.zeros(len(p), dtype=np.bool_) if p.trusted is None else p.trusted for p in parts]
    return Events(
        np.concatenate([p.times for p in parts]),
        {name: np.concatenate([p.columns[name] for p in parts]) for name in first.columns},
        None
        if first.outputs is None
        else np.concatenate([p.outputs for p in parts if p.outputs is not None]),
        tuple(chain.from_iterable(p.principals for p in parts)),
        np.concatenate(none),
        tuple(chain.from_iterable(p.ids for p in parts)),
        {name: tuple(chain.from_iterable(p.groups[name] for p in parts)) for name in first.groups},
    )
