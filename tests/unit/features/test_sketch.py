import numpy as np
import pytest

from bartizan.errors import CalibrationError
from bartizan.features.sketch import DIMENSIONS, LARGEST_NEAR, SMALLEST_NEAR, Scale, Sketch


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(400, 80)) * np.geomspace(0.01, 100, 80)


def test_distances_between_benign_neighbours_are_about_one_unit(rows):
    scale = Scale.of(rows, np.random.default_rng(1))
    sketch = Sketch(scale, b"key")
    images = np.stack([sketch.of(row) for row in rows[:64]])
    apart = np.linalg.norm(images[:, None] - images, axis=2)
    np.fill_diagonal(apart, np.inf)
    assert 0.6 < np.median(apart.min(axis=1)) < 1.2
    assert images.shape == (64, DIMENSIONS)
    assert images.dtype == np.float32
    assert SMALLEST_NEAR <= scale.near <= LARGEST_NEAR
    assert sum(scale.law) == pytest.approx(1.0)


def test_the_secret_decides_the_sketch_and_nothing_else_does(rows):
    scale = Scale.of(rows, np.random.default_rng(1))
    one, again, other = (Sketch(scale, k).of(rows[0]) for k in (b"a", b"a", b"b"))
    assert (one == again).all()
    assert np.abs(one - other).max() > 0.01


def test_few_columns_are_not_projected():
    rows = np.random.default_rng(0).normal(size=(100, 3))
    scale = Scale.of(rows, np.random.default_rng(1))
    apart = Sketch(scale, b"a").of(rows[0]) - Sketch(scale, b"a").of(rows[1])
    true = np.linalg.norm((rows[0] - rows[1]) / scale.spread) / scale.unit
    assert np.linalg.norm(apart) == pytest.approx(true, rel=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_any_number_has_a_finite_sketch(rows, value):
    row = rows[0].copy()
    row[3] = value
    assert np.isfinite(Sketch(Scale.of(rows, np.random.default_rng(1)), b"k").of(row)).all()


def test_repeated_and_single_rows_still_have_a_scale():
    for rows in (np.ones((50, 4)), np.ones((1, 4))):
        scale = Scale.of(rows, np.random.default_rng(0))
        assert scale.unit > 0
        assert np.isfinite(Sketch(scale, b"k").of(rows[0] + 1)).all()


def test_nothing_to_learn_from_is_an_error():
    with pytest.raises(CalibrationError):
        Scale.of(np.empty((0, 3)), np.random.default_rng(0))
