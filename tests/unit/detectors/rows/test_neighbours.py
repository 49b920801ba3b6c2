from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bartizan.detectors.rows.neighbours import MAX_REFERENCE_ROWS, Neighbours
from bartizan.errors import CalibrationError
from bartizan.features.rows import MAX_SCORE
from bartizan.ports import Detector, Unavailable

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)


def two_classes(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two well separated clouds in five dimensions and a model's answers to them."""
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    inputs = rng.normal(size=(rows, 5)) + 8.0 * labels[:, None]
    outputs = np.where(labels[:, None] == [0, 1], 0.9, 0.1)
    return inputs, outputs


def fitted(inputs: np.ndarray, outputs: np.ndarray | None) -> Detector:
    return Neighbours().with_state(Neighbours().fit(inputs, outputs))


REFERENCE, ANSWERS = two_classes(400, 0)
DETECTOR = fitted(REFERENCE, ANSWERS)


def test_is_unavailable_before_it_is_fitted(judge) -> None:
    with pytest.raises(Unavailable):
        judge.score(Neighbours(), [[0.0]])


def test_a_state_of_another_detector_is_refused() -> None:
    with pytest.raises(CalibrationError, match="centre"):
        Neighbours().with_state({"reference": np.zeros((2, 1))})


def test_one_row_is_no_neighbourhood() -> None:
    with pytest.raises(CalibrationError, match="at least 2"):
        Neighbours().fit(np.zeros((1, 3)), None)


def test_outputs_must_be_those_of_the_rows() -> None:
    with pytest.raises(CalibrationError, match="400 reference rows came with 3 outputs"):
        Neighbours().fit(REFERENCE, ANSWERS[:3])


def test_rows_of_another_width_are_unavailable(judge) -> None:
    with pytest.raises(Unavailable, match="5 columns"):
        judge.score(DETECTOR, np.zeros((1, 4)))


def test_honest_rows_score_about_one(judge) -> None:
    inputs, outputs = two_classes(400, 1)
    scores = judge.score(DETECTOR, inputs, outputs)
    assert np.median(scores) == pytest.approx(1.0, abs=0.1)
    assert np.quantile(scores, 0.99) < 3.0


def test_rows_from_elsewhere_score_far_more(judge) -> None:
    inputs, outputs = two_classes(100, 2)
    assert min(judge.score(DETECTOR, inputs + 40.0, outputs)) > max(judge.score(DETECTOR, inputs, outputs))


def test_the_wrong_answer_for_a_row_that_looks_honest_scores_more(judge) -> None:
    inputs, outputs = two_classes(100, 3)
    honest = judge.score(DETECTOR, inputs, outputs)
    swapped = judge.score(DETECTOR, inputs, outputs[:, ::-1])
    assert min(swapped) > max(honest)
    assert "those of the answered class" in judge.evidence(DETECTOR, inputs, outputs[:, ::-1]).summary


def test_without_outputs_only_the_distance_counts(judge) -> None:
    inputs, outputs = two_classes(100, 4)
    unknown = np.array(judge.score(DETECTOR, inputs))
    known = np.array(judge.score(DETECTOR, inputs, outputs))
    np.testing.assert_allclose(unknown, known, rtol=0.3)
    regression = np.arange(100.0)[:, None]
    assert judge.score(DETECTOR, inputs, regression) == tuple(unknown)


def test_an_answer_never_seen_before_is_held_against_all_rows(judge) -> None:
    inputs, _ = two_classes(4, 5)
    third = np.tile([0.0, 0.0, 1.0], (4, 1))
    assert judge.score(DETECTOR, inputs, third) == judge.score(DETECTOR, inputs)


def test_a_change_where_honest_rows_do_not_vary_is_stranger_than_one_where_they_do(judge) -> None:
    rng = np.random.default_rng(6)
    along = rng.normal(size=(500, 1))
    reference = np.hstack([along, along + 0.05 * rng.normal(size=(500, 1))])
    detector = fitted(reference, None)
    with_the_grain, against_it = judge.score(detector, [[1.0, 1.0], [0.5, -0.5]])
    assert against_it > 3.0 * with_the_grain


def test_evidence_names_the_column_that_moved(judge) -> None:
    row = REFERENCE[:1].copy()
    row[0, 3] += 30.0
    names = ("a", "b", "c", "d", "e")
    evidence = judge.evidence(DETECTOR, row, ANSWERS[:1], columns=names)
    assert evidence.columns[0] == "d"
    assert "times as far" in evidence.summary


def test_units_of_the_columns_do_not_matter(judge) -> None:
    units = np.array([1.0, 1e3, 1e-3, 10.0, 1e6])
    inputs, outputs = two_classes(50, 7)
    scaled = fitted(REFERENCE * units, ANSWERS)
    np.testing.assert_allclose(
        judge.score(scaled, inputs * units, outputs), judge.score(DETECTOR, inputs, outputs), rtol=0.2
    )


def test_the_reference_is_bounded_and_the_sample_reproducible() -> None:
    rows = np.random.default_rng(8).normal(size=(MAX_REFERENCE_ROWS + 500, 3))
    state, again = Neighbours().fit(rows, None), Neighbours().fit(rows, None)
    assert state["reference"].shape == (MAX_REFERENCE_ROWS, 3)
    for name, array in state.items():
        np.testing.assert_array_equal(array, again[name])


def test_wide_rows_keep_fewer_reference_rows_and_no_covariance(judge) -> None:
    rows = np.random.default_rng(9).normal(size=(40, 700))
    state = Neighbours().fit(rows, None)
    assert state["whitening"].size == 0
    near, far = judge.score(Neighbours().with_state(state), np.vstack([rows[:1] + 0.01, rows[:1] + 9.0]))
    assert far > near


def test_chunks_do_not_show(judge, monkeypatch) -> None:
    inputs, outputs = two_classes(50, 10)
    whole = judge.score(DETECTOR, inputs, outputs)
    monkeypatch.setattr("bartizan.features.neighbourhood.CHUNK_VALUES", 4 * len(REFERENCE))
    np.testing.assert_allclose(judge.score(DETECTOR, inputs, outputs), whole, rtol=1e-5)


def test_no_rows_no_scores(judge) -> None:
    assert judge.score(DETECTOR, np.empty((0, 5)), np.empty((0, 2))) == ()


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(0, 5), st.just(5)), elements=ANY_FLOAT),
    hnp.arrays(np.float64, (5, 2), elements=ANY_FLOAT),
)
def test_any_rows_get_one_finite_score_each(judge, rows: np.ndarray, outputs: np.ndarray) -> None:
    scores = judge.score(DETECTOR, rows, outputs[: len(rows)])
    assert len(scores) == len(rows)
    assert all(0.0 <= score <= MAX_SCORE for score in scores)
    assert scores == judge.score(DETECTOR, rows, outputs[: len(rows)])


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(2, 20), st.just(2)), elements=ANY_FLOAT),
    hnp.arrays(np.float64, (3, 2), elements=ANY_FLOAT),
)
def test_any_reference_can_be_learnt(judge, reference: np.ndarray, rows: np.ndarray) -> None:
    scores = judge.score(fitted(reference, np.abs(np.sign(reference))), rows, rows)
    assert all(0.0 <= score <= MAX_SCORE for score in scores)


@given(hnp.arrays(np.float64, (4, 5), elements=st.floats(-50.0, 50.0)))
def test_a_row_scores_the_same_alone_as_in_a_batch(judge, rows: np.ndarray) -> None:
    outputs = ANSWERS[:4]
    together = judge.score(DETECTOR, rows, outputs)
    alone = [judge.score(DETECTOR, rows[i : i + 1], outputs[i : i + 1])[0] for i in range(4)]
    np.testing.assert_allclose(together, alone, rtol=1e-4)
