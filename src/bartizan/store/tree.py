"""The ledger's Merkle tree in memory: every 256th-level node, and nothing below it.

Proofs recompute one block of 256 leaves from the segment files, so ten million entries
need about three megabytes.
"""

from __future__ import annotations

from collections.abc import Callable

from bartizan.store.merkle import Frontier, fold, inclusion_path, root_of

BLOCK_LEAVES = 256


class Tree:
    """A growing tree that keeps the roots of its complete blocks."""

    __slots__ = ("_tail", "_tops", "blocks", "size")

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.size = 0
        self._tops = Frontier()
        self._tail = Frontier()

    def append(self, leaf: bytes) -> None:
        """Add the next leaf hash."""
        tail = self._tail
        tail.append(leaf)
        self.size += 1
        if tail.size == BLOCK_LEAVES:
            self.blocks.append(tail.nodes[0])
            self._tops.append(tail.nodes[0])
            self._tail = Frontier()

    def root(self) -> bytes:
        """Return the tree hash over everything appended so far."""
        return fold(self._tops.nodes + self._tail.nodes)


def block_path(
    blocks: list[bytes], size: int, index: int, leaves: Callable[[int, int], list[bytes]]
) -> list[bytes]:
    """Return the inclusion path of leaf ``index`` in the tree of the first ``size`` leaves.

    The tree splits at powers of two, so above a block it is the tree over block roots.

    Args:
        blocks: Roots of the complete blocks of the tree, or of a larger one.
        size: Number of leaves of the tree.
        index: The leaf.
        leaves: Returns the leaf hashes from its first argument up to its second.
    """
    block, offset = divmod(index, BLOCK_LEAVES)
    start, whole = block * BLOCK_LEAVES, size // BLOCK_LEAVES
    roots = blocks[:whole]
    if size % BLOCK_LEAVES:
        roots.append(root_of(leaves(whole * BLOCK_LEAVES, size)))
    inside = leaves(start, min(start + BLOCK_LEAVES, size))
    return inclusion_path(inside, offset) + inclusion_path(roots, block)
