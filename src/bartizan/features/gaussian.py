"""Gaussians of reference rows: one of all rows, and one per class with a covariance in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bartizan.errors import CalibrationError
from bartizan.features.neighbourhood import COVARIANCE_REACH, blocks_of
from bartizan.features.rows import IntArray
from bartizan.types import FloatArray

MAX_FULL_COLUMNS: Final = 1024
"""Wider rows get variances only: 8 MiB for a covariance is enough."""

SMALLEST_VARIANCE: Final = 1e-6
"""This share of the mean variance is added to every direction, so that none has no variance."""

KEYS: Final = ("means", "labels", "whitening")


@dataclass(frozen=True, slots=True)
class Gaussians:
    """Gaussians that differ in their means only.

    Attributes:
        means: Shape ``(c, d)``.
        labels: The class each mean belongs to, shape ``(c,)``; -1 for that of all rows.
        whitening: ``(d, d)``: rows times this vary by 1 in every direction; ``(d,)`` where rows
            are too wide for covariances.
    """

    means: FloatArray
    labels: IntArray
    whitening: FloatArray

    @classmethod
    def of(cls, rows: npt.NDArray[Any], classes: IntArray) -> Gaussians:
        """Learn from standardised rows ``(n, d)``, ordered by class.

        Classes with fewer than 6 rows, and rows of unknown class, get no mean of their own and
        add to the covariance around the mean of all rows. Without any class there is one
        Gaussian, that of all rows.
        """
        rows = np.clip(rows, -COVARIANCE_REACH, COVARIANCE_REACH).astype(np.float64)
        blocks = blocks_of(classes)
        overall = rows.mean(axis=0)
        residuals = rows - overall
        means = [overall] if not blocks else []
        for start, end in blocks.values():
            means.append(rows[start:end].mean(axis=0))
            residuals[start:end] = rows[start:end] - means[-1]
        labels = np.array(list(blocks) or [-1], dtype=np.int64)
        return cls(np.array(means), labels, whitening_of_residuals(residuals))

    def state(self, prefix: str = "") -> dict[str, FloatArray]:
        """Return the arrays to keep, for :meth:`from_state`."""
        return {
            prefix + "means": self.means,
            prefix + "labels": self.labels.astype(np.float64),
            prefix + "whitening": self.whitening,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, FloatArray], detector: str, prefix: str = "") -> Gaussians:
        """Return what :meth:`state` kept.

        Raises:
            CalibrationError: It is not there.
        """
        if missing := [prefix + key for key in KEYS if prefix + key not in state]:
            raise CalibrationError(f"the state of {detector} lacks {', '.join(missing)}")
        means, labels, whitening = (state[prefix + key] for key in KEYS)
        return cls(means, labels.astype(np.int64), whitening)

    def squared_distances(self, rows: Any) -> FloatArray:
        """Return squared Mahalanobis distances of standardised rows to each mean, shape ``(n, c)``."""
        white, means = self._white(rows), self._white(self.means)
        squares = np.einsum("nd,nd->n", white, white)[:, None] - 2.0 * (white @ means.T)
        squares += np.einsum("cd,cd->c", means, means)
        return np.asarray(np.maximum(squares, 0.0))

    def shares(self, row: Any, mean: int) -> FloatArray:
        """Return each column's share of a row's squared distance to a mean; they add up to it."""
        apart = np.asarray(row, dtype=np.float64) - self.means[mean]
        white = self._white(apart)
        pull = white * self.whitening if self.whitening.ndim == 1 else white @ self.whitening.T
        return np.asarray(apart * pull)

    def _white(self, rows: Any) -> FloatArray:
        rows = np.asarray(rows, dtype=np.float64)
        return np.asarray(rows * self.whitening if self.whitening.ndim == 1 else rows @ self.whitening)


def whitening_of_residuals(residuals: FloatArray) -> FloatArray:
    """Return what makes residuals ``(n, d)`` vary by 1 in every direction; see :class:`Gaussians`."""
    if residuals.shape[1] > MAX_FULL_COLUMNS:
        variances = np.asarray((residuals**2).mean(axis=0))
        floor = max(float(variances.mean()) * SMALLEST_VARIANCE, np.finfo(float).tiny)
        return np.asarray(1.0 / np.sqrt(np.maximum(variances, floor)))
    covariance = shrunk_covariance(residuals)
    ridge = float(np.trace(covariance)) / len(covariance) * SMALLEST_VARIANCE
    # Any root of the inverse will do; this one takes a tenth of the time of the symmetric one.
    root = np.linalg.cholesky(covariance + ridge * np.eye(len(covariance)))
    return np.asarray(np.linalg.inv(root).T)


def shrunk_covariance(residuals: FloatArray) -> FloatArray:
    """Return the covariance of centred rows ``(n, d)``, shrunk towards equal variances.

    The weight of the sample covariance is the one that minimises the expected squared error,
    estimated from the same rows: with few rows for many columns it is small. Rows that do not
    vary at all get the unit covariance.

    References:
        Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
        matrices", Journal of Multivariate Analysis 88 (2004).

    >>> import numpy as np
    >>> shrunk_covariance(np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])).round(3).tolist()
    [[1.292, 0.0], [0.0, 1.208]]
    """
    count, columns = residuals.shape
    sample = residuals.T @ residuals / count
    mean = float(np.trace(sample)) / columns
    if mean <= np.finfo(float).tiny:
        return np.eye(columns)
    lengths = np.einsum("nd,nd->n", residuals, residuals)
    frobenius = float((sample**2).sum())
    spread = frobenius / columns - mean**2
    noise = (float((lengths**2).sum()) / count - frobenius) / (count * columns)
    weight = 1.0 if spread <= 0.0 else min(1.0, max(0.0, noise / spread))
    return np.asarray((1.0 - weight) * sample + weight * mean * np.eye(columns))
