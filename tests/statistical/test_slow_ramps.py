"""A patient attacker ramps slowly: what recalibration accepts in all stays below the cap.

Also: benign windows of the anchor's own law are rarely refused, and the effective size of a mixed
law has the variance it claims.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bartizan.alarms import Events
from bartizan.monitoring.baseline import Settings
from bartizan.monitoring.learning import learn
from bartizan.monitoring.promotion import Limits, Promotion
from bartizan.monitoring.recalibration import promote
from bartizan.stats.mixtures import effective_events, homogeneous, mixed_events, total_variation

N = 4_000
LIMITS = Limits(quarantine_s=0.0, eta=0.25, step=0.02, total=0.1)


def window(rng, *, share=0.0, shift=0.0, trusted=0.0, sybils=200):
    """Benign events, and an attacker's, whose trusted sources nobody can shape."""
    evil = rng.random(N) < share
    sure = ~evil & (rng.random(N) < trusted)
    who = np.where(evil, rng.integers(0, sybils, N), rng.integers(1_000, 1_800, N))
    return Events(
        np.arange(N, dtype=float),
        {"x": rng.normal(size=N) + shift * evil},
        principals=tuple(f"p{i}" for i in who),
        trusted=sure,
    )


@pytest.fixture(scope="module")
def anchor():
    rng = np.random.default_rng(0)
    x = rng.normal(size=50_000)
    events = Events(np.arange(50_000.0), {"x": x})
    return learn(events, name="benign", created=0.0, rng=rng, settings=Settings(1e5))


def ramp(anchor, rng, limits, *, windows=40, trusted=0.0):
    """Return how far a ramp of a fifth of all events to 2 deviations got, and what was refused."""
    current, refused, human = anchor, 0, False
    for r in range(windows):
        events = window(rng, share=0.2, shift=2 * (r + 1) / windows, trusted=trusted)
        result = promote(events, anchor=anchor, current=current, now=1e9, rng=rng, limits=limits)
        if isinstance(result, Promotion):
            current = result.baseline
        else:
            refused, human = refused + 1, human or result.human
    far = max(total_variation(a.share, c.share) for a, c in zip(anchor.streams, current.streams, strict=True))
    return far, refused, human


@pytest.mark.statistical
def test_ramp_wins_no_more_than_the_total(anchor):
    far, _, human = ramp(anchor, np.random.default_rng(1), LIMITS)
    assert 0.05 < far <= LIMITS.total  # it does win something: the guard, not chance, stops it
    assert human
    unguarded = replace(LIMITS, total=1.0, step=1.0)
    assert ramp(anchor, np.random.default_rng(1), unguarded)[0] > LIMITS.total


@pytest.mark.statistical
def test_trusted_source_stops_a_ramp_early(anchor):
    far, refused, _ = ramp(
        anchor, np.random.default_rng(2), replace(LIMITS, trusted_share=0.05), trusted=0.25
    )
    assert far < 0.05
    assert refused > 20


@pytest.mark.statistical
def test_windows_of_the_same_law_are_taken_in(anchor):
    rng = np.random.default_rng(3)
    limits = replace(LIMITS, trusted_share=0.05)
    refused = sum(
        not isinstance(
            promote(window(rng, trusted=0.1), anchor=anchor, current=anchor, now=1e9, rng=rng, limits=limits),
            Promotion,
        )
        for _ in range(60)
    )
    assert refused <= 4  # 1% of windows may be called moved; 5 of 60 would be 1 in 3,000


@pytest.mark.statistical
def test_homogeneity_test_keeps_its_level():
    rng = np.random.default_rng(4)
    p = np.array([0.5, 0.3, 0.15, 0.04, 0.008, 0.002])
    pairs = zip(rng.multinomial(3_000, p, 3_000) / 3_000, rng.multinomial(900, p, 3_000) / 900, strict=True)
    values = np.array([homogeneous(a, 3_000, b, 900) for a, b in pairs])
    for level in (0.05, 0.01):
        assert (values <= level).mean() < level + 4 * np.sqrt(level / len(values))
        assert (values <= level).mean() > level - 4 * np.sqrt(level / len(values))


@pytest.mark.statistical
def test_mixed_laws_vary_as_their_size_says():
    rng = np.random.default_rng(5)
    weight, first, p = 0.3, 500, 0.2
    weights = np.repeat([1.0, 0.25], [300, 400])
    a = rng.binomial(first, p, 20_000) / first
    b = (rng.random((20_000, len(weights))) < p) @ weights / weights.sum()
    mixed = (1 - weight) * a + weight * b
    size = mixed_events(first, effective_events(weights), weight)
    assert mixed.var() == pytest.approx(p * (1 - p) / size, rel=0.05)
    naive = mixed_events(first, len(weights), weight)  # the wrong formula: weights forgotten
    assert mixed.var() > 1.05 * p * (1 - p) / naive
