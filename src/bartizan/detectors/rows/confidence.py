"""Rows for which the model's best answer is not likely."""

from __future__ import annotations

from typing import Final

import numpy as np

from bartizan.features.rows import MAX_SCORE, answers_of
from bartizan.ports import Features
from bartizan.types import DetectorSpec, Evidence, Origin, Part, PartKind, Scores, Step

SMALLEST_SHARE: Final = 1e-12
"""Smallest probability that the other classes together are credited with."""

SPEC: Final = DetectorSpec(
    name="rows.confidence",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    unit=1.0,
    needs_outputs=True,
    by_choice=True,
    taxonomy=("AML.T0043", "OWASP ML01:2023"),
)


class Confidence:
    """Scores the odds against the most likely class: ``ln((1 - p) / p)``.

    The order is that of the largest softmax probability; on the scale of log-odds a model that
    is certain of nearly everything still tells answers apart. From about -27.6 (certain) to
    ``ln(k - 1)`` (all of ``k`` classes alike). An answer that is not a number scores
    :data:`~bartizan.features.rows.MAX_SCORE`.

    References:
        Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution
        Examples in Neural Networks", arXiv 1610.02136.
    """

    spec = SPEC

    def score(self, part: Part, features: Features) -> Scores:
        """Return one score per row.

        Raises:
            Unavailable: The outputs are not known, or are no classification.
        """
        answers = features.of_part(answers_of, part)
        order = np.sort(answers.probabilities, axis=1)
        # The others' sum keeps the digits that 1 - p loses when p is close to 1.
        others = np.maximum(order[:, :-1].sum(axis=1), SMALLEST_SHARE)
        scores = np.where(answers.broken, MAX_SCORE, np.log(others) - np.log(order[:, -1]))
        return Scores(tuple(scores.tolist()))

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Say how likely the model's best answer was."""
        answers = features.of_part(answers_of, part)
        if answers.broken[unit]:
            return Evidence("The model's answer is not a number.")
        return Evidence(f"The model gives its best answer {answers.probabilities[unit].max():.3g}.")
