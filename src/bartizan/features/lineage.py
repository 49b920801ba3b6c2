"""Finds recent queries of anybody that are nearly the same: changing accounts does not reset."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import numpy as np

from bartizan.features.sketch import SingleArray, keyed_generator

CAPACITY: Final = 1 << 16
"""Queries remembered, whoever sent them."""

TABLES: Final = 4
"""A near query is missed only if all tables separate it."""

DIRECTIONS: Final = 8
"""Directions in which a table cuts; more of them mean fewer queries a cell."""

CELL_WIDTH: Final = 0.4
"""Width of a cut, in units, for sketches of full width."""

CELL_DIRECTIONS: Final = 10
"""Half-spaces whose sides name the cell for coverage: about a thousand cells."""


class NearIndex:
    """A bounded memory of queries, found by keyed grids that are shifted at random.

    Args:
        width: Length of sketches.
        key: The secret: whoever can't predict the grids can't aim at a cell.
        capacity: Queries remembered; the oldest are forgotten.

    References:
        Datar et al., "Locality-sensitive hashing scheme based on p-stable distributions",
        SCG 2004.
    """

    def __init__(self, width: int, key: bytes, capacity: int = CAPACITY) -> None:
        self.width = width
        rng = keyed_generator(key, "near index")
        columns = TABLES * DIRECTIONS
        directions = rng.standard_normal((width, columns)) / np.sqrt(width)
        # In few dimensions a unit is spread over fewer directions, so cuts must be as far apart.
        self._cell_width = CELL_WIDTH * np.sqrt(32 / width)
        self._directions = np.ascontiguousarray(directions / self._cell_width, np.float32)
        self._shifts = rng.random(columns).astype(np.float32)
        sides = keyed_generator(key, "cells")
        self._sides = sides.standard_normal((width, CELL_DIRECTIONS)).astype(np.float32)
        self._powers = 1 << np.arange(CELL_DIRECTIONS)
        self._capacity = capacity
        self._tables: list[OrderedDict[bytes, int]] = [OrderedDict() for _ in range(TABLES)]

    def cell(self, sketch: SingleArray) -> int:
        """Return the number of the coarse cell in which a sketch lies."""
        return int((sketch @ self._sides > 0.0) @ self._powers)

    def names(self, sketch: SingleArray) -> list[bytes]:
        """Return the cell's name in each table."""
        places = np.floor(sketch @ self._directions + self._shifts)
        # The grid is far smaller than 16 bits on any benign row; others may wrap around.
        data = places.astype(np.int64).astype(np.int16).tobytes()
        size = 2 * DIRECTIONS
        return [data[k * size : (k + 1) * size] for k in range(TABLES)]

    def find(self, names: list[bytes]) -> list[int]:
        """Return the sessions that last visited the same cells, most tables first."""
        found = [n for t, name in zip(self._tables, names, strict=True) if (n := t.get(name)) is not None]
        return sorted(set(found), key=lambda n: (-found.count(n), -n))

    def put(self, names: list[bytes], session: int) -> None:
        """Remember that a session visited these cells."""
        for table, name in zip(self._tables, names, strict=True):
            table[name] = session
            table.move_to_end(name)
            if len(table) > self._capacity:
                table.popitem(last=False)

    def __len__(self) -> int:
        return max(len(table) for table in self._tables)

    def entries(self) -> list[list[tuple[bytes, int]]]:
        """Return everything remembered, oldest first, for a snapshot."""
        return [list(table.items()) for table in self._tables]

    def load(self, entries: list[list[tuple[bytes, int]]]) -> None:
        """Take over what :meth:`entries` returned."""
        self._tables = [OrderedDict(table) for table in entries]
