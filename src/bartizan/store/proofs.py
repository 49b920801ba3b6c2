"""Inclusion proofs: what shows, without the ledger, that a record or an alarm is in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bartizan.alarms import Alarm
from bartizan.errors import LedgerError
from bartizan.store.checkpoint import Checkpoint, open_checkpoint
from bartizan.store.entries import LogReader, all_entries
from bartizan.store.keys import load_verifier
from bartizan.store.layout import Layout
from bartizan.store.merkle import leaf_hash, verify_inclusion
from bartizan.store.notes import parse_verifier
from bartizan.store.records import ALARM_PREFIX, CONTROL_PREFIX, decode_alarm, decode_entry
from bartizan.store.scan import scan
from bartizan.store.segment import Segment
from bartizan.store.segments import read_checkpoint
from bartizan.store.tree import block_path
from bartizan.store.views import Proof
from bartizan.types import Record


def make_proof(index: int, checkpoint: Checkpoint, blocks: list[bytes], segments: Sequence[Segment]) -> Proof:
    """Prove that entry ``index`` is under ``checkpoint``.

    Raises:
        LedgerError: The entry is neither record nor alarm, has been pruned, or is not under it.
    """
    if index >= checkpoint.size:
        raise LedgerError(f"entry {index} is not signed yet", hint="wait for the next checkpoint")
    reader = LogReader(lambda: segments)
    first, entries = reader.entries(index, 1)
    if first != index:
        raise LedgerError(f"entry {index} has been pruned: only its hash is left")
    if not entries or entries[0].startswith(CONTROL_PREFIX):
        raise LedgerError(f"entry {index} is neither a record nor an alarm")
    path = block_path(blocks, checkpoint.size, index, reader.leaves)
    return Proof(
        id=decode_entry(entries[0]).id,
        index=index,
        size=checkpoint.size,
        record=entries[0].decode(),
        path=tuple(node.hex() for node in path),
        checkpoint=checkpoint.note,
    )


def prove_from_files(path: Path, record_id: str) -> Proof:
    """Find a record in the files and prove it, without a lock and without the query store.

    Reads the whole ledger, and so verifies it.

    Raises:
        LedgerError: There is no such record, it is not signed yet, or the ledger is damaged.
    """
    layout = Layout(path)
    checkpoint = read_checkpoint(layout, load_verifier(layout))
    state = scan(layout, {checkpoint.size: checkpoint.root})
    index = _find(state.segments, record_id)
    if index is None:
        raise LedgerError(
            f"no record {record_id!r} in the ledger", hint="it may have been pruned: see retention"
        )
    return make_proof(index, checkpoint, state.tree.blocks, state.segments)


def proof_json(proof: Proof) -> bytes:
    """Return a proof as a JSON document."""
    return msgspec.json.encode(proof)


def verify_proof(document: bytes | str, verifier_key: str) -> Record | Alarm:
    """Check a proof with nothing but the ledger's public key, and return what it proves.

    Args:
        document: What :func:`proof_json` returned.
        verifier_key: The verifier key string, from a place the ledger's owner can't change.

    Raises:
        LedgerError: The proof does not hold.
    """
    try:
        proof = msgspec.json.decode(document, type=Proof)
        path = [bytes.fromhex(node) for node in proof.path]
        entry = proof.record.encode()
        record = decode_entry(entry)
    except ValueError as error:
        raise LedgerError("this is no proof") from error
    checkpoint = open_checkpoint(proof.checkpoint, parse_verifier(verifier_key.strip()))
    if checkpoint.size != proof.size or record.id != proof.id:
        raise LedgerError("the proof contradicts itself")
    if not verify_inclusion(leaf_hash(entry), proof.index, proof.size, path, checkpoint.root):
        raise LedgerError("the record is not under the signed root")
    return record


def _find(segments: Sequence[Segment], record_id: str) -> int | None:
    prefix = b'{"id":' + msgspec.json.encode(record_id) + b","
    told = None
    for segment in segments:
        if segment.pruned:
            continue
        for index, entry in enumerate(all_entries(segment), segment.first):
            if entry.startswith(prefix):
                return index
            if _is_alarm(entry, record_id):
                told = index  # as it was told last
    return told


def _is_alarm(entry: bytes, alarm_id: str) -> bool:
    if not entry.startswith(ALARM_PREFIX):
        return False
    try:
        return decode_alarm(entry).id == alarm_id
    except ValueError:  # of another version
        return False
