"""Nearest neighbours in a cloud of reference rows, and the metric in which they are sought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bartizan.features.rows import IntArray
from bartizan.types import FloatArray

SingleArray = npt.NDArray[np.float32]

NEIGHBOURS: Final = 5

CHUNK_VALUES: Final = 1 << 22
"""Values held at once while scoring: 16 MiB in single precision."""

MAX_WHITENED_COLUMNS: Final = 512
"""Wider rows keep their plain metric: a covariance of theirs is too large to keep and to learn."""

SHRINKAGE: Final = 0.03
"""Share of the mean variance added to every direction before whitening."""

SMALLEST_RIDGE: Final = 1e-12
"""Rows that vary less than this, in spreads, do not vary: there is nothing to whiten."""

COVARIANCE_REACH: Final = 10.0
"""Values count up to this many spreads in the covariance, so that outliers do not shape it."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """Reference rows in one metric, shape ``(m, d)``, and their squared lengths, ``(m,)``."""

    rows: SingleArray
    squares: SingleArray


def cloud_of(rows: SingleArray) -> Cloud:
    """Return the cloud of rows of shape ``(m, d)``."""
    return Cloud(rows, np.einsum("md,md->m", rows, rows))


def whitened(rows: Any, whitening: SingleArray) -> Any:
    """Return rows in the whitened metric; an empty matrix leaves them as they are."""
    return rows @ whitening if whitening.size else rows


def squared_distances(cloud: Cloud, rows: SingleArray) -> SingleArray:
    """Return squared distances to the cloud's rows, less each row's own squared length.

    That length is the same for all candidates and does not change their order.
    """
    squared: SingleArray = rows @ cloud.rows.T
    squared *= -2.0
    squared += cloud.squares
    return squared


def mean_distances(
    cloud: Cloud, rows: SingleArray, squared: SingleArray, start: int, count: int
) -> tuple[FloatArray, IntArray]:
    """Return mean distance to the ``count`` nearest, and the index of the very nearest.

    ``squared`` only chooses the candidates, because it loses digits where rows nearly coincide;
    their distances are then taken anew.
    """
    chosen = np.argpartition(squared, count - 1, axis=1)[:, :count] + start
    apart = (rows[:, None, :] - cloud.rows[chosen]).astype(np.float64)
    distances = np.sqrt(np.einsum("nkd,nkd->nk", apart, apart))
    nearest = chosen[np.arange(len(rows)), distances.argmin(axis=1)]
    return np.sort(distances, axis=1).mean(axis=1), nearest.astype(np.int64)


def typical_distances(cloud: Cloud, blocks: Mapping[int, tuple[int, int]]) -> FloatArray:
    """Return median neighbour distances of reference rows: of all, then of each block."""
    size, step = len(cloud.rows), chunk_rows(cloud)
    distances = np.empty(size)
    for first in range(0, size, step):
        rows = cloud.rows[first : first + step]
        squared = squared_distances(cloud, rows)
        here = np.arange(len(rows))
        # A row is no neighbour of itself.
        squared[here, here + first] = np.inf
        count = min(NEIGHBOURS, size - 1)
        distances[first : first + step] = mean_distances(cloud, rows, squared, 0, count)[0]
    overall = float(np.median(distances)) or 1.0
    medians = [float(np.median(distances[start:end])) or overall for start, end in blocks.values()]
    return np.array([overall, *medians])


def whitening_of(rows: FloatArray, classes: IntArray) -> FloatArray:
    """Return a matrix that makes variation within classes alike in every direction."""
    columns = rows.shape[1]
    if columns > MAX_WHITENED_COLUMNS:
        return np.empty((0, 0))
    rows = np.clip(rows, -COVARIANCE_REACH, COVARIANCE_REACH)
    residuals = rows - rows.mean(axis=0)
    for start, end in blocks_of(classes).values():
        residuals[start:end] = rows[start:end] - rows[start:end].mean(axis=0)
    covariance = residuals.T @ residuals / len(rows)
    ridge = SHRINKAGE * np.trace(covariance) / columns
    if ridge < SMALLEST_RIDGE:
        return np.empty((0, 0))
    variances, directions = np.linalg.eigh(covariance + ridge * np.eye(columns))
    return np.asarray(directions / np.sqrt(np.maximum(variances, ridge)))


def blocks_of(classes: IntArray) -> dict[int, tuple[int, int]]:
    """Return where each known class with enough rows begins and ends; classes are ordered."""
    labels, starts, counts = np.unique(classes, return_index=True, return_counts=True)
    return {
        int(label): (int(start), int(start + count))
        for label, start, count in zip(labels, starts, counts, strict=True)
        if label >= 0 and count > NEIGHBOURS
    }


def chunk_rows(cloud: Cloud) -> int:
    """Return how many rows may be scored at once."""
    rows, columns = int(cloud.rows.shape[0]), int(cloud.rows.shape[1])
    return max(1, CHUNK_VALUES // max(rows, NEIGHBOURS * columns))
