"""Coverage of intervals, summed over every outcome; approximations that promise it are caught."""

import numpy as np
import pytest
from scipy.stats import binom
from scipy.stats import poisson as poisson_law

from bartizan.stats.intervals import clopper_pearson, poisson, wilson

pytestmark = pytest.mark.statistical

CONFIDENCE = 0.95
RATES = np.concatenate([[0.0005, 0.002, 0.01], np.linspace(0.02, 0.98, 97), [0.999]])


def binomial_coverage(interval, trials):
    ends = np.array([interval(hits, trials, CONFIDENCE) for hits in range(trials + 1)])
    weights = binom.pmf(np.arange(trials + 1)[:, None], trials, RATES)
    inside = (ends[:, :1] <= RATES) & (ends[:, 1:] >= RATES)
    return (weights * inside).sum(axis=0)


def poisson_coverage(interval):
    means = np.concatenate([[0.01, 0.1], np.linspace(0.2, 40, 400)])
    counts = np.arange(150)
    ends = np.array([interval(int(c), CONFIDENCE) for c in counts])
    inside = (ends[:, :1] <= means) & (means <= ends[:, 1:])
    return (poisson_law.pmf(counts[:, None], means) * inside).sum(axis=0)


def wald(hits, trials, confidence):
    rate = hits / trials
    reach = 1.96 * np.sqrt(rate * (1 - rate) / trials)
    return rate - reach, rate + reach


@pytest.mark.parametrize("trials", [5, 40, 300])
def test_clopper_pearson_covers_every_rate(trials):
    assert binomial_coverage(clopper_pearson, trials).min() >= CONFIDENCE - 1e-9


@pytest.mark.parametrize("trials", [40, 300])
def test_wilson_covers_on_average_but_not_every_rate(trials):
    coverage = binomial_coverage(wilson, trials)
    assert coverage.mean() == pytest.approx(CONFIDENCE, abs=0.01)
    assert coverage.min() < CONFIDENCE
    assert binomial_coverage(wald, trials).mean() < CONFIDENCE - 0.01


def test_poisson_covers_every_expectation():
    assert poisson_coverage(poisson).min() >= CONFIDENCE - 1e-9


@pytest.mark.parametrize(
    "wrong",
    [
        lambda c, confidence: (c - 1.96 * np.sqrt(c), c + 1.96 * np.sqrt(c)),
        lambda c, confidence: (poisson(c, confidence)[0], poisson(c - 1, confidence)[1] if c else 0.5),
        lambda c, confidence: poisson(c, 2 * confidence - 1),
    ],
)
def test_the_sum_catches_wrong_intervals(wrong):
    assert poisson_coverage(wrong).min() < CONFIDENCE - 0.005
