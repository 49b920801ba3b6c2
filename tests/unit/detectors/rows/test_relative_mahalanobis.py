from __future__ import annotations

import numpy as np
import pytest

from bartizan.detectors.rows.relative_mahalanobis import RelativeMahalanobis
from bartizan.errors import CalibrationError
from bartizan.ports import Unavailable

RNG = np.random.default_rng(5)
LABELS = RNG.integers(2, size=600)
# The first column tells the classes apart; the second varies alike in both.
ROWS = np.column_stack([LABELS * 8.0 + RNG.normal(size=600), RNG.normal(size=600)])
OUTPUTS = np.eye(2)[LABELS]


def fitted(outputs=OUTPUTS) -> RelativeMahalanobis:
    return RelativeMahalanobis().with_state(RelativeMahalanobis().fit(ROWS, outputs))


def test_what_is_unusual_in_all_classes_alike_cancels(judge) -> None:
    usual, odd, between = judge.score(fitted(), [[0.0, 0.0], [0.0, 6.0], [4.0, 0.0]])
    assert odd == pytest.approx(usual, abs=1.0)
    assert between > usual + 5.0


def test_it_is_half_the_difference_of_squares(judge) -> None:
    (score,) = judge.score(fitted(), [[4.0, 0.0]])
    # Half-way: 4 within-class deviations from either mean, and the very middle of all rows.
    assert score == pytest.approx(4.0**2 / 2, rel=0.15)


def test_without_classes_there_is_nothing_to_compare(judge) -> None:
    with pytest.raises(Unavailable, match="classes"):
        judge.score(fitted(None), [[0.0, 0.0]])
    with pytest.raises(Unavailable, match="classes"):
        judge.score(RelativeMahalanobis(), [[0.0, 0.0]])
    with pytest.raises(Unavailable, match="2 columns"):
        judge.score(fitted(), [[0.0]])


def test_foreign_states_are_refused() -> None:
    state = dict(RelativeMahalanobis().fit(ROWS, OUTPUTS))
    for key in state:
        with pytest.raises(CalibrationError, match=key):
            RelativeMahalanobis().with_state({k: v for k, v in state.items() if k != key})
    with pytest.raises(CalibrationError, match="at least 2"):
        RelativeMahalanobis().fit(ROWS[:1], None)


def test_evidence_compares_the_two_distances(judge) -> None:
    assert "nearest class, 1," in judge.evidence(fitted(), [[8.5, 0.0]]).summary
