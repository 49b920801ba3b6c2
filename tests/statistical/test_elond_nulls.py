"""e-LOND keeps its false discovery rate in its worst cases; wrong rules do not."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from bartizan.stats.elond import ELond, calibrate_p, gamma

pytestmark = pytest.mark.statistical

Q = 0.2
HYPOTHESES = 60
RUNS = 3_000


@dataclass
class Rule:
    """A rule of e-LOND's shape with another share of the level or another reward for rejections."""

    share: object
    reward: object
    tested: int = 0
    rejected: int = 0

    @property
    def threshold(self):
        return 1 / (Q * self.share(self.tested + 1) * self.reward(self.rejected))

    def test(self, e):
        reject = e >= self.threshold
        self.tested += 1
        self.rejected += reject
        return reject


WRONG = {
    "the whole level for every hypothesis": lambda: Rule(lambda i: 1.0, lambda r: r + 1),
    "shares that sum to two": lambda: Rule(lambda i: 2 * gamma(i), lambda r: r + 1),
    "shares without normalisation": lambda: Rule(
        lambda i: 1 / ((i + 1) * math.log(i + 1) ** 2), lambda r: r + 1
    ),
    "rejections squared": lambda: Rule(gamma, lambda r: (r + 1) ** 2),
}


def all_or_nothing(rule, rng, true_signals, exclusive):
    """One run: first ``true_signals`` false hypotheses, then true ones that waste no evidence.

    A true hypothesis' e-value is just the threshold, with the largest probability that keeps its
    mean at 1, else 0. If ``exclusive`` at most one of them is, the dependence that makes a false
    rejection most frequent; else they are independent. Returns the false share of rejections.
    """
    for _ in range(true_signals):
        rule.test(1e12)
    false, left = 0, 1.0
    for _ in range(HYPOTHESES + 3 * true_signals):
        chance = min(left, 1 / rule.threshold)
        false += rule.test(rule.threshold if rng.random() * left < chance else 0.0)
        if exclusive:
            left -= chance
            if false or left <= 0:
                break
    return false / max(1, rule.rejected)


def excess_and_rate(make, seed, true_signals, exclusive=True):
    """Return by how many standard errors the false discovery rate exceeds its level, and the rate."""
    rng = np.random.default_rng(seed)
    shares = np.array([all_or_nothing(make(), rng, true_signals, exclusive) for _ in range(RUNS)])
    return (shares.mean() - Q) / (shares.std() / np.sqrt(RUNS) + 1e-12), shares.mean()


@pytest.mark.parametrize("true_signals", [0, 1, 40])
def test_the_rate_is_kept_in_the_worst_case_and_nearly_used_up(true_signals):
    excess, rate = excess_and_rate(lambda: ELond(Q), 1, true_signals)
    assert excess < 4
    assert excess_and_rate(lambda: ELond(Q), 1, true_signals, exclusive=False)[0] < 4
    used = sum(gamma(i) for i in range(true_signals + 1, 4 * true_signals + HYPOTHESES + 1))
    assert rate == pytest.approx(Q * used, abs=0.02)


@pytest.mark.parametrize("name", WRONG)
def test_the_simulation_catches_wrong_rules(name):
    cases = [(0, True), (40, False)]
    assert max(excess_and_rate(WRONG[name], 2, *case)[0] for case in cases) > 4


def betting(make, rng):
    """Principals share noise; a fifth is shifted; each bets on a shift and is read when its evidence peaks.

    Reading at the peak is not stopping, so the peak counts only by the calibrator of p = 1/peak.
    """
    attackers = rng.random(40) < 0.2
    noise = np.sqrt(0.5) * (rng.normal(size=(60, 1)) + rng.normal(size=(60, 40)))
    peak = np.cumsum(noise + 1.2 * attackers - 0.5, axis=0).max(axis=0)
    rule = make()
    rejected = np.array([rule.test(e) for e in calibrate_p(np.minimum(1.0, np.exp(-peak)), 0.5)])
    return (rejected & ~attackers).sum() / max(1, rejected.sum()), rejected[attackers].sum(), attackers.sum()


def test_dependent_principals_keep_the_rate_and_attackers_are_found():
    rng = np.random.default_rng(3)
    runs = np.array([betting(lambda: ELond(Q), rng) for _ in range(1_000)])
    assert runs[:, 0].mean() <= Q
    assert runs[:, 1].sum() / runs[:, 2].sum() > 0.8
    reckless = np.array(
        [betting(WRONG["the whole level for every hypothesis"], rng)[0] for _ in range(1_000)]
    )
    assert reckless.mean() > Q


@pytest.mark.parametrize("n", [1, 9, 999])
@pytest.mark.parametrize("kappa", [None, 0.1, 0.5, 0.9])
def test_e_values_of_conformal_p_values_have_mean_at_most_one(n, kappa):
    lattice = np.arange(1, n + 2) / (n + 1)  # each of these is equally likely on benign scores
    assert calibrate_p(lattice, kappa).mean() <= 1 + 1e-12


@pytest.mark.parametrize(
    "wrong", [lambda p: p**-0.5, lambda p: 1 / p, lambda p: -np.log(p) + 0.5, lambda p: calibrate_p(p / 2)]
)
def test_the_mean_catches_wrong_calibrators(wrong):
    assert wrong(np.arange(1, 1_000_001) / 1_000_000).mean() > 1.01
