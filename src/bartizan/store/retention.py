"""Retention: old segments shrink to their hashes, and the tree still verifies."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import sha256
from zlib import crc32

from bartizan.errors import LedgerError
from bartizan.store.entries import all_entries
from bartizan.store.frames import CRC, HEADER_BYTES, PRUNED_MAGIC, BrokenFrame, frames, pack_header
from bartizan.store.layout import Layout, sync_directory, write_atomically
from bartizan.store.merkle import leaf_hash
from bartizan.store.records import entry_time
from bartizan.store.segment import HASHES_BYTES, Segment
from bartizan.store.segments import SegmentLog
from bartizan.store.writer import Writer

CHECK_EVERY_S = 3_600.0
CALL_TIMEOUT_S = 60.0
SECONDS_PER_DAY = 86_400.0


class Retention:
    """Prunes on request, and by itself once an hour if records are kept for a limited time.

    Args:
        layout: The data directory.
        log: The ledger.
        writer: Its writer.
        clock: Seconds since the epoch.
        days: How long records are kept; ``None``: for ever.
    """

    def __init__(
        self,
        layout: Layout,
        log: SegmentLog,
        writer: Writer,
        clock: Callable[[], float],
        days: float | None,
    ) -> None:
        self.error = ""
        self._layout = layout
        self._log = log
        self._writer = writer
        self._clock = clock
        self._days = days
        self._one = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bartizan-retention", daemon=True)
        if days is not None:
            self._thread.start()

    def prune(self, older_than: float) -> int:
        """Reduce closed segments to hashes if all their entries are older than a time.

        Returns:
            How many entries were pruned.

        Raises:
            LedgerError: The ledger is closed, failed or damaged.
            OSError: A file could not be written; what was not pruned is whole.
        """
        with self._one:
            self._writer.call(self._log.rotate_if_due).result(CALL_TIMEOUT_S)
            old = self._old_segments(older_than)
            if not old:
                return 0
            before = old[-1].first + old[-1].extent[0]
            self._writer.call(lambda: self._log.mark_pruned(before)).result(CALL_TIMEOUT_S)
            for segment in old:
                self._log.replace(segment, _reduce(self._layout, segment))
                segment.path.unlink()
            sync_directory(self._layout.ledger)
            return sum(segment.extent[0] for segment in old)

    def close(self, timeout_s: float) -> None:
        """Stop pruning."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        days = self._days or 0.0
        while True:
            try:
                self.prune(self._clock() - days * SECONDS_PER_DAY)
                self.error = ""
            except (LedgerError, OSError, TimeoutError) as error:
                self.error = f"retention: {error}"
            if self._stop.wait(CHECK_EVERY_S):
                return

    def _old_segments(self, older_than: float) -> list[Segment]:
        old: list[Segment] = []
        for segment in self._log.segments[:-1]:
            if segment.pruned:
                continue
            if any(entry_time(entry) >= older_than for entry in all_entries(segment)):
                break
            old.append(segment)
        return old


def _reduce(layout: Layout, segment: Segment) -> Segment:
    """Write the pruned form of a segment and return it. Damage is not pruned away."""
    out = bytearray(pack_header(PRUNED_MAGIC, segment.first, segment.chain))
    chain = segment.chain
    try:
        for _, entry, _, link in frames(segment.path.read_bytes(), HEADER_BYTES):
            leaf = leaf_hash(entry)
            chain = sha256(chain + leaf).digest()
            if chain != link:
                raise LedgerError(f"{segment.path.name} is damaged and was not pruned")
            out += leaf + chain
    except BrokenFrame as broken:
        raise LedgerError(f"{segment.path.name} is damaged and was not pruned: {broken}") from None
    if len(out) != HEADER_BYTES + segment.extent[0] * HASHES_BYTES:
        raise LedgerError(f"{segment.path.name} changed while in use and was not pruned")
    extent = (segment.extent[0], len(out))
    out += CRC.pack(crc32(out))
    path = layout.pruned(segment.first)
    write_atomically(path, bytes(out))
    return Segment(path, segment.first, segment.chain, pruned=True, extent=extent)
