"""Drawings: the numbers they stand for, and bands that keep what they say."""

from __future__ import annotations

import numpy as np
import pytest

from bartizan.console.charts import BINS, HEIGHT, Count, chance_band, histogram, promise, traffic
from bartizan.console.tail import tail
from bartizan.stats.conformal import Ranking
from bartizan.types import Effect


def test_every_count_lands_in_its_bar():
    counts = [Count(0.0, Effect.ALLOW, 90), Count(59.9, Effect.BLOCK, 1), Count(60.0, Effect.ALLOW, 5)]
    chart = traffic(
        [*counts, Count(-1.0, Effect.ALLOW, 7), Count(120.0, Effect.ALLOW, 7)], 0.0, 120.0, bars=2
    )
    assert [bar.total for bar in chart.bars] == [91, 5]
    assert chart.total == 96
    assert {s.effect: s.count for s in chart.bars[0].segments} == {"block": 1, "allow": 90}


def test_segments_stack_without_gaps_inside_the_drawing():
    counts = [Count(1.0, e, n) for e, n in zip(Effect, (100_000, 1, 1, 3), strict=True)]
    (bar,) = traffic(counts, 0.0, 60.0, bars=1).bars
    y = HEIGHT
    for segment in bar.segments:
        assert segment.y + segment.height == pytest.approx(y)
        assert segment.height >= 2 or segment.effect == "allow"
        y = segment.y
    assert y >= 0


def test_no_traffic_is_drawn_as_nothing():
    chart = traffic([], 0.0, 60.0)
    assert chart.total == 0
    assert all(bar.segments == () for bar in chart.bars)


def test_rates_are_in_order_on_the_axis():
    drawing = promise(1e-3, 5e-3, 2e-3, (1e-3, 4e-3))
    assert 0 < drawing.promised == drawing.low < drawing.realised < drawing.high < drawing.certified < 1
    empty = promise(1e-3, 1.0, 0.0, None)
    assert (empty.low, empty.realised, empty.certified) == (None, None, 1.0)
    assert promise(1e-12, 1.0, 0.0, (0.0, 1.0)).low == 0.0


def test_bins_hold_their_right_edge():
    h = histogram([0.05, 0.050001, 1.0, 1e-9], 1000)
    assert [b.count for b in h.bins] == [2, 1, *[0] * (BINS - 3), 1]
    assert h.total == 4
    assert h.expected == pytest.approx(0.2)
    assert all(0 <= b.y <= HEIGHT and b.y + b.height == pytest.approx(HEIGHT) for b in h.bins)


def test_a_small_calibration_widens_the_band():
    wide, narrow = chance_band(2000, 0.05, 200), chance_band(2000, 0.05, 100_000)
    assert wide[0] < narrow[0] < 100 < narrow[1] < wide[1]


def coverage_of_band(*, calibrated_on: int, traffic_n: int, rounds: int) -> float:
    """Return how often the leftmost bar lies in the band when calibration is drawn anew."""
    rng = np.random.default_rng(5)
    band = chance_band(traffic_n, 1 / BINS, calibrated_on)
    inside = 0
    for _ in range(rounds):
        ranking = Ranking.of(rng.normal(size=calibrated_on))
        p = [ranking.p_value(float(s)) for s in rng.normal(size=traffic_n)]
        inside += band[0] <= histogram(p, calibrated_on).bins[0].count <= band[1]
    return inside / rounds


@pytest.mark.statistical
def test_the_band_counts_the_calibration_draw_too():
    share = coverage_of_band(calibrated_on=399, traffic_n=400, rounds=300)
    assert 0.92 <= share <= 0.995  # 0.95 or a little more: counts are whole numbers
    plain = chance_band(400, 1 / BINS, 0)
    assert chance_band(400, 1 / BINS, 399)[1] > plain[1]  # a binomial band would be too narrow


def test_the_tail_counts_what_is_at_or_below():
    rows = tail([0.001, 0.0005, 0.01, 0.5, 1.0], 10_000, (0.01, 0.002, 1.0, 0.0))
    assert [(r.level, r.seen) for r in rows] == [(0.1, 3), (0.01, 3), (0.002, 2), (0.001, 2), (0.0001, 0)]
    assert rows[0].expected == pytest.approx(0.5)
    assert tail([], 10, ()) == ()


def test_the_tail_says_when_there_is_more_than_chance():
    uniform = [(i + 1) / 5000 for i in range(5000)]
    assert not any(r.exceeded for r in tail(uniform, 10_000, ()))
    worse = {r.level: r.exceeded for r in tail([*uniform, *[0.0005] * 40], 10_000, ())}
    assert worse[0.001]
    assert not worse[0.1]
