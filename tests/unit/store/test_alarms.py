"""Alarms in the ledger: written, found, proved, and missed when somebody changes them."""

from __future__ import annotations

import math
import sqlite3

import msgspec
import pytest

from bartizan.alarms import Cause
from bartizan.errors import LedgerError
from bartizan.store import EventQuery, prove_from_files, verify, verify_proof
from bartizan.store.frames import MAX_ENTRY_BYTES
from bartizan.store.layout import Layout
from bartizan.store.proofs import proof_json
from bartizan.store.records import (
    ALARM_PREFIX,
    CONTROL_PREFIX,
    Unwritable,
    decode_alarm,
    decode_control,
    decode_entry,
    decode_record,
    encode_alarm,
    encode_entry,
    entry_time,
)


@pytest.fixture
def filled(open_store, make_record, make_alarm):
    store = open_store()
    for number in range(6):
        store.append(make_record(number))
        store.append_alarm(
            make_alarm(
                number,
                system="fraud" if number % 2 else "digits",
                cause=Cause.ATTACK if number < 4 else Cause.BENIGN_DRIFT,
                principals=(f"key:{number % 3}", "a|b", "a|b"),
            )
        )
    store.flush()
    return store


def test_alarms_come_back(make_alarm, make_record):
    alarm = make_alarm(3)
    entry = encode_entry(alarm)
    assert entry.startswith(ALARM_PREFIX)
    assert not entry.startswith(CONTROL_PREFIX)
    assert decode_alarm(entry) == alarm == decode_entry(entry)
    assert entry_time(entry) == alarm.time
    assert encode_entry(alarm) == entry
    assert decode_entry(encode_entry(make_record(1))) == make_record(1)
    with pytest.raises(msgspec.ValidationError):
        decode_record(entry)


def test_alarms_that_json_cannot_carry_are_written_as_near_as_can_be(make_alarm):
    back = decode_alarm(encode_alarm(make_alarm(log_evidence=-math.inf, error=math.inf)))
    assert back.log_evidence < -1e300
    assert back.error > 1e300
    assert decode_alarm(encode_alarm(make_alarm(principals=("a\ud800",)))).principals == ("a\\ud800",)
    for awkward in (make_alarm(onset=math.nan), make_alarm(advice="x" * MAX_ENTRY_BYTES)):
        control = decode_control(encode_alarm(awkward))
        assert isinstance(control, Unwritable)
        assert control.id == awkward.id


def test_alarms_are_listed_newest_first_and_by_every_condition(filled):
    def ids(**conditions):
        return [alarm.id[-1] for alarm in filled.alarms(**conditions)]

    assert ids() == ["5", "4", "3", "2", "1", "0"]
    assert ids(system="fraud") == ["5", "3", "1"]
    assert ids(cause=Cause.BENIGN_DRIFT) == ["5", "4"]
    assert ids(principal="key:1") == ["4", "1"]
    assert ids(principal="a|b", limit=2) == ["5", "4"]
    assert ids(principal="a") == []
    assert ids(since=filled.alarm("al-0003").time) == ["5", "4", "3"]
    assert ids(system="fraud", cause=Cause.ATTACK, principal="key:0") == ["3"]
    assert filled.alarm("nothing") is None


def test_an_alarm_that_is_told_again_counts_as_it_was_told_last(open_store, make_alarm, tmp_path):
    store = open_store()
    first = make_alarm(1, cause=Cause.UNDETERMINED, principals=("early",))
    store.append_alarm(first)
    store.append_alarm(make_alarm(2))
    last = make_alarm(1, cause=Cause.ATTACK, principals=("mallory",), crossings=3)
    store.append_alarm(last)
    store.flush()
    assert [a.id for a in store.alarms()] == ["al-0001", "al-0002"]
    assert store.alarm("al-0001") == last
    assert store.alarm_tellings("al-0001") == [last, first]
    assert store.alarms(principal="early") == []
    assert store.alarms(cause=Cause.UNDETERMINED) == []
    assert verify_proof(proof_json(store.prove("al-0001")), store.verifier_key) == last
    key = store.verifier_key
    store.close()
    assert verify_proof(proof_json(prove_from_files(tmp_path / "data", "al-0001")), key) == last


def test_alarms_are_no_exchanges(filled):
    assert len(filled.events(EventQuery())) == 6
    assert filled.health().unreadable == 0
    assert filled.record("al-0001") is None


def test_alarms_survive_the_database(filled, open_store, tmp_path):
    before = filled.alarms()
    filled.close()
    for file in (tmp_path / "data").glob("queries.sqlite3*"):
        file.unlink()
    again = open_store()
    again.flush()
    assert again.alarms() == before


def test_a_query_store_from_before_alarms_is_rebuilt(filled, open_store, tmp_path):
    filled.close()
    with sqlite3.connect(tmp_path / "data" / "queries.sqlite3") as connection:
        connection.execute("DROP TABLE alarms")
        connection.execute("DROP TABLE concerned")
        connection.execute("UPDATE progress SET schema_version = 1")
    connection.close()
    again = open_store()
    again.flush()
    assert len(again.alarms()) == 6
    assert len(again.alarms(principal="a|b")) == 6
    assert len(again.events(EventQuery())) == 6


def test_an_alarm_can_be_proved(filled, make_alarm, tmp_path):
    proof = filled.prove("al-0003")
    proved = verify_proof(proof_json(proof), filled.verifier_key)
    assert proved == filled.alarm("al-0003")
    forged = proof.record.replace("attack", "benign drift", 1)
    broken = msgspec.json.encode({**msgspec.to_builtins(proof), "record": forged})
    with pytest.raises(LedgerError, match="not under the signed root"):
        verify_proof(broken, filled.verifier_key)
    filled.close()
    assert prove_from_files(tmp_path / "data", "al-0005").id == "al-0005"


@pytest.mark.parametrize("cut", [b"key:2", b"Contain", b'"alarm"', b"15.2"])
def test_a_changed_alarm_is_noticed(open_store, make_record, make_alarm, tmp_path, cut):
    store = open_store()
    store.append(make_record(1))
    store.append_alarm(make_alarm(1))
    store.append(make_record(2))
    store.close()
    assert verify(tmp_path / "data").ok
    (segment,) = Layout(tmp_path / "data").ledger.glob("*.seg")
    data = segment.read_bytes()
    at = data.index(cut)
    segment.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    assert not verify(tmp_path / "data").ok


def test_alarms_are_pruned_with_the_records_around_them(open_store, make_alarm, make_record, clock, tmp_path):
    clock.now = make_alarm(0).time
    store = open_store(segment_bytes=4_000)
    for number in range(20):
        store.append_alarm(make_alarm(number))
        store.receipt(make_record(number))
        clock.now += 1
    pruned = store.prune(make_alarm(12).time)
    assert pruned > 0
    store.flush()
    left = store.alarms(limit=100)
    assert left[0].id == "al-0019"
    assert 0 < len(left) < 20
    assert len(store.alarms(principal="key:1", limit=100)) == len(left)
    store.close()
    assert verify(tmp_path / "data").ok
