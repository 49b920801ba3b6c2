from __future__ import annotations

import numpy as np
import pytest

from bartizan.detectors.rows.mahalanobis import Mahalanobis
from bartizan.errors import CalibrationError
from bartizan.ports import Unavailable

RNG = np.random.default_rng(7)
LABELS = RNG.integers(2, size=400)
# Two classes, 10 apart in the first column; the second follows the first closely.
ROWS = np.column_stack([LABELS * 10.0, LABELS * 10.0, np.zeros(400)]) + RNG.normal(size=(400, 1)) * [1, 1, 0]
ROWS += RNG.normal(size=(400, 3)) * [0.0, 0.1, 1.0]
OUTPUTS = np.eye(2)[LABELS]


def fitted(outputs=OUTPUTS, rows=ROWS) -> Mahalanobis:
    return Mahalanobis().with_state(Mahalanobis().fit(rows, outputs))


def test_a_step_against_the_correlation_counts_for_more_than_one_along_it(judge) -> None:
    along, against = judge.score(fitted(), [[2.0, 2.0, 0.0], [1.0, -1.0, 0.0]])
    assert against > 3 * along


def test_between_the_classes_is_far_only_if_classes_are_known(judge) -> None:
    middle, usual = [5.0, 5.0, 0.0], [0.5, 0.5, 0.5]
    known = judge.score(fitted(), [middle, usual])
    unknown = judge.score(fitted(None), [middle, usual])
    assert known[0] > 3 * known[1]
    assert unknown[0] < unknown[1]


def test_distances_are_the_textbooks(judge) -> None:
    rows = np.random.default_rng(1).normal(size=(20_000, 2))
    (score,) = judge.score(fitted(None, rows), [[3.0, 4.0]])
    assert score == pytest.approx(5.0, rel=0.03)


def test_no_score_without_reference_or_of_another_width(judge) -> None:
    with pytest.raises(Unavailable, match="reference"):
        judge.score(Mahalanobis(), [[0.0]])
    with pytest.raises(Unavailable, match="3 columns"):
        judge.score(fitted(), [[0.0]])


def test_a_missing_value_is_no_news(judge) -> None:
    row = ROWS[0]
    gap = row.copy()
    gap[2] = np.nan
    whole, missing = judge.score(fitted(), [row, gap])
    assert missing <= whole + 1e-6


def test_too_little_to_learn_from_and_foreign_states_are_refused() -> None:
    with pytest.raises(CalibrationError, match="at least 2"):
        Mahalanobis().fit(ROWS[:1], None)
    with pytest.raises(CalibrationError, match="lacks"):
        Mahalanobis().with_state({"centre": np.zeros(3), "scale": np.ones(3)})
    with pytest.raises(CalibrationError, match="lacks centre"):
        Mahalanobis().with_state({})


def test_evidence_names_the_columns_that_are_off(judge) -> None:
    seen = judge.evidence(fitted(), [[0.0, 0.0, 30.0]], columns=("a", "b", "c"))
    assert seen.columns[0] == "c"
    assert "class, 0" in seen.summary
    assert "all reference rows" in judge.evidence(fitted(None), [[0.0, 0.0, 30.0]]).summary


def test_wide_rows_go_by_their_variances(judge) -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(50, 1100)) * np.linspace(1.0, 5.0, 1100)
    state = Mahalanobis().fit(rows, None)
    assert state["whitening"].shape == (1100,)
    usual, far = judge.score(Mahalanobis().with_state(state), [rows[0], rows[0] + 20.0])
    assert far > 2 * usual
