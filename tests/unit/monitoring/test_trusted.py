import numpy as np
import pytest

from bartizan.alarms import Answer
from bartizan.monitoring.trusted import compare


def scores(seed, n, mean):
    return np.random.default_rng(seed).normal(size=n) + mean


def ask(moved, n=400, others=1.0):
    trusted = scores(1, 400, 0), scores(2, n, moved)
    return compare(trusted, (scores(3, 5000, 0), scores(4, 2000, others)), 0.0, 6)


@pytest.mark.parametrize(("moved", "answer"), [(1.0, "yes"), (0.0, "no"), (-1.0, "no"), (0.9, "yes")])
def test_a_source_that_moves_along_and_one_that_stays(moved, answer):
    assert ask(moved).answer == answer


def test_too_few_events_and_half_way_are_unknown():
    assert ask(1.0, n=10).answer is Answer.UNKNOWN
    assert ask(0.1, n=40, others=0.2).answer is Answer.UNKNOWN


def test_without_a_past_the_calibrated_mean_stands_in():
    nothing = np.empty(0)
    found = compare((nothing, scores(1, 400, 1)), (nothing, scores(2, 2000, 1)), 0.0, 6)
    assert found.answer is Answer.YES


def test_both_answers_are_seldom_wrong():
    rng = np.random.default_rng(0)
    wrong = {Answer.YES: 0, Answer.NO: 0}
    for _ in range(400):
        before, others = rng.normal(size=300), (rng.normal(size=4000), rng.normal(size=2000) + 0.6)
        still = compare((before, rng.normal(size=300)), others, 0.0, 1).answer
        along = compare((before, rng.normal(size=300) + 0.6), others, 0.0, 1).answer
        wrong[Answer.YES] += still is Answer.YES
        wrong[Answer.NO] += along is Answer.NO
    assert max(wrong.values()) <= 10
