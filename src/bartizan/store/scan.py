"""Reads a whole ledger and checks every byte of it, building the state on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from zlib import crc32

from bartizan.errors import LedgerError
from bartizan.store.frames import (
    CRC,
    FRAME_BYTES,
    GENESIS,
    HEADER_BYTES,
    PRUNED_MAGIC,
    SEGMENT_MAGIC,
    BrokenFrame,
    begins_a_group,
    check_header,
    frames,
)
from bartizan.store.layout import PRUNED_SUFFIX, Layout, segment_files
from bartizan.store.merkle import HASH_BYTES
from bartizan.store.records import CONTROL_PREFIX, Control, Pruned, decode_control
from bartizan.store.segment import HASHES_BYTES, Segment
from bartizan.store.tree import BLOCK_LEAVES, Tree

EVIDENCE_HINT = "keep the directory as evidence, and restore a copy or start a new ledger elsewhere"


@dataclass(frozen=True, slots=True)
class Torn:
    """The end of the last segment is what an interrupted write leaves behind."""

    offset: int
    bytes: int
    why: str


@dataclass(slots=True)
class Scan:
    """The state of a ledger after its last good entry.

    Attributes:
        segments: Its files, in order.
        tree: Its Merkle tree.
        chain: Its last chain hash.
        controls: Its control entries, with their index.
        leftovers: Files that interrupted pruning left behind.
        torn: What follows the last good entry, if anything.
        roots: The roots that the tree must have at some sizes.
    """

    roots: Mapping[int, bytes]
    segments: list[Segment] = field(default_factory=list)
    tree: Tree = field(default_factory=Tree)
    chain: bytes = GENESIS
    controls: list[tuple[int, Control]] = field(default_factory=list)
    leftovers: list[Path] = field(default_factory=list)
    torn: Torn | None = None


def scan(layout: Layout, roots: Mapping[int, bytes]) -> Scan:
    """Read and check every segment.

    Args:
        layout: The data directory.
        roots: Size to root, from signed checkpoints: the tree must agree at each.

    Returns:
        The state. ``torn`` is set if the only thing wrong is the end of the last segment,
        beyond every signed size and within the last group that was being written.

    Raises:
        LedgerError: Anything else is wrong, with the first thing that is.
    """
    state = Scan(roots)
    _check_root(state)
    files = segment_files(layout)
    for number, (first, path) in enumerate(files):
        if state.segments and first == state.segments[-1].first and state.segments[-1].pruned:
            state.leftovers.append(path)
            continue
        if first != state.tree.size:
            raise LedgerError(
                f"{path.name} is where entry {state.tree.size} should begin", hint=EVIDENCE_HINT
            )
        segment = Segment(path, first, state.chain, pruned=path.suffix == PRUNED_SUFFIX)
        state.segments.append(segment)
        data = path.read_bytes()
        if segment.pruned:
            _read_pruned(state, segment, data)
        else:
            _read_segment(state, segment, data, last=number == len(files) - 1)
    _check_whole(state)
    return state


def _read_segment(state: Scan, segment: Segment, data: bytes, *, last: bool) -> None:
    check_header(data, SEGMENT_MAGIC, segment.first, segment.chain)
    tree, chain, marks, roots = state.tree, state.chain, segment.marks, state.roots
    end = HEADER_BYTES
    try:
        for offset, entry, _, link in frames(data, HEADER_BYTES):
            leaf = sha256(b"\x00" + entry).digest()
            chain = sha256(chain + leaf).digest()
            if chain != link:
                raise _damaged(state, segment, f"an entry whose chain hash is wrong at byte {offset}")
            if not (tree.size - segment.first) % BLOCK_LEAVES:
                marks.append(offset)
            if entry.startswith(CONTROL_PREFIX):
                state.controls.append((tree.size, _control(state, segment, entry)))
            tree.append(leaf)
            end = offset + FRAME_BYTES + len(entry)
            if tree.size in roots:
                _check_root(state)
    except BrokenFrame as broken:
        if not last or tree.size < max(roots, default=0) or begins_a_group(data, broken.offset):
            raise _damaged(state, segment, str(broken)) from None
        end = broken.offset
        state.torn = Torn(end, len(data) - end, broken.why)
    segment.extent = (tree.size - segment.first, end)
    state.chain = chain


def _read_pruned(state: Scan, segment: Segment, data: bytes) -> None:
    check_header(data, PRUNED_MAGIC, segment.first, segment.chain)
    end = len(data) - CRC.size
    if end < HEADER_BYTES or (end - HEADER_BYTES) % HASHES_BYTES or CRC.pack(crc32(data[:end])) != data[end:]:
        raise LedgerError(f"{segment.path.name} is damaged", hint=EVIDENCE_HINT)
    chain = state.chain
    for offset in range(HEADER_BYTES, end, HASHES_BYTES):
        leaf = data[offset : offset + HASH_BYTES]
        chain = sha256(chain + leaf).digest()
        if chain != data[offset + HASH_BYTES : offset + HASHES_BYTES]:
            raise _damaged(state, segment, f"a chain hash that is wrong at byte {offset}")
        state.tree.append(leaf)
        if state.tree.size in state.roots:
            _check_root(state)
    segment.extent = ((end - HEADER_BYTES) // HASHES_BYTES, end)
    state.chain = chain


def _control(state: Scan, segment: Segment, entry: bytes) -> Control:
    try:
        return decode_control(entry)
    except ValueError:
        raise _damaged(state, segment, "a control entry of an unknown kind") from None


def _check_root(state: Scan) -> None:
    expected = state.roots.get(state.tree.size)
    if expected is not None and expected != state.tree.root():
        raise LedgerError(
            f"the first {state.tree.size} entries are not those that were signed", hint=EVIDENCE_HINT
        )


def _check_whole(state: Scan) -> None:
    signed = max(state.roots, default=0)
    if state.tree.size < signed:
        raise LedgerError(
            f"the ledger has {state.tree.size} entries, and a signed checkpoint says {signed}: "
            "entries were removed",
            hint=EVIDENCE_HINT,
        )
    hashes_only = sum(segment.extent[0] for segment in state.segments if segment.pruned)
    allowed = max((item.before for _, item in state.controls if isinstance(item, Pruned)), default=0)
    if hashes_only > allowed:
        raise LedgerError("entries were pruned and no entry says so", hint=EVIDENCE_HINT)


def _damaged(state: Scan, segment: Segment, what: str) -> LedgerError:
    return LedgerError(
        f"entry {state.tree.size} in {segment.path.name} is damaged: {what}", hint=EVIDENCE_HINT
    )
