"""Finds recent queries of anybody that are nearly the same: changing accounts does not reset."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import numpy as np

from bartizan.features.sketch import SingleArray, keyed_generator

CAPACITY: Final = 1 << 16
"""Queries remembered, whoever sent them."""

TABLES: Final = 3
"""A near query is missed only if all tables separate it."""

DIRECTIONS: Final = 8
"""Directions in which a table cuts; more of them mean fewer queries a cell."""

CELL_WIDTH: Final = 0.4
"""Width of a cut, in units, for sketches of full width."""

FARTHEST: Final = 32_000.0
"""Cuts are counted up to here."""

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
        sides = keyed_generator(key, "cells").standard_normal((width, CELL_DIRECTIONS))
        # One product gives both: the grids' places and, behind them, the sides.
        self._directions = np.ascontiguousarray(np.hstack([self._directions, sides]), np.float32)
        self._powers = (1 << np.arange(CELL_DIRECTIONS)).astype(np.float64)
        self._capacity = capacity
        self._tables: list[OrderedDict[bytes, int]] = [OrderedDict() for _ in range(TABLES)]

    def place(self, sketch: SingleArray) -> tuple[list[bytes], int]:
        """Return the grid cell's name in each table, and the number of the coarse cell."""
        values = sketch @ self._directions
        columns, size = TABLES * DIRECTIONS, 2 * DIRECTIONS
        places = np.floor(values[:columns] + self._shifts)
        # Benign rows lie far inside 16 bits; what lies outside shares the outermost cells.
        data = np.minimum(np.maximum(places, -FARTHEST), FARTHEST).astype(np.int16).tobytes()
        names = [data[start : start + size] for start in range(0, TABLES * size, size)]
        return names, int((values[columns:] > 0.0) @ self._powers)

    def find(self, names: list[bytes]) -> list[int]:
        """Return the sessions that last visited the same cells, most tables first."""
        found = [n for t, name in zip(self._tables, names, strict=True) if (n := t.get(name)) is not None]
        return sorted(set(found), key=lambda n: (-found.count(n), -n))

    def put(self, names: list[bytes], session: int) -> None:
        """Remember that a session visited these cells."""
        for table, name in zip(self._tables, names, strict=True):
            if name in table:
                table.move_to_end(name)
            elif len(table) >= self._capacity:
                table.popitem(last=False)
            table[name] = session

    def __len__(self) -> int:
        return max(len(table) for table in self._tables)

    def entries(self) -> list[list[tuple[bytes, int]]]:
        """Return everything remembered, oldest first, for a snapshot."""
        return [list(table.items()) for table in self._tables]

    def load(self, entries: list[list[tuple[bytes, int]]]) -> None:
        """Take over what :meth:`entries` returned."""
        self._tables = [OrderedDict(table) for table in entries]
