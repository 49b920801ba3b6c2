"""The geometry of the drawings: numbers in, coordinates out. Templates write the SVG.

Colours live in the style sheet, so that a drawing follows the reader's light or dark
scheme; every drawing has a table beside it that says the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bartizan.types import Effect

WIDTH = 1080.0
HEIGHT = 150.0
_MIN_SEGMENT = 2.5
"""Height below which a rare but important effect would vanish beside many allowed ones."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One colour of a stacked bar."""

    effect: str
    count: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One stacked bar: a stretch of time from ``start`` (seconds since the epoch)."""

    start: float
    x: float
    width: float
    total: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Exchanges over time, stacked by effect."""

    bars: tuple[Bar, ...]
    top: int
    total: int
    step_s: float
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Count:
    """So many exchanges with one effect, at one time."""

    time: float
    effect: Effect
    count: int


def traffic(counts: Iterable[Count], since: float, until: float, bars: int = 60) -> Traffic:
    """Stack counts into ``bars`` equal stretches of ``[since, until)``.

    Counts outside are left out. Anything but ALLOW is drawn at least
    :data:`_MIN_SEGMENT` high; the table beside the drawing has the numbers.
    """
    step = (until - since) / bars
    table = [dict.fromkeys(Effect, 0) for _ in range(bars)]
    for count in counts:
        if since <= count.time < until:
            table[min(bars - 1, int((count.time - since) / step))][count.effect] += count.count
    top = nice_ceiling(max((sum(row.values()) for row in table), default=0))
    width = WIDTH / bars
    drawn = tuple(
        Bar(since + i * step, i * width, max(1.0, width - 1.5), sum(row.values()), _stack(row, top))
        for i, row in enumerate(table)
    )
    return Traffic(drawn, top, sum(bar.total for bar in drawn), step, since, until)


def _stack(row: dict[Effect, int], top: int) -> tuple[Segment, ...]:
    segments = []
    y = HEIGHT
    for effect in sorted(row, reverse=True):  # the strongest at the bottom, on one base line
        if row[effect]:
            least = 0.0 if effect is Effect.ALLOW else _MIN_SEGMENT
            height = min(y, max(least, HEIGHT * row[effect] / top))
            y -= height
            segments.append(Segment(effect.name.lower(), row[effect], y, height))
    return tuple(segments)


def nice_ceiling(value: float) -> int:
    """Return the next round number that is not below ``value``.

    >>> [nice_ceiling(v) for v in (0, 1, 3, 17, 50, 51, 9100)]
    [1, 1, 3, 20, 50, 60, 10000]
    """
    if value <= 1:
        return 1
    magnitude: int = 10 ** math.floor(math.log10(value))
    return next((m * magnitude for m in (1, 2, 3, 4, 5, 6, 8) if m * magnitude >= value), 10 * magnitude)


RATE_FLOOR = 1e-5
"""Left end of the logarithmic axis of rates; the right end is 1."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A promised rate and an interval around the realised one, on a logarithmic axis.

    Positions are fractions of the width; ``ticks`` are ``(position, rate)``. ``low`` and
    ``high`` are ``None`` where nothing was judged, for then the interval says nothing.
    """

    promised: float
    certified: float
    low: float | None
    high: float | None
    realised: float | None
    ticks: tuple[tuple[float, float], ...]


def promise(
    promised: float, certified: float, realised: float, interval: tuple[float, float] | None
) -> Promise:
    """Place the rates. A realised rate of 0 has no place on the axis."""
    return Promise(
        _place(promised),
        _place(certified),
        _place(interval[0]) if interval else None,
        _place(interval[1]) if interval else None,
        _place(realised) if realised > 0 else None,
        tuple((_place(10.0**-e), 10.0**-e) for e in (5, 4, 3, 2, 1, 0)),
    )


def _place(rate: float) -> float:
    rate = min(1.0, max(RATE_FLOOR, rate))
    return 1 - math.log10(rate) / math.log10(RATE_FLOOR)


BINS = 20


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of a histogram of p-values."""

    low: float
    high: float
    count: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """P-values against what they would be on benign traffic.

    Attributes:
        bins: The bars.
        total: How many p-values there are.
        expected: Mean height of a bar if they are uniform.
        band: Lowest and highest count of one bar that chance explains, at 95%.
        line_y: Where ``expected`` is drawn.
        band_y: Where the upper end of the band is drawn, and its lower end.
        top: Count at the upper edge.
    """

    bins: tuple[Bin, ...]
    total: int
    expected: float
    band: tuple[int, int]
    line_y: float
    band_y: tuple[float, float]
    top: int


def histogram(p_values: Sequence[float], calibrated_on: int) -> Histogram:
    """Draw p-values and the band in which chance leaves a bar.

    The band counts both chances: which traffic came, and which ``calibrated_on`` benign
    interactions the calibration happened to see.

    Guarantees:
        For p-values of exchangeable interactions without ties, each bar for itself lies in
        the band with probability at least 95%.

    References:
        Conditional coverage of split conformal prediction is Beta distributed: Vovk,
        "Conditional validity of inductive conformal predictors" (2013); hence counts are
        Beta-binomial.
    """
    counts = [0] * BINS
    for p in p_values:
        counts[min(BINS - 1, max(0, math.ceil(p * BINS) - 1))] += 1
    low, high = chance_band(len(p_values), 1 / BINS, calibrated_on)
    top = nice_ceiling(max(*counts, high))
    width = WIDTH / BINS
    bins = tuple(
        Bin(i / BINS, (i + 1) / BINS, n, i * width, _y(n, top), width - 2, HEIGHT - _y(n, top))
        for i, n in enumerate(counts)
    )
    expected = len(p_values) / BINS
    return Histogram(
        bins, len(p_values), expected, (low, high), _y(expected, top), (_y(high, top), _y(low, top)), top
    )


def chance_band(n: int, share: float, calibrated_on: int) -> tuple[int, int]:
    """Return the central 95% of how many of ``n`` p-values fall into a stretch of ``share``.

    >>> chance_band(0, 0.05, 1000)
    (0, 0)
    """
    if n == 0:
        return 0, 0
    # scipy takes 0.1 s to import, and drawings are only wanted by people.
    from scipy.stats import betabinom, binom

    if calibrated_on <= 0:
        law = binom(n, share)
    else:
        inside = share * (calibrated_on + 1)
        law = betabinom(n, inside, calibrated_on + 1 - inside)
    return int(law.ppf(0.025)), int(law.ppf(0.975))


def _y(count: float, top: int) -> float:
    return HEIGHT * (1 - count / top)
