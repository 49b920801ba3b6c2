"""Independent series are seldom called dependent, dependent ones often; wrong versions are caught."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from bartizan.stats import autocorrelation
from bartizan.stats.autocorrelation import integrated_time, lag_test

pytestmark = pytest.mark.statistical

LAGS = range(1, 21)
RUNS = 600

LAWS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "heavy tails": lambda rng, n: rng.standard_cauchy(size=n),
    "sixteen bins": lambda rng, n: rng.integers(0, 16, size=n),
    "coin": lambda rng, n: rng.integers(0, 2, size=n),
    "one in four": lambda rng, n: rng.random(n) < 0.25,
    "one in ten": lambda rng, n: rng.random(n) < 0.1,
    "one in two hundred": lambda rng, n: rng.random(n) < 0.005,
    "mostly zero": lambda rng, n: np.where(rng.random(n) < 0.97, 0.0, rng.exponential(size=n)),
}


def ar1(rng, phi, n):
    return lfilter([1.0], [1.0, -phi], rng.normal(size=n + 100))[100:]


def rejections(test, law, n, level, seed):
    rng = np.random.default_rng(seed)
    return np.mean([test(LAWS[law](rng, n), level) for _ in range(RUNS)])


def bound(level):
    return level + 4 * math.sqrt(level * (1 - level) / RUNS)


def shipped(x, level):
    return lag_test(x, LAGS, level).dependent


def without_bonferroni(x, level):
    return lag_test(x, LAGS, min(1.0, level * len(LAGS))).dependent


def half_the_standard_error(x, level):
    c = np.asarray(x, dtype=float) - np.mean(x)
    z = max(abs(c[:-k] @ c[k:]) / (c @ c) for k in LAGS) * 2 * math.sqrt(c.size)
    return len(LAGS) * math.erfc(z / math.sqrt(2)) <= level


@pytest.mark.parametrize("n", [120, 1_000])
@pytest.mark.parametrize("law", LAWS)
def test_independent_series_are_seldom_called_dependent(law, n):
    rng = np.random.default_rng(1)
    p = np.array([lag_test(LAWS[law](rng, n), LAGS).p_value for _ in range(2 * RUNS)])
    for level in (0.002, 0.01, 0.05, 0.2):
        assert (p <= level).mean() <= level + 4 * math.sqrt(level * (1 - level) / p.size)


@pytest.mark.parametrize("wrong", [without_bonferroni, half_the_standard_error])
def test_the_simulation_catches_wrong_versions(wrong):
    assert rejections(wrong, "normal", 1_000, 0.05, 2) > bound(0.05)


def test_the_simulation_catches_a_normal_law_for_rare_pairs(monkeypatch):
    monkeypatch.setattr(autocorrelation, "_FEW_PAIRS", 0.0)
    assert rejections(shipped, "one in two hundred", 1_000, 0.01, 3) > bound(0.01)


@pytest.mark.parametrize(("phi", "least"), [(0.1, 0.6), (0.3, 0.99), (0.6, 0.99)])
def test_ar1_is_found_in_two_thousand_events(phi, least):
    rng = np.random.default_rng(4)
    found = [
        lag_test(np.digitize(ar1(rng, phi, 2_000), np.linspace(-2, 2, 15)), LAGS, 0.01) for _ in range(200)
    ]
    assert np.mean([f.dependent and f.lag == 1 for f in found]) >= least


def spread_of_means(phi, n=2_000, runs=2_000):
    """How much more means of AR(1) series vary than those of independent series of the same spread."""
    rng = np.random.default_rng(5)
    series = lfilter([1.0], [1.0, -phi], rng.normal(size=(runs, n + 100)), axis=1)[:, 100:]
    return series.mean(axis=1).var() * n / series.var()


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6])
def test_the_time_is_by_how_much_means_vary_more(phi):
    rng, truth = np.random.default_rng(6), spread_of_means(phi)
    times = np.array([integrated_time(ar1(rng, phi, 20_000), 200) for _ in range(20)])
    assert times.mean() == pytest.approx(truth, rel=0.12)
    if phi:
        assert (times.mean() + 1) / 2 != pytest.approx(truth, rel=0.12), "one-sided sums would pass"
