"""Short keyed images of rows, in which distances count in units of benign neighbours."""

from __future__ import annotations

import hashlib
import hmac
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bartizan.features.rows import column_centres, column_spreads, reference_rows
from bartizan.types import FloatArray

SingleArray = npt.NDArray[np.float32]

DIMENSIONS: Final = 32
"""Rows of more columns are projected onto this many: distances keep within about a fifth."""

LARGEST_DEVIATION: Final = 20.0
"""Values count up to this many spreads from the centre, so that one wild value hides no other."""

GROUP: Final = 64
"""As many rows as a session keeps: neighbours are sought among that many."""

GROUPS: Final = 64
"""Groups of reference rows from which neighbour distances are learned."""

NEAR_QUANTILE: Final = 0.05
"""Rows count as near when only this share of benign rows has a neighbour as close."""

SMALLEST_NEAR: Final = 0.1
"""Rows this close, in units, are near in any case: data full of repeated rows has no better scale."""

LARGEST_NEAR: Final = 0.9
"""Rows farther apart than this, in units, are not near in any case."""

DISTANCE_EDGES: Final = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)
"""Where neighbour distances, in units, are cut into bins."""


def keyed_generator(key: bytes, purpose: str) -> np.random.Generator:
    """Return a generator whose numbers only the key's holder can predict.

    Args:
        key: The secret.
        purpose: What the numbers are for; different purposes give unrelated numbers.
    """
    digest = hmac.digest(key, purpose.encode(), hashlib.sha256)
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


@dataclass(frozen=True, slots=True)
class Scale:
    """What is learned from reference rows: no key, no row.

    Attributes:
        centre: Each column's median, shape ``(d,)``.
        spread: Each column's robust standard deviation, shape ``(d,)``.
        unit: Typical distance of a benign row to its nearest among :data:`GROUP` others, in spreads.
        near: Distance, in units, below which two rows are near to each other.
        law: Share of benign neighbour distances in each bin of :data:`DISTANCE_EDGES`.
    """

    centre: FloatArray
    spread: FloatArray
    unit: float
    near: float
    law: tuple[float, ...]

    @classmethod
    def of(cls, inputs: FloatArray, rng: np.random.Generator) -> Scale:
        """Learn from reference rows of shape ``(n, d)``.

        Raises:
            CalibrationError: There is nothing to learn from.
        """
        rows = reference_rows(inputs)
        centre, spread = column_centres(rows), column_spreads(rows)
        standard = _standardised(rows, centre, spread)
        distances = _neighbour_distances(standard, rng)
        apart = distances[distances > 0.0]
        unit = float(np.median(apart)) if apart.size else 1.0
        near = float(np.quantile(distances, NEAR_QUANTILE)) / unit
        counts = np.bincount(np.digitize(distances / unit, DISTANCE_EDGES), minlength=len(DISTANCE_EDGES) + 1)
        law = (counts + 0.5) / (counts + 0.5).sum()
        return cls(centre, spread, unit, min(max(near, SMALLEST_NEAR), LARGEST_NEAR), tuple(law.tolist()))


class Sketch:
    """Makes sketches of rows: standardised, projected with a secret, in units.

    Args:
        scale: What reference rows taught.
        key: The secret; without it nobody can tell which rows get the same sketch.
    """

    def __init__(self, scale: Scale, key: bytes) -> None:
        self.scale = scale
        columns = len(scale.centre)
        self.width = min(columns, DIMENSIONS)
        if columns > DIMENSIONS:
            draws = keyed_generator(key, "sketch").standard_normal((columns, DIMENSIONS))
            projection = draws / np.sqrt(DIMENSIONS)
        else:
            projection = np.eye(columns)
        self._centre = scale.centre
        self._inverse = 1.0 / scale.spread
        self._ones = np.ones(columns)
        self._projection = np.ascontiguousarray(projection / scale.unit)

    def of(self, row: FloatArray) -> SingleArray:
        """Return the sketch of one row of shape ``(d,)``; missing values count as typical ones."""
        standard = (row - self._centre) * self._inverse
        # A sum is finite only if all values are: one look instead of one per value.
        if not math.isfinite(standard @ self._ones):
            standard = np.nan_to_num(standard, nan=0.0, posinf=LARGEST_DEVIATION, neginf=-LARGEST_DEVIATION)
        np.minimum(standard, LARGEST_DEVIATION, out=standard)
        np.maximum(standard, -LARGEST_DEVIATION, out=standard)
        sketch: SingleArray = (standard @ self._projection).astype(np.float32)
        return sketch


def _standardised(rows: FloatArray, centre: FloatArray, spread: FloatArray) -> FloatArray:
    standard = np.nan_to_num((rows - centre) / spread, nan=0.0)
    return np.asarray(np.clip(standard, -LARGEST_DEVIATION, LARGEST_DEVIATION))


def _neighbour_distances(rows: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return distances to the nearest within random groups of rows."""
    size = min(GROUP, len(rows))
    if size < 2:
        return np.ones(1)
    found = []
    for _ in range(GROUPS):
        group = rows[rng.choice(len(rows), size, replace=False)]
        squares = np.einsum("nd,nd->n", group, group)
        squared = squares[:, None] + squares - 2.0 * group @ group.T
        np.fill_diagonal(squared, np.inf)
        found.append(np.sqrt(np.maximum(squared.min(axis=1), 0.0)))
    return np.concatenate(found)
