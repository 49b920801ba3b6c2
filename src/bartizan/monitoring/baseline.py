"""The law of a benign stream: what later events are held against, and what is promised about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from bartizan.alarms import Events
from bartizan.errors import CalibrationError
from bartizan.monitoring.streams import IntArray, Stream, sources
from bartizan.stats.edetector import EDetector
from bartizan.stats.intervals import poisson
from bartizan.types import FloatArray

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator may choose.

    Attributes:
        events_per_alarm: ``A``: at most one false alarm per so many events is expected.
        delta: Probability, over the calibration draw, that the promise does not hold.
    """

    events_per_alarm: float = 1e6
    delta: float = 1e-3


@dataclass(frozen=True, slots=True)
class Check:
    """The self-check: the detector on the last fifth of the calibration, in time order.

    Attributes:
        events: How many events it was fed.
        alarms: How many alarms it raised, at a threshold lowered for the check.
        expected: How many it may be expected to raise at most.
    """

    events: int
    alarms: int
    expected: float

    @property
    def kept(self) -> bool:
        """Whether the alarms can be explained by the expected number; wrong 1 time in 1,000."""
        return self.alarms == 0 or poisson(self.alarms, 0.998)[0] <= self.expected


@dataclass(frozen=True, slots=True)
class Baseline:
    """A benign stream's law.

    Attributes:
        name: What it was learnt from, for people.
        created: Seconds since the epoch.
        events: How many events it was learnt from, thinned ones left out.
        streams: What is watched.
        every: Every ``every``-th event is fed to the detector.
        settings: What was asked for.
        check: The self-check.
        refused: Why nothing is promised; empty where something is.
        epoch: How often the baseline was promoted since its anchor; 0 for an anchor.
        digest: Hex SHA-256 of the encoded baseline.
    """

    name: str
    created: float
    events: int
    streams: tuple[Stream, ...]
    every: int
    settings: Settings
    check: Check
    refused: str = ""
    epoch: int = 0
    digest: str = ""

    @property
    def threshold(self) -> float:
        """The evidence at which the detector, which sees every ``every``-th event, alarms."""
        return max(1.0, self.settings.events_per_alarm / self.every)

    @property
    def promise(self) -> str:
        """What is promised, in words; empty where nothing is."""
        if self.refused:
            return ""
        apart = "" if self.every == 1 else f"{self.every} apart "
        return (
            f"at most 1 false alarm per {self.settings.events_per_alarm:,.0f} events is expected, with "
            f"{1 - self.settings.delta:.1%} confidence over the calibration, while benign events "
            f"{apart}are independent and follow the calibrated law"
        )

    def detector(self) -> EDetector:
        """Return a detector that has seen nothing yet."""
        return EDetector([s.bets for s in self.streams], self.threshold)

    def bins(self, events: Events, u: FloatArray) -> IntArray:
        """Return the bins of events, shape ``(n, F)``.

        Args:
            events: With the columns and outputs that the baseline was learnt from.
            u: Uniform on (0, 1), shape ``(n, F)``.

        Raises:
            CalibrationError: A stream of the baseline is not in the events.
        """
        found = sources(events)
        if missing := [s.name for s in self.streams if s.name not in found]:
            raise CalibrationError(
                f"the stream lacks {', '.join(missing[:5])}{' and more' if missing[5:] else ''}",
                hint="name its columns and outputs as in the calibration",
            )
        columns = [s.bins(found[s.name], u[:, f]) for f, s in enumerate(self.streams)]
        return np.stack(columns, axis=1)

    def delay(self, shift: float) -> float:
        """Return about how many events go by before a shift of one numeric stream is found.

        Args:
            shift: In standard deviations of a normal law.

        Returns:
            Infinity where such a shift is smaller than what the calibration can tell from itself.
        """
        growth = max((_growth(s, shift) for s in self.streams if s.cuts is not None), default=0.0)
        stakes = math.log(self.threshold * len(self.streams) * len(self.streams[0].bets.weights))
        return self.every * stakes / growth if growth > 0 else math.inf


def _growth(stream: Stream, shift: float) -> float:
    """Return the largest mean log payoff per event once the stream has shifted up."""
    inner = [_NORMAL.inv_cdf(p) - shift for p in np.cumsum(stream.share)[:-1].clip(1e-12, 1 - 1e-12)]
    below = np.array([0.0, *map(_NORMAL.cdf, inner), 1.0])
    return float((np.diff(below) @ stream.bets.log).max())
