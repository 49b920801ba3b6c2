"""One writer to a ledger: an advisory lock on a file, released by the kernel at exit."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from bartizan.errors import LedgerError
from bartizan.store.layout import FILE_MODE

PID_BYTES = 32


def take_lock(path: Path) -> int:
    """Lock a file and return the descriptor that holds the lock; closing it unlocks.

    Raises:
        LedgerError: Another process, or another store in this one, holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(descriptor, PID_BYTES).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise LedgerError(
            f"the ledger in {path.parent} is in use by process {holder}",
            hint="stop that process, or give this one a store path of its own",
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
