"""Rows that break the schema or leave the range of the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from bartizan.errors import CalibrationError
from bartizan.features.rows import (
    MAX_SCORE,
    column_names,
    column_spreads,
    reference_rows,
    rows_of,
)
from bartizan.ports import Features, Unavailable
from bartizan.types import DetectorSpec, Evidence, FloatArray, Origin, Part, PartKind, Scores, Step

TRIMMED_SHARE: Final = 0.001
"""Of each column's reference values, this share is dropped at either end before the range is
taken, so that a few planted extremes do not widen it for ever."""

WHOLE_MIN_ROWS: Final = 30
"""A column is held to whole numbers once this many reference rows held nothing else."""

WHOLE_TOLERANCE: Final = 1e-6
"""Relative distance from a whole number that is rounding, not a fraction."""

FRACTION_SCORE: Final = 10.0
"""What a fraction in a column of whole numbers counts as, in spreads."""

EVIDENCE_COLUMNS: Final = 8

SPEC: Final = DetectorSpec(
    name="rows.range",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    unit=1.0,
    needs_fit=True,
    taxonomy=("AML.T0043", "OWASP ML01:2023"),
)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """What the reference looked like, all of shape ``(d,)``; the last two are 0 or 1."""

    low: FloatArray
    high: FloatArray
    spread: FloatArray
    whole: FloatArray
    gaps: FloatArray


class Range:
    """Scores how far a row leaves the range of the reference, in spreads of the column.

    The score of a row is that of its strangest column: 0 inside the reference range, and
    otherwise the distance to the range over the column's robust standard deviation. A fraction
    in a column that held whole numbers only counts as :data:`FRACTION_SCORE`; a missing value
    in a column that was never empty, and every row of another width than the reference's,
    as :data:`~bartizan.features.rows.MAX_SCORE`.
    """

    spec = SPEC

    def __init__(self, fitted: _Fitted | None = None) -> None:
        self._fitted = fitted

    def fit(self, inputs: FloatArray, outputs: FloatArray | None) -> Mapping[str, FloatArray]:
        """Learn ranges and spreads from reference rows of shape ``(n, d)``; outputs are not used.

        Raises:
            CalibrationError: There is no row or no column to learn from.
        """
        del outputs
        rows = reference_rows(inputs)
        missing = np.isnan(rows)
        count = len(rows)
        dropped = int(count * TRIMMED_SHARE)
        # Missing values sort last; an empty column gets the empty range at 0.
        ordered = np.sort(rows, axis=0)
        last = np.maximum((~missing).sum(axis=0) - 1, 0)
        dropped_by_column = np.minimum(dropped, last // 2)
        columns = np.arange(rows.shape[1])
        whole = (missing | (rows == np.round(rows))).all(axis=0) & (count >= WHOLE_MIN_ROWS)
        return {
            "low": np.nan_to_num(ordered[dropped_by_column, columns]),
            "high": np.nan_to_num(ordered[last - dropped_by_column, columns]),
            "spread": column_spreads(rows),
            "whole": whole.astype(np.float64),
            "gaps": missing.any(axis=0).astype(np.float64),
        }

    def with_state(self, state: Mapping[str, FloatArray]) -> Range:
        """Return a detector that scores with a fitted state.

        Raises:
            CalibrationError: The state is not one that :meth:`fit` returned.
        """
        try:
            fitted = _Fitted(*(state[name] for name in ("low", "high", "spread", "whole", "gaps")))
        except KeyError as error:
            raise CalibrationError(f"the state of rows.range lacks {error}") from error
        return Range(fitted)

    def score(self, part: Part, features: Features) -> Scores:
        """Return one score per row, 0 or more.

        Raises:
            Unavailable: The detector is not fitted, or the part holds no rows.
        """
        excursions = features.of_part(self._excursions, part)
        if excursions is None:
            return Scores((MAX_SCORE,) * len(rows_of(part).inputs))
        return Scores(tuple(excursions.max(axis=1).tolist()))

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Name the columns outside their range, most extreme first."""
        rows = rows_of(part)
        excursions = features.of_part(self._excursions, part)
        if excursions is None:
            expected = len(self._required().low)
            return Evidence(f"The row has {rows.inputs.shape[1]} columns; the reference has {expected}.")
        row = excursions[unit]
        outside = int((row > 0.0).sum())
        if not outside:
            return Evidence("Every column keeps to the schema and the reference range.")
        most_first = np.argsort(-row, kind="stable")[: min(outside, EVIDENCE_COLUMNS)]
        return Evidence(
            f"{outside} of {len(row)} columns break the schema or leave the reference range, the "
            f"farthest by {row.max():.3g} spreads of its column.",
            columns=column_names(rows, most_first),
        )

    def _required(self) -> _Fitted:
        if self._fitted is None:
            raise Unavailable("rows.range has seen no reference rows")
        return self._fitted

    def _excursions(self, part: Part) -> FloatArray | None:
        """Return excursions of shape ``(n, d)``, or ``None`` where the width is wrong."""
        fitted = self._required()
        inputs = np.asarray(rows_of(part).inputs, dtype=np.float64)
        if inputs.ndim != 2 or inputs.shape[1] != len(fitted.low):
            return None
        missing = np.isnan(inputs)
        values = np.clip(np.where(missing, fitted.low, inputs), -MAX_SCORE, MAX_SCORE)
        outside = np.maximum(np.maximum(fitted.low - values, values - fitted.high), 0.0) / fitted.spread
        rounding = WHOLE_TOLERANCE * np.maximum(1.0, np.abs(values))
        fraction = (fitted.whole > 0.0) & (np.abs(values - np.round(values)) > rounding)
        outside = np.where(fraction, np.maximum(outside, FRACTION_SCORE), outside)
        outside = np.where(missing, np.where(fitted.gaps > 0.0, 0.0, MAX_SCORE), outside)
        return np.minimum(outside, MAX_SCORE)
