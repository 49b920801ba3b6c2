import numpy as np
import pytest

from bartizan.stats.conditional import KAPPAS, conditional_payoffs
from bartizan.stats.conformal import CONFIDENCE, certified_rank


@pytest.mark.parametrize("n", [0, 1, 3, 60, 458, 20_000])
@pytest.mark.parametrize("trimmed", [0.0, 0.01])
def test_payoffs_fall_and_cost_what_they_may_at_most(n, trimmed):
    bets = conditional_payoffs(n, trimmed)
    values, bounds = np.array(bets.values), np.array(bets.bounds)
    assert (np.diff(values, axis=0) < 0).all()
    assert (np.diff(bounds) > 0).all()
    assert bounds[-1] == 1.0
    assert bets.ranks[-1] == n + 1
    np.testing.assert_allclose(np.diff(bounds, prepend=0.0) @ values, np.ones(len(KAPPAS)))


def test_every_rank_has_a_payoff_and_none_is_more_generous_than_its_own_bound():
    n = 200
    bets = conditional_payoffs(n)
    paid = [bets.of(k / (n + 1)) for k in range(1, n + 2)]
    assert paid == sorted(paid, reverse=True)
    for k, values in enumerate(paid, start=1):
        assert values[0] <= KAPPAS[0] * (k / (n + 1) / 2) ** (KAPPAS[0] - 1)
    assert bets.of(1.0) == bets.values[-1]
    assert bets.of(1 / (n + 1)) == bets.values[0]


def test_bounds_are_those_of_the_beta_law():
    """A rank's bound, at the confidence of one rank, is the rate that this rank certifies."""
    n = 5_000
    bets = conditional_payoffs(n, 0.0, CONFIDENCE)
    single = conditional_payoffs(1, 0.0, 0.95)
    assert single.bounds[0] == pytest.approx(0.95)
    for rank, bound in zip(bets.ranks[:-1], bets.bounds, strict=False):
        assert certified_rank(n, min(bound, 1 - 1e-9)) >= rank


def test_more_calibration_points_pay_more():
    few, many = (conditional_payoffs(n).of(0.01) for n in (500, 50_000))
    assert many > few
    assert conditional_payoffs(0).of(1.0) == (1.0, 1.0)


@pytest.mark.parametrize("wrong", [(-1, 0.0, 0.9), (10, 1.0, 0.9), (10, -0.1, 0.9), (10, 0.0, 1.0)])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        conditional_payoffs(*wrong)
