"""What is watched: streams of numbers and categories, made of events."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bartizan.alarms import Column, Events
from bartizan.errors import CalibrationError
from bartizan.features.rows import read_answers
from bartizan.stats.bets import Bets, categorical_bets, numeric_bets
from bartizan.stats.bins import Cuts, box_of_counts
from bartizan.stats.edetector import SKIP
from bartizan.types import FloatArray

IntArray = npt.NDArray[np.int64]

MAX_CATEGORIES: Final = 32
"""Categories watched by name; the rarer ones are one category, together with those never seen."""

OTHER: Final = "anything else"
ABSENT: Final = "missing"

MAX_COLUMNS: Final = 256
"""Wider inputs (images) are watched as means of :data:`COLUMN_GROUPS` groups of neighbours."""
COLUMN_GROUPS: Final = 64

VOCABULARY_SHARE: Final = 0.2
"""Share of the calibration that only says which categories exist, so that the rate of unseen
ones is counted on data that did not choose them."""

_COUNTED: Final = ("0", "1", "2", "3 or more")
MISSING: Final = "missing"
SCHEMA: Final = "schema"
OUTPUT_CLASS: Final = "output.class"
OUTPUT_CONFIDENCE: Final = "output.confidence"
OUTPUT_VALUE: Final = "output.value"


@dataclass(frozen=True, slots=True)
class Stream:
    """One watched stream and the law it had when it was calibrated.

    Attributes:
        name: ``input.NAME``, ``output.class``, ``missing`` and so on.
        bets: The bets against it, made from its confidence box.
        share: Calibrated share of each bin or category, shape ``(K,)``.
        cuts: For numbers: where they are cut.
        categories: For categories: their names, the last one standing for all others.
    """

    name: str
    bets: Bets
    share: FloatArray
    cuts: Cuts | None = None
    categories: tuple[str, ...] = ()

    def bins(self, values: Column, u: FloatArray) -> IntArray:
        """Return each value's bin; :data:`~bartizan.stats.edetector.SKIP` where it has none.

        Args:
            values: Shape ``(n,)``.
            u: Uniform on (0, 1), to break ties; shape ``(n,)``.
        """
        if self.cuts is not None:
            numbers = values.astype(np.float64)
            known = np.isfinite(numbers)
            placed = self.cuts.place(np.where(known, numbers, 0.0), u)
            return np.asarray(np.where(known, placed, SKIP), dtype=np.int64)
        code = {name: k for k, name in enumerate(self.categories[:-1])}
        rest = len(self.categories) - 1
        return np.array([code.get(_named(v), rest) for v in values.tolist()], dtype=np.int64)


def sources(events: Events) -> dict[str, Column]:
    """Return the raw values of every stream that events have, by stream name.

    Numbers that are not finite are schema violations, NaN is a missing value.
    """
    found: dict[str, Column] = {}
    absent, wrong = np.zeros(len(events)), np.zeros(len(events))
    for name, column in events.columns.items():
        found[f"input.{name}"] = column
        if column.dtype == np.object_:
            absent += np.array([v is None for v in column.tolist()], dtype=np.float64)
        else:
            absent += np.isnan(column.astype(np.float64))
            wrong += np.isinf(column.astype(np.float64))
    if len(found) > MAX_COLUMNS:
        found = _grouped(events.columns)
    if events.outputs is not None:
        found |= _outputs(events.outputs)
        absent += np.isnan(events.outputs).all(axis=1)
    found[MISSING], found[SCHEMA] = _capped(absent), _capped(wrong)
    return found


def learn_stream(name: str, values: Column, delta: float, rng: np.random.Generator) -> Stream:
    """Learn a stream's law from calibration values.

    Args:
        name: The stream's name.
        values: Benign values in time order, shape ``(n,)``.
        delta: Probability over the calibration draw that the stream's box misses the truth.
        rng: Breaks ties.

    Raises:
        CalibrationError: There is hardly a number in it.
    """
    if values.dtype != np.object_ and name not in (MISSING, SCHEMA, OUTPUT_CLASS):
        numbers = values.astype(np.float64)
        numbers = numbers[np.isfinite(numbers)]
        if len(numbers) < 2:
            raise CalibrationError(
                f"{name} holds no numbers to learn from", hint="leave the column out, or give more data"
            )
        cuts = Cuts.of(numbers, rng)
        box = cuts.box(delta)
        return Stream(name, numeric_bets(box), box.estimate, cuts=cuts)
    named = [_named(v) for v in values.tolist()]
    categories, start = _categories(name, named)
    code = {category: k for k, category in enumerate(categories)}
    rest = len(categories) - 1
    codes = [code.get(v, rest) for v in named[start:]]
    box = box_of_counts(np.bincount(codes, minlength=len(categories)).astype(np.int64), delta)
    return Stream(name, categorical_bets(box, categories), box.estimate, categories=categories)


def _categories(name: str, named: list[str]) -> tuple[tuple[str, ...], int]:
    """Return the categories of a stream, and from where on their shares may be counted."""
    if name in (MISSING, SCHEMA):
        return (*_COUNTED, OTHER), 0
    start = max(1, int(len(named) * VOCABULARY_SHARE))
    seen = Counter(named[:start])
    kept = sorted(seen, key=lambda v: (-seen[v], v))[: MAX_CATEGORIES - 1]
    return (*kept, OTHER), start


def _outputs(outputs: FloatArray) -> dict[str, Column]:
    if outputs.shape[1] == 1:  # a regression, a lone logit, the probability of one class
        return {OUTPUT_VALUE: outputs[:, 0]}
    answered = ~np.isnan(outputs).any(axis=1)
    answers = read_answers(outputs[answered])
    classes = np.full(len(outputs), None, dtype=np.object_)
    classes[answered] = [str(c) for c in answers.classes.tolist()]
    confidence = np.full(len(outputs), np.nan)
    confidence[answered] = np.where(answers.broken, np.inf, answers.probabilities.max(axis=1))
    return {OUTPUT_CLASS: classes, OUTPUT_CONFIDENCE: confidence}


def _grouped(columns: Mapping[str, Column]) -> dict[str, Column]:
    numeric = [(name, c) for name, c in columns.items() if c.dtype != np.object_]
    found: dict[str, Column] = {f"input.{n}": c for n, c in columns.items() if c.dtype == np.object_}
    for part in np.array_split(np.arange(len(numeric)), COLUMN_GROUPS):
        names = [numeric[i][0] for i in part]
        values = np.stack([numeric[i][1].astype(np.float64) for i in part])
        found[f"input.mean of {names[0]} to {names[-1]}"] = values.mean(axis=0)
    return found


def _capped(counts: FloatArray) -> Column:
    return np.array(_COUNTED, dtype=np.object_)[np.minimum(counts, len(_COUNTED) - 1).astype(np.int64)]


def _named(value: object) -> str:
    return ABSENT if value is None else str(value)


def as_numbers(column: Column) -> FloatArray:
    """Return a column as sessions see it: numbers; of categories only whether they are the same."""
    if column.dtype != np.object_:
        return np.nan_to_num(column.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    codes = [int.from_bytes(hashlib.blake2b(str(v).encode(), digest_size=2).digest(), "big") for v in column]
    return np.array(codes, dtype=np.float64) / 65_536
