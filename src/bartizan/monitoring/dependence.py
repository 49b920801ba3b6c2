"""Whether the events of a stream depend on each other: what breaks every promise about streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from bartizan.monitoring.streams import IntArray, Stream
from bartizan.stats.autocorrelation import lag_test

LAGS: Final = tuple(range(1, 51))
"""Every lag up to here: seven clients in turn show at the seventh alone."""

MAX_VALUES: Final = 30_000
"""The newest values of each stream that are tested; more would take minutes for many streams."""

LEVEL: Final = 0.01
"""Probability with which some stream of independent events is called dependent."""

MIN_VALUES: Final = 200
"""Streams with fewer values are too short to be tested, and hardly ever have a say."""


def dependent_streams(bins: IntArray, streams: Sequence[Stream]) -> list[str]:
    """Return the streams whose events depend on those before, most strongly dependent first.

    Tested are bins, which find levels that wander, and how far they lie from the middle, which
    finds spreads that come in waves.

    Args:
        bins: In time order, shape ``(n, F)``.
        streams: What the columns are.
    """
    found: list[tuple[float, str]] = []
    for f, stream in enumerate(streams):
        values = bins[bins[:, f] >= 0, f][-MAX_VALUES:].astype(np.float64)
        if len(values) < MIN_VALUES or np.ptp(values) == 0.0:
            continue
        # Categories have no middle: the most frequent one stands for it.
        middle = (len(stream.share) - 1) / 2 if stream.cuts is not None else float(stream.share.argmax())
        series = (values, np.abs(values - middle))
        tests = [lag_test(s, LAGS, LEVEL / (2 * len(streams))) for s in series if np.ptp(s) > 0.0]
        if worst := [t for t in tests if t.dependent]:
            found.append((max(abs(t.autocorrelation) for t in worst), stream.name))
    return [name for _, name in sorted(found, reverse=True)]
