from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from bartizan.errors import ConfigError, LedgerError
from bartizan.ports import Ledger, RecordReader
from bartizan.store import EventQuery, Store, StoreSettings, open_reader, verify
from bartizan.store.merkle import leaf_hash
from bartizan.store.records import encode_record
from bartizan.types import Effect


@pytest.fixture
def filled(open_store, make_record) -> Store:
    store = open_store()
    for number in range(40):
        store.append(make_record(number, p=None if number == 5 else (number + 1) / 10_000))
    store.flush()
    return store


def ids(events) -> list[int]:
    return [int(event.id[1:]) for event in events]


def test_it_is_the_ledger_and_the_reader_of_the_ports(filled):
    ledger: Ledger = filled
    reader: RecordReader = filled
    assert ledger is reader


def test_a_receipt_says_where_and_what(open_store, make_record):
    store = open_store()
    receipt = store.receipt(make_record(3))
    assert receipt.id == "r000003"
    assert receipt.index == 1
    assert receipt.leaf == leaf_hash(encode_record(make_record(3))).hex()
    assert store.submit(make_record(4)).result(10).index == 2


def test_records_come_back_whole_and_newest_first(filled, make_record):
    assert filled.record("r000007") == make_record(7, p=0.0008)
    assert filled.record("nothing") is None
    assert [record.id for record in filled.records(limit=3)] == ["r000039", "r000038", "r000037"]


def test_an_event_is_the_narrow_row(filled, make_record):
    event = filled.events(EventQuery(before_index=21, limit=1))[0]
    record = make_record(19)
    assert (event.index, event.id, event.time) == (20, "r000019", record.time)
    assert (event.effect, event.enforced) == (Effect.BLOCK, Effect.BLOCK)
    assert (event.system, event.principal, event.session) == ("shop", "key:1", "session-4")
    assert (event.status, event.stream, event.added_us, event.upstream_us) == (403, True, 119, 5_000)
    assert event.detectors == ("text.hidden",)
    assert (event.faults, event.unjudged) == (0, 1)
    assert event.p_value == 0.002


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (EventQuery(limit=3), [39, 38, 37]),
        (EventQuery(system="desk", limit=2), [38, 36]),
        (EventQuery(effect_at_least=Effect.REDACT), [39, 29, 19, 9]),
        (EventQuery(effect_at_least=Effect.ALLOW, limit=1), [39]),
        (EventQuery(principal="key:0", limit=2), [39, 36]),
        (EventQuery(session="session-1", limit=2), [36, 31]),
        (EventQuery(detector="text.hidden"), [39, 29, 19, 9]),
        (EventQuery(detector="text"), []),
        (EventQuery(detector="%"), []),
        (EventQuery(since=1_700_000_038.0), [39, 38]),
        (EventQuery(until=1_700_000_002.0), [1, 0]),
        (EventQuery(since=1_700_000_002.0, until=1_700_000_004.0), [3, 2]),
        (EventQuery(before_index=3), [1, 0]),
        (EventQuery(after_index=38), [39, 38]),
        (EventQuery(system="shop", effect_at_least=Effect.BLOCK, principal="key:0"), [39, 9]),
        (EventQuery(system="' OR 1=1 --"), []),
    ],
)
def test_events_are_filtered(filled, query, expected):
    assert ids(filled.events(query)) == expected


def test_traffic_comes_from_the_minutes(filled, make_record):
    buckets = filled.traffic(make_record(0).time, make_record(40).time)
    assert sum(bucket.count for bucket in buckets) == 40
    blocked = [bucket for bucket in buckets if bucket.effect is Effect.BLOCK]
    assert sum(bucket.count for bucket in blocked) == 4
    total = sum(bucket.count * bucket.added_us for bucket in buckets)
    assert total == pytest.approx(sum(make_record(number).added_us for number in range(40)))
    assert all(bucket.minute % 60 == 0 for bucket in buckets)
    assert [bucket.minute for bucket in buckets] == sorted(bucket.minute for bucket in buckets)
    assert sum(b.count for b in filled.traffic(0, 2e9, system="desk")) == 20
    assert filled.traffic(0, 60) == []


