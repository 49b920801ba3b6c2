import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from bartizan.stats.combination import RIDGE, LearnedCombiner, Reconformalised, bonferroni, simes

vectors = st.lists(st.floats(1e-9, 1.0), min_size=1, max_size=8)


@given(vectors)
def test_bonferroni_and_simes_by_definition(p):
    k, ordered = len(p), sorted(p)
    assert bonferroni(p) == pytest.approx(min(1.0, k * ordered[0]))
    assert simes(p) == pytest.approx(min(k * q / (i + 1) for i, q in enumerate(ordered)))
    assert ordered[0] <= simes(p) <= bonferroni(p) + 1e-15 <= 1 + 1e-12


@pytest.mark.parametrize("combine", [bonferroni, simes])
def test_any_axis(combine):
    p = np.random.default_rng(0).uniform(0.001, 1, (3, 4, 5))
    assert combine(p).shape == (3, 4)
    assert np.array_equal(combine(p, axis=0), combine(np.moveaxis(p, 0, -1)))


@pytest.mark.parametrize("p", [[], [0.0, 0.5], [0.5, 1.1], [0.5, math.nan]])
@pytest.mark.parametrize("combine", [bonferroni, simes, LearnedCombiner((1.0, 1.0)).statistic])
def test_what_is_no_p_value_is_refused(combine, p):
    with pytest.raises(ValueError, match="p-value"):
        combine(p)


def samples(seed, n=400, m=300, strength=(1.0, 0.3, 0.0, -1.0)):
    """Benign surprises are exponential; attacks are shifted by ``strength``, also downwards."""
    rng = np.random.default_rng(seed)
    benign = np.exp(-rng.exponential(size=(n, len(strength))))
    attack = np.exp(-np.maximum(rng.exponential(size=(m, len(strength))) + np.array(strength), 0.0))
    return benign, attack


@pytest.mark.parametrize("seed", range(4))
def test_the_fit_is_the_constrained_optimum(seed):
    benign, attack = samples(seed)
    x = -np.log(np.concatenate([benign, attack]))
    sign = np.repeat([-1.0, 1.0], [len(benign), len(attack)])
    mass = np.repeat([0.5 / len(benign), 0.5 / len(attack)], [len(benign), len(attack)])

    def loss(w):
        return mass @ np.logaddexp(0.0, -sign * (x @ w[:-1] + w[-1])) + RIDGE / 2 * (w[:-1] @ w[:-1])

    best = minimize(loss, np.zeros(5), bounds=[(0, None)] * 4 + [(None, None)], tol=1e-14, method="L-BFGS-B")
    weights = LearnedCombiner.fit(benign, attack).weights
    assert weights == pytest.approx(best.x[:-1], abs=2e-3)
    assert weights[3] == 0.0 < weights[0]
    assert LearnedCombiner.fit(benign, attack).weights == weights


def test_perfect_separation_gives_finite_weights():
    weights = LearnedCombiner.fit(np.full((50, 2), 0.5), np.full((50, 2), 1e-9)).weights
    assert all(0 < w < 100 for w in weights)


def test_useless_detectors_and_bad_tables_are_refused():
    benign, attack = samples(0)
    with pytest.raises(ValueError, match="no detector"):
        LearnedCombiner.fit(attack[:, :1], benign[:, :1])
    with pytest.raises(ValueError, match="equal width"):
        LearnedCombiner.fit(benign, attack[:, :2])
    with pytest.raises(ValueError, match="ridge"):
        LearnedCombiner.fit(benign, attack, ridge=0.0)
    with pytest.raises(ValueError, match="expected 4"):
        LearnedCombiner.fit(benign, attack, ridge=1.0).statistic([0.5, 0.5])


def test_a_row_scores_the_same_alone_and_in_any_company():
    p = np.random.default_rng(1).uniform(1e-6, 1, (501, 7))
    combiner = LearnedCombiner(tuple(np.random.default_rng(2).uniform(0, 1, 7)))
    together = combiner.statistic(p)
    assert np.array_equal(together, [combiner.statistic(row) for row in p])
    assert np.array_equal(together[::3], combiner.statistic(p[::3]))
    assert np.array_equal(together, combiner.statistic(np.asfortranarray(p)))


def test_a_tied_request_is_ranked_as_tied():
    usual = [0.7, 0.3, 0.9]
    combined = Reconformalised.of(LearnedCombiner((0.3, 0.1, 0.7)), np.tile(usual, (99, 1)))
    assert combined.p_value(usual) == 1.0
    assert combined.p_value([0.1, 0.1, 0.1]) == 0.01


@given(vectors.filter(lambda p: len(p) == 4), st.integers(0, 3), st.floats(0.01, 1.0))
def test_a_stranger_request_never_has_a_larger_p_value(p, i, factor):
    benign, _ = samples(5)
    combined = Reconformalised.of(LearnedCombiner((0.9, 0.4, 0.0, 0.1)), benign)
    stranger = [q * factor if j == i else q for j, q in enumerate(p)]
    assert combined.p_value(stranger) <= combined.p_value(p)
