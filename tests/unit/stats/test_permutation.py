import itertools
import time

import numpy as np
import pytest

from bartizan.stats import permutation
from bartizan.stats.permutation import localise


def zipf_window(rng, events=3_000, groups=50):
    share = 1 / np.arange(1, groups + 1)
    return rng.choice(groups, events, p=share / share.sum()), np.arange(events) * 10 // events


def excess_of(scores, groups, strata):
    """Each group's excess, its spread from the enumeration of all relabellings."""
    per_stratum = [np.flatnonzero(strata == s) for s in np.unique(strata)]
    all_sums = []
    for choice in itertools.product(*(itertools.permutations(rows) for rows in per_stratum)):
        shuffled = scores[np.concatenate(choice)]
        lined_up = np.concatenate(per_stratum)
        deviation = shuffled - np.array([scores[strata == s].mean() for s in strata[lined_up]])
        all_sums.append([deviation[groups[lined_up] == g].sum() for g in np.unique(groups)])
    all_sums = np.array(all_sums)
    return all_sums[0] / all_sums.std(axis=0), np.abs(all_sums / all_sums.std(axis=0)).max(axis=1)


def test_excess_and_p_value_against_all_relabellings():
    scores = np.array([0.3, 2.0, -1.0, 0.1, 5.0, 0.7, 4.0])
    groups = np.array([7, 3, 7, 3, 9, 7, 9])
    strata = np.array([0, 0, 0, 1, 1, 1, 1])
    excess, maxima = excess_of(scores, groups, strata)
    found = localise(scores, groups, strata, np.random.default_rng(0), 20_000, level=1.0)
    assert found.statistic == pytest.approx(np.abs(excess).max())
    assert found.p_value == pytest.approx((maxima >= maxima[0] - 1e-9).mean(), abs=0.015)
    first = found.strangest[0]
    strangest = int(np.argmax(np.abs(excess)))
    assert (first.group, first.events) == ((3, 7, 9)[strangest], (2, 3, 2)[strangest])
    assert first.excess == pytest.approx(excess[strangest])


def test_attackers_are_named_strangest_first():
    rng = np.random.default_rng(1)
    groups, strata = zipf_window(rng)
    scores = rng.normal(size=3_000) + 1.0 * (groups == 5) + 3.0 * (groups == 2)
    found = localise(scores, groups * 100, strata, rng)
    assert found.p_value == 0.001
    assert [e.group for e in found.strangest] == [200, 500]
    assert all(e.p_value <= 0.01 and e.excess > 4 for e in found.strangest)
    assert found.strangest[0].p_value <= found.strangest[1].p_value


def test_a_large_attacker_does_not_drag_the_others_in():
    rng = np.random.default_rng(2)
    groups = np.where(rng.random(3_000) < 0.3, 99, rng.integers(0, 9, 3_000))
    found = localise(rng.normal(size=3_000) + 2.0 * (groups == 99), groups, np.zeros(3_000, int), rng)
    assert [e.group for e in found.strangest] == [99]


def test_a_shift_shared_within_a_stratum_is_nobody_s():
    rng = np.random.default_rng(3)
    strata = np.repeat([0, 1], 1_000)
    groups = np.where(rng.random(2_000) < np.where(strata == 1, 0.8, 0.1), 1, 0)
    scores = rng.normal(size=2_000) + 3.0 * strata
    assert localise(scores, groups, strata, rng).p_value > 0.01
    assert localise(scores, groups, np.zeros(2_000, int), rng).p_value == 0.001


@pytest.mark.parametrize(
    ("scores", "groups", "strata"),
    [
        ([1.0, 2.0, 9.0], [4, 4, 4], [0, 0, 0]),
        ([1.0, 1.0, 1.0], [1, 2, 3], [0, 0, 0]),
        ([1.0, 2.0, 9.0], [1, 2, 3], [0, 1, 2]),
    ],
)
def test_nothing_to_compare_is_nothing_found(scores, groups, strata):
    found = localise(scores, groups, strata, np.random.default_rng(0), level=1.0)
    assert (found.p_value, found.statistic, found.strangest) == (1.0, 0.0, ())


