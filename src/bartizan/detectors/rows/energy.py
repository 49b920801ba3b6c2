"""Rows for which the model finds no class at all likely."""

from __future__ import annotations

from typing import Final

import numpy as np

from bartizan.features.rows import MAX_SCORE, Answers, answers_of
from bartizan.ports import Features
from bartizan.types import DetectorSpec, Evidence, FloatArray, Origin, Part, PartKind, Scores, Step

SMALLEST_REMAINDER: Final = 1e-12
"""Smallest probability that all other classes together are credited with."""

SPEC: Final = DetectorSpec(
    name="rows.energy",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    unit=1.0,
    needs_outputs=True,
    taxonomy=("AML.T0043", "OWASP ML01:2023"),
)


class Energy:
    """Scores the free energy of the model's answer.

    For logits ``z`` it is ``-log sum_k exp(z_k)``: large where no class gathers support, which
    softmax probabilities alone cannot show. Probabilities have lost that total, so for them the
    score is ``-log sum_k p_k / (1 - p_k)``, the same expression over one-against-the-rest log
    odds: it lies between about -27.6 (certain) and ``log((k - 1) / k)`` (uniform), and orders
    answers much as their largest probability does. An answer that is not a number scores
    :data:`~bartizan.features.rows.MAX_SCORE`.

    References:
        Liu et al., "Energy-based Out-of-distribution Detection", arXiv 2010.03759.
    """

    spec = SPEC

    def score(self, part: Part, features: Features) -> Scores:
        """Return one score per row.

        Raises:
            Unavailable: The outputs are not known, or are no classification.
        """
        energies = _energies(features.of_part(answers_of, part))
        return Scores(tuple(energies.tolist()))

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Say how little support the model's answer had."""
        answers = features.of_part(answers_of, part)
        if answers.broken[unit]:
            return Evidence("The model's answer is not a number.")
        kind = "logits" if answers.from_logits[unit] else "one-against-the-rest odds"
        return Evidence(f"The free energy of the model's {kind} is {_energies(answers)[unit]:.3g}.")


def _energies(answers: Answers) -> FloatArray:
    # The others' sum keeps the digits that 1 - p loses when p is close to 1.
    p = answers.probabilities
    order = np.sort(p, axis=1)
    others = 1.0 - p
    top = p.argmax(axis=1)
    others[np.arange(len(p)), top] = order[:, :-1].sum(axis=1)
    odds = -np.log((p / np.maximum(others, SMALLEST_REMAINDER)).sum(axis=1))
    largest = answers.logits.max(axis=1, keepdims=True)
    support = np.exp(np.where(answers.from_logits[:, None], answers.logits - largest, 0.0)).sum(axis=1)
    energies = np.where(answers.from_logits, -(largest[:, 0] + np.log(support)), odds)
    return np.where(answers.broken, MAX_SCORE, np.clip(energies, -MAX_SCORE, MAX_SCORE))
