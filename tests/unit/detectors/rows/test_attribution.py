from __future__ import annotations

import msgspec
import numpy as np
import pytest

from bartizan.detectors.rows.attribution import Attribution
from bartizan.errors import CalibrationError
from bartizan.features.rows import MAX_SCORE
from bartizan.features.variants import OCCLUSION, Recipe, with_all_variants
from bartizan.ports import Unavailable
from bartizan.types import Rows

RNG = np.random.default_rng(3)
REFERENCE = RNG.normal(size=(300, 4))
RECIPE = Recipe.of(REFERENCE)
WEIGHTS = np.array([3.0, 1.0, 0.0, 0.0])


def model(inputs: np.ndarray) -> Rows:
    p = 1.0 / (1.0 + np.exp(-(inputs @ WEIGHTS)))
    return Rows(inputs, np.column_stack([1.0 - p, p]))


def rows_of(inputs) -> Rows:
    return with_all_variants(model, RECIPE, (OCCLUSION,), model(np.asarray(inputs, dtype=np.float64)))


def fitted() -> Attribution:
    return Attribution().with_state(Attribution().fit_rows(rows_of(REFERENCE)))


def test_an_answer_that_rests_on_another_column_is_stranger(judge) -> None:
    # Both are class 1: one for the usual reason, one in spite of it.
    usual, odd = judge.of_rows(fitted(), rows_of([[1.0, 0.3, 0.0, 0.0], [-0.5, 2.9, 0.0, 0.0]]))
    assert odd > 2 * usual


def test_only_the_pattern_counts(judge) -> None:
    small, large = judge.of_rows(fitted(), rows_of([[0.2, 0.06, 0, 0], [1.0, 0.3, 0.0, 0.0]]))
    assert small == pytest.approx(large, rel=0.1)


def test_evidence_names_the_columns_that_hold_the_answer(judge) -> None:
    rows = msgspec.structs.replace(rows_of([[1.0, 0.3, 0.0, 0.0]]), columns=("amount", "age", "x", "y"))
    seen = judge.evidence_of_rows(fitted(), rows)
    assert seen.columns == ("amount", "age")
    assert "falls by" in seen.summary


def test_without_copies_there_is_no_score(judge) -> None:
    bare = model(REFERENCE[:2])
    with pytest.raises(Unavailable, match="occluded"):
        judge.of_rows(fitted(), bare)
    with pytest.raises(Unavailable, match="no reference"):
        judge.of_rows(Attribution(), rows_of(REFERENCE[:2]))
    with pytest.raises(CalibrationError, match="nothing to learn"):
        Attribution().fit_rows(bare)
    with pytest.raises(CalibrationError, match="at least 2"):
        Attribution().fit_rows(rows_of(REFERENCE[:1]))
    with pytest.raises(CalibrationError, match="groups"):
        Attribution().with_state({})


def test_copies_in_other_groups_are_not_judged(judge) -> None:
    rows = rows_of(REFERENCE[:2])
    fewer = msgspec.structs.replace(rows, variants={OCCLUSION: rows.variants[OCCLUSION][:, :2]})
    with pytest.raises(Unavailable, match="groups"):
        judge.of_rows(fitted(), fewer)


def test_an_answer_that_is_no_number_is_as_strange_as_can_be(judge) -> None:
    rows = rows_of(REFERENCE[:2])
    broken = msgspec.structs.replace(rows, outputs=np.array([[np.nan, 0.5], [0.5, 0.5]]))
    assert judge.of_rows(fitted(), broken)[0] == MAX_SCORE
