import numpy as np
import pytest

from bartizan.stats.bins import PROBABILITIES, Cuts, box_of_counts


def test_bins_of_continuous_data_hold_their_share():
    rng = np.random.default_rng(0)
    cuts = Cuts.of(rng.normal(size=50_000), rng)
    shares = np.bincount(cuts.place(rng.normal(size=200_000), rng.random(200_000))) / 200_000
    assert len(shares) == len(PROBABILITIES) + 1
    assert shares == pytest.approx(cuts.gaps / cuts.gaps.sum(), rel=0.35, abs=5e-4)


def test_atoms_on_an_edge_are_shared_as_in_the_calibration():
    rng = np.random.default_rng(1)
    values = rng.choice([0.0, 1.0, 2.0], size=20_000, p=[0.7, 0.2, 0.1])
    cuts = Cuts.of(values, rng)
    assert cuts.tied
    fresh = rng.choice([0.0, 1.0, 2.0], size=100_000, p=[0.7, 0.2, 0.1])
    shares = np.bincount(cuts.place(fresh, rng.random(len(fresh))), minlength=len(cuts.gaps)) / len(fresh)
    assert shares == pytest.approx(cuts.gaps / cuts.gaps.sum(), abs=0.01)


def test_placing_agrees_with_comparing_pairs():
    rng = np.random.default_rng(2)
    cuts = Cuts.of(rng.integers(0, 6, 2_000).astype(float), rng)
    values, u = rng.integers(-1, 8, 500).astype(float), rng.random(500)
    edges = list(zip(cuts.edges.tolist(), cuts.breaks.tolist(), strict=False))
    assert edges == sorted(edges)
    assert cuts.place(values, u).tolist() == [
        sum(edge < pair for edge in edges) for pair in zip(values.tolist(), u.tolist(), strict=False)
    ]


def test_a_constant_column_notices_what_is_larger_and_smaller():
    cuts = Cuts.of(np.full(1_000, 3.0), np.random.default_rng(3))
    below, above = cuts.place(np.array([2.0, 4.0]), np.array([0.5, 0.5]))
    assert (below, above) == (0, len(cuts.gaps) - 1)


@pytest.mark.parametrize("n", [1, 2, 10, 500])
def test_small_calibrations_have_fewer_bins_and_every_rank_in_one(n):
    cuts = Cuts.of(np.arange(float(n)), np.random.default_rng(0))
    assert cuts.gaps.min() >= 1
    assert cuts.gaps.sum() == n + 1
    box = cuts.box(1e-3)
    assert (box.low <= box.estimate).all()
    assert (box.estimate <= box.high).all()
    assert box.low.sum() <= 1 <= box.high.sum()


def test_boxes_narrow_with_the_calibration():
    rng = np.random.default_rng(4)
    widths = [
        np.ptp([Cuts.of(rng.normal(size=n), rng).box(1e-3).high.max(), 0.0625]) for n in (2_000, 200_000)
    ]
    assert widths[1] < widths[0] / 5


def test_a_category_never_seen_may_still_be_there():
    box = box_of_counts(np.array([600, 400, 0]), 1e-3)
    assert box.low[2] == 0
    assert 0 < box.estimate[2] < box.high[2] < 0.02
