from __future__ import annotations

import numpy as np

from bartizan.features.neighbourhood import (
    NEIGHBOURS,
    blocks_of,
    cloud_of,
    mean_distances,
    squared_distances,
    typical_distances,
    whitened,
    whitening_of,
)

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(300, 4)).astype(np.float32)
CLOUD = cloud_of(ROWS)


def brute_force(queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.linalg.norm(queries[:, None, :].astype(np.float64) - rows[None], axis=2)


def test_distances_agree_with_brute_force() -> None:
    queries = RNG.normal(size=(50, 4)).astype(np.float32)
    means, nearest = mean_distances(CLOUD, queries, squared_distances(CLOUD, queries), 0, NEIGHBOURS)
    expected = brute_force(queries, ROWS)
    np.testing.assert_allclose(means, np.sort(expected, axis=1)[:, :NEIGHBOURS].mean(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(nearest, expected.argmin(axis=1))


def test_distances_to_a_block_count_its_rows_only() -> None:
    queries = RNG.normal(size=(20, 4)).astype(np.float32)
    squared = squared_distances(CLOUD, queries)[:, 100:150]
    means, nearest = mean_distances(CLOUD, queries, squared, 100, 3)
    expected = brute_force(queries, ROWS[100:150])
    np.testing.assert_allclose(means, np.sort(expected, axis=1)[:, :3].mean(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(nearest, 100 + expected.argmin(axis=1))


def test_copies_have_no_distance_a_hundred_spreads_from_the_origin() -> None:
    far = (ROWS + np.float32(100.0)).astype(np.float32)
    cloud = cloud_of(far)
    means, _ = mean_distances(cloud, far[:5], squared_distances(cloud, far[:5]), 0, 1)
    assert means.max() == 0.0


def test_typical_distances_leave_the_row_itself_out() -> None:
    expected = brute_force(ROWS, ROWS)
    np.fill_diagonal(expected, np.inf)
    means = np.sort(expected, axis=1)[:, :NEIGHBOURS].mean(axis=1)
    typical = typical_distances(CLOUD, {0: (0, 100), 1: (100, 300)})
    medians = [np.median(means), np.median(means[:100]), np.median(means[100:])]
    np.testing.assert_allclose(typical, medians, rtol=1e-5)


def test_rows_that_are_all_the_same_have_a_typical_distance_of_one() -> None:
    assert typical_distances(cloud_of(np.zeros((9, 2), dtype=np.float32)), {}).tolist() == [1.0]


def test_whitening_evens_out_the_variation_within_classes() -> None:
    classes = np.repeat([0, 1], 1000)
    spread = np.array([3.0, 1.0, 0.5])
    rows = RNG.normal(size=(2000, 3)) * spread + 8.0 * classes[:, None]
    white = whitened(rows, whitening_of(rows, classes))
    within = np.vstack([white[:1000] - white[:1000].mean(axis=0), white[1000:] - white[1000:].mean(axis=0)])
    # The ridge keeps directions with little variation a little below one.
    np.testing.assert_allclose(within.std(axis=0), 1.0, atol=0.2)
    np.testing.assert_allclose(np.cov(within.T) - np.diag(np.diag(np.cov(within.T))), 0.0, atol=0.02)


def test_nothing_is_whitened_where_nothing_varies_or_rows_are_too_wide() -> None:
    assert whitening_of(np.ones((10, 3)), np.zeros(10, dtype=np.int64)).size == 0
    assert whitening_of(np.ones((3, 513)), np.zeros(3, dtype=np.int64)).size == 0


def test_blocks_leave_out_small_and_unknown_classes() -> None:
    classes = np.array([-1] * 9 + [0] * 6 + [1] * 5 + [4] * 7)
    assert blocks_of(classes) == {0: (9, 15), 4: (20, 27)}
