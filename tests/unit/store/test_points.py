"""The history of streams: kept for drawing, bounded, apart from the projection."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import replace

import pytest

from bartizan.store import StreamPoint
from bartizan.store import points as points_module

MINUTE = 1_700_000_040


def point(minute: int = MINUTE, stream: str = "input.amount", **changes) -> StreamPoint:
    return replace(StreamPoint("fraud", stream, minute, 1.5, 2.5, 13.8, 0.25, 100), **changes)


def kept(store, since=0.0, until=2e10):
    return store.stream_points("fraud", since, until)


def test_points_come_back_oldest_first(open_store):
    store = open_store()
    given = [point(MINUTE + 60), point(), point(stream="output.class", value=None)]
    store.add_points(given)
    store.add_points([point(system="other")])
    store.flush()
    assert sorted(kept(store), key=lambda p: (p.minute, p.stream)) == [given[1], given[2], given[0]]
    assert [p.minute for p in kept(store)] == [MINUTE, MINUTE, MINUTE + 60]
    assert kept(store, MINUTE + 60) == [given[0]]
    assert [p.minute for p in kept(store, MINUTE + 30, MINUTE + 59)] == [MINUTE, MINUTE]


def test_a_later_point_of_the_same_minute_replaces_an_earlier_one(open_store):
    store = open_store()
    store.add_points([point(events=1), point(events=2)])
    store.flush()
    assert [p.events for p in kept(store)] == [2]
    store.add_points([point(events=3)])
    store.flush()
    assert [p.events for p in kept(store)] == [3]


def test_points_are_no_part_of_the_ledger_and_outlive_a_rebuilt_projection(open_store, make_record, tmp_path):
    store = open_store()
    store.receipt(make_record(1))
    before = store.health().records
    store.add_points([point()])
    store.flush()
    assert store.health().records == before
    store.close()
    with sqlite3.connect(tmp_path / "data" / "queries.sqlite3") as connection:
        connection.execute("UPDATE progress SET schema_version = 0")
    connection.close()
    again = open_store()
    again.flush()
    assert kept(again) == [point()]


def test_points_older_than_retention_go(open_store):
    store = open_store(retention_days=1)
    store.add_points([point(), point(MINUTE + 60)])
    store.flush()
    store.add_points([point(MINUTE + 2 * 86_400)])
    store.flush()
    assert [p.minute for p in kept(store)] == [MINUTE + 2 * 86_400]


def test_points_wait_for_a_database_that_is_down_and_are_bounded(tmp_path, open_store, monkeypatch):
    monkeypatch.setattr(points_module, "CAPACITY", 3)
    away = tmp_path / "away"
    store = open_store(database_url=f"sqlite:///{away}/queries.db")
    store.add_points([point(MINUTE + 60 * i) for i in range(5)])
    away.mkdir()
    for _ in range(200):
        if store.health().ok:
            break
        time.sleep(0.05)
    store.flush()
    assert [p.minute for p in kept(store)] == [MINUTE + 60 * i for i in (2, 3, 4)]


@pytest.mark.parametrize("awkward", ["a\x00b", "'; DROP TABLE stream_points; --"])
def test_awkward_names_are_kept(open_store, awkward):
    store = open_store()
    store.add_points([point(stream=awkward)])
    store.add_points([point(stream=awkward, events=7)])
    store.flush()
    assert [p.events for p in kept(store)] == [7]
