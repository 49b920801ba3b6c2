import numpy as np
import pytest
from scipy.optimize import linprog

from bartizan.stats.bets import BETS, categorical_bets, numeric_bets, worst_payoff
from bartizan.stats.bins import Box, Cuts, box_of_counts
from bartizan.stats.edetector import EDetector


def some_boxes():
    rng = np.random.default_rng(0)
    yield "numeric", Cuts.of(rng.normal(size=20_000), rng).box(1e-3)
    yield "small", Cuts.of(rng.normal(size=60), rng).box(1e-3)
    yield "categories", box_of_counts(np.array([700, 200, 90, 10, 0]), 1e-3)
    yield "many", box_of_counts(rng.integers(0, 50, 32), 1e-3)


BOXES = dict(some_boxes())


@pytest.mark.parametrize("name", BOXES)
def test_the_worst_payoff_is_the_linear_programmes(name):
    box = BOXES[name]
    rng = np.random.default_rng(1)
    for _ in range(5):
        payoffs = rng.exponential(size=len(box.low))
        solved = linprog(
            -payoffs,
            A_eq=np.ones((1, len(payoffs))),
            b_eq=[1.0],
            bounds=list(zip(box.low, box.high, strict=False)),
        )
        assert worst_payoff(payoffs, box) == pytest.approx(-solved.fun, rel=1e-7)


@pytest.mark.parametrize("name", BOXES)
def test_no_law_inside_the_box_wins_a_bet(name):
    box = BOXES[name]
    bets = (
        categorical_bets(box, [str(k) for k in range(len(box.low))])
        if len(box.low) in (5, 32)
        else numeric_bets(box)
    )
    payoffs = np.exp(bets.log)
    for j in range(BETS):
        assert worst_payoff(payoffs[:, j], box) <= 1 + 1e-9
    assert box.estimate @ payoffs == pytest.approx(np.minimum(box.estimate @ payoffs, 1.0))
    assert bets.weights.sum() == pytest.approx(1.0)
    assert len(bets.changes) == BETS


def test_bets_win_on_what_they_stand_for():
    box = Cuts.of(np.random.default_rng(0).normal(size=100_000), np.random.default_rng(1)).box(1e-3)
    bets = numeric_bets(box)
    upper = np.linspace(0.2, 2.0, len(box.estimate)) * box.estimate
    growth = (upper / upper.sum()) @ bets.log
    best = int(growth.argmax())
    assert growth[best] > 0
    assert bets.changes[best] == "higher"


def test_a_new_category_is_named():
    bets = categorical_bets(box_of_counts(np.array([900, 100, 0]), 1e-3), ("red", "blue", "anything else"))
    best = int((np.array([0.5, 0.1, 0.4]) @ bets.log).argmax())
    assert "anything else" in bets.changes[best] or "hardly ever seen" in bets.changes[best]


def test_an_impossible_box_is_not_needed():
    box = Box(np.array([0.5, 0.5]), np.array([0.4, 0.4]), np.array([0.6, 0.6]))
    assert worst_payoff(np.array([2.0, 0.0]), box) == pytest.approx(1.2)


def test_a_stream_that_never_varies_is_no_metronome():
    bets = categorical_bets(
        box_of_counts(np.array([20_000, 0, 0, 0, 0]), 1e-3), ("0", "1", "2", "3", "other")
    )
    detector = EDetector([bets], 1e4)
    assert detector.run(np.zeros((200_000, 1), dtype=np.int64)) == []
    assert detector.run(np.ones((20, 1), dtype=np.int64))
