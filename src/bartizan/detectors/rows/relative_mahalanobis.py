"""Rows that fit no class better than they fit the rest of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from bartizan.errors import CalibrationError
from bartizan.features.gaussian import Gaussians
from bartizan.features.rows import MAX_SCORE, reference_classes, reference_rows, rows_of
from bartizan.features.scaling import Scaling
from bartizan.ports import Features, Unavailable
from bartizan.types import DetectorSpec, Evidence, FloatArray, Origin, Part, PartKind, Scores, Step

BACKGROUND: Final = "background-"

SPEC: Final = DetectorSpec(
    name="rows.relative-mahalanobis",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    unit=1.0,
    needs_fit=True,
    by_choice=True,
    taxonomy=("AML.T0043", "OWASP ML01:2023"),
)


@dataclass(frozen=True, slots=True)
class _Fitted:
    scaling: Scaling
    classes: Gaussians
    background: Gaussians


class RelativeMahalanobis:
    """Scores the distance to the nearest class less the distance to all data as one Gaussian.

    Half the difference of the squared Mahalanobis distances: up to a constant the logarithm of
    how much likelier the row is under the Gaussian of all rows than under the nearest class's.
    What is unusual in every class alike (a dark image, a large amount) cancels; what lies between
    classes stays. Without classes in the reference there is nothing to compare.

    References:
        Ren et al., "A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection",
        arXiv 2106.09022.
    """

    spec = SPEC

    def __init__(self, fitted: _Fitted | None = None) -> None:
        self._fitted = fitted

    def fit(self, inputs: FloatArray, outputs: FloatArray | None) -> Mapping[str, FloatArray]:
        """Learn both kinds of Gaussian from reference rows ``(n, d)`` and their classes.

        Raises:
            CalibrationError: There are fewer than 2 rows, or no column, to learn from; or not
                as many outputs as rows.
        """
        rows = reference_rows(inputs)
        if len(rows) < 2:
            raise CalibrationError("rows.relative-mahalanobis needs at least 2 reference rows")
        classes = reference_classes(outputs, len(rows))
        order = np.argsort(classes, kind="stable")
        scaling = Scaling.of(rows)
        standardised = scaling.standardised(rows[order])
        background = Gaussians.of(standardised, np.full(len(rows), -1, dtype=np.int64))
        return {
            "centre": scaling.centre,
            "scale": scaling.scale,
            **Gaussians.of(standardised, classes[order]).state(),
            **background.state(BACKGROUND),
        }

    def with_state(self, state: Mapping[str, FloatArray]) -> RelativeMahalanobis:
        """Return a detector that scores with a fitted state.

        Raises:
            CalibrationError: The state is not one that :meth:`fit` returned.
        """
        name = self.spec.name
        if missing := [key for key in ("centre", "scale") if key not in state]:
            raise CalibrationError(f"the state of {name} lacks {', '.join(missing)}")
        classes = Gaussians.from_state(state, name)
        background = Gaussians.from_state(state, name, BACKGROUND)
        return RelativeMahalanobis(_Fitted(Scaling(state["centre"], state["scale"]), classes, background))

    def score(self, part: Part, features: Features) -> Scores:
        """Return one score per row, in nats; of either sign.

        Raises:
            Unavailable: The detector is not fitted or the reference had no classes, the part
                holds no rows, or they are not as wide as the reference's.
        """
        nearest, _, background = features.of_part(self._judged, part)
        scores = np.clip((nearest - background) / 2.0, -MAX_SCORE, MAX_SCORE)
        return Scores(tuple(scores.tolist()))

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Say how the two distances compare."""
        nearest, label, background = (values[unit] for values in features.of_part(self._judged, part))
        return Evidence(
            f"The row is {np.sqrt(nearest):.3g} standard deviations from the nearest class, "
            f"{int(label)}, and {np.sqrt(background):.3g} from the middle of all reference rows."
        )

    def _judged(self, part: Part) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return squared distance to the nearest class, its label, and that to all rows."""
        fitted = self._fitted
        if fitted is None or fitted.classes.labels[0] < 0:
            raise Unavailable("rows.relative-mahalanobis has seen no reference rows with classes")
        inputs = rows_of(part).inputs
        columns = len(fitted.scaling.centre)
        if inputs.ndim != 2 or inputs.shape[1] != columns:
            raise Unavailable(f"rows are not {columns} columns wide, as the reference is")
        rows = fitted.scaling.standardised(inputs)
        squares = fitted.classes.squared_distances(rows)
        labels = fitted.classes.labels[squares.argmin(axis=1)].astype(np.float64)
        return squares.min(axis=1), labels, fitted.background.squared_distances(rows)[:, 0]
