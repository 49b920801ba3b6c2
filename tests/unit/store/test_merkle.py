from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.store.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_path,
    fold,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from bartizan.store.tree import BLOCK_LEAVES, Tree, block_path

# The eight leaves, and the roots over the first 1 to 8 of them, that Certificate
# Transparency implementations test with.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """RFC 6962, section 2.1.2, word for word."""
    if m == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m <= k:
        return [*naive_subproof(m, leaves[:k], whole), naive_root(leaves[k:])]
    return [*naive_subproof(m - k, leaves[k:], False), naive_root(leaves[:k])]


def some_leaves(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


def test_known_roots():
    hashes = [leaf_hash(leaf) for leaf in LEAVES]
    assert [root_of(hashes[: size + 1]).hex() for size in range(8)] == ROOTS
    assert root_of([]) == EMPTY_ROOT


def test_leaf_and_node_are_told_apart():
    left, right = some_leaves(2)
    assert node_hash(left, right) != leaf_hash(left + right)


@given(st.integers(0, 70))
def test_root_is_the_definition(size: int):
    leaves = some_leaves(size)
    assert root_of(leaves) == naive_root(leaves)


def test_frontier_keeps_few_nodes():
    frontier = Frontier()
    for leaf in some_leaves(1000):
        frontier.append(leaf)
        assert len(frontier.nodes) == frontier.size.bit_count()
    assert fold(frontier.nodes) == naive_root(some_leaves(1000))


@given(st.data(), st.integers(1, 70))
def test_inclusion_holds_and_nothing_else_does(data: st.DataObject, size: int):
    leaves = some_leaves(size)
    index = data.draw(st.integers(0, size - 1))
    root, path = naive_root(leaves), inclusion_path(leaves, index)
    assert verify_inclusion(leaves[index], index, size, path, root)
    other = data.draw(st.integers(0, size + 3))
    if other != index:
        assert not verify_inclusion(leaves[index], other, size, path, root)
    assert not verify_inclusion(leaf_hash(b"another"), index, size, path, root)
    assert not verify_inclusion(leaves[index], index, size, [*path, root], root)
    for position in range(len(path)):
        assert not verify_inclusion(leaves[index], index, size, path[:position] + path[position + 1 :], root)
        bent = [*path[:position], leaf_hash(path[position]), *path[position + 1 :]]
        assert not verify_inclusion(leaves[index], index, size, bent, root)


@given(st.data(), st.integers(1, 70))
def test_consistency_holds_and_nothing_else_does(data: st.DataObject, size: int):
    leaves = some_leaves(size)
    old = data.draw(st.integers(1, size))
    path = consistency_path(leaves, old)
    old_root, new_root = naive_root(leaves[:old]), naive_root(leaves)
    assert path == naive_subproof(old, leaves, True)
    assert verify_consistency(old, size, old_root, new_root, path)
    forged = leaf_hash(b"forged")
    assert not verify_consistency(old, size, forged, new_root, path)
    assert not verify_consistency(old, size, old_root, forged, path)
    assert not verify_consistency(old, size, old_root, new_root, [*path, forged])
    for position in range(len(path)):
        bent = [*path[:position], forged, *path[position + 1 :]]
        assert not verify_consistency(old, size, old_root, new_root, bent)


def test_consistency_at_the_edges():
    root = naive_root(some_leaves(3))
    assert verify_consistency(0, 3, EMPTY_ROOT, root, [])
    assert not verify_consistency(0, 3, root, root, [])
    assert verify_consistency(3, 3, root, root, [])
    assert not verify_consistency(4, 3, root, root, [])
    assert not verify_consistency(2, 3, root, root, [])


def test_paths_refuse_what_is_not_there():
    with pytest.raises(IndexError):
        inclusion_path(some_leaves(3), 3)
    with pytest.raises(IndexError):
        consistency_path(some_leaves(3), 4)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 513, 1024, 1300])
def test_tree_of_blocks_is_the_same_tree(size: int):
    leaves = some_leaves(size)
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf)
    assert tree.root() == root_of(leaves)
    assert len(tree.blocks) == size // BLOCK_LEAVES
    for index in {0, size // 2, size - 1}:
        path = block_path(tree.blocks, size, index, lambda start, stop: leaves[start:stop])
        assert path == inclusion_path(leaves, index)
        # The same tree serves proofs against a smaller, earlier checkpoint.
        earlier = index + 1
        path = block_path(tree.blocks, earlier, index, lambda start, stop: leaves[start:stop])
        assert verify_inclusion(leaves[index], index, earlier, path, root_of(leaves[:earlier]))
