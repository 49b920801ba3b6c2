from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bartizan.errors import CalibrationError
from bartizan.features.rows import (
    MAX_SCORE,
    answers_of,
    column_centres,
    column_names,
    column_spreads,
    read_answers,
    reference_rows,
    rows_of,
)
from bartizan.ports import Unavailable
from bartizan.types import Origin, Part, PartKind, Rows

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)
MATRICES = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=6), elements=ANY_FLOAT
)


def test_probabilities_stay_and_logits_become_probabilities() -> None:
    answers = read_answers(np.array([[0.2, 0.8], [0.0, np.log(3.0)]]))
    np.testing.assert_allclose(answers.probabilities, [[0.2, 0.8], [0.25, 0.75]])
    assert answers.from_logits.tolist() == [False, True]
    assert answers.classes.tolist() == [1, 1]


def test_rounded_probabilities_are_made_to_add_up_to_one() -> None:
    answers = read_answers(np.array([[0.33, 0.33, 0.33]]))
    assert not answers.from_logits[0]
    np.testing.assert_allclose(answers.probabilities, [[1 / 3] * 3])


def test_rows_are_read_one_by_one() -> None:
    outputs = np.array([[0.5, 0.5], [4.0, -1.0], [np.nan, 0.0], [0.1, 0.9]])
    together = read_answers(outputs)
    for index in range(len(outputs)):
        alone = read_answers(outputs[index : index + 1])
        np.testing.assert_array_equal(alone.probabilities[0], together.probabilities[index])
        assert alone.broken[0] == together.broken[index]


def test_a_single_column_is_the_probability_of_the_second_class() -> None:
    np.testing.assert_allclose(read_answers(np.array([[0.9]])).probabilities, [[0.1, 0.9]])


@pytest.mark.parametrize("outputs", [[[1.5]], [[-0.1]], [[0.5], [37.0]]])
def test_a_single_column_outside_the_unit_interval_is_no_classification(outputs: list[list[float]]) -> None:
    with pytest.raises(Unavailable, match="regression"):
        read_answers(np.array(outputs))


def test_no_output_columns_is_no_classification() -> None:
    with pytest.raises(Unavailable):
        read_answers(np.empty((3, 0)))


def test_classes_ruled_out_by_minus_infinity_are_not_broken() -> None:
    answers = read_answers(np.array([[-np.inf, 2.0, 1.0], [-np.inf, -np.inf, -np.inf]]))
    assert answers.broken.tolist() == [False, True]
    assert answers.probabilities[0, 0] == 0.0
    assert answers.classes.tolist() == [1, -1]


@given(MATRICES)
def test_any_answer_reads_as_probabilities(outputs: np.ndarray) -> None:
    answers = read_answers(outputs)
    assert np.isfinite(answers.probabilities).all()
    assert np.isfinite(answers.logits).all()
    np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1.0)
    assert not (answers.broken & answers.from_logits).any()


def test_a_part_without_rows_or_outputs_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="no rows"):
        rows_of(Part(PartKind.TEXT, Origin.USER, text="hello"))
    with pytest.raises(Unavailable, match="outputs"):
        answers_of(Part(PartKind.ROWS, Origin.USER, rows=Rows(np.zeros((1, 2)))))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (3,)])
def test_nothing_to_learn_from_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(CalibrationError):
        reference_rows(np.zeros(shape))


def test_infinities_of_the_reference_are_missing_values() -> None:
    rows = reference_rows(np.array([[np.inf, 1e300], [1.0, 2.0]]))
    assert np.isnan(rows[0, 0])
    assert rows[0, 1] == MAX_SCORE


def test_spreads_are_robust_and_fall_back() -> None:
    rng = np.random.default_rng(1)
    normal = rng.normal(0.0, 3.0, 4000)
    normal[:20] = 1e6
    mostly_zero = np.where(np.arange(4000) % 100 == 0, 1.0, 0.0)
    constant = np.full(4000, 5.0)
    empty = np.full(4000, np.nan)
    spreads = column_spreads(np.column_stack([normal, mostly_zero, constant]))
    assert spreads[0] == pytest.approx(3.0, rel=0.1)
    assert spreads[1] == pytest.approx(np.sqrt(0.01 * 0.99))
    assert spreads[2] == pytest.approx(min(1.0, np.median(spreads[:2])))
    with_empty = column_spreads(np.column_stack([normal, empty]))
    assert with_empty[1] > 0.0
    np.testing.assert_allclose(column_centres(np.column_stack([constant, empty])), [5.0, 0.0])


def test_missing_values_do_not_change_the_measure_of_other_columns() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(50, 2))
    holes = rows.copy()
    holes[::5, 1] = np.nan
    assert column_spreads(holes)[0] == pytest.approx(column_spreads(rows)[0])
    assert column_centres(holes)[1] == pytest.approx(np.median(holes[~np.isnan(holes[:, 1]), 1]))


def test_columns_are_named_by_name_or_by_index() -> None:
    order = np.array([1, 0])
    assert column_names(Rows(np.zeros((1, 2)), None, ("age", "amount")), order) == ("amount", "age")
    assert column_names(Rows(np.zeros((1, 2)), None, ("age",)), order) == ("1", "0")
