from __future__ import annotations

import numpy as np
import pytest

from bartizan.detectors.rows.squeezing import SMALLEST_TYPICAL, Squeezing
from bartizan.errors import CalibrationError
from bartizan.features.rows import MAX_SCORE
from bartizan.features.variants import SQUEEZE_DEPTH, SQUEEZE_MEDIAN
from bartizan.ports import Unavailable
from bartizan.types import Rows


def rows_of(answer, *copies) -> Rows:
    """Rows of one answer, whose first copies are in fewer bits and whose last is smoothed."""
    answers = [np.tile(np.asarray(c, dtype=np.float64), (3, 1)) for c in (answer, *copies)]
    depth = np.stack(answers[1:-1], axis=1)
    variants = {SQUEEZE_DEPTH: depth, SQUEEZE_MEDIAN: answers[-1][:, None, :]}
    return Rows(np.zeros((3, 2)), answers[0], variants=variants)


def fitted(*typical) -> Squeezing:
    return Squeezing().with_state({"typical": np.array(typical)})


def test_the_score_is_the_largest_move_in_what_is_typical(judge) -> None:
    moved = rows_of([0.9, 0.1], [0.9, 0.1], [0.7, 0.3], [0.1, 0.9])
    assert judge.of_rows(fitted(1.0, 1.0, 1.0), moved) == pytest.approx((1.6,) * 3)
    # A median that honest rows don't survive either has no say.
    assert judge.of_rows(fitted(0.2, 0.2, 2.0), moved) == pytest.approx((2.0,) * 3)


def test_typical_is_learnt_from_reference_rows() -> None:
    still = rows_of([0.9, 0.1], [0.9, 0.1], [0.7, 0.3], [0.1, 0.9])
    assert Squeezing().fit_rows(still)["typical"] == pytest.approx([SMALLEST_TYPICAL, 0.4, 1.6])


def test_without_copies_there_is_no_score(judge) -> None:
    bare = Rows(np.zeros((1, 2)), np.array([[0.9, 0.1]]))
    with pytest.raises(Unavailable, match="squeeze-depth"):
        judge.of_rows(fitted(1.0, 1.0, 1.0), bare)
    with pytest.raises(CalibrationError, match="nothing to learn"):
        Squeezing().fit_rows(bare)
    with pytest.raises(CalibrationError, match="lacks typical"):
        Squeezing().with_state({})
    some = rows_of([0.9, 0.1], [0.9, 0.1], [0.9, 0.1])
    with pytest.raises(Unavailable, match="no reference"):
        judge.of_rows(Squeezing(), some)
    with pytest.raises(Unavailable, match="as the reference"):
        judge.of_rows(fitted(1.0), some)


def test_an_answer_that_is_no_number_is_as_strange_as_can_be(judge) -> None:
    broken = rows_of([0.9, 0.1], [0.9, 0.1], [np.nan, 0.1])
    assert judge.of_rows(fitted(1.0, 1.0), broken) == (MAX_SCORE,) * 3
    assert "not a number" in judge.evidence_of_rows(fitted(1.0, 1.0), broken).summary


def test_evidence_says_which_copy(judge) -> None:
    bits = rows_of([0.9, 0.1], [0.1, 0.9], [0.9, 0.1])
    assert "fewer bits differs by 1.6" in judge.evidence_of_rows(fitted(1.0, 1.0), bits).summary
    smooth = rows_of([0.9, 0.1], [0.9, 0.1], [0.1, 0.9])
    assert "median" in judge.evidence_of_rows(fitted(1.0, 1.0), smooth).summary
