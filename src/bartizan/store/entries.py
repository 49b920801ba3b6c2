"""Reads entries and leaf hashes back from the segment files, beside the writer."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, TypeVar
from zlib import crc32

from bartizan.errors import LedgerError
from bartizan.store.frames import CRC, FRAME, HEADER_BYTES, MAX_ENTRY_BYTES
from bartizan.store.merkle import HASH_BYTES, leaf_hash
from bartizan.store.segment import HASHES_BYTES, Segment
from bartizan.store.tree import BLOCK_LEAVES

BATCH_BYTES = 8 * 1024 * 1024
T = TypeVar("T")


class LogReader:
    """Reads what is on disk, by index.

    Args:
        segments: Returns the files as they are now.
    """

    def __init__(self, segments: Callable[[], Sequence[Segment]]) -> None:
        self._segments = segments

    def entries(self, index: int, limit: int) -> tuple[int, list[bytes]]:
        """Return up to ``limit`` entries from ``index`` on, and the index of the first of them.

        Pruned entries are jumped over, so that index may be larger than the one asked for.
        An empty list means that there is nothing there yet.

        Raises:
            LedgerError: What is on disk is not what was written.
        """
        return self._again(lambda segments: _entries(segments, index, limit))

    def leaves(self, start: int, stop: int) -> list[bytes]:
        """Return the leaf hashes of entries ``start`` up to ``stop``, pruned or not.

        Raises:
            LedgerError: Some of them are not on disk.
        """
        return self._again(lambda segments: _leaves(segments, start, stop))

    def _again(self, read: Callable[[Sequence[Segment]], T]) -> T:
        try:
            return read(self._segments())
        except FileNotFoundError:  # pruned between looking up and opening
            return read(self._segments())


def read_entries(segment: Segment, index: int, limit: int) -> list[bytes]:
    """Return entries of one segment that is not pruned: at least one, at most a batch of bytes.

    Raises:
        LedgerError: What is on disk is not what was written.
    """
    offset = index - segment.first
    count = min(segment.extent[0] - offset, limit)
    if count <= 0:
        return []
    found: list[bytes] = []
    size = 0
    with segment.path.open("rb") as file:
        file.seek(segment.marks[offset // BLOCK_LEAVES])
        for _ in range(offset % BLOCK_LEAVES):
            _read_frame(file, segment)
        while len(found) < count and size < BATCH_BYTES:
            found.append(_read_frame(file, segment))
            size += len(found[-1])
    return found


def all_entries(segment: Segment) -> Iterator[bytes]:
    """Yield every entry of one segment that is not pruned, without holding them all.

    Raises:
        LedgerError: What is on disk is not what was written.
    """
    index, end = segment.first, segment.first + segment.extent[0]
    while index < end:
        entries = read_entries(segment, index, end - index)
        yield from entries
        index += len(entries)


def _entries(segments: Sequence[Segment], index: int, limit: int) -> tuple[int, list[bytes]]:
    while True:
        segment = _holding(segments, index)
        count = segment.extent[0]
        if index < segment.first + count and not segment.pruned:
            return index, read_entries(segment, index, limit)
        if segment is segments[-1]:
            return index, []
        index = segment.first + count


def _leaves(segments: Sequence[Segment], start: int, stop: int) -> list[bytes]:
    leaves: list[bytes] = []
    begin = start
    while start < stop:
        segment = _holding(segments, start)
        count = min(stop, segment.first + segment.extent[0]) - start
        if count <= 0:
            raise LedgerError(f"entry {start} is not in the ledger")
        if segment.pruned:
            leaves += _pruned_leaves(segment, start - segment.first, count)
        else:
            leaves += [leaf_hash(entry) for entry in read_entries(segment, start, count)]
        start = begin + len(leaves)
    return leaves


def _holding(segments: Sequence[Segment], index: int) -> Segment:
    return segments[max(bisect_right(segments, index, key=lambda segment: segment.first) - 1, 0)]


def _pruned_leaves(segment: Segment, offset: int, count: int) -> list[bytes]:
    with segment.path.open("rb") as file:
        file.seek(HEADER_BYTES + offset * HASHES_BYTES)
        data = file.read(count * HASHES_BYTES)
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASHES_BYTES)]


def _read_frame(file: BinaryIO, segment: Segment) -> bytes:
    head = file.read(FRAME.size)
    length = FRAME.unpack(head)[0] if len(head) == FRAME.size else MAX_ENTRY_BYTES + 1
    if length <= MAX_ENTRY_BYTES:
        body = file.read(length + HASH_BYTES)
        if file.read(CRC.size) == CRC.pack(crc32(body, crc32(head))):
            return body[:length]
    raise LedgerError(f"{segment.path.name} was damaged while in use", hint="run `bartizan ledger verify`")
