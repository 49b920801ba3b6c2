import itertools
import math

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import poisson as poisson_law
from scipy.stats import rankdata

from bartizan.stats.autocorrelation import _pairs_p, _product_p, integrated_time, integrated_times, lag_test


def ar1(rng, phi, n):
    return lfilter([1.0], [1.0, -phi], rng.normal(size=n + 200))[200:]


@pytest.mark.parametrize("phi", [-0.3, 0.0, 0.3, 0.6, 0.9])
def test_time_of_ar1(phi):
    rng = np.random.default_rng(0)
    times = [integrated_time(ar1(rng, phi, 50_000), 500) for _ in range(5)]
    assert np.mean(times) == pytest.approx((1 + phi) / (1 - phi), rel=0.1)


def test_time_by_definition():
    x = ar1(np.random.default_rng(1), 0.5, 3_000)
    c = x - x.mean()
    total = 1.0
    for lag in range(1, 200):
        total += 2 * (c[:-lag] @ c[lag:]) / (c @ c)
        if lag >= 5 * total:
            break
    assert integrated_time(x, 200) == pytest.approx(total)
    assert integrated_time(x * 1e150 + 1e150, 200) == pytest.approx(total, rel=1e-6)


def test_memory_beyond_the_longest_lag_is_not_seen():
    x = ar1(np.random.default_rng(2), 0.95, 20_000)
    assert 1 < integrated_time(x, 3) < 8 < integrated_time(x, 1_000)
    assert integrated_time([1.0, 2.0], 1_000) >= 0


def test_columns_are_judged_one_by_one():
    rng = np.random.default_rng(3)
    columns = np.column_stack([np.zeros(500), ar1(rng, 0.8, 500)])
    assert integrated_times(columns, 50).tolist() == [1.0, integrated_time(columns[:, 1], 50)]
    assert integrated_times(np.zeros((10, 0)), 5).shape == (0,)


@pytest.mark.parametrize("values", [[0.1, 2.0, 2.0, 5.0, 7.0, 9.0, 9.5], [0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 3.0]])
@pytest.mark.parametrize("lag", [1, 2, 3])
def test_mean_and_variance_are_those_over_all_orders(values, lag):
    r = rankdata(values) - 4
    sums = np.array([np.dot(o[:-lag], o[lag:]) for o in map(np.array, itertools.permutations(r))])
    expected = math.erfc(abs(r[:-lag] @ r[lag:] - sums.mean()) / sums.std() / math.sqrt(2))
    assert _product_p(r, lag) == pytest.approx(expected)


@pytest.mark.parametrize("clump", [1, 4, 40, 300])
def test_pairs_of_rare_values_against_the_poisson_law(clump):
    rare = np.zeros(20_000, bool)
    rare[::500] = True
    rare[101 : 101 + clump] = True
    m = int(rare.sum())
    mean = 19_999 * m * (m - 1) / (20_000 * 19_999)
    found = int((rare[:-1] & rare[1:]).sum())
    assert _pairs_p(rare, m, 1) == pytest.approx(poisson_law.sf(found - 1, mean), rel=1e-6, abs=1e-300)


def test_the_worst_lag_is_reported():
    noise = np.random.default_rng(4).normal(size=4_000)
    found = lag_test(noise[7:] - noise[:-7], range(1, 21))
    assert (found.dependent, found.lag) == (True, 7)
    assert found.autocorrelation == pytest.approx(-0.5, abs=0.05)


def test_rare_values_in_bursts_are_found_and_a_few_scattered_ones_are_not():
    burst = np.zeros(5_000)
    burst[1_000:1_010] = 1.0
    scattered = np.zeros(5_000)
    scattered[np.random.default_rng(5).choice(5_000, 10, replace=False)] = 1.0
    assert lag_test(burst, range(1, 6)).dependent
    assert not lag_test(scattered, range(1, 6)).dependent


def test_nothing_but_ranks_matter_and_a_constant_is_independent():
    x = ar1(np.random.default_rng(6), 0.1, 1_000)
    assert lag_test(x, [1, 2]) == lag_test(np.exp(x), [1, 2])
    constant = lag_test(np.full(50, 3.0), [2, 1])
    assert (constant.dependent, constant.lag, constant.p_value) == (False, 1, 1.0)


@pytest.mark.parametrize("lags", [[], [0], [7], [1, 1]])
def test_bad_lags_are_refused(lags):
    with pytest.raises(ValueError, match="lags"):
        lag_test(np.arange(10.0), lags)


def test_bad_series_are_refused():
    for call in (
        lambda: lag_test([1.0, math.nan, 2.0, 3.0, 4.0, 5.0], [1]),
        lambda: integrated_time([1.0], 5),
        lambda: integrated_time([1.0, math.inf], 5),
        lambda: integrated_time([1.0, 2.0], 0),
        lambda: integrated_times([1.0, 2.0], 1),
    ):
        with pytest.raises(ValueError, match=r"series|max_lag|matrix"):
            call()
