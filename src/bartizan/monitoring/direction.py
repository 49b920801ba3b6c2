"""What changed, read off the evidence: which streams, which way, and how far each event goes along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bartizan.alarms import StreamShare
from bartizan.monitoring.histories import Counts
from bartizan.monitoring.recent import Stretch
from bartizan.monitoring.streams import Stream
from bartizan.stats.edetector import Crossing, onset
from bartizan.types import FloatArray

MAX_STREAMS: Final = 8
SMALLEST_SHARE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Direction:
    """The direction of a change: a score per bin of the streams that carry the evidence.

    Attributes:
        streams: Positions of the streams, most evidence first, shape ``(m,)``.
        shares: Their shares of the evidence, shape ``(m,)``; they add up to 1.
        bets: The bet that won on each, shape ``(m,)``.
        gains: Log payoffs per bin of each winning bet, each of shape ``(K,)``.
    """

    streams: tuple[int, ...]
    shares: tuple[float, ...]
    bets: tuple[int, ...]
    gains: tuple[FloatArray, ...]

    @classmethod
    def of(cls, crossing: Crossing, streams: Sequence[Stream]) -> Direction:
        """Read the direction off the evidence at an alarm."""
        by_stream = crossing.evidence.sum(axis=1)
        shares = by_stream / by_stream.sum()
        top = [f for f in np.argsort(-shares)[:MAX_STREAMS].tolist() if shares[f] >= SMALLEST_SHARE]
        kept = float(shares[top].sum())
        bets = [int(crossing.evidence[f].argmax()) for f in top]
        gains = [streams[f].bets.log[:, j] for f, j in zip(top, bets, strict=True)]
        return cls(tuple(top), tuple(float(shares[f]) / kept for f in top), tuple(bets), tuple(gains))

    def scores(self, bins: npt.NDArray[np.int8]) -> FloatArray:
        """Return how far each event goes along, shape ``(n,)``; 0 where it says nothing."""
        total = np.zeros(len(bins))
        for f, share, gain in zip(self.streams, self.shares, self.gains, strict=True):
            mine = bins[:, f]
            total += share * np.where(mine >= 0, gain[mine], 0.0)
        return total

    def expected(self, streams: Sequence[Stream]) -> float:
        """Return the mean score of events that follow the calibrated law."""
        pairs = zip(self.streams, self.shares, self.gains, strict=True)
        return float(sum(share * (streams[f].share @ gain) for f, share, gain in pairs))

    def usual(self, counts: Counts) -> tuple[float, int]:
        """Return a principal's own mean score in the past, and from how many events it is known."""
        total, events = 0.0, 0
        for f, share, gain in zip(self.streams, self.shares, self.gains, strict=True):
            mine = counts[f, : len(gain)]
            seen = int(mine.sum())
            if seen:
                total += share * float(mine @ gain) / seen
                events = max(events, seen)
        return total, events

    def since(self, fed: Stretch) -> int:
        """Return the position of the first event after the most likely change point."""
        mine = fed.bins[:, self.streams[0]]
        return min(onset(np.where(mine >= 0, self.gains[0][mine], 0.0)), len(fed) - 1)

    def named(self, streams: Sequence[Stream]) -> tuple[StreamShare, ...]:
        """Return the streams in words."""
        rows = zip(self.streams, self.shares, self.bets, strict=True)
        return tuple(
            StreamShare(streams[f].name, share, streams[f].bets.changes[bet]) for f, share, bet in rows
        )
