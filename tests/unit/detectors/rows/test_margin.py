from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bartizan.detectors.rows.margin import SMALLEST_LEAD, Margin
from bartizan.features.rows import MAX_SCORE
from bartizan.ports import Unavailable

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)


def test_a_tie_scores_most_and_certainty_nothing(judge) -> None:
    assert judge.score(Margin(), np.zeros((3, 1)), [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.7, 0.2, 0.1]]) == (
        pytest.approx((-np.log(SMALLEST_LEAD), 0.0, np.log(2)))
    )


def test_logits_are_read_through_softmax(judge) -> None:
    (score,) = judge.score(Margin(), [[0.0]], [[np.log(3.0), 0.0]])
    assert score == pytest.approx(np.log(2))


def test_one_column_is_a_binary_classifier(judge) -> None:
    assert judge.score(Margin(), np.zeros((2, 1)), [[0.75], [0.25]]) == pytest.approx((np.log(2), np.log(2)))


@pytest.mark.parametrize("outputs", [None, [[41.5]]])
def test_without_a_classification_there_is_no_margin(judge, outputs) -> None:
    with pytest.raises(Unavailable):
        judge.score(Margin(), [[0.0]], outputs)


def test_an_answer_that_is_no_number_is_as_strange_as_can_be(judge) -> None:
    assert judge.score(Margin(), [[0.0]], [[np.nan, 1.0]]) == (MAX_SCORE,)
    assert "not a number" in judge.evidence(Margin(), [[0.0]], [[np.nan, 1.0]]).summary


def test_evidence_says_how_small_the_lead_was(judge) -> None:
    assert "0.1" in judge.evidence(Margin(), [[0.0]], [[0.55, 0.45]]).summary


def test_no_rows_no_scores(judge) -> None:
    assert judge.score(Margin(), np.empty((0, 2)), np.empty((0, 3))) == ()


@given(hnp.arrays(np.float64, st.tuples(st.integers(0, 5), st.integers(2, 5)), elements=ANY_FLOAT))
def test_any_answer_gets_one_score_within_its_bounds_or_the_most(judge, outputs: np.ndarray) -> None:
    scores = judge.score(Margin(), np.zeros((len(outputs), 1)), outputs)
    assert len(scores) == len(outputs)
    assert all(0.0 <= score <= -np.log(SMALLEST_LEAD) or score == MAX_SCORE for score in scores)


@given(hnp.arrays(np.float64, 4, elements=st.floats(-20.0, 20.0)), st.floats(-5.0, 5.0))
def test_adding_a_constant_to_all_logits_changes_nothing(judge, logits: np.ndarray, constant: float) -> None:
    # Far from values that could be taken for probabilities.
    shifted = [logits + 30.0, logits + 30.0 + constant]
    one, other = judge.score(Margin(), np.zeros((2, 1)), shifted)
    assert one == pytest.approx(other, abs=1e-9)
