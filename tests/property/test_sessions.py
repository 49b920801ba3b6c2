"""Memory of sessions under any flood."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.features import kept
from bartizan.features.principals import LINEAGE_SHARE, PROTECTED_SHARE, Tracker
from bartizan.features.sketch import Scale

ROWS = np.random.default_rng(0).normal(size=(60, 4))
SCALE = Scale.of(ROWS, np.random.default_rng(1))
CAPACITY = 8
REMEMBERED = 20

queries = st.lists(
    st.tuples(
        st.integers(0, 30),  # who
        st.integers(0, 59),  # which row
        st.sampled_from((0.0, 0.01, 0.05, 5.0)),  # how far from it
        st.sampled_from((0.0, 1.0, 3600.0)),  # seconds since the one before
        st.booleans(),  # whether the account is to be kept
    ),
    max_size=80,
)


def tracker():
    return Tracker(SCALE, b"key", capacity=CAPACITY, remembered=REMEMBERED)


def play(into, events, begin=0.0):
    time, went = begin, []
    for who, row, far, later, protect in events:
        time += later
        outputs = np.array([0.2, 0.8]) if row % 2 else None
        taken = into.observe(f"p{who}", time, ROWS[row] + far, outputs)
        went.append((taken.live.id, taken.live.state.view()))
        if protect:
            into.protect(f"p{who}")
    return time, went


@settings(max_examples=60, deadline=None)
@given(queries)
def test_the_store_never_outgrows_its_bounds(events):
    store = tracker()
    play(store, events)
    assert len(store.tiers) <= CAPACITY
    assert len(store.tiers.protected) <= CAPACITY * PROTECTED_SHARE
    assert len(store.live) <= CAPACITY + CAPACITY * LINEAGE_SHARE + 1
    assert len(store.index) <= REMEMBERED
    for tier in (store.tiers.common, store.tiers.protected):
        assert all(account.session in store.live for account in tier.values())


@settings(max_examples=40, deadline=None)
@given(queries, queries)
def test_a_restored_store_goes_on_as_if_nothing_had_happened(before, after):
    first, second = tracker(), tracker()
    time, _ = play(first, before)
    kept.restore(second, kept.encode(first))
    assert kept.encode(second) == kept.encode(first)
    assert play(second, after, time) == play(first, after, time)


@settings(max_examples=20, deadline=None)
@given(st.integers(9, 300))
def test_a_flood_of_new_names_does_not_make_it_forget_a_protected_account(flood):
    store = tracker()
    store.observe("known", 0.0, ROWS[0], None)
    store.protect("known")
    for k in range(flood):
        store.observe(f"new {k}", float(k), ROWS[k % 60] + k, None)
    store.observe("known", float(flood), ROWS[1], None)
    assert store.live[store.tiers.get("known").session].state.queries == 2


def test_hopping_from_account_to_account_builds_one_lineage():
    store = Tracker(SCALE, b"key", capacity=200)
    rng = np.random.default_rng(2)
    here = ROWS[0].copy()
    for k in range(100):
        here = here + 0.02 * rng.normal(size=4)
        store.observe(f"hop {k}", float(k), here, None)
    assert max(live.state.queries for live in store.live.values()) > 60
