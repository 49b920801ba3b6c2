"""What the monitors are told: bounded, in order, nothing lost silently."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from bartizan.gateway import observations
from bartizan.gateway.observations import Observation, Queue, events_of
from bartizan.types import Rows

T = 1_700_000_000.0


def seen(i: int = 0, *, n: int = 1, d: int = 2, outputs: bool = True, **changes) -> Observation:
    inputs = np.full((n, d), float(i))
    answered = np.full((n, 3), i / 10) if outputs else None
    fields = {"time": T + i, "principal": f"p{i % 2}", "id": f"bz-{i}"} | changes
    return Observation(rows=Rows(inputs, answered, fields.pop("columns", ())), **fields)


def test_they_become_events_in_order():
    (events,) = events_of([seen(0, n=2, columns=("a", "b")), seen(1, columns=("a", "b"), trusted=True)], 0.0)
    assert events.times.tolist() == [T, T, T + 1]
    assert list(events.columns) == ["a", "b"]
    assert events.columns["a"].tolist() == [0, 0, 1]
    assert events.outputs.shape == (3, 3)
    assert events.principals == ("p0", "p0", "p1")
    assert events.trusted.tolist() == [False, False, True]
    assert events.ids == ("bz-0", "bz-0", "bz-1")


def test_columns_without_names_are_numbered():
    (events,) = events_of([seen(0, d=3)], 0.0)
    assert list(events.columns) == ["0", "1", "2"]


def test_times_never_decrease_across_stretches():
    given = [seen(0, time=T + 5), seen(1, time=T + 3), seen(2, time=T + 4, d=4), seen(3, time=T + 9, d=4)]
    stretches = list(events_of(given, T + 4))
    assert [e.times.tolist() for e in stretches] == [[T + 5, T + 5], [T + 5, T + 9]]


@pytest.mark.parametrize(
    "other", [{"d": 5}, {"outputs": False}, {"columns": ("x", "y")}, {"groups": (("network", "n"),)}]
)
def test_a_new_form_is_a_new_stretch(other):
    given = [seen(0), seen(1, **other), seen(2)]
    assert [len(e) for e in events_of(given, 0.0)] == [1, 1, 1]


def test_groups_are_named_by_level():
    given = [seen(i, groups=(("network", f"n{i}"), ("agent", "curl"))) for i in range(2)]
    (events,) = events_of(given, 0.0)
    assert events.groups == {"network": ("n0", "n1"), "agent": ("curl", "curl")}


def test_a_full_queue_drops_and_counts():
    queue = Queue(3)
    assert [queue.put(seen(i)) for i in range(5)] == [True] * 3 + [False] * 2
    assert (len(queue), queue.dropped) == (3, 2)
    assert [o.id for o in queue.take(2, 0.0)] == ["bz-0", "bz-1"]
    assert queue.put(seen(9))
    assert len(queue) == 2


def test_the_numbers_that_wait_are_bounded_too(monkeypatch):
    monkeypatch.setattr(observations, "MAX_ELEMENTS", 30)
    queue = Queue(100)
    assert queue.put(seen(0, n=4))  # 20 numbers
    assert not queue.put(seen(1, n=3))  # 15 more
    assert queue.put(seen(2, n=2))
    queue.take(1, 0.0)
    assert queue.put(seen(3, n=4))
    assert queue.dropped == 1


def test_taking_waits_for_the_first_and_a_closed_queue_takes_nothing():
    queue = Queue(10)
    threading.Timer(0.05, lambda: queue.put(seen(0))).start()
    began = time.monotonic()
    assert len(queue.take(5, 5.0)) == 1
    assert time.monotonic() - began < 4
    assert queue.take(5, 0.01) == []
    queue.put(seen(1))
    queue.close()
    assert not queue.put(seen(2))
    assert queue.dropped == 1
    assert len(queue.take(5, 5.0)) == 1
    assert queue.take(5, 5.0) == []
