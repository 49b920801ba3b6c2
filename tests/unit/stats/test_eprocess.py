import numpy as np
import pytest

from bartizan.stats.elond import gamma
from bartizan.stats.eprocess import LARGEST, AnyStart, Restarted


def test_the_mixture_is_the_mean_over_all_starts():
    rng = np.random.default_rng(0)
    payoffs = rng.exponential(size=(12, 2))
    process = AnyStart()
    for t in range(12):
        value = process.step(payoffs[t].tolist())
        begun = sum(gamma(s + 1) * np.prod(payoffs[s : t + 1], axis=0) for s in range(t + 1))
        idle = 1 - sum(gamma(s + 1) for s in range(t + 1))
        assert value == pytest.approx(idle + begun.mean())


def test_payoffs_of_one_leave_the_evidence_at_one():
    process = AnyStart()
    assert [process.step([1.0, 1.0]) for _ in range(500)] == [pytest.approx(1.0)] * 500
    assert AnyStart().value == 1.0


def test_the_restarted_sum_is_the_sum_over_all_starts():
    rng = np.random.default_rng(1)
    payoffs = rng.exponential(size=(10, 2))
    detector = Restarted()
    assert detector.value == 0.0
    for t in range(10):
        assert not detector.step(payoffs[t].tolist(), 1e9)
        begun = sum(np.prod(payoffs[s : t + 1], axis=0) for s in range(t + 1))
        assert detector.value == pytest.approx(begun.mean())


def test_after_a_crossing_it_starts_again():
    detector = Restarted()
    assert [detector.step([3.0], 10.0) for _ in range(4)] == [False, True, False, True]
    detector.step([0.2], 10.0)
    assert detector.value == pytest.approx(0.2)


def test_evidence_stays_finite():
    process, detector = AnyStart(), Restarted()
    for _ in range(400):
        process.step([50.0])
        detector.step([50.0], float("inf"))
    assert process.value <= LARGEST + 1
    assert detector.value <= LARGEST
