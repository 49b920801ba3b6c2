import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from bartizan.stats.conformal import (
    Ranking,
    certifiable_rate,
    certified_rank,
    keyed_uniform,
    points_needed,
)
from bartizan.stats.intervals import clopper_pearson

scores = st.lists(
    st.floats(-1e6, 1e6).map(lambda x: round(x, 1)) | st.sampled_from([0.0, 1.0]), min_size=1, max_size=300
)


@given(scores, st.floats(-1e6, 1e6))
def test_p_value_is_the_rank_by_definition(benign, score):
    ranking = Ranking.of(benign)
    exact = (1 + sum(c >= score for c in benign)) / (len(benign) + 1)
    assert ranking.p_value(score) == pytest.approx(exact)


def test_thinned_bulk_only_errs_upwards_and_the_upper_fifth_is_exact():
    benign = np.random.default_rng(0).normal(size=20_000)
    ranking = Ranking.of(benign)
    assert len(ranking.knots) < 5_000
    for score in np.random.default_rng(1).normal(size=500):
        exact = (1 + int((benign >= score).sum())) / 20_001
        assert ranking.p_value(score) >= exact - 1e-12
        if exact < 0.19:
            assert ranking.p_value(score) == pytest.approx(exact)


@given(scores, st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_p_value_does_not_grow_with_the_score(benign, a, b):
    ranking = Ranking.of(benign)
    low, high = sorted((a, b))
    assert ranking.p_value(high) <= ranking.p_value(low)


def test_smoothed_p_value_lies_between_its_ends():
    ranking = Ranking.of([0.0, 1.0, 1.0, 2.0])
    assert ranking.smoothed_p_value(1.0, 0.0) == pytest.approx(1 / 5)
    assert ranking.smoothed_p_value(1.0, 1.0) == pytest.approx(4 / 5)
    assert ranking.smoothed_p_value(3.0, 0.5) == pytest.approx(0.5 / 5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_no_numbers_are_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        Ranking.of([0.0, bad])


@pytest.mark.parametrize(
    ("n", "rate"), [(1_000, 0.01), (5_000, 0.001), (10_000, 0.001), (500, 0.05), (30, 0.2)]
)
def test_certified_rank_is_the_largest_that_the_beta_law_allows(n, rate):
    k = certified_rank(n, rate)
    assert k == 0 or beta.sf(rate, k, n + 1 - k) <= 0.01
    assert beta.sf(rate, k + 1, n - k) > 0.01


@pytest.mark.parametrize(("rate", "least"), [(0.01, 459), (0.001, 4_603), (0.0001, 46_050)])
def test_the_published_minimum_sizes(rate, least):
    assert points_needed(rate) == least
    assert certified_rank(least, rate) == 1
    assert certified_rank(least - 1, rate) == 0
    assert certifiable_rate(least) <= rate < certifiable_rate(least - 1)


def test_keyed_uniform_repeats_with_the_key_and_looks_uniform():
    assert keyed_uniform(b"a", "1") == keyed_uniform(b"a", "1") != keyed_uniform(b"b", "1")
    draws = np.array([keyed_uniform(b"a", str(i)) for i in range(4_000)])
    assert abs(draws.mean() - 0.5) < 0.02
    assert np.histogram(draws, 10, (0, 1))[0].min() > 320


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"), [(5, 50, 0.0333, 0.2181), (0, 30, 0.0, 0.1157), (30, 30, 0.8843, 1.0)]
)
def test_clopper_pearson_against_published_values(hits, trials, low, high):
    assert clopper_pearson(hits, trials) == pytest.approx((low, high), abs=1e-4)
