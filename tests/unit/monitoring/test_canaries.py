import numpy as np
import pytest
from tests.unit.monitoring.models import CLASSES, Model, rows

from bartizan.errors import CalibrationError
from bartizan.monitoring.canaries import BATCH, MIN_ROWS, Columns, make_canaries
from bartizan.monitoring.enrolment import drive


def canaries(model=None, count=32, seed=5, reference=None, scores=CLASSES):
    reference = rows() if reference is None else reference
    return drive(make_canaries(reference, np.random.default_rng(seed), count, scores), model or Model())


def test_canaries_take_only_values_that_the_columns_take():
    made, reference = canaries(), rows()
    assert made.shape == (32, 6)
    assert ((made >= reference.min(axis=0)) & (made <= reference.max(axis=0))).all()
    assert (made[:, :2] == np.round(made[:, :2], 2)).all()
    assert (made[:, 2:4] == np.round(made[:, 2:4])).all()
    assert set(made[:, 4]) <= {1.0, 4.0, 9.0}
    assert set(made[:, 5]) == {7.0}


def test_no_canary_is_a_row_that_somebody_else_has():
    made, reference = canaries(), rows()
    assert not any((reference == canary).all(axis=1).any() for canary in made)


def test_half_of_them_lie_beside_a_boundary():
    model = Model()

    def margins(some):
        ordered = np.sort(model(some), axis=1)
        return ordered[:, -1] - ordered[:, -2]

    close = np.quantile(margins(rows()), 0.1)
    assert (margins(canaries(model)) < close).sum() >= 12


def test_a_model_of_labels_is_bisected_too():
    model = Model()
    made = canaries(model.labels, scores=0)
    ordered = np.sort(model(made), axis=1)
    assert (ordered[:, -1] - ordered[:, -2] < 0.1).sum() >= 12


def test_one_score_is_split_at_a_half_or_at_its_median():
    model = Model()
    made = canaries(lambda batch: model(batch)[:, :1], scores=1)
    assert (np.abs(model(made)[:, 0] - 0.5) < 0.1).sum() >= 12
    made = canaries(lambda batch: 100 * model(batch)[:, :1], scores=1)
    assert len(made) == 32


def test_a_model_that_says_one_thing_gets_ordinary_canaries():
    made = canaries(lambda batch: np.ones((len(batch), 1)), scores=0)
    assert len(made) == 32


def test_other_randomness_other_canaries():
    assert (canaries(seed=1) == canaries(seed=1)).all()
    assert not (canaries(seed=1) == canaries(seed=2)).all(axis=1).any()


def test_requests_are_of_limited_size():
    model = Model()
    canaries(model, count=100)
    assert max(len(batch) for batch in model.asked) <= BATCH


@pytest.mark.parametrize(
    "bad", [rows(MIN_ROWS - 1), np.zeros((50, 0)), np.full((50, 3), np.nan), np.full((50, 3), np.inf)]
)
def test_rows_that_are_no_good_are_refused(bad):
    with pytest.raises(CalibrationError, match="canaries need"):
        canaries(reference=bad)


def test_columns_know_their_decimal_places():
    columns = Columns.of(rows())
    assert columns.places.tolist() == [2, 2, 0, 0, 0, 0]
    assert columns.few.tolist() == [False, False, False, False, True, True]
