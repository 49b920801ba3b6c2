from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bartizan.errors import LedgerError
from bartizan.store.entries import LogReader, all_entries
from bartizan.store.frames import GENESIS, HEADER_BYTES, BrokenFrame, begins_a_group, frames, pack_frame
from bartizan.store.layout import Layout, write_once
from bartizan.store.merkle import leaf_hash, root_of
from bartizan.store.records import Key, Recovered, decode_control
from bartizan.store.scan import scan
from bartizan.store.segments import SegmentLog
from bartizan.store.verification import verify


def entry(number: int) -> bytes:
    return b'{"id":"%d","time":%d.0}' % (number, number)


@pytest.fixture
def open_log(tmp_path, clock):
    opened = []

    def opener(**settings):
        defaults = {"origin": "ledger", "segment_bytes": 1 << 20, "segment_seconds": 1e9}
        log = SegmentLog(Layout(tmp_path), clock=clock, **(defaults | settings))
        opened.append(log)
        return log

    yield opener
    for log in opened:
        log.close()


def read_all(log: SegmentLog) -> list[bytes]:
    return [item for segment in log.segments for item in all_entries(segment)]


def crash(log: SegmentLog) -> None:
    """What the kernel does when a process is killed: descriptors are closed, nothing else."""
    log.close()


def test_what_was_appended_is_there_in_order(open_log):
    log = open_log()
    written = log.append([entry(1), entry(2)]) + log.append([entry(3)])
    assert [index for index, _ in written] == [1, 2, 3]  # entry 0 announces the key
    assert [leaf for _, leaf in written] == [leaf_hash(entry(number)) for number in (1, 2, 3)]
    assert read_all(log)[1:] == [entry(1), entry(2), entry(3)]
    checkpoint = log.sign()
    assert checkpoint.size == 4
    assert checkpoint.root == root_of([leaf_hash(item) for item in read_all(log)])


def test_first_entry_announces_the_key(open_log):
    log = open_log()
    control = decode_control(read_all(log)[0])
    assert isinstance(control, Key)
    assert control.verifier == str(log.verifier)


def test_it_goes_on_where_it_was(open_log):
    log = open_log()
    log.append([entry(1)])
    log.sign()
    log.close()
    again = open_log()
    assert again.size == 2
    again.append([entry(2)])
    assert read_all(again)[1:] == [entry(1), entry(2)]


def test_segments_rotate_by_size_and_by_age(open_log, clock):
    log = open_log(segment_bytes=200, segment_seconds=50)
    for number in range(4):
        log.append([entry(number)])
    by_size = len(log.segments)
    assert by_size > 1
    clock.now += 51
    log.append([entry(4)])
    log.append([entry(5)])
    assert len(log.segments) > by_size
    log.sign()
    log.close()
    again = open_log()
    assert read_all(again)[1:] == [entry(number) for number in range(6)]


def test_age_survives_a_restart(open_log, clock):
    log = open_log(segment_seconds=50)
    log.append([entry(1)])
    log.sign()
    log.close()
    clock.now += 51
    again = open_log(segment_seconds=50)
    again.append([entry(2)])
    assert len(again.segments) == 2


def test_reads_from_any_index_across_segments(open_log):
    log = open_log(segment_bytes=40_000)
    everything = [entry(number) for number in range(1, 1500)]
    for start in range(0, 1499, 97):
        log.append(everything[start : start + 97])
    assert len(log.segments) > 2
    reader = LogReader(lambda: log.segments)
    expected = read_all(log)
    for index in (0, 1, 255, 256, 257, 700, 1498, 1499):
        first, found = reader.entries(index, 10)
        assert first == index
        assert found == expected[index : index + len(found)]
        assert found
    assert reader.entries(1500, 10) == (1500, [])
    assert reader.leaves(3, 1400) == [leaf_hash(item) for item in expected[3:1400]]
    with pytest.raises(LedgerError):
        reader.leaves(1490, 1501)


