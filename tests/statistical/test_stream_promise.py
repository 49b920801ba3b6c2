"""``E[false alarms in t events] <= t / A``: on average, and for nearly every calibration set."""

import numpy as np
import pytest

from bartizan.alarms import Events
from bartizan.monitoring.baseline import Settings
from bartizan.monitoring.learning import learn
from bartizan.monitoring.monitor import Monitor
from bartizan.stats.bets import BETS, numeric_bets
from bartizan.stats.bins import Box, Cuts
from bartizan.stats.edetector import EDetector
from bartizan.stats.intervals import poisson

pytestmark = pytest.mark.statistical

SETS = 24
EVENTS = 20_000
THRESHOLD = 100.0


def counts(make_box, *, n=1_000, threshold=THRESHOLD, law=lambda rng, k: rng.normal(size=k), seed=0):
    """False alarms per calibration set, on fresh events of the same law."""
    found = []
    for calibration in range(SETS):
        rng = np.random.default_rng([seed, calibration])
        cuts = Cuts.of(law(rng, n), rng)
        detector = EDetector([numeric_bets(make_box(cuts))], threshold)
        bins = cuts.place(law(rng, EVENTS), rng.random(EVENTS))
        found.append(len(detector.run(bins[:, None])))
    return np.array(found)


def robust(cuts):
    return cuts.box(1e-3)


def estimated(cuts):
    """A wrong formula: bets as if the calibrated shares were the true ones."""
    share = cuts.gaps / cuts.gaps.sum()
    return Box(share, share, share)


def exceeding(found, threshold=THRESHOLD):
    """How many calibration sets certainly break the promise: the Poisson interval lies above it."""
    return sum(poisson(int(alarms), 0.999)[0] > EVENTS / threshold for alarms in found)


@pytest.mark.parametrize(
    "law",
    [
        lambda rng, k: rng.normal(size=k),
        lambda rng, k: rng.standard_cauchy(size=k),
        lambda rng, k: rng.integers(0, 4, k).astype(float),
        lambda rng, k: np.where(rng.random(k) < 0.9, 0.0, rng.exponential(size=k)),
    ],
    ids=["normal", "cauchy", "four values", "mostly zero"],
)
def test_every_calibration_set_keeps_the_promise(law):
    found = counts(robust, law=law)
    assert found.mean() <= EVENTS / THRESHOLD
    assert exceeding(found) == 0


def test_without_the_box_some_calibration_sets_break_it():
    found = counts(estimated, n=300, threshold=1_000.0)
    assert exceeding(found, 1_000.0) >= 2
    assert exceeding(counts(robust, n=300, threshold=1_000.0), 1_000.0) == 0


def test_with_a_large_calibration_the_budget_is_partly_spent():
    found = counts(robust, n=100_000, seed=1)
    assert exceeding(found) == 0
    assert found.mean() > 0.02 * EVENTS / THRESHOLD, "a detector that never alarms keeps every promise"


def test_adding_the_bets_up_instead_of_averaging_them_breaks_it():
    found = counts(robust, n=100_000, threshold=THRESHOLD / BETS, seed=1)
    assert exceeding(found) == SETS


def events(rng, n, phi=0.0):
    noise = rng.normal(size=(n, 3))
    for t in range(1, n):
        noise[t] = phi * noise[t - 1] + np.sqrt(1 - phi**2) * noise[t]
    kind = rng.choice(np.array(["a", "b", "c"], dtype=object), n, p=[0.6, 0.3, 0.1])
    columns = {"x": noise[:, 0], "y": np.round(noise[:, 1]), "kind": kind}
    return Events(np.arange(float(n)), columns, rng.dirichlet([4, 2, 1], n))


def test_the_whole_monitor_keeps_it():
    alarms, total = 0, 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        settings = Settings(events_per_alarm=2_000)
        baseline = learn(events(rng, 6_000), name="", created=0.0, rng=rng, settings=settings)
        if not baseline.promise:  # the self-check is wrong once in a while, and then says so
            continue
        alarms += len(Monitor(baseline, system="s", key=b"k").feed(events(rng, 10_000)))
        total += 10_000
    assert total >= 40_000
    assert poisson(alarms, 0.998)[0] <= total / 2_000


@pytest.mark.parametrize("phi", [0.3, 0.6, 0.97])
def test_dependent_events_are_thinned_until_the_promise_holds_or_refused(phi):
    rng = np.random.default_rng(7)
    settings = Settings(events_per_alarm=2_000)
    baseline = learn(events(rng, 20_000, phi), name="", created=0.0, rng=rng, settings=settings)
    if phi > 0.9:
        assert baseline.refused
        assert not baseline.promise
        return
    assert baseline.every > 1
    alarms = len(Monitor(baseline, system="s", key=b"k").feed(events(rng, 20_000, phi)))
    assert poisson(alarms, 0.998)[0] <= 20_000 / 2_000
