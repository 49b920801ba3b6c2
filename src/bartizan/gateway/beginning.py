"""What stands in for a monitor until live traffic has taught a baseline."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from bartizan.alarms import Alarm, Events, Ground
from bartizan.errors import BartizanError
from bartizan.monitoring.baseline import Baseline, Settings
from bartizan.monitoring.gathering import Gathering
from bartizan.monitoring.stored import encode
from bartizan.store.private_file import save_bytes

_LOG = logging.getLogger("bartizan")

SHARE: Final = 0.05
"""Largest share of a live baseline that one principal may supply."""


class Beginning:
    """Gathers a system's first events, learns a baseline from them and keeps it.

    Until then nothing is watched, and that is said. Alarms can't be raised, and the state is
    not kept over a restart: gathering begins anew.

    Args:
        system: The system's name.
        wanted: Events to learn from.
        path: Where the baseline is kept.
        settings: What is promised.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, system: str, wanted: int, path: Path, settings: Settings, clock: Callable[[], float]
    ) -> None:
        self.baseline: Baseline | None = None
        self._system = system
        self._path = path
        self._settings = settings
        self._clock = clock
        self._gathering = Gathering(wanted, SHARE)
        self._problem = ""

    @property
    def said(self) -> str:
        """How far it is, and why nothing is promised yet."""
        held, wanted = len(self._gathering), self._gathering.wanted
        words = f"no baseline yet: {held:,} of {wanted:,} events gathered to learn one from"
        return f"{words} ({self._problem})" if self._problem else words

    def feed(self, events: Events) -> list[Alarm]:
        """Take events; learn once there are enough."""
        try:
            self._gathering.add(events)
            if self._gathering.ready:
                self.baseline = self._learn()
        except (BartizanError, ValueError) as error:
            # Columns that changed on the way, or a constant stream: what was gathered teaches nothing.
            self._problem = str(error)
            self._gathering = Gathering(self._gathering.wanted, SHARE)
        return []

    def evidence(self) -> Mapping[str, float]:
        """Return nothing: nothing is watched."""
        return {}

    def canaries(self, ground: Ground | None) -> None:
        """Take no notice: the fingerprint raises its own alarm."""

    def snapshot(self) -> bytes:
        """Return nothing to keep."""
        return b""

    def restore(self, data: bytes) -> None:
        """Take nothing back."""

    def _learn(self) -> Baseline:
        now = self._clock()
        baseline = self._gathering.learn(
            name=f"{self._system}, live traffic",
            created=now,
            rng=np.random.default_rng(),
            settings=self._settings,
        )
        save_bytes(self._path, encode(baseline))
        _LOG.info("%s is watched from now on: %s", self._system, baseline.promise or baseline.refused)
        return baseline
