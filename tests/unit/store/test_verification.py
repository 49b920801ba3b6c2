from __future__ import annotations

from pathlib import Path

import pytest

from bartizan.store import verify
from bartizan.store.layout import Layout
from bartizan.store.notes import new_signer


def at_once(_seconds: float) -> None:
    """A pause in which nothing happens, for ledgers that nobody is writing."""


@pytest.fixture
def small_ledger(open_store, make_record, clock, tmp_path) -> Path:
    """Some segments, the first one pruned, closed."""
    clock.now = make_record(0).time
    store = open_store(segment_bytes=500)
    for number in range(8):
        store.receipt(make_record(number, steps=()))
    assert store.prune(make_record(1).time + 0.5) > 0
    store.close()
    path = tmp_path / "data"
    names = {file.suffix for file in Layout(path).ledger.iterdir()}
    assert names == {".seg", ".pruned", ".pub", ""}
    return path


def test_every_single_byte_corruption(small_ledger):
    assert verify(small_ledger).ok
    missed, tried = [], 0
    for file in sorted(Layout(small_ledger).ledger.iterdir()):
        whole = file.read_bytes()
        for offset in range(len(whole)):
            for mask in (0x01, 0x80):
                damaged = bytearray(whole)
                damaged[offset] ^= mask
                file.write_bytes(damaged)
                tried += 1
                if verify(small_ledger, pause=at_once).ok:
                    missed.append((file.name, offset, mask))
        file.write_bytes(whole)
    assert tried > 4_000
    assert missed == []
    assert verify(small_ledger).ok


def test_every_shortened_or_lengthened_file(small_ledger):
    for file in sorted(Layout(small_ledger).ledger.iterdir()):
        whole = file.read_bytes()
        for changed in (whole[:-1], whole[: len(whole) // 2], b"", whole + b"\n", whole + b"\0", whole[1:]):
            file.write_bytes(changed)
            assert not verify(small_ledger, pause=at_once).ok, (file.name, len(changed))
        file.unlink()
        assert not verify(small_ledger, pause=at_once).ok, file.name
        file.write_bytes(whole)


def test_report_of_a_good_ledger(small_ledger):
    report = verify(small_ledger)
    assert report.ok
    assert report.origin == "bartizan"
    assert report.signed == report.records
    assert report.unsigned == 0
    assert 0 < report.pruned < report.records
    assert len(report.root) == 64


def test_no_ledger(tmp_path):
    assert verify(tmp_path / "nothing").problems


def test_a_key_kept_elsewhere_beats_the_one_beside_the_ledger(small_ledger):
    mine = Layout(small_ledger).verifier.read_text()
    assert verify(small_ledger, verifier_key=mine).ok
    assert not verify(small_ledger, verifier_key=str(new_signer("bartizan").verifier)).ok


def test_entries_beyond_the_checkpoint_are_counted_as_unsigned(open_store, make_record, tmp_path):
    store = open_store(checkpoint_seconds=3_600)
    store.receipt(make_record(1))
    report = verify(tmp_path / "data")
    assert report.ok
    assert (report.records, report.signed, report.unsigned) == (2, 1, 1)


def test_an_older_ledger_put_back_is_noticed_by_a_witness(open_store, make_record, tmp_path):
    store = open_store()
    store.receipt(make_record(1))
    store.close()
    ledger = Layout(tmp_path / "data").ledger
    older = {file: file.read_bytes() for file in ledger.iterdir()}
    store = open_store()
    store.receipt(make_record(2))
    store.close()
    witnessed = Layout(tmp_path / "data").checkpoint.read_text()
    assert verify(tmp_path / "data", witnessed=[witnessed]).ok
    for file, data in older.items():
        file.write_bytes(data)
    assert verify(tmp_path / "data").ok  # by itself it can't know
    report = verify(tmp_path / "data", witnessed=[witnessed])
    assert "entries were removed" in report.problems[0]


def test_a_group_that_is_being_written_is_no_problem(open_store, make_record, tmp_path):
    store = open_store()
    store.receipt(make_record(1))
    store.close()
    segment = next(Layout(tmp_path / "data").ledger.glob("*.seg"))
    store = open_store(checkpoint_seconds=3_600)
    store.receipt(make_record(2))
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-10])

    def finish(_seconds: float) -> None:
        segment.write_bytes(whole)

    assert verify(tmp_path / "data", pause=finish).ok
    segment.write_bytes(whole[:-10])
    assert "no whole entry" in verify(tmp_path / "data", pause=at_once).problems[0]
    segment.write_bytes(whole)
