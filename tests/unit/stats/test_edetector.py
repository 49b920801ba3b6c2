import math

import numpy as np
import pytest

from bartizan.stats.bets import BETS, numeric_bets
from bartizan.stats.bins import Cuts
from bartizan.stats.edetector import SKIP, EDetector, log_block_evidence, onset, step_block


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(0)
    cuts = Cuts.of(rng.normal(size=50_000), rng)
    return cuts, numeric_bets(cuts.box(1e-3))


def placed(cuts, values):
    return cuts.place(values, np.full(len(values), 0.5))


def stream(cuts, n=4_000, features=3, shift=0.8, seed=1):
    values = np.random.default_rng(seed).normal(size=(n, features))
    values[n // 2 :, 0] += shift
    return np.stack([placed(cuts, values[:, f]) for f in range(features)], axis=1)


def naive(bets, bins, threshold):
    """The recursion in logarithms, one event at a time, as it stands in the paper."""
    log_m = np.full((bins.shape[1], BETS), -np.inf)
    stakes = np.log(np.maximum(bets.weights, 1e-300)) - math.log(bins.shape[1])
    alarms = []
    for t, row in enumerate(bins):
        log_m = np.logaddexp(log_m, 0.0) + bets.log[row]
        total = float(np.logaddexp.reduce((log_m + stakes).ravel()))
        if total >= math.log(threshold):
            alarms.append((t, total))
            log_m[:] = -np.inf
    return alarms


def test_it_is_the_recursion_in_logarithms(made):
    cuts, bets = made
    bins = stream(cuts)
    found = EDetector([bets] * 3, 1e4).run(bins)
    expected = naive(bets, bins, 1e4)
    assert [c.index for c in found] == [t for t, _ in expected]
    assert [c.log_evidence for c in found] == pytest.approx([e for _, e in expected], rel=1e-9)
    assert found[0].index > 2_000


def test_blocks_and_single_events_agree_to_the_last_bit(made):
    cuts, bets = made
    bins = stream(cuts)
    whole, single, odd = (EDetector([bets] * 3, 1e4) for _ in range(3))
    expected = [(c.index, c.log_evidence) for c in whole.run(bins)]
    one = [(i, c.log_evidence) for i in range(len(bins)) for c in single.run(bins[i : i + 1])]
    pieces = [
        (start + c.index, c.log_evidence)
        for start in range(0, len(bins), 37)
        for c in odd.run(bins[start : start + 37])
    ]
    assert one == pieces == expected
    assert (whole.evidence == single.evidence).all()


def test_it_stops_at_the_first_crossing_when_asked(made):
    cuts, bets = made
    bins = stream(cuts, shift=2.0)
    detector, whole = EDetector([bets] * 3, 1e3), EDetector([bets] * 3, 1e3)
    first = detector.run(bins, first=True)
    assert len(first) == 1
    rest = detector.run(bins[first[0].index + 1 :])
    assert [first[0].index, *(first[0].index + 1 + c.index for c in rest)] == [
        c.index for c in whole.run(bins)
    ]


def test_an_alarm_sets_all_evidence_back_and_names_the_stream(made):
    cuts, bets = made
    detector = EDetector([bets] * 3, 1e6)
    (crossing, *_) = detector.run(stream(cuts, shift=1.5), first=True)
    assert detector.log_evidence == -math.inf
    assert crossing.evidence.sum() == pytest.approx(math.exp(crossing.log_evidence))
    assert crossing.evidence.sum(axis=1).argmax() == 0


def test_skipped_events_leave_a_stream_as_it_was(made):
    bets = made[1]
    detector = EDetector([bets] * 2, 1e6)
    detector.run(np.array([[3, 4]]))
    before = detector.evidence.copy()
    detector.run(np.array([[SKIP, 5]]))
    assert (detector.evidence[0] == before[0]).all()
    assert (detector.evidence[1] != before[1]).any()


def test_long_calm_streams_neither_overflow_nor_vanish(made):
    cuts, bets = made
    detector = EDetector([bets], 1e12)
    detector.run(placed(cuts, np.zeros(200_000))[:, None])
    assert np.isfinite(detector.evidence).all()
    detector.run(placed(cuts, np.full(2_000, 5.0))[:, None])
    assert np.isfinite(detector.evidence).all()


@pytest.mark.parametrize("threshold", [0.5, 0, 1e13, math.nan])
def test_thresholds_that_could_not_be_kept_are_refused(made, threshold):
    with pytest.raises(ValueError, match="threshold"):
        EDetector([made[1]], threshold)


def test_the_onset_is_found(made):
    cuts, bets = made
    bins = stream(cuts, n=400, features=1, shift=2.0)
    best = int(bets.log[bins[200:, 0]].sum(axis=0).argmax())
    assert abs(onset(bets.log[bins[:, 0], best]) - 200) <= 5


def test_histograms_of_replicas_add_up(made):
    cuts, bets = made
    bins = stream(cuts, n=500, features=1)[:, 0]
    parts = [np.bincount(p, minlength=len(bets.log)) for p in np.array_split(bins, 7)]
    whole = log_block_evidence(bets, np.bincount(bins, minlength=len(bets.log)))
    assert sum(log_block_evidence(bets, p) for p in parts) == pytest.approx(whole)
    assert whole == pytest.approx(bets.log[bins].sum(axis=0))


def test_a_block_is_one_step(made):
    _, bets = made
    counts = np.zeros(len(bets.log), dtype=np.int64)
    counts[-1] = 4
    first = step_block(np.full(BETS, -np.inf), bets, counts)
    assert first == pytest.approx(4 * bets.log[-1])
    assert step_block(first, bets, counts) == pytest.approx(np.logaddexp(first, 0) + 4 * bets.log[-1])
