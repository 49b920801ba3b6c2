"""The bytes of segment files. Every byte is covered by a hash, a checksum, or both.

::

    segment  header | frame*
    header   magic 8 | index of the first entry u64 | chain before it 32 | crc32 of the above
    frame    length u32 | place u32 | entry | chain 32 | crc32 of the above
    pruned   header (other magic) | (leaf 32 | chain 32)* | crc32 of the above

Integers are little-endian. ``chain_i = SHA-256(chain_(i-1) || leaf_i)``, starting at
:data:`GENESIS`. ``place`` is the entry's position in the group that was written and
synced together: a frame at place 0 exists only if the group before it reached the disk.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from hashlib import sha256
from zlib import crc32

from bartizan.errors import LedgerError
from bartizan.store.merkle import HASH_BYTES

SEGMENT_MAGIC = b"BZLEDGR1"
PRUNED_MAGIC = b"BZPRUNE1"
GENESIS = sha256(b"bartizan ledger v1\n").digest()
MAX_ENTRY_BYTES = 16 * 1024 * 1024
HEADER = struct.Struct("<8sQ32s")
FRAME = struct.Struct("<II")
CRC = struct.Struct("<I")
HEADER_BYTES = HEADER.size + CRC.size
FRAME_BYTES = FRAME.size + HASH_BYTES + CRC.size
_TRAILER = struct.Struct("<32sI")


class BrokenFrame(Exception):  # noqa: N818 - a finding about bytes, not a failure of ours
    """The bytes at an offset are not a whole, undamaged frame."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(f"{why} at byte {offset}")
        self.offset = offset
        self.why = why


def pack_header(magic: bytes, first: int, chain: bytes) -> bytes:
    """Return the header of a file that starts at entry ``first`` after ``chain``."""
    head = HEADER.pack(magic, first, chain)
    return head + CRC.pack(crc32(head))


def check_header(data: bytes, magic: bytes, first: int, chain: bytes) -> None:
    """Check that a file continues the ledger exactly where it should.

    Raises:
        LedgerError: A byte of the header is not what it has to be.
    """
    if data[:HEADER_BYTES] != pack_header(magic, first, chain):
        raise LedgerError(f"the header of the file that starts at entry {first} does not fit the ledger")


def pack_frame(entry: bytes, place: int, chain: bytes) -> bytes:
    """Return the frame of one entry; ``chain`` already includes it."""
    body = FRAME.pack(len(entry), place) + entry + chain
    return body + CRC.pack(crc32(body))


def frames(data: bytes, offset: int) -> Iterator[tuple[int, bytes, int, bytes]]:
    """Yield ``(offset, entry, place, chain)`` of each frame up to the end of ``data``.

    Only checksums are checked here; hashes are the caller's business.

    Raises:
        BrokenFrame: At the first bytes that are no whole frame.
    """
    end = len(data)
    unpack_frame, unpack_trailer = FRAME.unpack_from, _TRAILER.unpack_from
    while offset < end:
        if end - offset < FRAME_BYTES:
            raise BrokenFrame(offset, "an unfinished entry")
        length, place = unpack_frame(data, offset)
        tail = offset + 8 + length
        if length > MAX_ENTRY_BYTES:
            raise BrokenFrame(offset, "an entry with an impossible length")
        if tail + 36 > end:
            raise BrokenFrame(offset, "an unfinished entry")
        chain, checksum = unpack_trailer(data, tail)
        if crc32(data[offset : tail + 32]) != checksum:
            raise BrokenFrame(offset, "an entry whose checksum is wrong")
        yield offset, data[offset + 8 : tail], place, chain
        offset = tail + 36


def begins_a_group(data: bytes, offset: int) -> bool:
    """Whether an undamaged frame that begins a group lies anywhere after ``offset``.

    If so, the group before it had reached the disk, and damage at ``offset`` is not the
    torn end of an interrupted write. An entry is JSON and holds no raw control
    characters, so nothing inside an entry can look like a frame.
    """
    start = data.find(b"\x00\x00\x00\x00{", offset + 1)
    while start >= 0:
        if _whole_frame(data, start - 4):
            return True
        start = data.find(b"\x00\x00\x00\x00{", start + 1)
    return False


def _whole_frame(data: bytes, offset: int) -> bool:
    try:
        next(frames(data, offset))
    except BrokenFrame:
        return False
    return True
