import numpy as np

from bartizan.features.scaling import FARTHEST, Scaling, share_unit


def test_columns_of_unlike_ranges_get_a_scale_each_and_pixels_one():
    rng = np.random.default_rng(0)
    amounts = rng.normal(size=(200, 3)) * [1.0, 100.0, 10_000.0]
    assert not share_unit(amounts)
    assert Scaling.of(amounts).scale.round(-1).max() > 5_000
    pixels = rng.integers(0, 17, size=(200, 5)) * [1.0, 1.0, 1.0, 1.0, 0.9]
    assert share_unit(pixels)
    assert len(set(Scaling.of(pixels).scale.tolist())) == 1


def test_missing_values_are_at_the_centre_and_far_ones_end_somewhere():
    scaling = Scaling(np.array([5.0, 5.0]), np.array([2.0, 2.0]))
    assert scaling.standardised(np.array([[np.nan, 9.0]])).tolist() == [[0.0, 2.0]]
    assert scaling.standardised(np.array([[1e300, np.inf]])).tolist() == [[FARTHEST, FARTHEST]]
