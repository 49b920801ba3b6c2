"""Rows whose answer rests on other columns than the class's answers usually do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from bartizan.errors import CalibrationError
from bartizan.features.attributions import attributions_of, pattern_of
from bartizan.features.gaussian import Gaussians
from bartizan.features.rows import (
    MAX_SCORE,
    IntArray,
    answers_of,
    column_names,
    reference_classes,
    rows_of,
)
from bartizan.features.variants import OCCLUSION, Recipe
from bartizan.ports import Features, Unavailable
from bartizan.types import DetectorSpec, Evidence, FloatArray, Origin, Part, PartKind, Rows, Scores, Step

EVIDENCE_COLUMNS: Final = 8
EVIDENCE_GROUPS: Final = 2

SPEC: Final = DetectorSpec(
    name="rows.attribution",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    unit=0.5,
    needs_fit=True,
    needs_outputs=True,
    needs_variants=(OCCLUSION,),
    by_choice=True,
    taxonomy=("AML.T0043", "OWASP ML01:2023"),
)


@dataclass(frozen=True, slots=True)
class _Fitted:
    gaussians: Gaussians
    groups: IntArray


class Attribution:
    """Scores how unusual the pattern of a row's attributions is for the class that it got.

    Attributions are by occlusion (:mod:`bartizan.features.attributions`), in log-odds and brought
    to one length, so that only their pattern counts. The score is the Mahalanobis distance of the
    row's pattern to the mean pattern of reference rows of the answered class, with one covariance
    for all classes; to the nearest class where the answered one had fewer than 6 reference rows.
    The occluded copies cost an extra model call. A row whose answer is not a number scores
    :data:`~bartizan.features.rows.MAX_SCORE`.

    References:
        Attributions betray adversarial rows: Yang et al., "ML-LOO: Detecting Adversarial
        Examples with Feature Attribution", arXiv 1906.03499.
    """

    spec = SPEC

    def __init__(self, fitted: _Fitted | None = None) -> None:
        self._fitted = fitted

    def fit_rows(self, rows: Rows) -> Mapping[str, FloatArray]:
        """Learn each class's pattern from reference rows with answers to occluded copies.

        Raises:
            CalibrationError: There are fewer than 2 rows, or no answers to their copies.
        """
        part = Part(PartKind.ROWS, Origin.USER, rows=rows)
        try:
            patterns = pattern_of(part)
        except Unavailable as reason:
            raise CalibrationError(f"rows.attribution has nothing to learn from: {reason}") from reason
        if len(patterns) < 2:
            raise CalibrationError("rows.attribution needs at least 2 reference rows")
        classes = reference_classes(rows.outputs, len(patterns))
        order = np.argsort(classes, kind="stable")
        return {
            "groups": Recipe.of(rows.inputs).groups.astype(np.float64),
            **Gaussians.of(patterns[order], classes[order]).state(),
        }

    def with_state(self, state: Mapping[str, FloatArray]) -> Attribution:
        """Return a detector that scores with a fitted state.

        Raises:
            CalibrationError: The state is not one that :meth:`fit_rows` returned.
        """
        if "groups" not in state:
            raise CalibrationError("the state of rows.attribution lacks groups")
        gaussians = Gaussians.from_state(state, "rows.attribution")
        return Attribution(_Fitted(gaussians, state["groups"].astype(np.int64)))

    def score(self, part: Part, features: Features) -> Scores:
        """Return one score per row, 0 or more.

        Raises:
            Unavailable: The detector is not fitted; or the model's answers to the row or to its
                copies are not known, or are no classification.
        """
        fitted, patterns = self._required(), features.of_part(pattern_of, part)
        if patterns.shape[1] != fitted.gaussians.means.shape[1]:
            raise Unavailable("copies were not occluded in the reference's groups")
        answers = features.of_part(answers_of, part)
        squares = fitted.gaussians.squared_distances(patterns)
        own = answers.classes[:, None] == fitted.gaussians.labels
        known = own.any(axis=1)[:, None]
        nearest = np.where(own | ~known, squares, np.inf).min(axis=1)
        scores = np.where(answers.broken, MAX_SCORE, np.minimum(np.sqrt(nearest), MAX_SCORE))
        return Scores(tuple(scores.tolist()))

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Name the columns that the answer rests on."""
        groups = self._required().groups
        held = features.of_part(attributions_of, part)[unit]
        most_first = np.argsort(-np.abs(held), kind="stable")[:EVIDENCE_GROUPS]
        columns = np.concatenate([np.flatnonzero(groups == group) for group in most_first])
        return Evidence(
            "The answer rests on other columns than answers of this class do; without those of one "
            f"group the class's probability falls by {held[most_first[0]]:.3g}.",
            columns=column_names(rows_of(part), columns[:EVIDENCE_COLUMNS]),
        )

    def _required(self) -> _Fitted:
        if self._fitted is None:
            raise Unavailable("rows.attribution has seen no reference rows")
        return self._fitted
