"""Where the store keeps what, and how a file gets there whole or not at all.

::

    DIR/                      0700
    ├── lock                  held by the one process that writes
    ├── signing.key           private key of the checkpoints; never leaves this machine
    ├── queries.sqlite3       the projection; may be deleted, is rebuilt from the ledger
    └── ledger/               everything here is covered by `bartizan ledger verify`
        ├── verifier.pub      public key: name+key id+base64
        ├── checkpoint        the last signed checkpoint
        ├── 00000000000000000000.seg
        └── 00000000000000000000.pruned
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
INDEX_DIGITS = 20
SEGMENT_SUFFIX = ".seg"
PRUNED_SUFFIX = ".pruned"
NEW_SUFFIX = ".new"
_sync_data = getattr(os, "fdatasync", os.fsync)


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths in one data directory."""

    root: Path

    @property
    def ledger(self) -> Path:
        """The directory that verification covers."""
        return self.root / "ledger"

    @property
    def lock(self) -> Path:
        """The file whose lock says that a process is writing."""
        return self.root / "lock"

    @property
    def signing_key(self) -> Path:
        """The private key."""
        return self.root / "signing.key"

    @property
    def database(self) -> Path:
        """The default query store."""
        return self.root / "queries.sqlite3"

    @property
    def verifier(self) -> Path:
        """The public key."""
        return self.ledger / "verifier.pub"

    @property
    def checkpoint(self) -> Path:
        """The last signed checkpoint."""
        return self.ledger / "checkpoint"

    def segment(self, first: int) -> Path:
        """The segment that starts at an index."""
        return self.ledger / f"{first:0{INDEX_DIGITS}d}{SEGMENT_SUFFIX}"

    def pruned(self, first: int) -> Path:
        """The hashes that are left of the segment that started at an index."""
        return self.ledger / f"{first:0{INDEX_DIGITS}d}{PRUNED_SUFFIX}"

    def make_directories(self) -> None:
        """Make what is missing, for this user only. Directories that exist keep their mode."""
        self.root.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        self.ledger.mkdir(mode=DIRECTORY_MODE, exist_ok=True)


def segment_files(layout: Layout) -> list[tuple[int, Path]]:
    """Return ``(first index, path)`` of every segment and pruned file, in order.

    Where both exist for an index the pruned file comes first: pruning was interrupted.
    """
    found = []
    for path in layout.ledger.iterdir():
        if path.suffix in (SEGMENT_SUFFIX, PRUNED_SUFFIX):
            stem = path.stem
            first = int(stem) if len(stem) == INDEX_DIGITS and not stem.strip("0123456789") else -1
            found.append((first, path))
    return sorted(found, key=lambda pair: (pair[0], pair[1].suffix))


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything and wait until it is on disk.

    Raises:
        OSError: It isn't.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    _sync_data(descriptor)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file: after a crash it holds the old bytes or the new ones, on disk."""
    new = _written_beside(path, data)
    os.replace(new, path)
    sync_directory(path.parent)


def write_once(path: Path, data: bytes) -> None:
    """Make a file that does not exist yet.

    Raises:
        FileExistsError: It does, and is left alone.
    """
    new = _written_beside(path, data)
    try:
        os.link(new, path)
    finally:
        new.unlink()
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Wait until the directory's entries are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _written_beside(path: Path, data: bytes) -> Path:
    new = path.with_name(path.name + NEW_SUFFIX)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)
    return new
