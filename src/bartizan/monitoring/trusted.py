"""Did the trusted source move too? World drift moves both, an attack moves the untrusted only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from bartizan.alarms import Answer, Ground
from bartizan.types import FloatArray

LEVEL: Final = 0.01
MIN_EVENTS: Final = 30
HALF: Final = 0.5
"""The trusted source has moved too if it moved at least half as far."""

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Moved:
    """A mean score after a change less the one before, and its standard error."""

    by: float
    error: float

    @classmethod
    def between(cls, before: FloatArray, after: FloatArray, usual: float) -> Moved:
        """Compare scores; with too few before the change, with the calibrated mean ``usual``."""
        known = len(before) >= MIN_EVENTS
        start = float(before.mean()) if known else usual
        spread = float(before.var(ddof=1)) / len(before) if known else 0.0
        error = math.sqrt(spread + float(after.var(ddof=1)) / len(after))
        return cls(float(after.mean()) - start, error)


def compare(
    trusted: tuple[FloatArray, FloatArray], untrusted: tuple[FloatArray, FloatArray], usual: float, looks: int
) -> Ground:
    """Say whether the trusted source moved with the others.

    Args:
        trusted: Scores along the direction of the change, before and after it began.
        untrusted: The same of everybody else.
        usual: Calibrated mean score.
        looks: How often the question is asked per alarm; each look has its share of the level.

    Guarantees:
        Both answers are statements with an interval: ``yes`` where the trusted source moved and
        may have moved half as far as the others, ``no`` where it certainly moved less than that.
        Each is wrong with probability at most :data:`LEVEL` over all looks, up to the normal
        approximation of a mean of at least 30 bounded scores. Anything else is ``unknown``.
    """
    before, after = trusted
    if len(after) < MIN_EVENTS or len(untrusted[1]) < MIN_EVENTS:
        words = f"{len(after)} events of trusted sources since the change are too few to tell"
        return Ground("trusted", Answer.UNKNOWN, 0.0, words)
    theirs = Moved.between(before, after, usual)
    others = Moved.between(*untrusted, usual)
    reach = _NORMAL.inv_cdf(1 - LEVEL / (2 * looks))
    half = HALF * others.by
    apart = reach * math.hypot(theirs.error, HALF * others.error)
    words = (
        f"{len(after)} events of trusted sources moved {_share(theirs.by, others.by)} as far as the others"
    )
    if theirs.by - half + apart < 0:
        return Ground("trusted", Answer.NO, LEVEL, words)
    if theirs.by - reach * theirs.error > 0:
        return Ground("trusted", Answer.YES, LEVEL, words)
    return Ground("trusted", Answer.UNKNOWN, 0.0, words)


def _share(theirs: float, others: float) -> str:
    return f"{max(0.0, theirs / others):.0%}" if others > 0 and np.isfinite(theirs) else "an unknown part"
