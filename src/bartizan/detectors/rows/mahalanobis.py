"""Rows far from the middle of every class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from bartizan.errors import CalibrationError
from bartizan.features.gaussian import Gaussians
from bartizan.features.rows import (
    MAX_SCORE,
    column_names,
    reference_classes,
    reference_rows,
    rows_of,
)
from bartizan.features.scaling import Scaling
from bartizan.ports import Features, Unavailable
from bartizan.types import DetectorSpec, Evidence, FloatArray, Origin, Part, PartKind, Scores, Step

EVIDENCE_COLUMNS: Final = 8

SPEC: Final = DetectorSpec(
    name="rows.mahalanobis",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    unit=0.5,
    needs_fit=True,
    by_choice=True,
    taxonomy=("AML.T0043", "OWASP ML01:2023"),
)


@dataclass(frozen=True, slots=True)
class _Fitted:
    scaling: Scaling
    gaussians: Gaussians


class Mahalanobis:
    """Scores the Mahalanobis distance to the nearest class, with one covariance for all classes.

    Classes are those that the model answered for the reference rows; where they are not known
    there is one Gaussian, that of all rows. It asks whether a row fits *any* class, not the one
    it was put in.

    References:
        Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples and
        Adversarial Attacks", arXiv 1807.03888.
    """

    spec = SPEC

    def __init__(self, fitted: _Fitted | None = None) -> None:
        self._fitted = fitted

    def fit(self, inputs: FloatArray, outputs: FloatArray | None) -> Mapping[str, FloatArray]:
        """Learn means and covariance from reference rows ``(n, d)`` and their classes, if known.

        Raises:
            CalibrationError: There are fewer than 2 rows, or no column, to learn from; or not
                as many outputs as rows.
        """
        rows = reference_rows(inputs)
        if len(rows) < 2:
            raise CalibrationError("rows.mahalanobis needs at least 2 reference rows")
        classes = reference_classes(outputs, len(rows))
        order = np.argsort(classes, kind="stable")
        scaling = Scaling.of(rows)
        gaussians = Gaussians.of(scaling.standardised(rows[order]), classes[order])
        return {"centre": scaling.centre, "scale": scaling.scale, **gaussians.state()}

    def with_state(self, state: Mapping[str, FloatArray]) -> Mahalanobis:
        """Return a detector that scores with a fitted state.

        Raises:
            CalibrationError: The state is not one that :meth:`fit` returned.
        """
        if missing := [key for key in ("centre", "scale") if key not in state]:
            raise CalibrationError(f"the state of rows.mahalanobis lacks {', '.join(missing)}")
        gaussians = Gaussians.from_state(state, "rows.mahalanobis")
        return Mahalanobis(_Fitted(Scaling(state["centre"], state["scale"]), gaussians))

    def score(self, part: Part, features: Features) -> Scores:
        """Return one score per row; about the square root of the number of columns is usual.

        Raises:
            Unavailable: The detector is not fitted, the part holds no rows, or they are not
                as wide as the reference's.
        """
        squares = features.of_part(self._squares, part)
        return Scores(tuple(np.minimum(np.sqrt(squares.min(axis=1)), MAX_SCORE).tolist()))

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Name the columns that make up most of the distance."""
        fitted, rows = self._required(), rows_of(part)
        squares = features.of_part(self._squares, part)[unit]
        nearest = int(squares.argmin())
        row = fitted.scaling.standardised(rows.inputs[unit : unit + 1])[0]
        shares = fitted.gaussians.shares(row, nearest)
        most_first = np.argsort(-shares, kind="stable")[:EVIDENCE_COLUMNS]
        label = int(fitted.gaussians.labels[nearest])
        where = f"the nearest class, {label}" if label >= 0 else "the middle of all reference rows"
        return Evidence(
            f"The row is {np.sqrt(squares[nearest]):.3g} standard deviations from {where}.",
            columns=column_names(rows, most_first[shares[most_first] > 0.0]),
        )

    def _required(self) -> _Fitted:
        if self._fitted is None:
            raise Unavailable("rows.mahalanobis has seen no reference rows")
        return self._fitted

    def _squares(self, part: Part) -> FloatArray:
        fitted = self._required()
        inputs = rows_of(part).inputs
        columns = len(fitted.scaling.centre)
        if inputs.ndim != 2 or inputs.shape[1] != columns:
            raise Unavailable(f"rows are not {columns} columns wide, as the reference is")
        return fitted.gaussians.squared_distances(fitted.scaling.standardised(inputs))
