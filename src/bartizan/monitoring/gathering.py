"""Gathers the first events of a stream until a baseline can be learnt from them.

For systems that nobody recorded benign traffic of. Whoever is there while the baseline is learnt
shapes it, so one principal's share is capped, and the baseline says that it comes from live
traffic; a recording that a person has looked at makes a better anchor.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from bartizan.alarms import Events
from bartizan.monitoring.baseline import Baseline, Settings
from bartizan.monitoring.capping import weights_of
from bartizan.monitoring.learning import learn
from bartizan.monitoring.selection import join, select

MAX_VALUES: Final = 50_000_000
"""Input values held while gathering: 400 MB. Wide rows end the gathering earlier."""


class Gathering:
    """Events on their way to a baseline.

    Args:
        wanted: Events to learn from.
        share: Largest share of them that one principal, or one group, may supply; with few
            principals, an equal part.
    """

    def __init__(self, wanted: int, share: float) -> None:
        self.wanted = wanted
        self._share = share
        self._parts: list[Events] = []
        self._held = 0

    def __len__(self) -> int:
        return self._held

    @property
    def ready(self) -> bool:
        """Whether there are enough."""
        columns = len(self._parts[0].columns) if self._parts else 0
        return self._held >= self.wanted or self._held * columns >= MAX_VALUES

    def add(self, events: Events) -> None:
        """Take events in order."""
        if len(events):
            self._parts.append(events)
            self._held += len(events)

    def learn(self, *, name: str, created: float, rng: np.random.Generator, settings: Settings) -> Baseline:
        """Learn a baseline from what was gathered, and let go of it.

        Raises:
            CalibrationError: It teaches nothing.
        """
        events = join(self._parts)
        self._parts, self._held = [], 0
        kept = rng.random(len(events)) < weights_of(events, self._share)
        return learn(
            select(events, np.flatnonzero(kept)), name=name, created=created, rng=rng, settings=settings
        )
