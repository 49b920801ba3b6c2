from __future__ import annotations

import msgspec
import pytest

from bartizan.errors import LedgerError
from bartizan.store import Proof, proof_json, prove_from_files, verify_proof
from bartizan.store.notes import new_signer


@pytest.fixture
def proof(open_store, make_record) -> tuple[bytes, str]:
    store = open_store()
    for number in range(300):
        store.append(make_record(number))
    found = store.prove("r000150")
    return proof_json(found), store.verifier_key


def test_a_proof_needs_nothing_but_the_key(proof, make_record):
    document, key = proof
    assert verify_proof(document, key) == make_record(150)
    assert verify_proof(document.decode(), key + "\n").id == "r000150"


@pytest.mark.parametrize("number", [0, 1, 254, 255, 256, 257, 299])
def test_every_record_can_be_proved(open_store, make_record, number):
    store = open_store()
    for each in range(300):
        store.append(make_record(each))
    found = store.prove(f"r{number:06d}")
    assert verify_proof(proof_json(found), store.verifier_key) == make_record(number)
    assert found.index == number + 1


def test_an_older_checkpoint_still_proves_what_it_covers(open_store, make_record):
    store = open_store(checkpoint_seconds=3_600)
    store.append(make_record(1))
    first = store.prove("r000001")
    for number in range(2, 700):
        store.append(make_record(number))
    store.flush()
    again = store.prove("r000001")
    assert again == first
    assert verify_proof(proof_json(again), store.verifier_key) == make_record(1)


def test_nothing_else_is_proved(proof):
    document, key = proof
    good = msgspec.json.decode(document, type=Proof)
    fields = msgspec.to_builtins(good)
    for change in (
        {"record": good.record.replace("small", "large")},
        {"index": good.index + 1},
        {"size": good.size + 1},
        {"id": "r000151"},
        {"path": list(good.path[1:])},
        {"path": [*good.path, good.path[0]]},
        {"path": ["xyz"]},
        {"checkpoint": good.checkpoint.replace("bartizan\n", "another\n", 1)},
    ):
        with pytest.raises(LedgerError):
            verify_proof(msgspec.json.encode(fields | change), key)
    with pytest.raises(LedgerError):
        verify_proof(document, str(new_signer("bartizan").verifier))
    with pytest.raises(LedgerError):
        verify_proof(b"{}", key)


def test_from_the_files_alone(open_store, make_record, tmp_path):
    store = open_store(segment_bytes=20_000)
    for number in range(100):
        store.append(make_record(number))
    store.close()
    for file in (tmp_path / "data").glob("queries.sqlite3*"):
        file.unlink()
    found = prove_from_files(tmp_path / "data", "r000042")
    assert verify_proof(proof_json(found), store.verifier_key) == make_record(42)
    with pytest.raises(LedgerError, match="no record"):
        prove_from_files(tmp_path / "data", "nothing")


def test_what_is_not_signed_yet_cannot_be_proved_from_the_files(open_store, make_record, tmp_path):
    store = open_store(checkpoint_seconds=3_600)
    store.receipt(make_record(1))
    with pytest.raises(LedgerError, match="not signed yet"):
        prove_from_files(tmp_path / "data", "r000001")


def test_unknown_records_cannot_be_proved(open_store):
    with pytest.raises(LedgerError, match="no record"):
        open_store().prove("nothing")
