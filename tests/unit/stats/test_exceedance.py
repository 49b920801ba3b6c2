import numpy as np
import pytest

from bartizan.stats.bets import BETS
from bartizan.stats.exceedance import MAX_LIMITS, SHARES, exceedance_bets


def laws(rates, rng, many=200):
    """Laws of the bin under which every limit is exceeded at most as often as the rates allow."""
    for _ in range(many):
        upper = np.minimum.accumulate(rates * rng.random(len(rates)) ** rng.choice([0.0, 0.3]))
        above = np.concatenate([[1.0], upper, [0.0]])
        yield above[:-1] - above[1:]


@pytest.mark.parametrize("rates", [[0.02], [1.0], [0.5, 0.1], [0.3, 0.3, 0.02, 0.02]])
def test_no_law_within_the_rates_wins(rates):
    bets = exceedance_bets(np.array(rates))
    for law in laws(np.array(rates), np.random.default_rng(0)):
        assert (law @ np.exp(bets.log) <= 1 + 1e-9).all()


def test_a_law_beyond_the_rates_wins():
    bets = exceedance_bets(np.array([0.1, 0.01]))
    assert (np.array([0.9, 0.0, 0.1]) @ np.exp(bets.log)).max() > 5


def test_payoffs_never_fall_with_the_bin():
    bets = exceedance_bets(np.array([0.3, 0.05, 0.01]))
    assert (np.diff(bets.log, axis=0) >= 0).all()


def test_weights_are_a_stake_and_unused_bets_get_none_of_it():
    bets = exceedance_bets(np.array([0.1]))
    assert bets.log.shape == (2, BETS)
    assert bets.weights.sum() == pytest.approx(1)
    assert np.count_nonzero(bets.weights) == len(SHARES)


@pytest.mark.parametrize("rates", [[], [0.0], [1.5], [0.1] * (MAX_LIMITS + 1)])
def test_rates_that_are_none_are_refused(rates):
    with pytest.raises(ValueError, match="rates"):
        exceedance_bets(np.array(rates))