def test_minutes_add_up_over_batches(open_store, make_record):
    store = open_store()
    for number in range(3):
        store.append(make_record(0, id=f"r{number}"))
        store.flush()
    assert [bucket.count for bucket in store.traffic(0, 2e9)] == [3]


def test_latency_is_newest_first(filled):
    assert filled.latency(3) == [139, 138, 137]


def test_scores_are_read_back_for_calibration(filled):
    rows = list(filled.measured("shop"))
    assert [row.index for row in rows] == list(range(40, 0, -2))
    assert rows[0].maxima == {"text.hidden": 39 / 7, "text.leak": -0.5}
    assert (rows[0].cell, rows[0].units, rows[0].principal) == ("user", 1, "key:0")
    assert [row.flagged for row in rows if row.index <= 12] == [False, True, True, False, True, True]
    assert len(list(filled.measured("shop", limit=3))) == 3
    assert [row.index for row in filled.measured("desk", since=1_700_000_036.0)] == [39, 37]


def test_scores_are_paged_without_gaps(filled, monkeypatch):
    monkeypatch.setattr("bartizan.store.queries.FETCH_ROWS", 7)
    assert [row.index for row in filled.measured("shop")] == list(range(40, 0, -2))
    assert len(list(filled.measured("shop", limit=15))) == 15


def test_p_values_and_the_realised_rate(filled):
    assert filled.p_values("shop", "user", 2) == [0.004, 0.0038]
    assert filled.p_values("shop", "another", 2) == []
    # Of the 20 of "shop" one has no p-value; p <= 0.001 for numbers 1, 3, 7 and 9.
    assert filled.alarm_counts("shop", "user") == (4, 19)
    assert filled.alarm_counts("shop", "user", since=1_700_000_008.0) == (1, 16)


def test_an_id_that_occurs_twice_means_the_first(open_store, make_record):
    store = open_store()
    store.append(make_record(1))
    store.append(make_record(2, id="r000001"))
    store.flush()
    assert store.record("r000001") == make_record(1)
    assert len(store.events(EventQuery())) == 2


def test_everything_is_there_after_reopening(open_store, make_record):
    store = open_store()
    for number in range(10):
        store.append(make_record(number))
    store.close()
    again = open_store()
    assert ids(again.events(EventQuery())) == list(range(9, -1, -1))
    assert again.receipt(make_record(10)).index == 11


def test_it_can_be_read_beside_the_process_that_writes(filled, tmp_path):
    reader = open_reader(tmp_path / "data")
    assert ids(reader.events(EventQuery(limit=1))) == [39]
    reader.close()
    with pytest.raises(LedgerError, match="no store"):
        open_reader(tmp_path)


def test_closed_means_closed(open_store, make_record, tmp_path):
    store = open_store()
    with store:
        store.append(make_record(1))
    for refused in (store.append, store.submit, store.receipt):
        with pytest.raises(LedgerError, match="closed"):
            refused(make_record(2))
    assert not store.health().writable
    store.close()
    report = verify(tmp_path / "data")
    assert report.ok
    assert report.unsigned == 0


def test_a_full_queue_is_refused_and_not_dropped(open_store, make_record, tmp_path):
    store = open_store(queue_records=5)
    gate = threading.Event()
    blocked = store._writer.call(lambda: gate.wait(10))
    while store._writer.queued:
        gate.wait(0.01)
    for number in range(5):
        store.append(make_record(number))
    with pytest.raises(LedgerError, match="waiting for the disk"):
        store.append(make_record(5))
    gate.set()
    assert blocked.result(10)
    store.flush()
    assert ids(store.events(EventQuery())) == [4, 3, 2, 1, 0]
    assert store.health().ok


