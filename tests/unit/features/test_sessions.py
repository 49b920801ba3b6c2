import math

import numpy as np
import pytest

from bartizan.features.answer import read_answer
from bartizan.features.sessions import MAX_ACCOUNTS, MAX_QUERIES, RING, State
from bartizan.features.sketch import DISTANCE_EDGES

LAW = (1 / (len(DISTANCE_EDGES) + 1),) * (len(DISTANCE_EDGES) + 1)
WIDTH = 8


def play(rows, outputs=None, near=0.5):
    state = State(WIDTH, near, LAW, 0.0)
    for k, row in enumerate(rows):
        sketch = np.asarray(row, np.float32)
        answer = read_answer(None if outputs is None else np.asarray(outputs[k], float))
        state.add(sketch, int(abs(row[0]) * 10), answer, "a", float(k), state.nearest(sketch))
    return state


def test_copies_near_and_far_queries_are_counted_apart():
    view = play([[0] * 8, [0] * 8, [0.1] + [0] * 7, [9] * 8]).view()
    assert (view.queries, view.repeats, view.near) == (4, 1, 1)
    assert sum(view.distances) == 2


def test_a_flip_counts_by_how_near_it_is():
    rows = [[0.0] * 8, [0.1] + [0.0] * 7, [0.101] + [0.0] * 7]
    view = play(rows, [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]]).view()
    assert view.flips == 1
    assert view.flip_depth == pytest.approx(math.log(0.5 / 0.001), rel=0.01)


def cloud(rng, n=250):
    return rng.normal(size=(n, WIDTH)) * 0.05, rng.dirichlet([9, 1, 1], n)


def test_sums_average_to_nothing_in_an_exchangeable_order():
    views = [play(*cloud(np.random.default_rng(seed))).view() for seed in range(25)]
    for of, variance in (
        (lambda v: v.records, lambda v: v.record_variance),
        (lambda v: v.margin_trend, lambda v: v.rank_variance),
        (lambda v: v.reach_trend, lambda v: v.rank_variance),
        (lambda v: v.lead_trend, lambda v: v.whole_variance),
    ):
        z = np.array([of(v) / math.sqrt(variance(v)) for v in views])
        assert abs(z.mean()) < 4 / math.sqrt(len(z))
        assert 0.3 < z.std() < 1.6


def test_a_search_shows_in_them():
    rng = np.random.default_rng(0)
    rows = np.cumsum(np.full((60, WIDTH), 0.02) + rng.normal(size=(60, WIDTH)) * 0.01, axis=0)
    sure = np.linspace(0.99, 0.51, 60)
    view = play(rows, np.column_stack([sure, 1 - sure])).view()
    scale = math.sqrt(view.rank_variance)
    assert view.margin_trend / scale < -8
    assert view.reach_trend / scale > 8
    assert view.records > 40
    assert view.persistence > 10


def test_memory_has_a_bound():
    rng = np.random.default_rng(0)
    state = State(WIDTH, 0.5, LAW, 0.0)
    for k in range(MAX_QUERIES):
        sketch = rng.normal(size=WIDTH).astype(np.float32)
        answer = read_answer(rng.normal(size=1000))
        state.add(sketch, k, answer, f"account {k}", float(k), state.nearest(sketch))
    assert len(state._ring) == len(state.labels) == len(state._chains) == RING
    assert len(state.accounts) == MAX_ACCOUNTS
    assert len(state.class_counts) <= 257
    assert state.view().queries == MAX_QUERIES


def test_a_seeded_session_goes_on_from_the_other_ones_query():
    first = play([[0.0] * 8, [5.0] * 8], [[0.9, 0.1], [0.2, 0.8]])
    second = State(WIDTH, 0.5, LAW, 9.0)
    second.seed(first, 1, "a")
    sketch = np.full(8, 5.01, np.float32)
    second.add(sketch, 0, read_answer(np.array([0.9, 0.1])), "b", 10.0, second.nearest(sketch))
    view = second.view()
    assert (view.queries, view.near, view.flips, view.accounts) == (2, 1, 1, 2)
