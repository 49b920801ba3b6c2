import numpy as np

from bartizan.assembly import EMPTY
from bartizan.calibration.learn import Guards, LivePoint, _capped, propose
from bartizan.types import Measured

GUARDS = Guards(quarantine_s=600, principal_share=0.1, trim=0.0)
NOW = 10_000.0


def live(n, principal="p", time=0.0, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return [
        LivePoint(
            Measured("request.user", 1, {"text.a": float(rng.normal() + shift)}), f"{principal}{i % 40}", time
        )
        for i in range(n)
    ]


def proposed(points, anchor=None, rate=0.01, guards=GUARDS):
    return propose(
        points,
        now=NOW,
        rate=rate,
        guards=guards,
        anchor=anchor,
        units={"text.a": 1.0},
        versions={},
        in_force=EMPTY,
        name="live",
    )


def test_enough_ripe_traffic_gives_a_table():
    proposal = proposed(live(800))
    assert proposal.table.cells["request.user"].source == "live"
    assert proposal.table.level("request.user", 0.01).kept


def test_too_little_says_how_much_there_is():
    assert proposed(live(300)).table is None
    assert "can't certify" in proposed(live(300)).why
    assert "too few" in proposed([]).why


def test_young_scores_wait_in_quarantine():
    assert proposed(live(800, time=NOW - 10)).table is None


def test_one_principal_supplies_at_most_its_share():
    points = live(400) + [
        LivePoint(Measured("request.user", 1, {"text.a": 50.0}), "mallory", 0.0) for _ in range(5_000)
    ]
    kept = _capped(points, 0.1)
    mine = sum(m.maxima["text.a"] == 50.0 for m in kept)
    assert mine <= 0.1 * len(kept) + 1


def test_with_few_principals_each_supplies_an_equal_part():
    points = live(400)
    one = [LivePoint(p.measured, "only", p.time) for p in points]
    assert len(_capped(one, 0.05)) == len(one)


def test_a_poisoned_table_does_not_replace_the_anchor():
    anchor = proposed(live(2_000)).table
    poisoned = live(2_000, seed=1) + live(400, principal="bad", shift=9.0, seed=2)
    proposal = proposed(poisoned, anchor=anchor)
    assert proposal.table is None
    assert "blinder than the anchor" in proposal.why
    assert proposed(live(2_000, seed=3), anchor=anchor).table is not None


def test_the_same_points_give_the_same_table():
    assert proposed(live(800)).table.digest == proposed(live(800)).table.digest
