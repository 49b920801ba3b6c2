"""Rows for which the model spreads its answer over many classes."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from bartizan.features.rows import MAX_SCORE, Answers, answers_of
from bartizan.ports import Features
from bartizan.types import DetectorSpec, Evidence, FloatArray, Origin, Part, PartKind, Scores, Step

SMALLEST_REST: Final = 1e-9
"""Entropies closer than this share to the largest possible are the largest possible."""

SPEC: Final = DetectorSpec(
    name="rows.entropy",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    unit=1.0,
    needs_outputs=True,
    by_choice=True,
    taxonomy=("AML.T0043", "OWASP ML01:2023"),
)


class Entropy:
    """Scores the entropy of the model's answer: ``-ln(1 - H / ln k)`` for ``k`` classes.

    0 where the model is certain, and without a natural end as all classes come to be alike, so
    that "ten times nearer to knowing nothing than any benign row" is worth the same everywhere.
    An answer that is not a number scores :data:`~bartizan.features.rows.MAX_SCORE`.

    References:
        Shannon, "A Mathematical Theory of Communication" (1948); as a measure of uncertainty:
        Lakshminarayanan et al., arXiv 1612.01474.
    """

    spec = SPEC

    def score(self, part: Part, features: Features) -> Scores:
        """Return one score per row, from 0 to ``-ln(SMALLEST_REST)``.

        Raises:
            Unavailable: The outputs are not known, or are no classification.
        """
        answers = features.of_part(answers_of, part)
        rest = np.clip(1.0 - _entropies(answers), SMALLEST_REST, 1.0)
        # Adding 0 turns -0.0, the score of certainty, into 0.0.
        return Scores(tuple(np.where(answers.broken, MAX_SCORE, 0.0 - np.log(rest)).tolist()))

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Say how much of the largest possible entropy the answer had."""
        answers = features.of_part(answers_of, part)
        if answers.broken[unit]:
            return Evidence("The model's answer is not a number.")
        share = _entropies(answers)[unit]
        return Evidence(f"The model's answer has {share:.0%} of the entropy of knowing nothing.")


def _entropies(answers: Answers) -> FloatArray:
    """Return entropies as shares of the largest possible, shape ``(n,)``."""
    p = answers.probabilities
    terms = p * np.log(np.where(p > 0.0, p, 1.0))
    return np.asarray(-terms.sum(axis=1) / math.log(p.shape[1]))
