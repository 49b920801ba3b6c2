from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bartizan.detectors.rows.range import FRACTION_SCORE, Range
from bartizan.errors import CalibrationError
from bartizan.features.rows import MAX_SCORE
from bartizan.ports import Detector, Unavailable

RNG = np.random.default_rng(0)
REFERENCE = np.column_stack(
    [RNG.normal(0.0, 1.0, 500), RNG.normal(100.0, 20.0, 500), RNG.integers(0, 17, 500)]
)
ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)


def fitted(reference: np.ndarray = REFERENCE) -> Detector:
    return Range().with_state(Range().fit(reference, None))


def test_is_unavailable_before_it_is_fitted(judge) -> None:
    with pytest.raises(Unavailable):
        judge.score(Range(), [[0.0]])


def test_a_state_of_another_detector_is_refused() -> None:
    with pytest.raises(CalibrationError, match="lacks"):
        Range().with_state({"low": np.zeros(1)})


def test_rows_inside_the_range_score_nothing(judge) -> None:
    assert set(judge.score(fitted(), REFERENCE)) == {0.0}


def test_an_excursion_is_measured_in_spreads_of_its_column(judge) -> None:
    top = REFERENCE[:, 1].max()
    (score,) = judge.score(fitted(), [[0.0, top + 40.0, 3.0]])
    assert score == pytest.approx(2.0, rel=0.15)
    (twice,) = judge.score(fitted(), [[0.0, top + 80.0, 3.0]])
    assert twice == pytest.approx(2 * score)


def test_the_strangest_column_decides_and_comes_first(judge) -> None:
    row = [[50.0, 900.0, 3.0]]
    evidence = judge.evidence(fitted(), row, columns=("depth", "speed", "gear"))
    assert evidence.columns == ("depth", "speed")
    assert evidence.summary.startswith("2 of 3 columns")
    assert "900" not in evidence.summary


def test_a_fraction_among_whole_numbers_is_an_excursion(judge) -> None:
    whole, rounded, fraction = judge.score(
        fitted(), [[0.0, 100.0, 3.0], [0.0, 100.0, 3.0 + 1e-9], [0.0, 100.0, 3.5]]
    )
    assert (whole, rounded, fraction) == (0.0, 0.0, FRACTION_SCORE)


def test_few_whole_numbers_do_not_make_a_rule(judge) -> None:
    assert judge.score(fitted(np.array([[1.0], [5.0]])), [[2.5]]) == (0.0,)


def test_every_row_of_another_width_scores_the_most(judge) -> None:
    assert judge.score(fitted(), np.zeros((2, 4))) == (MAX_SCORE, MAX_SCORE)
    assert "4 columns; the reference has 3" in judge.evidence(fitted(), np.zeros((2, 4))).summary


def test_missing_values_count_only_where_there_were_none(judge) -> None:
    reference = REFERENCE.copy()
    reference[::10, 0] = np.nan
    detector = fitted(reference)
    tolerated, strange = judge.score(detector, [[np.nan, 100.0, 3.0], [0.0, np.nan, 3.0]])
    assert (tolerated, strange) == (0.0, MAX_SCORE)


def test_a_constant_column_may_not_change(judge) -> None:
    reference = np.column_stack([REFERENCE, np.zeros(500)])
    same, changed = judge.score(fitted(reference), [[0.0, 100.0, 3.0, 0.0], [0.0, 100.0, 3.0, 4.0]])
    assert same == 0.0
    assert changed >= 4.0


def test_a_planted_extreme_does_not_widen_the_range(judge) -> None:
    clean = np.random.default_rng(3).normal(size=(3000, 1))
    planted = clean.copy()
    planted[:2] = [[1e6], [-1e6]]
    score_clean, score_planted = (judge.score(fitted(rows), [[50.0]])[0] for rows in (clean, planted))
    assert score_planted == pytest.approx(score_clean, rel=0.1)


@given(hnp.arrays(np.float64, st.tuples(st.integers(0, 6), st.integers(0, 4)), elements=ANY_FLOAT))
def test_any_rows_get_one_finite_score_each(judge, rows: np.ndarray) -> None:
    scores = judge.score(fitted(), rows)
    assert len(scores) == len(rows)
    assert all(0.0 <= score <= MAX_SCORE for score in scores)
    assert scores == judge.score(fitted(), rows)


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.just(2)), elements=ANY_FLOAT),
    hnp.arrays(np.float64, (3, 2), elements=ANY_FLOAT),
)
def test_any_reference_can_be_learnt(judge, reference: np.ndarray, rows: np.ndarray) -> None:
    scores = judge.score(fitted(reference), rows)
    assert all(0.0 <= score <= MAX_SCORE for score in scores)


@given(hnp.arrays(np.float64, (4, 3), elements=st.floats(-1e3, 1e3)))
def test_a_row_scores_the_same_alone_as_in_a_batch(judge, rows: np.ndarray) -> None:
    detector = fitted()
    assert judge.score(detector, rows) == tuple(judge.score(detector, row[None])[0] for row in rows)
