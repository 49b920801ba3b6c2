"""Values of rows that several detectors share: what the model answered, and how columns spread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bartizan.errors import CalibrationError
from bartizan.ports import Unavailable
from bartizan.types import FloatArray, Part, Rows

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MAX_SCORE: Final = 1e12
"""Scores end here: finite, also in single precision, and beyond every benign score."""

SUM_TOLERANCE: Final = 0.02
"""How far probabilities may be from adding up to 1: half precision, or two printed decimals."""

MASKED_LOGIT: Final = -1e30
"""Stands for a logit of minus infinity, by which models rule a class out."""

SMALLEST_SPREAD: Final = 1e-100
"""Spreads are at least this, so that dividing by one stays finite."""

NORMAL_IQR: Final = 1.349
"""Interquartile range of a normal law with standard deviation 1."""


@dataclass(frozen=True, slots=True)
class Answers:
    """A classifier's answers, row by row.

    Attributes:
        probabilities: Shape ``(n, k)`` with ``k >= 2``; rows add up to 1. Uniform where broken.
        logits: Shape ``(n, k)``; meaningful only where ``from_logits``.
        from_logits: Shape ``(n,)``: whether the model answered with logits.
        broken: Shape ``(n,)``: answers that are not numbers (NaN or plus infinity).
    """

    probabilities: FloatArray
    logits: FloatArray
    from_logits: BoolArray
    broken: BoolArray

    @property
    def classes(self) -> IntArray:
        """Return the most likely class of each row, shape ``(n,)``; -1 where broken."""
        return np.where(self.broken, -1, self.probabilities.argmax(axis=1)).astype(np.int64)


def rows_of(part: Part) -> Rows:
    """Return the part's rows.

    Raises:
        Unavailable: The part has none.
    """
    if part.rows is None:
        raise Unavailable("the part holds no rows")
    return part.rows


def answers_of(part: Part) -> Answers:
    """Return what the model answered; give this to ``Features.of_part``.

    Raises:
        Unavailable: The model has not answered, or what it answered is not a classification.
    """
    rows = rows_of(part)
    if rows.outputs is None:
        raise Unavailable("the model's outputs are not known")
    return read_answers(rows.outputs)


def read_answers(outputs: FloatArray) -> Answers:
    """Read outputs of shape ``(n, k)`` as probabilities or logits, each row by itself.

    A row whose values lie in [0, 1] and add up to 1 within :data:`SUM_TOLERANCE` holds
    probabilities; any other row holds logits. A single column in [0, 1] is the probability
    of the second of two classes.

    Raises:
        Unavailable: There is no output column, or a single one with values outside [0, 1]:
            that may be a regression, or a lone logit, and nothing in the numbers says which.
    """
    values = np.asarray(outputs, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] == 0:
        raise Unavailable(f"outputs of shape {values.shape} are not one row of scores per input")
    if values.shape[1] == 1:
        values = _two_classes(values)
    unusable = np.isnan(values) | np.isposinf(values)
    broken: BoolArray = np.asarray(unusable.any(axis=1) | np.isneginf(values).all(axis=1))
    values = np.where(broken[:, None], 0.0, np.clip(values, MASKED_LOGIT, MAX_SCORE))
    sums = values.sum(axis=1)
    inside = (values >= 0.0).all(axis=1) & (np.abs(sums - 1.0) <= SUM_TOLERANCE)
    odds = np.exp(values - values.max(axis=1, keepdims=True))
    shares = np.where(inside, sums, 1.0)[:, None]
    probabilities = np.where(inside[:, None], values / shares, odds / odds.sum(axis=1, keepdims=True))
    return Answers(probabilities, values, ~inside & ~broken, broken)


def _two_classes(column: FloatArray) -> FloatArray:
    """Turn one column of probabilities into two; NaN stays NaN."""
    if ((column < 0.0) | (column > 1.0)).any():
        raise Unavailable("a single output column outside [0, 1] is no probability: a regression?")
    return np.hstack([1.0 - column, column])


def reference_rows(inputs: FloatArray) -> FloatArray:
    """Return reference inputs as a float64 matrix: infinities count as missing, the rest is bounded.

    Raises:
        CalibrationError: There is no row or no column to learn from.
    """
    rows = np.asarray(inputs, dtype=np.float64)
    if rows.ndim != 2 or rows.size == 0:
        raise CalibrationError(
            f"reference rows of shape {rows.shape} hold nothing to learn from",
            hint="collect reference rows of shape (n, d) with n and d at least 1",
        )
    return np.clip(np.where(np.isfinite(rows), rows, np.nan), -MAX_SCORE, MAX_SCORE)


def reference_classes(outputs: FloatArray | None, rows: int) -> IntArray:
    """Return the predicted class of each reference row, shape ``(rows,)``; -1 where it is not known.

    Raises:
        CalibrationError: There are not as many outputs as rows.
    """
    unknown = np.full(rows, -1, dtype=np.int64)
    if outputs is None:
        return unknown
    if len(outputs) != rows:
        raise CalibrationError(f"{rows} reference rows came with {len(outputs)} outputs")
    try:
        return read_answers(outputs).classes
    except Unavailable:
        return unknown


def column_centres(rows: FloatArray) -> FloatArray:
    """Return each column's median, shape ``(d,)``; 0 where a column holds no number."""
    return _by_column(rows, lambda kept: np.asarray(np.median(kept, axis=0)))


def column_spreads(rows: FloatArray) -> FloatArray:
    """Return a robust standard deviation of each column, shape ``(d,)``; always above 0.

    The interquartile range over 1.349; where half the values are one value, the standard
    deviation; where all are, the smaller of 1 and the median spread of the other columns,
    because a constant column says nothing about its unit.
    """
    spreads = _by_column(rows, _spreads)
    known = spreads[spreads > 0.0]
    unknown = min(1.0, float(np.median(known))) if known.size else 1.0
    return np.maximum(np.where(spreads > 0.0, spreads, unknown), SMALLEST_SPREAD)


def _spreads(rows: FloatArray) -> FloatArray:
    low, high = np.quantile(rows, (0.25, 0.75), axis=0)
    # Rounding gives a constant column a deviation of almost nothing instead of nothing.
    deviation = np.where(np.ptp(rows, axis=0) > 0.0, rows.std(axis=0), 0.0)
    return np.where(high > low, (high - low) / NORMAL_IQR, deviation)


def _by_column(rows: FloatArray, measure: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Measure whole columns at once, or one by one without their missing values."""
    if not np.isnan(rows).any():
        return measure(rows)
    kept = (column[~np.isnan(column)] for column in rows.T)
    return np.array([measure(values[:, None])[0] if values.size else 0.0 for values in kept])


def column_names(rows: Rows, most_first: IntArray) -> tuple[str, ...]:
    """Return names of columns given by index: their own, or the index where they have none."""
    named = len(rows.columns) == rows.inputs.shape[1]
    return tuple(rows.columns[index] if named else str(index) for index in most_first)
