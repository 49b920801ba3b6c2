"""Simulations that would catch a wrong formula; each is also run against wrong ones."""

import numpy as np
import pytest

from bartizan.calibration.build import build_table
from bartizan.stats.conformal import Ranking, certified_rank
from bartizan.types import Measured

pytestmark = pytest.mark.statistical

LEVELS = (0.002, 0.01, 0.05, 0.2)
DRAWS = 4_000
N = 49


def laws():
    """Benign laws: continuous, heavily tied, nearly constant."""
    return {
        "normal": lambda rng, size: rng.normal(size=size),
        "ties": lambda rng, size: rng.integers(0, 6, size=size).astype(float),
        "zero-inflated": lambda rng, size: np.where(rng.random(size) < 0.97, 0.0, rng.exponential(size=size)),
        "constant": lambda rng, size: np.zeros(size),
    }


def violation(p_value, law, seed):
    """Return by how many standard errors P(p <= a) exceeds a, at worst, over fresh calibration sets."""
    rng = np.random.default_rng(seed)
    worst = -np.inf
    ps = np.empty(DRAWS)
    for i in range(DRAWS):
        benign = law(rng, N)
        ps[i] = p_value(benign, float(law(rng, 1)[0]))
    for a in LEVELS:
        se = np.sqrt(a * (1 - a) / DRAWS)
        worst = max(worst, ((ps <= a + 1e-12).mean() - a) / se)
    return worst


def shipped(benign, score):
    return Ranking.of(benign).p_value(score)


WRONG = {
    "no plus one": lambda c, s: (c >= s).sum() / c.size,
    "ties counted as smaller": lambda c, s: (1 + (c > s).sum()) / (c.size + 1),
    "wrong side": lambda c, s: (1 + (c <= s).sum()) / (c.size + 1),
    "normal tail instead of rank": lambda c, s: float(
        np.exp(-0.5 * max(0.0, (s - c.mean()) / (c.std() + 1e-9)) ** 2) / 2
    ),
}


@pytest.mark.parametrize("name", laws())
def test_p_values_are_super_uniform(name):
    assert violation(shipped, laws()[name], seed=1) < 4


@pytest.mark.parametrize("name", WRONG)
def test_the_simulation_catches_wrong_formulas(name):
    worst = max(violation(WRONG[name], law, seed=2) for law in laws().values())
    if name == "wrong side":
        # Uniform too on continuous scores; what gives it away is that it has no power.
        assert WRONG[name](np.zeros(99), 5.0) > 0.5 > shipped(np.zeros(99), 5.0)
    else:
        assert worst > 4


def test_certified_rank_keeps_the_rate_for_99_in_100_calibration_sets():
    rate, n, rng = 0.01, 2_000, np.random.default_rng(3)
    k = certified_rank(n, rate)
    # The realised rate of the rule `p <= k/(n+1)` is the benign mass above the k-th largest score.
    realised = np.sort(rng.random((4_000, n)), axis=1)[:, n - k]
    broken = (1 - realised > rate).mean()
    assert broken <= 0.01 + 4 * np.sqrt(0.01 * 0.99 / 4_000)
    # One rank more would break the promise: the bound is not idle.
    one_more = 1 - np.sort(rng.random((4_000, n)), axis=1)[:, n - k - 1]
    assert (one_more > rate).mean() > 0.01


def interactions(rng, size, units=1):
    """Three dependent detectors, one of them zero-inflated; the largest score of each per interaction."""
    out = []
    for _ in range(size):
        shared = rng.normal(size=units)
        a = shared + 0.5 * rng.normal(size=units)
        b = shared**2
        c = np.where(rng.random(units) < 0.98, 0.0, 1 + rng.exponential(size=units))
        maxima = {"text.a": float(a.max()), "text.b": float(b.max()), "text.c": float(c.max())}
        out.append(Measured("request.user", units, maxima))
    return out


def table_of(points, rng, trim=0.0):
    units = {"text.a": 1.0, "text.b": 1.0, "text.c": 1.0}
    return build_table(
        points, name="sim", source="operator", created=0.0, units=units, versions={}, rng=rng, trim=trim
    )


def false_alarms(table, points, rate):
    cell = table.cells["request.user"]
    level = table.level("request.user", rate)
    ps = np.array([cell.statistics.p_value(cell.statistic(m)) for m in points])
    return (ps <= level.threshold).mean(), level


def test_one_number_covers_all_detectors_together():
    rng, rate = np.random.default_rng(4), 0.02
    fresh = interactions(rng, 6_000)
    rates = []
    for _ in range(12):
        realised, level = false_alarms(table_of(interactions(rng, 2_400), rng), fresh, rate)
        assert level.kept
        rates.append(realised)
    # Each table is certified at 99%; a table out of twelve may stray, their mean may not.
    assert np.mean(rates) <= rate
    assert sum(r > rate * 1.3 for r in rates) <= 1
    assert np.mean(rates) > rate / 4, "the rule would be valid and useless"


def test_messages_of_several_parts_keep_the_rate_too():
    rng, rate = np.random.default_rng(5), 0.02
    table = table_of(interactions(rng, 3_000), rng)
    for units in (4, 16):
        realised, _ = false_alarms(table, interactions(rng, 4_000, units), rate)
        assert realised <= rate + 4 * np.sqrt(rate * (1 - rate) / 4_000)


def test_without_the_multiplicity_term_they_would_not():
    rng, rate = np.random.default_rng(6), 0.02
    table = table_of(interactions(rng, 3_000), rng)
    pretending = [Measured(m.cell, 1, m.maxima) for m in interactions(rng, 4_000, 16)]
    realised, _ = false_alarms(table, pretending, rate)
    assert realised > 3 * rate


def test_trimming_is_paid_for_out_of_the_rate():
    rng, rate = np.random.default_rng(7), 0.02
    fresh = interactions(rng, 8_000)
    rates = [
        false_alarms(table_of(interactions(rng, 4_000), rng, trim=0.005), fresh, rate)[0] for _ in range(8)
    ]
    assert np.mean(rates) <= rate
