"""Rows on which the model can hardly choose between its two best answers."""

from __future__ import annotations

from typing import Final

import numpy as np

from bartizan.features.rows import MAX_SCORE, answers_of
from bartizan.ports import Features
from bartizan.types import DetectorSpec, Evidence, Origin, Part, PartKind, Scores, Step

SPEC: Final = DetectorSpec(
    name="rows.margin",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    unit=0.25,
    taxonomy=("AML.T0043", "OWASP ML01:2023"),
)


class Margin:
    """Scores 1 minus the lead of the most likely class over the next one.

    The score is 0 where the model is certain and 1 where two classes tie. Attacks that search
    for the nearest point of another class stop just behind the boundary, where the lead is
    small; attacks that go on into the other class are not seen by this detector. A model that
    answers with hard labels always has a lead of 1. An answer that is not a number scores
    :data:`~bartizan.features.rows.MAX_SCORE`.

    References:
        Smallest margin: Scheffer et al., "Active Hidden Markov Models", IDA 2001.
    """

    spec = SPEC

    def score(self, part: Part, features: Features) -> Scores:
        """Return one score per row, from 0 to 1.

        Raises:
            Unavailable: The outputs are not known, or are no classification.
        """
        answers = features.of_part(answers_of, part)
        second, first = np.partition(answers.probabilities, -2, axis=1)[:, -2:].T
        scores = np.where(answers.broken, MAX_SCORE, np.clip(1.0 - (first - second), 0.0, 1.0))
        return Scores(tuple(scores.tolist()))

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Say how far the model's best answer led."""
        answers = features.of_part(answers_of, part)
        if answers.broken[unit]:
            return Evidence("The model's answer is not a number.")
        second, first = np.partition(answers.probabilities[unit], -2)[-2:]
        return Evidence(f"The model's best answer leads the next one by only {first - second:.3g}.")
