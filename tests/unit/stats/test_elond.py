import copy
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from bartizan.stats.elond import ELond, calibrate_p, gamma


def naive(level, e_values):
    """The definition, with the whole history in hand."""
    decisions = []
    for i, e in enumerate(e_values):
        share = 1 / (2.1097428013 * (i + 2) * math.log(i + 2) ** 2)
        decisions.append(e >= 1 / (level * share * (sum(decisions[:i]) + 1)))
    return decisions


evidence = st.lists(st.floats(-3, 12).map(math.exp) | st.sampled_from([0.0, math.inf]), max_size=60)


@given(st.sampled_from([0.01, 0.1, 0.5]), evidence)
def test_the_same_decisions_as_the_definition(level, e_values):
    procedure = ELond(level)
    assert [procedure.test(e) for e in e_values] == naive(level, e_values)
    assert procedure.tested == len(e_values)


@given(evidence, evidence)
def test_a_copy_of_the_fields_continues_alike(before, after):
    procedure = ELond(0.1)
    for e in before:
        procedure.test(e)
    restored = ELond(procedure.level, procedure.tested, procedure.rejected)
    assert restored == procedure == copy.copy(procedure)
    assert [restored.test(e) for e in after] == [procedure.test(e) for e in after]


def test_the_threshold_decides():
    procedure = ELond(0.05)
    assert not procedure.test(math.nextafter(procedure.threshold, 0))
    assert procedure.test(procedure.threshold)


def test_shares_sum_to_one_and_not_to_more():
    n = 200_000
    head = sum(gamma(i) for i in range(1, n))
    # The rest lies between these integrals of the falling share.
    least, most = (1 / 2.1097428013 / math.log(m) for m in (n + 1, n))
    assert head + most > 1 - 1e-6
    assert head + least <= 1


@pytest.mark.parametrize("e", [-1.0, math.nan])
def test_what_is_no_e_value_is_refused_and_not_counted(e):
    procedure = ELond(0.1)
    with pytest.raises(ValueError, match="e-values"):
        procedure.test(e)
    assert procedure.tested == 0


@pytest.mark.parametrize("state", [(0.0, 0, 0), (1.0, 0, 0), (math.nan, 0, 0), (0.1, 1, 2), (0.1, -1, -1)])
def test_an_impossible_state_is_refused(state):
    with pytest.raises(ValueError, match=r"level|rejections"):
        ELond(*state)


def mean_of(calibrator):
    """E[e] for a uniform p, integrated over s = -log p."""
    return quad(lambda s: float(calibrator(math.exp(-s))) * math.exp(-s), 0, 690, limit=500)[0]


@pytest.mark.parametrize("kappa", [0.05, 0.3, 0.5, 0.9])
def test_powers_integrate_to_one(kappa):
    assert mean_of(lambda p: calibrate_p(p, kappa)) == pytest.approx(1, abs=1e-6)


def test_the_mixture_integrates_to_one_and_is_the_mean_of_the_powers():
    # What lies beyond s = 690 is the tail of 1/s^2.
    assert mean_of(calibrate_p) == pytest.approx(1 - 1 / 690, abs=1e-6)
    for p in (1e-8, 0.01, 0.4, 0.998, 0.9995, 0.99999):
        assert calibrate_p(p) == pytest.approx(quad(lambda k, p=p: k * p ** (k - 1), 0, 1)[0], rel=1e-8)


@pytest.mark.parametrize("kappa", [None, 0.5])
def test_e_values_fall_in_p_and_stay_finite(kappa):
    grid = np.concatenate([[0.0, 1e-320, 1e-300], np.logspace(-200, -1, 100), np.linspace(0.11, 1, 5_000)])
    e = calibrate_p(grid, kappa)
    assert np.isfinite(e).all()
    assert (np.diff(e) <= 1e-12 * e[:-1]).all()
    assert calibrate_p(np.full((2, 3), 0.1), kappa).shape == (2, 3)


@pytest.mark.parametrize(("p", "kappa"), [(-0.1, None), (1.1, 0.5), (math.nan, None), (0.5, 0.0), (0.5, 1.0)])
def test_bad_arguments_are_refused(p, kappa):
    with pytest.raises(ValueError, match="must"):
        calibrate_p(p, kappa)
