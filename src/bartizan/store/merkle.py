"""Merkle tree hashes and proofs over a list of entries, as RFC 6962 defines them. Pure.

References:
    RFC 9162, section 2.1: tree hash, inclusion and consistency proofs, and how they are
    verified. (RFC 6962, section 2.1, defines the same tree.)
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one entry: ``SHA-256(0x00 || entry)``."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: ``SHA-256(0x01 || left || right)``."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The roots of the complete subtrees of a growing tree, largest first.

    Guarantees:
        ``append`` hashes once per leaf on average and at most ``log2(size)`` times;
        memory is ``log2(size)`` hashes.
    """

    __slots__ = ("nodes", "size")

    def __init__(self) -> None:
        self.nodes: list[bytes] = []
        self.size = 0

    def append(self, leaf: bytes) -> None:
        """Add the next leaf (or the next complete subtree of a fixed height)."""
        nodes, ones = self.nodes, self.size
        while ones & 1:
            leaf = sha256(b"\x01" + nodes.pop() + leaf).digest()
            ones >>= 1
        nodes.append(leaf)
        self.size += 1


def fold(nodes: Sequence[bytes]) -> bytes:
    """Return the root over the complete subtrees of a tree, largest first."""
    if not nodes:
        return EMPTY_ROOT
    root = nodes[-1]
    for node in reversed(nodes[:-1]):
        root = node_hash(node, root)
    return root


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the tree hash over leaf hashes, given left to right.

    >>> root_of([]).hex()[:16]
    'e3b0c44298fc1c14'
    """
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return fold(frontier.nodes)


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the siblings on the way from leaf ``index`` up to the root, lowest first.

    Raises:
        IndexError: There is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    path: list[bytes] = []
    low, high = 0, len(leaves)
    while high - low > 1:
        split = low + _left_size(high - low)
        if index < split:
            path.append(root_of(leaves[split:high]))
            high = split
        else:
            path.append(root_of(leaves[low:split]))
            low = split
    path.reverse()
    return path


def consistency_path(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """Return the nodes that show that the first ``old_size`` leaves are a prefix.

    Raises:
        IndexError: ``old_size`` is not between 0 and the number of leaves.
    """
    if not 0 <= old_size <= len(leaves):
        raise IndexError(f"size {old_size} of {len(leaves)}")
    if old_size in (0, len(leaves)):
        return []
    path: list[bytes] = []
    low, high, whole = 0, len(leaves), True
    while old_size != high:
        split = low + _left_size(high - low)
        if old_size <= split:
            path.append(root_of(leaves[split:high]))
            high = split
        else:
            path.append(root_of(leaves[low:split]))
            low, whole = split, False
    if not whole:
        path.append(root_of(leaves[low:high]))
    path.reverse()
    return path


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether ``path`` shows that ``leaf`` is number ``index`` of the ``size`` under ``root``.

    References:
        RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size:
        return False
    position, last, node = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and node == root


def verify_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]
) -> bool:
    """Whether ``path`` shows that the new tree only appended to the old one.

    References:
        RFC 9162, section 2.1.4.2.
    """
    if not 0 <= old_size <= new_size:
        return False
    if old_size == 0:
        return not path and old_root == EMPTY_ROOT
    if old_size == new_size:
        return not path and old_root == new_root
    nodes = list(path)
    if old_size & (old_size - 1) == 0:
        nodes.insert(0, old_root)
    if not nodes:
        return False
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, node)
        position, last = position >> 1, last >> 1
    return last == 0 and old == old_root and new == new_root


def _left_size(size: int) -> int:
    """Return the largest power of two smaller than ``size`` (which is at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)
