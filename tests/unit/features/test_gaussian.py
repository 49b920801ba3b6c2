import numpy as np
import pytest

from bartizan.features.gaussian import Gaussians, shrunk_covariance, whitening_of_residuals


def test_the_covariance_is_that_of_ledoit_and_wolf():
    covariance = pytest.importorskip("sklearn.covariance")
    rng = np.random.default_rng(0)
    for count, columns in ((30, 60), (100, 20), (5_000, 4)):
        rows = rng.normal(size=(count, columns)) @ rng.normal(size=(columns, columns))
        expected = covariance.ledoit_wolf(rows, assume_centered=True)[0]
        np.testing.assert_allclose(shrunk_covariance(rows), expected, rtol=1e-9, atol=1e-9)


def test_rows_that_do_not_vary_get_the_unit_covariance():
    assert shrunk_covariance(np.zeros((5, 3))).tolist() == np.eye(3).tolist()
    assert np.isfinite(whitening_of_residuals(np.zeros((5, 3)))).all()


def test_whitened_residuals_vary_by_one_in_every_direction():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(20_000, 3)) @ rng.normal(size=(3, 3))
    white = rows @ whitening_of_residuals(rows)
    np.testing.assert_allclose(np.cov(white.T), np.eye(3), atol=0.05)


def test_distances_and_shares_agree_with_the_definition():
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(40, 3))
    classes = np.repeat([0, 1], 20)
    gaussians = Gaussians.of(rows, classes)
    again = Gaussians.from_state(gaussians.state("x-"), "d", "x-")
    precision = gaussians.whitening @ gaussians.whitening.T
    apart = rows[:5, None, :] - gaussians.means[None]
    expected = np.einsum("ncd,de,nce->nc", apart, precision, apart)
    np.testing.assert_allclose(again.squared_distances(rows[:5]), expected, rtol=1e-9)
    assert again.shares(rows[0], 1).sum() == pytest.approx(expected[0, 1])


def test_small_and_unknown_classes_have_no_mean_of_their_own():
    rows = np.random.default_rng(3).normal(size=(30, 2))
    classes = np.array([-1] * 5 + [0] * 20 + [1] * 5)
    assert Gaussians.of(rows, classes).labels.tolist() == [0]
    alone = Gaussians.of(rows, np.full(30, -1))
    assert alone.labels.tolist() == [-1]
    np.testing.assert_allclose(alone.means[0], rows.mean(axis=0))