def test_order_of_events_and_size_of_chunks_change_nothing_that_matters(monkeypatch):
    rng = np.random.default_rng(4)
    groups, strata = zipf_window(rng, 800, 20)
    scores = rng.normal(size=800) + 0.8 * (groups == 3)
    whole = localise(scores, groups, strata, np.random.default_rng(0))
    turned = localise(scores[::-1], groups[::-1], strata[::-1], np.random.default_rng(0))
    assert turned.statistic == pytest.approx(whole.statistic)
    monkeypatch.setattr(permutation, "_CELLS", 5_000)
    chunked = localise(scores, groups, strata, np.random.default_rng(0))
    assert chunked.statistic == whole.statistic
    assert chunked.strangest[0].group == whole.strangest[0].group == 3
    assert chunked.p_value == whole.p_value == 0.001


def test_ties_count_against_the_finding():
    # Two relabellings give the same sums: half of all, never fewer through rounding.
    scores, groups = np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.3]), np.array([0, 0, 0, 1, 1, 1])
    assert localise(scores, groups, np.zeros(6, int), np.random.default_rng(0)).p_value == 1.0


def test_fast_enough_for_an_alarm():
    rng = np.random.default_rng(5)
    groups, strata = zipf_window(rng)
    began = time.perf_counter()
    localise(rng.normal(size=3_000), groups, strata, rng)
    assert time.perf_counter() - began < 1.0


def test_what_cannot_be_judged_is_refused():
    rng, zeros = np.random.default_rng(0), np.zeros(3, int)
    for scores, groups, permutations in [
        ([1.0, 2.0], zeros, 99),
        ([1.0, np.nan, 2.0], zeros, 99),
        ([1.0, 2.0, 3.0], zeros, 0),
    ]:
        with pytest.raises(ValueError, match=r"equal length|finite|permutation"):
            localise(scores, groups, zeros, rng, permutations)
    for size in (0, permutation.MAX_EVENTS + 1):
        codes = np.zeros(size, int)
        with pytest.raises(ValueError, match="events"):
            localise(np.zeros(size), codes, codes, rng)


def test_many_small_attackers_do_not_turn_the_largest_tenant_into_the_exception():
    rng = np.random.default_rng(6)
    groups, strata = zipf_window(rng)
    attack = rng.random(3_000) < 0.3
    groups = np.where(attack, rng.integers(100, 150, 3_000), groups)
    found = localise(rng.normal(size=3_000) + 2.0 * attack, groups, strata, rng)
    assert found.p_value == 0.001
    assert len(found.strangest) > 40
    assert all(e.group >= 100 and e.excess > 0 for e in found.strangest)


@pytest.mark.parametrize("weights", [[1, 1, 1, 1, 1], [9, 1, 1, 1, 1], [1, 2, 3, 1, 4]])
def test_weighted_median_is_the_median_of_repeated_values(weights):
    values = np.array([3.0, -1.0, 0.5, 7.0, 2.0])
    repeated = np.sort(np.repeat(values, weights))
    assert permutation._weighted_median(values, np.array(weights)) == repeated[(len(repeated) - 1) // 2]


def test_who_holds_most_events_is_named_all_the_same_when_higher_scores_are_asked_for():
    rng = np.random.default_rng(5)
    group = np.concatenate([np.zeros(170, dtype=int), rng.integers(1, 9, 86)])
    rng.shuffle(group)
    scores = rng.normal(size=256) + 2.0 * (group == 0)
    found = localise(scores, group, np.arange(256) // 64, rng, higher=True)
    assert [e.group for e in found.strangest] == [0]


def test_lower_scores_do_not_count_when_higher_ones_are_asked_for():
    rng = np.random.default_rng(6)
    group = rng.integers(0, 12, 600)
    scores = rng.normal(size=600) - 3.0 * (group == 4)
    found = localise(scores, group, np.arange(600) // 150, rng, higher=True)
    assert all(e.excess > 0 for e in found.strangest)
    assert 4 not in [e.group for e in found.strangest]


def test_the_one_sided_test_is_seldom_wrong():
    rng = np.random.default_rng(7)
    wrong = sum(
        localise(
            rng.normal(size=300), rng.integers(0, 10, 300), np.arange(300) // 75, rng, 199, 0.05, higher=True
        ).p_value
        <= 0.05
        for _ in range(300)
    )
    assert wrong <= 27
