"""Rows whose answer does not survive coarser values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from bartizan.errors import CalibrationError
from bartizan.features.rows import MAX_SCORE, answers_of, read_answers, rows_of
from bartizan.features.variants import SQUEEZE_DEPTH, SQUEEZE_MEDIAN
from bartizan.ports import Features, Unavailable
from bartizan.types import DetectorSpec, Evidence, FloatArray, Origin, Part, PartKind, Rows, Scores, Step

KINDS: Final = (SQUEEZE_DEPTH, SQUEEZE_MEDIAN)

TYPICAL_SHARE: Final = 0.95
"""A copy's typical distance is that which this share of the reference rows keeps below."""

SMALLEST_TYPICAL: Final = 0.05
"""Typical distances are at least this, so that a copy which changes nothing is not all that counts."""

SPEC: Final = DetectorSpec(
    name="rows.squeezing",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    unit=0.5,
    needs_fit=True,
    needs_outputs=True,
    needs_variants=KINDS,
    by_choice=True,
    taxonomy=("AML.T0043", "OWASP ML01:2023"),
)


class Squeezing:
    """Scores how far the answer moves when the row is squeezed: fewer bits, or a median.

    The largest L1 distance between the class probabilities of the row and of any squeezed copy
    (0 where nothing changes, 2 where certainty moves to another class), over what is typical of
    that copy among reference rows: a squeezer that even honest rows don't survive, as a median
    of small images, has no say beside one that they do. Changes just large enough to be misread
    are often squeezed away. The copies cost an extra model call. An answer that is not a number
    scores :data:`~bartizan.features.rows.MAX_SCORE`.

    References:
        Xu, Evans and Qi, "Feature Squeezing: Detecting Adversarial Examples in Deep Neural
        Networks", arXiv 1704.01155.
    """

    spec = SPEC

    def __init__(self, typical: FloatArray | None = None) -> None:
        self._typical = typical

    def fit_rows(self, rows: Rows) -> Mapping[str, FloatArray]:
        """Learn each copy's typical distance from reference rows with answers to squeezed copies.

        Raises:
            CalibrationError: There are no rows, or no answers to their copies.
        """
        try:
            distances = _distances(Part(PartKind.ROWS, Origin.USER, rows=rows))
        except Unavailable as reason:
            raise CalibrationError(f"rows.squeezing has nothing to learn from: {reason}") from reason
        if not len(distances):
            raise CalibrationError("rows.squeezing needs reference rows")
        return {"typical": np.maximum(np.quantile(distances, TYPICAL_SHARE, axis=0), SMALLEST_TYPICAL)}

    def with_state(self, state: Mapping[str, FloatArray]) -> Squeezing:
        """Return a detector that scores with a fitted state.

        Raises:
            CalibrationError: The state is not one that :meth:`fit_rows` returned.
        """
        if "typical" not in state:
            raise CalibrationError("the state of rows.squeezing lacks typical")
        return Squeezing(state["typical"])

    def score(self, part: Part, features: Features) -> Scores:
        """Return one score per row; at most 1 for most rows like the reference's.

        Raises:
            Unavailable: The detector is not fitted; or the model's answers to the row or to its
                copies are not known, or are no classification.
        """
        shares = np.minimum(self._shares(part, features), MAX_SCORE)
        return Scores(tuple(shares.max(axis=1).tolist()))

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Say which copy moved the answer most."""
        distances = features.of_part(_distances, part)[unit]
        if distances.max() >= MAX_SCORE:
            return Evidence("The model's answer is not a number.")
        depths = rows_of(part).variants[SQUEEZE_DEPTH].shape[1]
        most = int(self._shares(part, features)[unit].argmax())
        how = "in fewer bits" if most < depths else "smoothed by a median"
        return Evidence(
            f"The model's answer to the same row {how} differs by {distances[most]:.3g} of at most 2."
        )

    def _shares(self, part: Part, features: Features) -> FloatArray:
        """Return distances over what is typical, shape ``(n, v)``."""
        if self._typical is None:
            raise Unavailable("rows.squeezing has seen no reference rows")
        distances = features.of_part(_distances, part)
        if distances.shape[1] != len(self._typical):
            raise Unavailable("rows were not squeezed as the reference was")
        return np.asarray(distances / self._typical)


def _distances(part: Part) -> FloatArray:
    """Return distances of every copy's answer, shape ``(n, v)``."""
    rows, answers = rows_of(part), answers_of(part)
    if missing := [kind for kind in KINDS if kind not in rows.variants]:
        raise Unavailable(f"the model's answers to copies ({', '.join(missing)}) are not known")
    answered = np.concatenate([rows.variants[kind] for kind in KINDS], axis=1)
    count, copies = answered.shape[:2]
    squeezed = read_answers(answered.reshape(count * copies, answered.shape[2]))
    probabilities = squeezed.probabilities.reshape(count, copies, squeezed.probabilities.shape[1])
    distances = np.abs(probabilities - answers.probabilities[:, None, :]).sum(axis=2)
    broken = answers.broken[:, None] | squeezed.broken.reshape(count, copies)
    return np.where(broken, MAX_SCORE, distances)
