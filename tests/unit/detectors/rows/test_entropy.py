from __future__ import annotations

import numpy as np
import pytest

from bartizan.detectors.rows.entropy import SMALLEST_REST, Entropy
from bartizan.features.rows import MAX_SCORE
from bartizan.ports import Unavailable


def test_certainty_scores_nothing_and_knowing_nothing_most(judge) -> None:
    scores = judge.score(Entropy(), np.zeros((3, 1)), [[1.0, 0.0], [0.5, 0.5], [0.75, 0.25]])
    entropy = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25))
    assert scores == pytest.approx((0.0, -np.log(SMALLEST_REST), -np.log(1.0 - entropy)))


def test_spread_over_more_classes_is_stranger_where_the_best_is_the_same(judge) -> None:
    two, many = judge.score(Entropy(), np.zeros((2, 1)), [[0.6, 0.4, 0, 0, 0], [0.6, 0.1, 0.1, 0.1, 0.1]])
    assert many > two


def test_an_answer_that_is_no_number_is_as_strange_as_can_be(judge) -> None:
    assert judge.score(Entropy(), [[0.0]], [[np.nan, 1.0]]) == (MAX_SCORE,)
    assert "not a number" in judge.evidence(Entropy(), [[0.0]], [[np.nan, 1.0]]).summary


def test_without_outputs_there_is_no_entropy(judge) -> None:
    with pytest.raises(Unavailable):
        judge.score(Entropy(), [[0.0]])


def test_evidence_is_a_share_of_knowing_nothing(judge) -> None:
    assert "100%" in judge.evidence(Entropy(), [[0.0]], [[0.5, 0.5]]).summary
