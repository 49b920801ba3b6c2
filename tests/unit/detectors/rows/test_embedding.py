from __future__ import annotations

import numpy as np
import pytest

from bartizan.detectors.rows import embedding as module
from bartizan.detectors.rows.embedding import Embedding
from bartizan.errors import CalibrationError
from bartizan.features.rows import MAX_SCORE
from bartizan.ports import Unavailable
from bartizan.types import Rows

RNG = np.random.default_rng(11)
REFERENCE = RNG.normal(size=(300, 4)) * 0.1 + [1.0, 0.0, 0.0, 0.0]


def rows_of(embedding) -> Rows:
    embedded = None if embedding is None else np.asarray(embedding, dtype=np.float64)
    count = 1 if embedded is None else len(embedded)
    return Rows(np.zeros((count, 2)), embedding=embedded)


def fitted() -> Embedding:
    return Embedding().with_state(Embedding().fit_rows(rows_of(REFERENCE)))


def test_another_direction_is_far_and_another_length_is_not(judge) -> None:
    usual, longer, turned = judge.of_rows(fitted(), rows_of([[1, 0, 0, 0], [9, 0, 0, 0], [0, 1, 0, 0]]))
    assert longer == pytest.approx(usual, rel=1e-4)
    assert turned > 5 * usual


def test_no_embedding_no_score(judge) -> None:
    with pytest.raises(Unavailable, match="not known"):
        judge.of_rows(fitted(), rows_of(None))
    with pytest.raises(Unavailable, match="4 wide"):
        judge.of_rows(fitted(), rows_of([[1.0, 2.0]]))
    with pytest.raises(Unavailable, match="no reference"):
        judge.of_rows(Embedding(), rows_of([[1.0, 2.0]]))


def test_an_embedding_that_is_no_number_is_as_strange_as_can_be(judge) -> None:
    broken = rows_of([[np.nan, 0, 0, 0], [1, 0, 0, 0]])
    scores = judge.of_rows(fitted(), broken)
    assert scores[0] == MAX_SCORE
    assert scores[1] < 10
    assert "not a number" in judge.evidence_of_rows(fitted(), broken).summary
    assert "times as far" in judge.evidence_of_rows(fitted(), broken, 1).summary


def test_the_reference_is_a_bounded_sample(monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_REFERENCE_ROWS", 50)
    state = Embedding().fit_rows(rows_of(REFERENCE))
    assert state["reference"].shape == (50, 4)
    np.testing.assert_array_equal(state["reference"], Embedding().fit_rows(rows_of(REFERENCE))["reference"])


def test_too_little_to_learn_from_and_foreign_states_are_refused() -> None:
    for useless in (None, [[1.0, 0.0]], [[np.nan], [np.nan]]):
        with pytest.raises(CalibrationError):
            Embedding().fit_rows(rows_of(useless))
    with pytest.raises(CalibrationError, match="lacks reference, typical"):
        Embedding().with_state({})
