import numpy as np
import pytest
from scipy import stats

from bartizan.stats.intervals import clopper_pearson, poisson, wilson


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
@pytest.mark.parametrize(("hits", "trials"), [(0, 30), (1, 30), (15, 30), (30, 30), (7, 10_000), (0, 0)])
def test_wilson_and_clopper_pearson_against_scipy(hits, trials, confidence):
    if trials == 0:
        assert wilson(hits, trials, confidence) == clopper_pearson(hits, trials, confidence) == (0.0, 1.0)
        return
    result = stats.binomtest(hits, trials)
    assert wilson(hits, trials, confidence) == pytest.approx(
        tuple(result.proportion_ci(confidence, "wilson")), abs=1e-12
    )
    assert clopper_pearson(hits, trials, confidence) == pytest.approx(
        tuple(result.proportion_ci(confidence, "exact")), abs=1e-9
    )


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
@pytest.mark.parametrize("count", [0, 1, 10, 1_000, 200_000])
def test_poisson_ends_leave_the_stated_tails(count, confidence):
    low, high = poisson(count, confidence)
    tail = (1 - confidence) / 2
    assert stats.poisson.cdf(count, high) == pytest.approx(tail)
    if count:
        assert stats.poisson.sf(count - 1, low) == pytest.approx(tail)
    else:
        assert low == 0.0


def test_poisson_against_garwood_s_table():
    assert np.round(poisson(3), 2).tolist() == [0.62, 8.77]
    assert np.round(poisson(20, 0.99), 2).tolist() == [10.35, 34.67]
