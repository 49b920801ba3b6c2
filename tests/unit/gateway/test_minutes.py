"""Streams by the minute, for drawing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bartizan.alarms import Alarm, Cause, Events, StreamShare
from bartizan.gateway.minutes import ALL, Minutes
from bartizan.monitoring.streams import learn_stream

MINUTE = 1_700_000_040


@pytest.fixture(scope="module")
def streams():
    rng = np.random.default_rng(0)
    amount = learn_stream("input.amount", rng.normal(size=2000), 1e-3, rng)
    kinds = np.array(["a"] * 1500 + ["b"] * 500, dtype=np.object_)
    return amount, learn_stream("input.kind", rng.permutation(kinds), 1e-3, rng)


def events(at: float, amounts: list[float], kinds: list[str]) -> Events:
    n = len(amounts)
    columns = {"amount": np.array(amounts), "kind": np.array(kinds, dtype=np.object_)}
    return Events(np.full(n, at), columns)


def evidence(amount: float, kind: float) -> dict[str, float]:
    return {"input.amount": amount, "input.kind": kind}


def alarm(id: str = "al-1", log_evidence: float = math.log(2e4)) -> Alarm:
    shares = (StreamShare("input.amount", 0.9, "higher"), StreamShare("gone", 0.1, "lower"))
    return Alarm(id, "fraud", 0.0, 9, Cause.BENIGN_DRIFT, 0.0, 5, shares, (), (), log_evidence, 0.0, "", "")


def by_name(points):
    return {p.stream: p for p in points}


def test_values_and_evidence_of_a_minute(streams):
    minutes = Minutes("fraud", streams, 1e4)
    minutes.add(events(MINUTE + 5, [1.0, 3.0, np.nan], ["a", "b", "a"]), evidence(100.0, 0.5), [])
    minutes.add(events(MINUTE + 50, [2.0], ["b"]), evidence(10.0, 0.0), [])
    points = by_name(minutes.take())
    assert set(points) == {"input.amount", "input.kind", ALL}
    amount = points["input.amount"]
    assert (amount.minute, amount.events, amount.value) == (MINUTE, 4, 2.0)
    assert amount.last == pytest.approx(math.log(10))
    assert amount.highest == pytest.approx(math.log(100))
    assert amount.threshold == pytest.approx(math.log(2e4))  # two streams share the stake
    assert points["input.kind"].value == 0.5
    assert points["input.kind"].last == 0.0  # evidence below 1 says nothing
    assert points[ALL].highest == pytest.approx(math.log(50.25))
    assert points[ALL].threshold == pytest.approx(math.log(1e4))


def test_a_new_minute_closes_the_one_before(streams):
    minutes = Minutes("fraud", streams, 1e4)
    minutes.add(events(MINUTE, [1.0], ["a"]), evidence(2.0, 2.0), [])
    assert {p.minute for p in minutes.take()} == {MINUTE}
    minutes.add(events(MINUTE + 60, [5.0], ["a"]), evidence(1.0, 1.0), [])
    points = minutes.take()
    assert {(p.minute, p.value) for p in points if p.stream == "input.amount"} == {
        (MINUTE, 1.0),
        (MINUTE + 60, 5.0),
    }
    assert {p.minute for p in minutes.take()} == {MINUTE + 60}  # again, until it is over


def test_an_alarm_that_sets_the_evidence_back_is_still_seen(streams):
    minutes = Minutes("fraud", streams, 1e4)
    minutes.add(events(MINUTE, [1.0], ["a"]), evidence(0.0, 0.0), [alarm()])
    points = by_name(minutes.take())
    assert points[ALL].highest == pytest.approx(math.log(2e4))
    assert points[ALL].last == 0.0
    assert points["input.amount"].highest == pytest.approx(math.log(0.9 * 2 * 2e4))
    assert points["input.kind"].highest == 0.0


def test_an_alarm_told_again_did_not_cross_again(streams):
    minutes = Minutes("fraud", streams, 1e4)
    minutes.add(events(MINUTE, [1.0], ["a"]), evidence(0.0, 0.0), [alarm()])
    minutes.add(events(MINUTE + 60, [1.0], ["a"]), evidence(0.0, 0.0), [alarm()])
    assert by_name(p for p in minutes.take() if p.minute > MINUTE)[ALL].highest == 0.0


def test_nothing_watched_is_nothing_drawn(streams):
    minutes = Minutes("fraud", streams, 1e4)
    assert minutes.take() == []
    minutes.add(events(MINUTE, [1.0], ["a"]), {}, [])
    assert minutes.take() == []
