"""Which columns an answer rests on, by occlusion; shared by detectors and explanations."""

from __future__ import annotations

from typing import Final

import numpy as np

from bartizan.features.rows import answers_of, read_answers, rows_of
from bartizan.features.variants import OCCLUSION
from bartizan.ports import Unavailable
from bartizan.types import FloatArray, Part

SMALLEST_SHARE: Final = 1e-6
"""Probabilities count as at least this and at most 1 less this: what lies beyond is rounding."""


def attributions_of(part: Part) -> FloatArray:
    """Return how much each group of columns holds the answer up; give this to ``Features.of_part``.

    Shape ``(n, g)``: the probability of the class that was answered, less the same class's
    probability once the group is set to the reference's centre. In ``[-1, 1]``; 0 for a row
    whose answers are not numbers.

    Raises:
        Unavailable: The answers to occluded copies are not known, or are no classification.

    References:
        Occlusion: Zeiler and Fergus, arXiv 1311.2901.
    """
    before, after = _probabilities(part)
    return before[:, None] - after


def pattern_of(part: Part) -> FloatArray:
    """Return which groups hold the answer up, and which against it, whatever how much: ``(n, g)``.

    The same as :func:`attributions_of` in log-odds, where certainty is no ceiling, each row
    brought to length 1 in multiples of the even pattern (``1 / sqrt(g)``); 0 where no group
    matters.

    Raises:
        Unavailable: As there.
    """
    before, after = (_log_odds(p) for p in _probabilities(part))
    drops = before[:, None] - after
    lengths = np.linalg.norm(drops, axis=1, keepdims=True) / np.sqrt(max(1, drops.shape[1]))
    return np.asarray(drops / np.maximum(lengths, SMALLEST_SHARE))


def _probabilities(part: Part) -> tuple[FloatArray, FloatArray]:
    rows, answers = rows_of(part), answers_of(part)
    variants = rows.variants.get(OCCLUSION)
    if variants is None:
        raise Unavailable("the model's answers to occluded copies are not known")
    count, groups = variants.shape[:2]
    occluded = read_answers(variants.reshape(count * groups, variants.shape[2]))
    chosen = np.maximum(answers.classes, 0)
    here = np.arange(count)
    before = answers.probabilities[here, chosen]
    after = occluded.probabilities.reshape(count, groups, occluded.probabilities.shape[1])[here, :, chosen]
    broken = answers.broken[:, None] | occluded.broken.reshape(count, groups)
    return before, np.where(broken, before[:, None], after)


def _log_odds(share: FloatArray) -> FloatArray:
    kept = np.clip(share, SMALLEST_SHARE, 1.0 - SMALLEST_SHARE)
    return np.asarray(np.log(kept) - np.log1p(-kept))
