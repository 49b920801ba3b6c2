from __future__ import annotations

import pytest

from bartizan.errors import LedgerError
from bartizan.store import EventQuery, proof_json, verify, verify_proof
from bartizan.store.layout import Layout
from bartizan.store.retention import SECONDS_PER_DAY


@pytest.fixture
def aged(open_store, make_record, clock):
    """Twenty records in several segments, one second apart."""
    clock.now = make_record(0).time
    store = open_store(segment_bytes=4_000)
    for number in range(20):
        store.receipt(make_record(number))
        clock.now += 1
    store.flush()
    return store


def test_old_records_go_and_the_tree_still_verifies(aged, make_record, tmp_path):
    kept = aged.prove("r000019")
    pruned = aged.prune(make_record(10).time)
    assert 0 < pruned <= 11
    aged.flush()
    ids = [event.id for event in aged.events(EventQuery(limit=100))]
    assert ids[0] == "r000019"
    assert f"r{pruned - 2:06d}" not in ids  # entry 0 is the ledger's own
    assert f"r{pruned:06d}" in ids
    assert len(list(aged.measured("shop"))) + len(list(aged.measured("desk"))) == 20 - (pruned - 1)
    for file in Layout(tmp_path / "data").ledger.iterdir():
        assert b"r000001" not in file.read_bytes()
    aged.close()
    for file in (tmp_path / "data").glob("queries.sqlite3*"):
        assert b"r000001" not in file.read_bytes()
    report = verify(tmp_path / "data")
    assert report.ok
    assert report.pruned == pruned
    verify_proof(proof_json(kept), report.verifier)


def test_pruned_ledgers_go_on(aged, make_record, open_store, tmp_path):
    pruned = aged.prune(make_record(10).time)
    assert aged.prune(make_record(10).time) == 0
    aged.close()
    again = open_store(segment_bytes=4_000)
    again.receipt(make_record(20))
    again.flush()
    assert len(again.events(EventQuery(limit=100))) == 21 - (pruned - 1)
    assert again.prune(make_record(16).time) > 0
    again.flush()
    proof = again.prove("r000020")
    verify_proof(proof_json(proof), again.verifier_key)
    again.close()
    assert verify(tmp_path / "data").ok


def test_counts_outlive_the_records(aged, make_record):
    aged.prune(make_record(10).time)
    aged.flush()
    assert sum(bucket.count for bucket in aged.traffic(0, 2e9)) == 20


def test_pruned_records_cannot_be_proved(aged, make_record):
    aged.prune(make_record(10).time)
    aged.flush()
    with pytest.raises(LedgerError, match="no record"):
        aged.prove("r000001")


def test_hashes_in_the_place_of_a_segment_need_an_entry_that_says_so(aged, make_record, tmp_path):
    """Somebody who can write files, and cannot sign, prunes what incriminates them."""
    from bartizan.store.retention import _reduce

    layout = Layout(tmp_path / "data")
    first = aged._log.segments[0]
    aged.close()
    _reduce(layout, first)
    first.path.unlink()
    assert "no entry says so" in verify(tmp_path / "data").problems[0]


def test_an_interrupted_pruning_is_finished(aged, make_record, open_store, tmp_path):
    layout = Layout(tmp_path / "data")
    whole = {segment.path: segment.path.read_bytes() for segment in aged._log.segments}
    pruned = aged.prune(make_record(10).time)
    aged.close()
    gone = [path for path in whole if not path.exists()]
    gone[0].write_bytes(whole[gone[0]])
    assert verify(tmp_path / "data").ok
    again = open_store()
    assert not gone[0].exists()
    again.close()
    assert verify(tmp_path / "data").pruned == pruned
    assert layout.pruned(0).exists()


def test_damage_is_not_pruned_away(aged, make_record):
    path = aged._log.segments[0].path
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    with pytest.raises(LedgerError, match="damaged"):
        aged.prune(make_record(10).time)
    assert path.exists()
    data[200] ^= 1
    path.write_bytes(data)


def test_it_happens_by_itself(aged, open_store, clock, tmp_path):
    aged.close()
    clock.now += 40 * SECONDS_PER_DAY
    store = open_store(retention_days=30)
    for _ in range(200):
        if store.health().database_error or store._log.pruned_before:
            break
        store._retention._stop.wait(0.02)
    store.close()
    report = verify(tmp_path / "data")
    assert report.ok
    assert report.pruned == 21


def test_the_projection_can_be_rebuilt_from_what_is_left(aged, make_record, open_store, tmp_path):
    pruned = aged.prune(make_record(10).time)
    aged.close()
    for file in (tmp_path / "data").glob("queries.sqlite3*"):
        file.unlink()
    again = open_store()
    again.flush()
    assert len(again.events(EventQuery(limit=100))) == 20 - (pruned - 1)
