"""Makes canary inputs: rows that look like everybody's and that nobody else has.

Half of them lie beside a decision boundary, where two models differ most; the others are
ordinary rows, slightly changed. All are made of values that the columns are known to take:
whole columns stay whole, decimals keep their number of places, columns of few values keep to
those values, and nothing leaves the range of the reference.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from bartizan.errors import CalibrationError
from bartizan.types import FloatArray

T = TypeVar("T")
Asking = Generator[FloatArray, FloatArray, T]
"""Work that yields rows, shape ``(n, d)``, and is sent what the model answers to them, ``(n, k)``:
who drives it decides how the model is reached."""

IntArray = npt.NDArray[np.int64]

MAX_POOL: Final = 512
"""Reference rows that canaries are made from."""

MIN_ROWS: Final = 8
BATCH: Final = 64
"""Rows in one request while canaries are made."""

_BISECTIONS: Final = 8
_RIVALS: Final = 16
"""Rows of other classes among which the nearest is taken."""

_FEW_VALUES: Final = 12
_MOST_PLACES: Final = 6
_ORDINARY_SHARE: Final = (0.05, 0.2)
"""How much of another row of the same class an ordinary canary takes on."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What values the columns take.

    Attributes:
        places: Decimal places, shape ``(d,)``.
        few: Columns of so few values that nothing in between may be taken, shape ``(d,)``.
    """

    places: IntArray
    few: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, rows: FloatArray) -> Columns:
        """Learn from rows, shape ``(n, d)``."""
        places = np.full(rows.shape[1], _MOST_PLACES, dtype=np.int64)
        for digits in range(_MOST_PLACES - 1, -1, -1):
            places[(np.round(rows, digits) == rows).all(axis=0)] = digits
        few = np.array([len(np.unique(column)) <= _FEW_VALUES for column in rows.T])
        return cls(places, few)

    def between(self, start: FloatArray, end: FloatArray, share: FloatArray, u: FloatArray) -> FloatArray:
        """Return rows on the way from ``start`` to ``end``.

        Args:
            start: Shape ``(n, d)``.
            end: Shape ``(n, d)``.
            share: How far each row is on its way, 0 to 1, shape ``(n,)``.
            u: Uniform on (0, 1), shape ``(n, d)``: when columns of few values change over.
        """
        mixed = start + share[:, None] * (end - start)
        for digits in np.unique(self.places).tolist():
            here = self.places == digits
            mixed[:, here] = np.round(mixed[:, here], digits)
        low, high = np.minimum(start, end), np.maximum(start, end)
        return np.where(self.few, np.where(u < share[:, None], end, start), np.clip(mixed, low, high))


def classes_of(outputs: FloatArray, scores: int, pivot: float) -> IntArray:
    """Return the class that each row of outputs names, shape ``(n,)``.

    Args:
        outputs: Shape ``(n, k)``.
        scores: How many leading columns hold scores. One is split at ``pivot``; with none the
            first column is a label.
        pivot: Where a lone score changes sides.
    """
    if scores > 1:
        return np.asarray(outputs[:, :scores].argmax(axis=1), dtype=np.int64)
    if scores == 1:
        return np.asarray(outputs[:, 0] > pivot, dtype=np.int64)
    return np.asarray(np.nan_to_num(outputs[:, 0], posinf=-1, neginf=-1).astype(np.int64))


def pivot_of(outputs: FloatArray, scores: int) -> float:
    """Return where a lone score is split: a half for probabilities, else the median."""
    if scores != 1:
        return 0.0
    first = outputs[:, 0]
    return 0.5 if bool(((first >= 0) & (first <= 1)).all()) else float(np.median(first))


def make_canaries(
    rows: FloatArray, rng: np.random.Generator, count: int, scores: int | None = None
) -> Asking[FloatArray]:
    """Make canary inputs, shape ``(count, d)``, in random order.

    Args:
        rows: Benign rows, shape ``(n, d)``.
        rng: Must be unpredictable to others: the canaries are only as secret as it is.
        count: How many.
        scores: How many leading output columns hold class scores; ``None``: all of them.

    Raises:
        CalibrationError: The rows are too few, or not finite numbers.
    """
    if rows.ndim != 2 or len(rows) < MIN_ROWS or not rows.size or not np.isfinite(rows).all():
        raise CalibrationError(
            f"canaries need at least {MIN_ROWS} rows of finite numbers", hint="give more benign rows"
        )
    pool = rows[rng.permutation(len(rows))[:MAX_POOL]]
    columns = Columns.of(pool)
    outputs = yield from in_batches(pool)
    width = outputs.shape[1] if scores is None else scores
    pivot = pivot_of(outputs, width)
    classes = classes_of(outputs, width, pivot)
    near = count // 2 if len(np.unique(classes)) > 1 else 0
    boundary = yield from _beside_boundaries(pool, classes, columns, rng, near, width, pivot)
    ordinary = _ordinary(pool, classes, columns, rng, count - len(boundary))
    made = np.concatenate([boundary, ordinary])
    return made[rng.permutation(len(made))]


def in_batches(rows: FloatArray) -> Asking[FloatArray]:
    """Ask about many rows in requests of limited size."""
    answers = []
    for start in range(0, len(rows), BATCH):
        answers.append((yield rows[start : start + BATCH]))  # noqa: PERF401 - no comprehension may yield
    return np.concatenate(answers)


def _beside_boundaries(
    pool: FloatArray,
    classes: IntArray,
    columns: Columns,
    rng: np.random.Generator,
    count: int,
    scores: int,
    pivot: float,
) -> Asking[FloatArray]:
    """Bisect the way between rows of different classes; end on either side of the boundary."""
    if not count:
        return pool[:0]
    starts = rng.choice(len(pool), count, replace=count > len(pool))
    ends = np.array([_rival(pool, classes, start, rng) for start in starts])
    u = rng.random((count, pool.shape[1]))
    low, high = np.zeros(count), np.ones(count)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        outputs = yield from in_batches(columns.between(pool[starts], pool[ends], middle, u))
        stays = classes_of(outputs, scores, pivot) == classes[starts]
        low, high = np.where(stays, middle, low), np.where(stays, high, middle)
    side = np.where(rng.random(count) < 0.5, low, high)
    return columns.between(pool[starts], pool[ends], side, u)


def _rival(pool: FloatArray, classes: IntArray, start: int, rng: np.random.Generator) -> int:
    others = np.flatnonzero(classes != classes[start])
    some = rng.choice(others, min(_RIVALS, len(others)), replace=False)
    return int(some[np.square(pool[some] - pool[start]).sum(axis=1).argmin()])


def _ordinary(
    pool: FloatArray, classes: IntArray, columns: Columns, rng: np.random.Generator, count: int
) -> FloatArray:
    starts = rng.choice(len(pool), count, replace=count > len(pool))
    ends = np.array([rng.choice(np.flatnonzero(classes == classes[start])) for start in starts], dtype=int)
    share = rng.uniform(*_ORDINARY_SHARE, count)
    return columns.between(pool[starts], pool[ends], share, rng.random((count, pool.shape[1])))