def test_after_a_write_error_nothing_is_dropped_silently(open_store, make_record, monkeypatch, tmp_path):
    store = open_store()
    store.receipt(make_record(1))

    def full(_descriptor, _data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bartizan.store.segments.write_all", full)
    with pytest.raises(LedgerError, match="No space left"):
        store.receipt(make_record(2))
    with pytest.raises(LedgerError, match="No space left"):
        store.append(make_record(3))
    health = store.health()
    assert (health.ok, health.writable, health.unwritten) == (False, False, 1)
    assert "No space left" in health.error
    monkeypatch.undo()
    with pytest.raises(LedgerError, match="1 records were not written"):
        store.close()
    again = open_store()
    assert ids(again.events(EventQuery())) == [1]
    assert verify(tmp_path / "data").ok


def test_half_a_write_is_recovered(open_store, make_record, monkeypatch, tmp_path):
    store = open_store()

    def half(descriptor, data):
        import os

        os.write(descriptor, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("bartizan.store.segments.write_all", half)
        with pytest.raises(LedgerError):
            store.receipt(make_record(1))
    with pytest.raises(LedgerError):
        store.close()
    again = open_store()
    again.receipt(make_record(2))
    again.flush()
    assert ids(again.events(EventQuery())) == [2]
    again.close()
    assert verify(tmp_path / "data").recovered_bytes > 0


def test_many_threads_at_once(open_store, make_record, tmp_path):
    store = open_store()
    receipts: list[int] = []

    def write(start: int) -> None:
        for number in range(start, start + 50):
            receipts.append(store.receipt(make_record(number)).index)

    threads = [threading.Thread(target=write, args=(start,)) for start in range(0, 400, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receipts) == list(range(1, 401))
    store.flush()
    assert len(store.events(EventQuery(limit=1000))) == 400
    store.close()
    assert verify(tmp_path / "data").records == 401


def test_a_receipt_that_nobody_waits_for_is_written_all_the_same(open_store, make_record):
    store = open_store()
    ticket = store.submit(make_record(1))
    ticket.cancel()
    store.receipt(make_record(2))
    store.flush()
    assert ids(store.events(EventQuery())) == [2, 1]


def test_checkpoints_are_signed_while_it_runs(open_store, make_record):
    store = open_store(checkpoint_seconds=0.05)
    store.receipt(make_record(1))
    done = threading.Event()
    for _ in range(100):
        if store.health().signed == 2:
            break
        done.wait(0.05)
    assert store.health().signed == 2
    assert store.checkpoint().splitlines()[1] == "2"


def test_health(open_store, make_record, clock):
    store = open_store(checkpoint_seconds=3_600)
    store.receipt(make_record(1))
    store.flush()
    clock.now += 5
    health = store.health()
    assert health.ok
    assert (health.records, health.signed, health.queued, health.unprojected) == (2, 1, 0, 0)
    assert health.checkpoint_age == 5.0


def test_bad_settings(tmp_path, clock):
    for settings in (
        StoreSettings(tmp_path / "a", database_url="nonsense"),
        StoreSettings(tmp_path / "b", database_url="nosuchengine://host/db"),
    ):
        with pytest.raises(ConfigError):
            Store(settings, clock)
    with pytest.raises(LedgerError, match="can't name a ledger"):
        Store(replace(settings, origin="a b"), clock)
    # Nothing is left locked.
    Store(StoreSettings(tmp_path / "a"), clock).close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_dies_of_a_bug_leaves_nobody_waiting(open_store, make_record, monkeypatch):
    store = open_store()

    def broken(_record):
        raise AttributeError("a bug")

    monkeypatch.setattr("bartizan.store.writer.encode_entry", broken)
    with pytest.raises(LedgerError, match="the writer thread died"):
        store.receipt(make_record(1), timeout_s=10)
    with pytest.raises(LedgerError, match="the writer thread died"):
        store.append(make_record(2))
    assert store.health().unwritten == 1
    with pytest.raises(LedgerError, match="1 records were not written"):
        store.close()
