from __future__ import annotations

import os
import sqlite3
import threading
import time

import pytest
from msgspec.structs import replace
from sqlalchemy import create_engine

from bartizan.errors import LedgerError
from bartizan.store import EventQuery, Store, StoreSettings
from bartizan.store.rows import exchange_row, minute_of, pack_names, packed_name, unpack_names
from bartizan.store.tables import kept, metadata


def count(store) -> int:
    return len(store.events(EventQuery(limit=10_000)))


def until(condition) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came")


def test_a_dropped_database_is_rebuilt(open_store, make_record, tmp_path):
    store = open_store()
    for number in range(30):
        store.append(make_record(number))
    store.flush()
    before = (store.events(EventQuery()), store.traffic(0, 2e9), list(store.measured("shop")))
    store.close()
    for file in (tmp_path / "data").glob("queries.sqlite3*"):
        file.unlink()
    again = open_store()
    again.flush()
    assert (again.events(EventQuery()), again.traffic(0, 2e9), list(again.measured("shop"))) == before


def test_a_database_that_is_behind_catches_up_without_repeating(open_store, make_record, tmp_path):
    store = open_store()
    store.receipt(make_record(1))
    store.close()
    database = tmp_path / "data" / "queries.sqlite3"
    behind = database.read_bytes()
    store = open_store()
    store.receipt(make_record(2))
    store.close()
    for file in (tmp_path / "data").glob("queries.sqlite3*"):
        file.unlink()
    database.write_bytes(behind)
    again = open_store()
    again.flush()
    assert count(again) == 2
    assert sum(bucket.count for bucket in again.traffic(0, 2e9)) == 2


def test_the_ledger_goes_on_while_the_database_is_down(make_record, tmp_path, clock):
    away = tmp_path / "away"
    settings = StoreSettings(
        tmp_path / "data", database_url=f"sqlite:///{away}/queries.db", retention_days=None
    )
    store = Store(settings, clock)
    receipts = [store.receipt(make_record(number)) for number in range(5)]
    assert [receipt.index for receipt in receipts] == [1, 2, 3, 4, 5]
    health = store.health()
    assert health.writable
    assert not health.ok
    assert health.database_error
    assert health.unprojected == 6
    with pytest.raises(LedgerError, match="does not answer"):
        store.events(EventQuery())
    with pytest.raises(LedgerError, match="does not follow"):
        store.flush(0.2)
    away.mkdir()
    until(lambda: store.health().unprojected == 0)
    assert count(store) == 5
    assert store.health().ok
    store.close()


def test_a_database_that_fails_in_the_middle_is_caught_up(open_store, make_record, tmp_path):
    store = open_store()
    store.receipt(make_record(1))
    store.flush()
    holder = sqlite3.connect(tmp_path / "data" / "queries.sqlite3", isolation_level=None)
    holder.execute("DROP TABLE measured")
    store.receipt(make_record(2))
    until(lambda: "measured" in store.health().database_error or count(store) == 2)
    until(lambda: store.health().ok and count(store) == 2)
    holder.close()
    assert sum(bucket.count for bucket in store.traffic(0, 2e9)) == 2


def test_another_ledgers_database_is_refused(make_record, tmp_path, clock):
    url = f"sqlite:///{tmp_path}/shared.db"
    first = Store(StoreSettings(tmp_path / "a", database_url=url, retention_days=None), clock)
    first.receipt(make_record(1))
    first.close()
    second = Store(StoreSettings(tmp_path / "b", database_url=url, retention_days=None), clock)
    second.receipt(make_record(2))
    assert "another ledger" in second.health().database_error
    second.close()


def test_another_schema_is_rebuilt(open_store, make_record, tmp_path):
    store = open_store()
    store.receipt(make_record(1))
    store.close()
    with sqlite3.connect(tmp_path / "data" / "queries.sqlite3") as connection:
        connection.execute("UPDATE progress SET schema_version = 0")
    connection.close()
    again = open_store()
    again.flush()
    assert count(again) == 1
    assert sum(bucket.count for bucket in again.traffic(0, 2e9)) == 1


def test_entries_of_another_version_are_counted_and_passed_over(open_store, make_record):
    store = open_store()
    store._writer.call(lambda: store._log.append([b'{"time":1.0,"from":"the future"}'])).result(10)
    store.receipt(make_record(1))
    store.flush()
    assert count(store) == 1
    assert store.health().unreadable == 1


def test_default_database_is_private_and_in_wal_mode(open_store, make_record, tmp_path):
    store = open_store()
    store.receipt(make_record(1))
    store.flush()
    for file in (tmp_path / "data").glob("queries.sqlite3*"):
        assert os.stat(file).st_mode & 0o777 == 0o600, file
    connection = sqlite3.connect(tmp_path / "data" / "queries.sqlite3")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_rows_fit_every_database(make_record):
    record = make_record(1, model="a\x00b", added_us=2**70)
    row = exchange_row(0, record, b"")
    assert row["model"] == "a\N{REPLACEMENT CHARACTER}b"
    assert row["added_us"] < 2**63


def test_tables_can_be_made_on_postgresql():
    """The statements compile there; running them needs a server."""
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateIndex, CreateTable

    for table in (*metadata.sorted_tables, *kept.sorted_tables):
        text = str(CreateTable(table).compile(dialect=postgresql.dialect()))
        assert "CREATE TABLE" in text
        assert "DATETIME" not in text
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=postgresql.dialect()))
    exchanges = str(CreateTable(metadata.tables["exchanges"]).compile(dialect=postgresql.dialect()))
    assert "position BIGINT NOT NULL" in exchanges
    assert "body BYTEA NOT NULL" in exchanges


def test_names_are_packed_so_that_each_is_found_exactly():
    packed = pack_names(["text.leak", "rows.range"])
    assert unpack_names(packed) == ("rows.range", "text.leak")
    assert packed_name("text.leak") in packed
    assert packed_name("text") not in packed
    assert unpack_names(pack_names([])) == ()


def test_minutes_start_at_full_minutes():
    assert minute_of(119.9) == 60
    assert minute_of(0.0) == 0


def test_memory_databases_are_not_needed():
    """Portable SQL only: the same tables stand in a database without our settings."""
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    engine.dispose()


def test_queries_from_many_threads_while_it_writes(open_store, make_record):
    store = open_store()
    errors: list[Exception] = []

    def read() -> None:
        try:
            for _ in range(20):
                store.events(EventQuery())
                store.traffic(0, 2e9)
        except Exception as error:
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(300):
        store.append(replace(make_record(number), id=f"x{number}"))
    for reader in readers:
        reader.join()
    store.flush()
    assert errors == []
    assert count(store) == 300
