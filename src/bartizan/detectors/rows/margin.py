"""Rows on which the model can hardly choose between its two best answers."""

from __future__ import annotations

from typing import Final

import numpy as np

from bartizan.features.rows import MAX_SCORE, answers_of
from bartizan.ports import Features
from bartizan.types import DetectorSpec, Evidence, Origin, Part, PartKind, Scores, Step

SMALLEST_LEAD: Final = 1e-9
"""Leads below this are ties."""

SPEC: Final = DetectorSpec(
    name="rows.margin",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    unit=1.0,
    needs_outputs=True,
    taxonomy=("AML.T0043", "OWASP ML01:2023"),
)


class Margin:
    """Scores minus the natural logarithm of the lead of the most likely class over the next one.

    The score is 0 where the model is certain and grows without a natural end as two classes
    come to tie; on that scale "ten times nearer the boundary than any benign row" is worth the
    same everywhere. Attacks that search
    for the nearest point of another class stop just behind the boundary, where the lead is
    small; attacks that go on into the other class are not seen by this detector. A model that
    answers with hard labels always has a lead of 1. An answer that is not a number scores
    :data:`~bartizan.features.rows.MAX_SCORE`.

    References:
        Smallest margin: Scheffer et al., "Active Hidden Markov Models", IDA 2001.
    """

    spec = SPEC

    def score(self, part: Part, features: Features) -> Scores:
        """Return one score per row, from 0 to ``-ln(SMALLEST_LEAD)``.

        Raises:
            Unavailable: The outputs are not known, or are no classification.
        """
        answers = features.of_part(answers_of, part)
        second, first = np.partition(answers.probabilities, -2, axis=1)[:, -2:].T
        leads = np.clip(first - second, SMALLEST_LEAD, 1.0)
        # Adding 0 turns -0.0, the score of certainty, into 0.0.
        scores = np.where(answers.broken, MAX_SCORE, 0.0 - np.log(leads))
        return Scores(tuple(scores.tolist()))

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Say how far the model's best answer led."""
        answers = features.of_part(answers_of, part)
        if answers.broken[unit]:
            return Evidence("The model's answer is not a number.")
        second, first = np.partition(answers.probabilities[unit], -2)[-2:]
        return Evidence(f"The model's best answer leads the next one by only {first - second:.3g}.")
