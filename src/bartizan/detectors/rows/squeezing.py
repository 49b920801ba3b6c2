"""Rows whose answer does not survive coarser values."""

from __future__ import annotations

from typing import Final

import numpy as np

from bartizan.features.rows import MAX_SCORE, answers_of, read_answers, rows_of
from bartizan.features.variants import SQUEEZE_DEPTH, SQUEEZE_MEDIAN
from bartizan.ports import Features, Unavailable
from bartizan.types import DetectorSpec, Evidence, FloatArray, Origin, Part, PartKind, Scores, Step

KINDS: Final = (SQUEEZE_DEPTH, SQUEEZE_MEDIAN)

SPEC: Final = DetectorSpec(
    name="rows.squeezing",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    unit=0.25,
    needs_outputs=True,
    needs_variants=KINDS,
    by_choice=True,
    taxonomy=("AML.T0043", "OWASP ML01:2023"),
)


class Squeezing:
    """Scores how far the answer moves when the row is squeezed: fewer bits, or a median.

    The largest L1 distance between the class probabilities of the row and of any squeezed copy:
    0 where nothing changes, 2 where certainty moves to another class. Honest rows mostly keep
    their answer; changes just large enough to be misread are often squeezed away. The copies
    cost an extra model call. An answer that is not a number scores
    :data:`~bartizan.features.rows.MAX_SCORE`.

    References:
        Xu, Evans and Qi, "Feature Squeezing: Detecting Adversarial Examples in Deep Neural
        Networks", arXiv 1704.01155.
    """

    spec = SPEC

    def score(self, part: Part, features: Features) -> Scores:
        """Return one score per row, from 0 to 2.

        Raises:
            Unavailable: The model's answers to the row or to its copies are not known, or are no
                classification.
        """
        return Scores(tuple(features.of_part(_distances, part).max(axis=1).tolist()))

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Say which copy moved the answer most."""
        distances = features.of_part(_distances, part)[unit]
        if distances.max() >= MAX_SCORE:
            return Evidence("The model's answer is not a number.")
        depths = rows_of(part).variants[SQUEEZE_DEPTH].shape[1]
        how = "in fewer bits" if distances.argmax() < depths else "smoothed by a median"
        return Evidence(
            f"The model's answer to the same row {how} differs by {distances.max():.3g} of at most 2."
        )


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
