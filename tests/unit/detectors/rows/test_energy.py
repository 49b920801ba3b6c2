from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import logsumexp

from bartizan.detectors.rows.energy import Energy
from bartizan.features.rows import MAX_SCORE
from bartizan.ports import Unavailable

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)


@given(hnp.arrays(np.float64, (3, 4), elements=st.floats(-500.0, 500.0)))
def test_logits_give_the_free_energy(judge, logits: np.ndarray) -> None:
    logits[:, 0] += 1000.0  # not to be taken for probabilities
    scores = judge.score(Energy(), np.zeros((3, 1)), logits)
    np.testing.assert_allclose(scores, -logsumexp(logits, axis=1), rtol=1e-12)


def test_less_support_for_all_classes_is_stranger_though_softmax_is_the_same(judge) -> None:
    supported, unsupported = judge.score(Energy(), np.zeros((2, 1)), [[12.0, 9.0, 5.0], [2.0, -1.0, -5.0]])
    assert unsupported == pytest.approx(supported + 10.0)


@given(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=6))
def test_probabilities_give_the_energy_of_their_odds(judge, weights: list[float]) -> None:
    p = np.array(weights) / sum(weights)
    (score,) = judge.score(Energy(), [[0.0]], [p])
    assert score == pytest.approx(-np.log((p / (1.0 - p)).sum()), rel=1e-9, abs=1e-9)


def test_surer_probabilities_have_less_energy(judge) -> None:
    outputs = [[1 / 3] * 3, [0.5, 0.3, 0.2], [0.9, 0.06, 0.04], [1.0 - 2e-9, 1e-9, 1e-9], [1.0, 0.0, 0.0]]
    scores = judge.score(Energy(), np.zeros((5, 1)), outputs)
    assert list(scores) == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(np.log(2 / 3))
    assert scores[3] == pytest.approx(np.log(2e-9), rel=1e-6)
    assert scores[4] == pytest.approx(np.log(1e-12))


def test_both_sides_of_a_binary_answer_count_alike(judge) -> None:
    one, other = judge.score(Energy(), np.zeros((2, 1)), [[0.8], [0.2]])
    assert one == pytest.approx(other)


@pytest.mark.parametrize("outputs", [None, [[41.5]]])
def test_without_a_classification_there_is_no_energy(judge, outputs) -> None:
    with pytest.raises(Unavailable):
        judge.score(Energy(), [[0.0]], outputs)


def test_an_answer_that_is_no_number_is_as_strange_as_can_be(judge) -> None:
    assert judge.score(Energy(), [[0.0]], [[np.inf, 1.0]]) == (MAX_SCORE,)
    assert "not a number" in judge.evidence(Energy(), [[0.0]], [[np.inf, 1.0]]).summary


def test_evidence_says_what_the_energy_is_of(judge) -> None:
    assert "logits" in judge.evidence(Energy(), [[0.0]], [[3.0, 4.0]]).summary
    assert "odds" in judge.evidence(Energy(), [[0.0]], [[0.3, 0.7]]).summary


def test_no_rows_no_scores(judge) -> None:
    assert judge.score(Energy(), np.empty((0, 2)), np.empty((0, 3))) == ()


@given(hnp.arrays(np.float64, st.tuples(st.integers(0, 5), st.integers(2, 5)), elements=ANY_FLOAT))
def test_any_answer_gets_one_finite_score_each(judge, outputs: np.ndarray) -> None:
    scores = judge.score(Energy(), np.zeros((len(outputs), 1)), outputs)
    assert len(scores) == len(outputs)
    assert np.isfinite(scores).all()
