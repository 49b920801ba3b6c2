"""One scale for all columns of rows, learnt from reference rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bartizan.features.rows import MAX_SCORE, SMALLEST_SPREAD, column_centres, column_spreads
from bartizan.types import FloatArray

FARTHEST: Final = 1e4
"""Standardised values end here, so that squares stay finite in single precision."""

SAME_UNIT_SHARE: Final = 0.5
"""Columns share a unit (pixels do) where their median range is this share of the largest."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Where columns lie and how far they spread.

    Attributes:
        centre: Each column's median, shape ``(d,)``.
        scale: What one unit of each column is, shape ``(d,)``: its robust spread, or one common
            spread where columns share a unit, because there a column that hardly varies is no
            more telling than the others.
    """

    centre: FloatArray
    scale: FloatArray

    @classmethod
    def of(cls, rows: FloatArray) -> Scaling:
        """Learn from reference rows of shape ``(n, d)``; NaN is a missing value."""
        spreads = column_spreads(rows)
        if share_unit(rows):
            spreads = np.full_like(spreads, max(float(np.sqrt(np.mean(spreads**2))), SMALLEST_SPREAD))
        return cls(column_centres(rows), spreads)

    def standardised(self, rows: FloatArray) -> npt.NDArray[np.float32]:
        """Return rows in spreads from the centre; a missing value is at the centre."""
        values = np.clip(np.nan_to_num(rows - self.centre, nan=0.0), -MAX_SCORE, MAX_SCORE) / self.scale
        return np.ascontiguousarray(np.clip(values, -FARTHEST, FARTHEST), dtype=np.float32)


def share_unit(rows: FloatArray) -> bool:
    """Return whether the columns of reference rows seem to be measured in one unit."""
    missing = np.isnan(rows)
    ranges = np.where(missing, -np.inf, rows).max(axis=0) - np.where(missing, np.inf, rows).min(axis=0)
    return bool(np.median(ranges) >= SAME_UNIT_SHARE * ranges.max())
