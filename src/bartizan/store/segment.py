"""One file of the ledger, as the process that has it open knows it."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from pathlib import Path

from bartizan.store.frames import HEADER_BYTES
from bartizan.store.merkle import HASH_BYTES

HASHES_BYTES = 2 * HASH_BYTES


@dataclass(slots=True)
class Segment:
    """One file of the ledger.

    Attributes:
        path: The file.
        first: Index of its first entry.
        chain: Chain hash before that entry.
        pruned: Only hashes are left of it.
        extent: Number of entries that are on disk, and the offset where they end; one
            value, so that a reader in another thread sees both or neither change.
        marks: Offset of every 256th entry.
    """

    path: Path
    first: int
    chain: bytes
    pruned: bool = False
    extent: tuple[int, int] = (0, HEADER_BYTES)
    marks: array[int] = field(default_factory=lambda: array("Q"))
