"""The ledger on disk: opening, appending in groups, rotating, signing.

One thread writes (:mod:`bartizan.store.writer`); others may read what is on disk
(:mod:`bartizan.store.entries`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from bartizan.errors import LedgerError
from bartizan.store.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from bartizan.store.entries import read_entries
from bartizan.store.frames import SEGMENT_MAGIC, pack_frame, pack_header
from bartizan.store.keys import load_signer
from bartizan.store.layout import (
    NEW_SUFFIX,
    Layout,
    segment_files,
    write_all,
    write_atomically,
)
from bartizan.store.lock import take_lock
from bartizan.store.merkle import EMPTY_ROOT
from bartizan.store.notes import Verifier
from bartizan.store.records import Key, Pruned, Recovered, encode_control, entry_time
from bartizan.store.scan import EVIDENCE_HINT, Scan, Torn, scan
from bartizan.store.segment import Segment
from bartizan.store.tree import BLOCK_LEAVES


class SegmentLog:
    """An append-only log in segment files, under a lock.

    Args:
        layout: The data directory; made if it does not exist.
        origin: The ledger's name.
        clock: Seconds since the epoch.
        segment_bytes: Close a segment that is larger than this.
        segment_seconds: Close a segment that is older than this.

    Raises:
        LedgerError: The ledger is in use, damaged, shorter than what was signed, or its
            key is missing.

    Guarantees:
        What ``append`` returned is on disk, and is there after any crash. A write that
        was interrupted is cut off at the next opening, and a ``recovered`` entry says so.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        origin: str,
        clock: Callable[[], float],
        segment_bytes: int,
        segment_seconds: float,
    ) -> None:
        self._layout = layout
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._descriptor = -1
        self._started = clock()
        self.signed_at = clock()
        self.checkpoint: Checkpoint
        layout.make_directories()
        self._lock = take_lock(layout.lock)
        try:
            self._open(origin)
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """Number of entries on disk."""
        return self._state.tree.size

    @property
    def verifier(self) -> Verifier:
        """The public key that checkpoints are verified with."""
        return self._signer.verifier

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The files, oldest first; the last one is still growing."""
        return tuple(self._state.segments)

    @property
    def pruned_before(self) -> int:
        """Index of the first entry that is more than a hash."""
        return sum(segment.extent[0] for segment in self.segments if segment.pruned)

    @property
    def blocks(self) -> list[bytes]:
        """Roots of the complete blocks of 256 entries."""
        return self._state.tree.blocks

    def append(self, entries: Sequence[bytes]) -> list[tuple[int, bytes]]:
        """Write entries as one group, wait for the disk, and return index and leaf of each.

        Raises:
            OSError: The group is not on disk; nothing may be appended any more.
        """
        self.rotate_if_due()
        tree, segment, chain = self._state.tree, self._state.segments[-1], self._state.chain
        count, end = segment.extent
        start, places = end, []
        written, out = [], []
        for place, entry in enumerate(entries):
            leaf = sha256(b"\x00" + entry).digest()
            chain = sha256(chain + leaf).digest()
            frame = pack_frame(entry, place, chain)
            if not (count + place) % BLOCK_LEAVES:
                places.append(start)
            start += len(frame)
            out.append(frame)
            written.append((tree.size + place, leaf))
        write_all(self._descriptor, b"".join(out))
        for _, leaf in written:
            tree.append(leaf)
        segment.marks.extend(places)
        self._state.chain = chain
        segment.extent = (count + len(written), start)
        return written

    def rotate_if_due(self) -> None:
        """Close the last segment and begin another if it is too large or too old."""
        count, end = self._state.segments[-1].extent
        old = self._clock() - self._started >= self._segment_seconds
        if count and (end >= self._segment_bytes or old):
            self._begin_segment()

    def sign(self) -> Checkpoint:
        """Sign the state on disk and replace the checkpoint file. Does nothing if it is current."""
        if self.checkpoint.size != self.size:
            checkpoint = sign_checkpoint(self._signer, self.size, self._state.tree.root())
            write_atomically(self._layout.checkpoint, checkpoint.note.encode())
            self.checkpoint = checkpoint
        self.signed_at = self._clock()
        return self.checkpoint

    def mark_pruned(self, before: int) -> None:
        """Write that entries before an index are about to be reduced to their hashes, and sign it."""
        self.append([encode_control(Pruned(time=self._clock(), before=before))])
        self.sign()

    def replace(self, old: Segment, new: Segment) -> None:
        """Put a pruned segment in the place of a whole one."""
        segments = self._state.segments
        segments[segments.index(old)] = new

    def close(self) -> None:
        """Close files and release the lock. Signing is the caller's business."""
        for descriptor in (self._descriptor, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._lock = -1

    def _open(self, origin: str) -> None:
        fresh = not segment_files(self._layout) and not self._layout.checkpoint.exists()
        self._signer = load_signer(self._layout, origin, fresh=fresh)
        if fresh:
            empty = sign_checkpoint(self._signer, 0, EMPTY_ROOT)
            write_atomically(self._layout.checkpoint, empty.note.encode())
        self.checkpoint = read_checkpoint(self._layout, self.verifier)
        self._state: Scan = scan(self._layout, {self.checkpoint.size: self.checkpoint.root})
        self.signed_at = self._clock()
        for path in [*self._state.leftovers, *self._layout.ledger.glob(f"*{NEW_SUFFIX}")]:
            path.unlink()
        if not self._state.segments or self._state.segments[-1].pruned:
            self._begin_segment()
        else:
            self._continue_segment()
        if not self.size:
            self.append([encode_control(Key(time=self._clock(), verifier=str(self.verifier)))])
        self.sign()

    def _begin_segment(self) -> None:
        segment = Segment(self._layout.segment(self.size), self.size, self._state.chain)
        write_atomically(segment.path, pack_header(SEGMENT_MAGIC, segment.first, segment.chain))
        self._use(segment.path, self._clock())
        self._state.segments.append(segment)

    def _continue_segment(self) -> None:
        segment, torn = self._state.segments[-1], self._state.torn
        self._use(segment.path, self._clock())
        if segment.extent[0]:
            self._started = min(self._started, entry_time(read_entries(segment, segment.first, 1)[0]))
        if torn is not None:
            self._cut_off(torn)
        os.lseek(self._descriptor, 0, os.SEEK_END)

    def _cut_off(self, torn: Torn) -> None:
        os.ftruncate(self._descriptor, torn.offset)
        os.fsync(self._descriptor)
        self._state.torn = None
        os.lseek(self._descriptor, 0, os.SEEK_END)
        self.append([encode_control(Recovered(time=self._clock(), bytes=torn.bytes))])

    def _use(self, path: Path, started: float) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = os.open(path, os.O_WRONLY)
        os.lseek(self._descriptor, 0, os.SEEK_END)
        self._started = started


def read_checkpoint(layout: Layout, verifier: Verifier) -> Checkpoint:
    """Read and verify the checkpoint file.

    Raises:
        LedgerError: It is missing, malformed or not signed by the ledger's key.
    """
    try:
        note = layout.checkpoint.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise LedgerError(f"the checkpoint {layout.checkpoint} is missing", hint=EVIDENCE_HINT) from None
    except UnicodeDecodeError:
        raise LedgerError("the checkpoint is damaged", hint=EVIDENCE_HINT) from None
    return open_checkpoint(note, verifier)