def test_files_are_for_the_owner_only(open_log, tmp_path):
    log = open_log()
    log.append([entry(1)])
    for path in tmp_path.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_one_writer_only(open_log):
    open_log()
    with pytest.raises(LedgerError, match="in use by process"):
        open_log()


def test_a_key_is_never_overwritten(tmp_path):
    write_once(tmp_path / "key", b"first")
    with pytest.raises(FileExistsError):
        write_once(tmp_path / "key", b"second")
    assert (tmp_path / "key").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("lost", ["signing.key", "ledger/verifier.pub", "ledger/checkpoint"])
def test_a_ledger_without_its_key_or_checkpoint_is_not_continued(open_log, tmp_path, lost):
    log = open_log()
    log.close()
    (tmp_path / lost).unlink()
    with pytest.raises(LedgerError, match="missing"):
        open_log()
    assert not (tmp_path / lost).exists()


def test_a_ledger_keeps_its_name(open_log):
    open_log().close()
    with pytest.raises(LedgerError, match="this ledger's name"):
        open_log(origin="another")


@pytest.mark.parametrize("made", [[], ["signing.key"], ["signing.key", "ledger/verifier.pub"]])
def test_an_interrupted_beginning_is_finished(open_log, tmp_path, made):
    open_log().close()
    for path in [*tmp_path.glob("ledger/*"), *tmp_path.glob("*.key")]:
        if path.relative_to(tmp_path).as_posix() not in made:
            path.unlink()
    assert open_log().size == 1


def tear(open_log, tmp_path, keep: int) -> tuple[Path, int, int]:
    """Write a signed entry and an unsigned group of three; keep some bytes of the group."""
    log = open_log()
    log.append([entry(1)])
    log.sign()
    before = log.segments[-1].extent[1]
    log.append([entry(2), entry(3), entry(4)])
    path, end = log.segments[-1].path, log.segments[-1].extent[1]
    crash(log)
    os.truncate(path, before + keep)
    return path, before, end


def test_a_torn_end_is_cut_off_and_recorded_at_every_offset(open_log, tmp_path, monkeypatch):
    monkeypatch.setattr("bartizan.store.layout._sync_data", lambda _descriptor: None)
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    path, before, end = tear(open_log, tmp_path, 0)
    whole_frame = len(pack_frame(entry(2), 0, GENESIS))
    for keep in range(1, end - before):
        path.unlink(missing_ok=True)
        for leftover in [*tmp_path.glob("ledger/*"), tmp_path / "signing.key"]:
            leftover.unlink(missing_ok=True)
        tear(open_log, tmp_path, keep)
        log = open_log()
        kept, torn = divmod(keep, whole_frame)
        entries = read_all(log)
        assert entries[1 : 2 + kept] == [entry(1), entry(2), entry(3), entry(4)][: 1 + kept]
        if torn:
            assert decode_control(entries[-1]) == Recovered(log.signed_at, torn)
        assert len(entries) == 2 + kept + bool(torn)
        log.close()
        report = verify(tmp_path)
        assert report.ok
        assert report.recovered_bytes == torn


def test_zeros_and_garbage_at_the_end_are_torn_too(open_log, tmp_path):
    for junk in (bytes(5000), b"\xff" * 77, os.urandom(300)):
        log = open_log()
        log.append([entry(1)])
        size, path = log.size, log.segments[-1].path
        crash(log)
        with path.open("ab") as file:
            file.write(junk)
        again = open_log()
        assert again.size == size + 1
        assert decode_control(read_all(again)[-1]).bytes == len(junk)
        again.close()


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_damage_under_a_signature_is_refused(open_log):
    log = open_log()
    log.append([entry(1)])
    log.sign()
    path, end = log.segments[-1].path, log.segments[-1].extent[1]
    crash(log)
    flip(path, end - 1)
    with pytest.raises(LedgerError, match="damaged"):
        open_log()


