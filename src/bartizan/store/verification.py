"""Verifies a ledger from its files alone: no lock, no database, no private key."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bartizan.errors import LedgerError
from bartizan.store.checkpoint import Checkpoint, open_checkpoint
from bartizan.store.frames import BrokenFrame, frames
from bartizan.store.keys import load_verifier
from bartizan.store.layout import Layout
from bartizan.store.notes import Verifier
from bartizan.store.records import Key, Recovered
from bartizan.store.scan import Scan, scan
from bartizan.store.segments import read_checkpoint

SETTLE_S = 0.2
SETTLE_TRIES = 5
SCAN_TRIES = 3


@dataclass(frozen=True, slots=True)
class Report:
    """What verification found.

    Attributes:
        path: The data directory.
        origin: The ledger's name, from its verifier key.
        verifier: The verifier key string that was used.
        records: Good entries, the ledger's own control entries included.
        signed: How many of them the signed checkpoint covers.
        root: Hex RFC 6962 root over the signed entries.
        pruned: How many entries are reduced to their hashes.
        segments: Number of files.
        recovered_bytes: Bytes that interrupted writes left and that were cut off.
        problems: What is wrong; empty if nothing is.
    """

    path: str
    origin: str = ""
    verifier: str = ""
    records: int = 0
    signed: int = 0
    root: str = ""
    pruned: int = 0
    segments: int = 0
    recovered_bytes: int = 0
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def unsigned(self) -> int:
        """Good entries that the next checkpoint will cover."""
        return self.records - self.signed


def verify(
    path: Path,
    *,
    verifier_key: str | None = None,
    witnessed: Sequence[str] = (),
    pause: Callable[[float], None] = time.sleep,
) -> Report:
    """Check every byte of a ledger.

    Args:
        path: The data directory.
        verifier_key: The key that the ledger must be signed with, kept by the caller.
            Without it the key beside the ledger is believed, and somebody who can write
            there and has the signing key, or makes a new one, can rewrite everything.
        witnessed: Checkpoints saved elsewhere earlier: the ledger must still contain them.
        pause: Sleeps, to let a process that is writing finish its group.

    Guarantees:
        On a ledger that was closed, any change to any one byte is reported. Entries after
        the last checkpoint are checked by chain and checksum only, and counted as
        ``unsigned``: until the next checkpoint nobody vouches for them.
    """
    layout = Layout(path)
    if not layout.ledger.is_dir():
        return Report(str(path), problems=(f"there is no ledger in {path}",))
    try:
        verifier = load_verifier(layout)
        if verifier_key is not None and verifier_key.strip() != str(verifier):
            raise LedgerError("the ledger's verifier key is not the one that was given")  # noqa: TRY301
        checkpoint = read_checkpoint(layout, verifier)
        earlier = [open_checkpoint(note, verifier) for note in witnessed]
        state = _scan_patiently(layout, [checkpoint, *earlier], verifier)
    except LedgerError as error:
        return Report(str(path), problems=(error.message,))
    problems = _unfinished(state, pause) + _foreign_keys(state, verifier)
    return Report(
        path=str(path),
        origin=verifier.name,
        verifier=str(verifier),
        records=state.tree.size,
        signed=checkpoint.size,
        root=checkpoint.root.hex(),
        pruned=sum(segment.extent[0] for segment in state.segments if segment.pruned),
        segments=len(state.segments),
        recovered_bytes=sum(item.bytes for _, item in state.controls if isinstance(item, Recovered)),
        problems=tuple(problems),
    )


def _scan_patiently(layout: Layout, checkpoints: Sequence[Checkpoint], verifier: Verifier) -> Scan:
    """Scan; once more if pruning replaced a file while it was being read."""
    roots: dict[int, bytes] = {}
    for checkpoint in checkpoints:
        if roots.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
            raise LedgerError(f"{verifier.name} signed two different ledgers of {checkpoint.size} entries")
    for _ in range(SCAN_TRIES - 1):
        try:
            return scan(layout, roots)
        except FileNotFoundError:
            continue
    return scan(layout, roots)


def _unfinished(state: Scan, pause: Callable[[float], None]) -> list[str]:
    """Tell a group that is being written from one that never was finished."""
    torn = state.torn
    if torn is None:
        return []
    for _ in range(SETTLE_TRIES):
        pause(SETTLE_S)
        try:
            next(frames(state.segments[-1].path.read_bytes(), torn.offset))
        except BrokenFrame:
            continue
        except StopIteration:
            break
        return []
    return [
        f"{torn.bytes} bytes at the end are no whole entry ({torn.why}): "
        "a crash, which the next start repairs and records, or damage"
    ]


def _foreign_keys(state: Scan, verifier: Verifier) -> list[str]:
    return [
        f"entry {index} announces another key than the one beside the ledger"
        for index, item in state.controls
        if isinstance(item, Key) and item.verifier != str(verifier)
    ]
