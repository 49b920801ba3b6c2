"""Combined p-values of benign requests are super-uniform; each simulation is also run against wrong rules."""

import numpy as np
import pytest
from scipy.stats import chi2, norm

from bartizan.stats.combination import LearnedCombiner, Reconformalised, bonferroni, simes
from bartizan.stats.conformal import Ranking

pytestmark = pytest.mark.statistical

K = 8
LEVELS = (0.001, 0.01, 0.05, 0.2)


def correlated(rng, rho, size, k=K):
    shared = np.sqrt(rho) * rng.normal(size=(size, 1))
    return norm.sf(shared + np.sqrt(1 - rho) * rng.normal(size=(size, k)))


def spread_out(rng, size, k=K):
    """At most one p-value is small at a time: Bonferroni's worst case."""
    return 1 - (rng.random((size, 1)) + np.arange(k) / k) % 1


def violation(p, levels=LEVELS):
    """Return by how many standard errors P(p <= a) exceeds a, at worst."""
    rates = np.array([(p <= a + 1e-12).mean() for a in levels])
    a = np.array(levels)
    return float(((rates - a) / np.sqrt(a * (1 - a) / p.size)).max())


def fisher(p):
    return chi2.sf(-2 * np.log(p).sum(axis=-1), 2 * p.shape[-1])


def reversed_simes(p):
    k = p.shape[-1]
    return (np.sort(p, axis=-1) * k / np.arange(k, 0, -1)).min(axis=-1)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("combine", [bonferroni, simes])
def test_bonferroni_and_simes_under_positive_dependence(combine, rho):
    assert violation(combine(correlated(np.random.default_rng(1), rho, 200_000))) < 4


def test_bonferroni_in_its_worst_case_is_exact():
    p = bonferroni(spread_out(np.random.default_rng(2), 200_000))
    assert violation(p) < 4
    assert (p <= 0.01).mean() > 0.009, "the rule would be valid and wasteful"


@pytest.mark.parametrize(
    "wrong", [fisher, reversed_simes, lambda p: p.min(axis=-1), lambda p: K / 2 * p.min(-1)]
)
def test_the_simulation_catches_wrong_rules(wrong):
    rng = np.random.default_rng(3)
    laws = [correlated(rng, 0.0, 200_000), correlated(rng, 0.5, 200_000), spread_out(rng, 200_000)]
    assert max(violation(wrong(p)) for p in laws) > 4


def test_fisher_is_off_by_the_factor_that_forbids_it():
    p = fisher(correlated(np.random.default_rng(4), 0.5, 200_000))
    assert (p <= 0.001).mean() > 40 * 0.001


def test_simes_needs_its_assumption_and_exceeds_by_the_stated_factor():
    a, u = 0.1, 1 - np.random.default_rng(5).random(200_000)
    # The second is uniform too, equal to the first between a/2 and a, and far from it below.
    other = np.where(u <= a / 2, u + a, np.where((u > a) & (u <= 1.5 * a), u - a, u))
    p = np.stack([u, other], axis=-1)
    assert (simes(p) <= a).mean() == pytest.approx(1.5 * a, abs=0.004)
    assert violation(bonferroni(p)) < 4


def detectors(rng, size, k):
    """Scores of dependent detectors, the last of them mostly tied at zero."""
    scores = rng.normal(size=(size, 1)) + rng.normal(size=(size, k))
    scores[:, -1] = np.where(rng.random(size) < 0.9, 0.0, rng.exponential(size=size))
    return scores


def conformal(scores, reference):
    columns = zip(scores.T, np.sort(reference, axis=0).T, strict=True)
    counts = [len(r) - np.searchsorted(r, s, side="left") for s, r in columns]
    return (1 + np.stack(counts, axis=-1)) / (len(reference) + 1)


def learned_p_values(rule, seed, draws=1_500, k=12, n=30):
    """p-values of new benign requests, every split drawn afresh; few samples, so that learning overfits."""
    rng, out = np.random.default_rng(seed), np.empty(draws)
    for i in range(draws):
        reference = detectors(rng, 200, k)
        train, attack, clean, new = (conformal(detectors(rng, m, k), reference) for m in (n, n, n, 1))
        out[i] = rule(train, attack, clean, new[0])
    return out


def shipped(train, attack, clean, new):
    try:
        combiner = LearnedCombiner.fit(train, attack)
    except ValueError:  # attacks that are none may look stranger nowhere
        combiner = LearnedCombiner((1.0,) * len(new))
    return Reconformalised.of(combiner, clean).p_value(new)


def ranked_where_it_learned(train, attack, clean, new):
    return shipped(train, attack, train, new)


def chi_squared(train, attack, clean, new):
    return float(fisher(new))


def without_the_new_one(train, attack, clean, new):
    score = -np.log(np.append(clean, new[None], axis=0)).sum(axis=1)
    return Ranking.of(score[:-1].tolist()).count_at_least(score[-1]) / len(clean)


LEARNED_LEVELS = (0.01, 0.033, 0.1, 0.2)


def test_a_learned_combination_ranked_on_a_third_split_keeps_every_level():
    p = learned_p_values(shipped, seed=6)
    assert violation(p, LEARNED_LEVELS) < 4
    assert (p <= 0.2).mean() > 0.15, "the rule would be valid and wasteful"


@pytest.mark.parametrize("wrong", [ranked_where_it_learned, chi_squared, without_the_new_one])
def test_the_simulation_catches_wrong_splits_and_formulas(wrong):
    assert violation(learned_p_values(wrong, seed=7), LEARNED_LEVELS) > 4
