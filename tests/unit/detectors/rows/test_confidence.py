from __future__ import annotations

import numpy as np
import pytest

from bartizan.detectors.rows.confidence import SMALLEST_SHARE, Confidence
from bartizan.features.rows import MAX_SCORE
from bartizan.ports import Unavailable


def test_the_score_is_the_odds_against_the_best_class(judge) -> None:
    scores = judge.score(Confidence(), np.zeros((3, 1)), [[0.8, 0.2, 0.0], [1.0, 0.0, 0.0], [1 / 3] * 3])
    assert scores == pytest.approx((np.log(0.25), np.log(SMALLEST_SHARE), np.log(2.0)))


def test_certainties_that_round_to_one_are_still_told_apart(judge) -> None:
    sure, surer = judge.score(Confidence(), np.zeros((2, 1)), [[40.0, 15.0], [40.0, 14.0]])
    assert surer == pytest.approx(-26.0)
    assert sure == pytest.approx(-25.0)


def test_an_answer_that_is_no_number_is_as_strange_as_can_be(judge) -> None:
    assert judge.score(Confidence(), [[0.0]], [[np.nan, 1.0]]) == (MAX_SCORE,)
    assert "not a number" in judge.evidence(Confidence(), [[0.0]], [[np.nan, 1.0]]).summary


def test_without_a_classification_there_is_no_confidence(judge) -> None:
    with pytest.raises(Unavailable):
        judge.score(Confidence(), [[0.0]], [[41.5]])


def test_evidence_says_how_likely_the_best_answer_was(judge) -> None:
    assert "0.55" in judge.evidence(Confidence(), [[0.0]], [[0.55, 0.45]]).summary
