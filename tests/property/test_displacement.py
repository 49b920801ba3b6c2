"""However an attacker chooses events, a promotion moves no bin further than the bound says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.alarms import Events
from bartizan.monitoring.capping import cap_of, most_moved, weights_of
from bartizan.monitoring.learning import learn
from bartizan.monitoring.mixing import mixed
from bartizan.monitoring.promotion import Limits, Promotion
from bartizan.monitoring.recalibration import promote
from bartizan.stats.mixtures import total_variation

N = 1_500
SLACK = 1e-9


def benign(rng: np.random.Generator, n: int) -> Events:
    x = rng.normal(size=n)
    x[rng.random(n) < 0.05] = np.nan
    return Events(np.arange(n, dtype=float), {"x": x})


@pytest.fixture(scope="module")
def anchor():
    rng = np.random.default_rng(0)
    return learn(benign(rng, 3_000), name="benign", created=0.0, rng=rng)


values = st.floats(-6, 6) | st.just(float("nan"))


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.0, 0.6),
    st.integers(1, 60),
    st.integers(1, 5),
    st.integers(1, 300),
    st.floats(0.001, 0.5),
    st.floats(0.05, 1.0),
    st.tuples(values, values),
)
@settings(max_examples=60, deadline=None)
def test_substituted_events_move_no_bin_beyond_the_bound(
    anchor, seed, share, accounts, networks, others, cap, eta, chosen
):
    rng = np.random.default_rng(seed)
    evil = rng.random(N) < share
    who = np.where(evil, rng.integers(0, accounts, N), 1_000 + rng.zipf(1.5, N) % others)
    net = np.where(evil, rng.integers(0, networks, N), 100 + who % 40)
    events = replace(
        benign(rng, N),
        principals=tuple(f"p{i}" for i in who),
        groups={"network": tuple(f"n{i}" for i in net)},
    )
    u = rng.random((N, len(anchor.streams)))
    made = []
    for value in chosen:
        x = np.where(evil, value, events.columns["x"])
        window = replace(events, columns={"x": x})
        weights = weights_of(window, cap)
        made.append(mixed(anchor, anchor, anchor.bins(window, u), weights, eta, 1, 0.0))
    bound = most_moved(
        eta,
        float(evil.mean()),
        {"principal": len(set(who[evil].tolist())), "network": len(set(net[evil].tolist()))},
        {"principal": len(set(who.tolist())), "network": len(set(net.tolist()))},
        cap,
    )
    for first, second in zip(made[0].streams, made[1].streams, strict=True):
        assert total_variation(first.share, second.share) <= bound + SLACK
        assert abs(first.share.sum() - 1) < SLACK


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 500), min_size=1, max_size=80), st.floats(0.001, 1))
@settings(max_examples=60, deadline=None)
def test_nobody_weighs_more_than_the_cap(seed, counts, share):
    rng = np.random.default_rng(seed)
    names = np.repeat(np.arange(len(counts)), counts)
    groups = names % 3
    events = Events(
        np.arange(len(names), dtype=float),
        {},
        principals=tuple(map(str, names)),
        groups={"network": tuple(map(str, groups)), "agent": tuple(map(str, rng.integers(0, 7, len(names))))},
    )
    weights = weights_of(events, share)
    assert ((weights >= 0) & (weights <= 1)).all()
    for codes in (names, groups):
        most = np.bincount(codes, weights).max()
        assert most <= cap_of(share, len(set(codes.tolist()))) * len(names) * (1 + SLACK)


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.0, 0.6),
    st.floats(-3, 3),
    st.floats(0.01, 0.1),
    st.floats(0.01, 0.3),
    st.integers(1, 6),
)
@settings(max_examples=25, deadline=None)
def test_no_sequence_of_promotions_leaves_the_limits(anchor, seed, share, value, step, total, rounds):
    rng = np.random.default_rng(seed)
    limits = Limits(quarantine_s=0.0, eta=0.5, principal_share=0.05, step=step, total=total)
    current = anchor
    for _ in range(rounds):
        events = benign(rng, N)
        evil = rng.random(N) < share
        window = replace(
            events,
            columns={"x": np.where(evil, value, events.columns["x"])},
            principals=tuple(f"p{i}" for i in rng.integers(0, 100, N)),
        )
        result = promote(window, anchor=anchor, current=current, now=1e9, rng=rng, limits=limits)
        if not isinstance(result, Promotion):
            continue
        for old, new, first in zip(current.streams, result.baseline.streams, anchor.streams, strict=True):
            assert total_variation(old.share, new.share) <= step + SLACK
            assert total_variation(first.share, new.share) <= total + SLACK
        current = result.baseline
