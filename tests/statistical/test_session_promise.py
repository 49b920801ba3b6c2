"""The promise about sessions, simulated; each simulation is also run against wrong formulas."""

import msgspec
import numpy as np
import pytest

from bartizan.calibration.session_build import Watched, build_session_table
from bartizan.calibration.sessions import CHECKPOINTS, band
from bartizan.features.sessions import State
from bartizan.features.sketch import DISTANCE_EDGES, Scale
from bartizan.types import DetectorSpec, Evidence

pytestmark = pytest.mark.statistical

LAW = (1 / (len(DISTANCE_EDGES) + 1),) * (len(DISTANCE_EDGES) + 1)
SCALE = Scale(np.zeros(2), np.ones(2), 1.0, 0.5, LAW)
EMPTY = State(2, 0.5, LAW, 0.0).view()
RATE = 0.02


class Lows:
    """Scores one number that is noisy at every checkpoint: each look is a new chance."""

    spec = DetectorSpec("sequence.lows", "1", frozenset(), frozenset(), frozenset())

    def score(self, session):
        return session.records

    def evidence(self, session):
        return Evidence("lows")


def sessions(rng, n, explaining=0.15):
    """Sessions of two kinds, of Pareto-distributed lengths; explainers score higher throughout."""
    found = []
    for _ in range(n):
        explains = rng.random() < explaining
        length = min(1024, int(6 * (1 - rng.random()) ** -0.8))
        level = rng.normal() + 3.0 * explains
        views = tuple(
            msgspec.structs.replace(EMPTY, queries=q, records=float(level + rng.normal()))
            for q in CHECKPOINTS
            if q <= length
        )
        found.append(Watched("explains" if explains else "asks", views))
    return found


def table_of(benign, seed):
    rng = np.random.default_rng(seed)
    return build_session_table(benign, [Lows()], scale=SCALE, name="null", created=0.0, rate=RATE, rng=rng)


def statistics(table, fresh):
    return [
        max((table.statistic(v.queries, {"sequence.lows": v.records}, None)[0] for v in w.views), default=0.0)
        for w in fresh
    ]


def at_the_end_only(benign):
    """The wrong formula: rank each session by its last look, as if nobody looked before."""
    return [Watched(w.kind, w.views[-1:]) for w in benign]


@pytest.fixture(scope="module")
def fresh():
    return sessions(np.random.default_rng(99), 3000)


def ever(table, fresh):
    threshold = table.level(RATE).threshold
    return float(np.mean([s > threshold for s in statistics(table, fresh)]))


def test_few_benign_sessions_ever_signal(fresh):
    rates = [ever(table_of(sessions(np.random.default_rng(k), 1200), k), fresh) for k in range(8)]
    assert np.mean(rates) <= RATE
    assert sum(r > RATE * 1.3 for r in rates) <= 1, "each table is certified at 99%"
    assert np.mean(rates) > RATE / 6, "the rule would be valid and useless"


def test_ranking_sessions_at_a_fixed_time_would_break_the_promise(fresh):
    rates = [
        ever(table_of(at_the_end_only(sessions(np.random.default_rng(k), 1200)), k), fresh) for k in range(8)
    ]
    assert np.mean(rates) > 1.3 * RATE


def test_p_values_of_whole_sessions_are_super_uniform(fresh):
    ps = []
    for k in range(8):
        table = table_of(sessions(np.random.default_rng(50 + k), 600), k)
        ps += [table.p_value(s) for s in statistics(table, fresh[:1000])]
    for level in (0.01, 0.05, 0.2):
        assert np.mean(np.array(ps) <= level) <= level + 4 * np.sqrt(level / len(ps)) + 0.15 * level


def payoffs(table, fresh, kind, p_value):
    made = [
        table.payoffs()[band(p_value(s))]
        for w, s in zip(fresh, statistics(table, fresh), strict=True)
        if w.kind == kind
    ]
    return np.mean(made), np.std(made) / np.sqrt(len(made))


@pytest.mark.parametrize("kind", ["asks", "explains"])
def test_bets_over_finished_sessions_gain_nothing_on_any_kind_of_client(fresh, kind):
    for k in range(3):
        table = table_of(sessions(np.random.default_rng(k), 1500), k)
        mean, error = payoffs(table, fresh, kind, table.worst_p_value)
        assert mean <= 1 + 4 * error


def test_bets_on_the_p_value_among_all_clients_would_gain_on_those_who_explain(fresh):
    table = table_of(sessions(np.random.default_rng(0), 1500), 0)
    mean, error = payoffs(table, fresh, "explains", table.p_value)
    assert mean > 1 + 4 * error
