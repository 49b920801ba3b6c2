"""Checkpoints: how many entries a ledger has and the root over them, signed.

References:
    C2SP tlog-checkpoint: a signed note whose text is the origin, the size in decimal and
    the root in base64, one per line. Any transparency-log tool or witness can read it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from bartizan.errors import LedgerError
from bartizan.store.merkle import HASH_BYTES
from bartizan.store.notes import Signer, Verifier, decode_base64, open_note

SIZE_DIGITS = 19


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a ledger at one size.

    Attributes:
        origin: The ledger's name.
        size: Number of entries.
        root: RFC 6962 tree hash over them.
        note: The signed note that says so.
    """

    origin: str
    size: int
    root: bytes
    note: str


def sign_checkpoint(signer: Signer, size: int, root: bytes) -> Checkpoint:
    """Sign the state of a ledger."""
    origin = signer.verifier.name
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode('ascii')}\n"
    return Checkpoint(origin, size, root, signer.sign(text))


def open_checkpoint(note: str, verifier: Verifier) -> Checkpoint:
    """Verify a signed checkpoint and read it. Extension lines are allowed and ignored.

    Raises:
        LedgerError: It is malformed, of another ledger, or not signed by this key.
    """
    lines = open_note(note, verifier)[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise LedgerError("the checkpoint is malformed")
    origin, digits, encoded = lines[:3]
    if origin != verifier.name:
        raise LedgerError(f"the checkpoint is of {origin!r}, not of {verifier.name!r}")
    if digits.strip("0123456789") or len(digits) > SIZE_DIGITS or str(int(digits)) != digits:
        raise LedgerError("the checkpoint's size is not a plain number")
    root = decode_base64(encoded)
    if len(root) != HASH_BYTES:
        raise LedgerError("the checkpoint's root is not a SHA-256 hash")
    return Checkpoint(origin, int(digits), root, note)