def test_unsigned_damage_before_a_later_group_is_refused(open_log):
    log = open_log()
    before = log.segments[-1].extent[1]
    log.append([entry(1), entry(2)])
    log.append([entry(3)])
    path = log.segments[-1].path
    crash(log)
    whole = path.read_bytes()
    first = len(pack_frame(entry(1), 0, GENESIS))
    for offset in range(before, before + 2 * first):
        flip(path, offset)
        with pytest.raises(LedgerError, match="damaged"):
            open_log()
        path.write_bytes(whole)
    assert open_log().size == 4


def test_a_hole_in_the_group_being_written_is_torn(open_log):
    """After a power cut the pages of one group may reach the disk in any order."""
    log = open_log()
    before = log.segments[-1].extent[1]
    log.append([entry(1), entry(2), entry(3)])
    path = log.segments[-1].path
    crash(log)
    flip(path, before + 12)
    again = open_log()
    assert [type(decode_control(item)) for item in read_all(again)] == [Key, Recovered]


def test_damage_in_a_closed_segment_is_refused(open_log):
    log = open_log(segment_bytes=100)
    for number in range(3):
        log.append([entry(number)])
    path = log.segments[0].path
    crash(log)
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(LedgerError, match="damaged"):
        open_log(segment_bytes=100)


def test_removed_entries_are_noticed(open_log):
    log = open_log()
    before = log.segments[-1].extent[1]
    log.append([entry(1)])
    log.sign()
    path = log.segments[-1].path
    log.close()
    os.truncate(path, before)
    with pytest.raises(LedgerError, match="entries were removed"):
        open_log()


@pytest.mark.parametrize("which", [0, 1, -1])
def test_removed_segments_are_noticed(open_log, which):
    log = open_log(segment_bytes=100)
    for number in range(4):
        log.append([entry(number)])
    log.sign()
    log.close()
    log.segments[which].path.unlink()
    with pytest.raises(LedgerError):
        open_log(segment_bytes=100)


def test_a_chain_that_was_recomputed_is_not_what_was_signed(open_log, tmp_path):
    """Somebody without the key rewrites an entry, its chain and its checksums."""
    log = open_log()
    log.append([entry(1)])
    log.sign()
    segment = log.segments[0]
    log.close()
    data = segment.path.read_bytes()
    forged, chain = data[:HEADER_BYTES], GENESIS
    for _, item, place, _ in frames(data, HEADER_BYTES):
        changed = item.replace(b'"id":"1"', b'"id":"7"')
        chain = scan_chain(chain, changed)
        forged += pack_frame(changed, place, chain)
    segment.path.write_bytes(forged)
    assert scan(Layout(tmp_path), {}).tree.size == 2  # consistent in itself
    with pytest.raises(LedgerError, match="not those that were signed"):
        open_log()


def scan_chain(chain: bytes, item: bytes) -> bytes:
    from hashlib import sha256

    return sha256(chain + leaf_hash(item)).digest()


def test_a_stray_file_between_segments_is_noticed(open_log, tmp_path):
    open_log().close()
    (tmp_path / "ledger" / "extra.seg").write_bytes(b"")
    with pytest.raises(LedgerError, match=r"extra\.seg"):
        open_log()


def test_frames_say_where_they_break():
    data = pack_frame(b"{}", 0, GENESIS) + pack_frame(b"{}", 1, GENESIS)
    assert len(list(frames(data, 0))) == 2
    with pytest.raises(BrokenFrame) as caught:
        list(frames(data[:-1], 0))
    assert caught.value.offset == len(data) // 2
    with pytest.raises(BrokenFrame, match="impossible length"):
        list(frames(b"\xff" * 64, 0))


def test_only_a_frame_at_place_zero_begins_a_group():
    broken = b"\x01" * 50
    assert not begins_a_group(broken + pack_frame(b"{}", 1, GENESIS), 0)
    assert begins_a_group(broken + pack_frame(b"{}", 0, GENESIS), 0)
    assert not begins_a_group(broken + pack_frame(b"{}", 0, GENESIS)[:-1], 0)
