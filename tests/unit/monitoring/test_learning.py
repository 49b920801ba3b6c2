import math

import numpy as np
import pytest

from bartizan.alarms import Events
from bartizan.errors import CalibrationError
from bartizan.monitoring.baseline import Settings
from bartizan.monitoring.learning import MIN_EVENTS, learn
from bartizan.monitoring.stored import decode, encode


def made(n=4_000, phi=0.0, seed=0, walk=0.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    for t in range(1, n):
        x[t] = phi * x[t - 1] + math.sqrt(1 - phi**2) * x[t]
    return Events(np.arange(float(n)), {"x": x + walk * np.arange(n), "y": rng.normal(size=n)})


def learnt(events, **settings):
    rng = np.random.default_rng(0)
    return learn(events, name="n", created=1.0, rng=rng, settings=Settings(**settings))


def test_independent_events_get_the_promise_that_was_asked_for():
    baseline = learnt(made(), events_per_alarm=5e4)
    assert baseline.every == 1
    assert "1 false alarm per 50,000 events" in baseline.promise
    assert "99.9% confidence" in baseline.promise


def test_dependent_events_are_thinned_and_it_is_said():
    baseline = learnt(made(20_000, phi=0.6), events_per_alarm=5e4)
    assert baseline.every >= 5
    assert f"{baseline.every} apart" in baseline.promise
    assert baseline.threshold == 5e4 / baseline.every


def test_a_wandering_stream_gets_no_promise():
    baseline = learnt(made(walk=3e-3))
    assert not baseline.promise
    assert "input.x" in baseline.refused


def test_a_calibration_that_ends_otherwise_than_it_began_gets_no_promise():
    calm = made(6_000)
    calm.columns["x"][5_000:] += 1.5
    assert not learnt(calm).promise


def test_small_shifts_beyond_what_was_learnt_are_said_to_be_invisible():
    small, large = learnt(made(1_000)), learnt(made(50_000))
    assert small.delay(0.25) == math.inf
    assert large.delay(0.5) < large.delay(0.25)
    assert 20 < large.delay(1.0) < 100


def test_bytes_and_back():
    baseline = learnt(made())
    again = decode(encode(baseline))
    assert again.digest == baseline.digest
    assert again.promise == baseline.promise
    assert [s.name for s in again.streams] == [s.name for s in baseline.streams]
    assert all((a.bets.log == b.bets.log).all() for a, b in zip(again.streams, baseline.streams, strict=True))


@pytest.mark.parametrize("data", [b"", b"\x80", b"rubbish" * 100, encode(learnt(made(600)))[:-40]])
def test_other_bytes_are_refused(data):
    with pytest.raises(CalibrationError) as caught:
        decode(data)
    assert caught.value.hint


def test_too_few_events_are_refused():
    with pytest.raises(CalibrationError, match="too few"):
        learnt(made(MIN_EVENTS - 1))


@pytest.mark.parametrize("settings", [{"events_per_alarm": 0.1}, {"events_per_alarm": 1e15}, {"delta": 0.0}])
def test_impossible_promises_are_refused(settings):
    with pytest.raises(CalibrationError, match="can't be asked for"):
        learnt(made(), **settings)


def test_a_stream_without_a_column_is_refused():
    baseline = learnt(made())
    other = Events(np.arange(3.0), {"x": np.zeros(3)})
    with pytest.raises(CalibrationError, match=r"lacks input\.y"):
        baseline.bins(other, np.full((3, 4), 0.5))
