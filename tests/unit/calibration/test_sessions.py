import msgspec
import numpy as np
import pytest

from bartizan.calibration.contrast import Contrast, learn_contrast
from bartizan.calibration.session_build import MIN_SESSIONS, Watched, build_session_table
from bartizan.calibration.session_file import decode, encode
from bartizan.calibration.sessions import CHECKPOINTS, EDGES, FIRST, due
from bartizan.errors import CalibrationError
from bartizan.features.sessions import MAX_QUERIES, State
from bartizan.features.sketch import DISTANCE_EDGES, Scale
from bartizan.types import DetectorSpec, Evidence

LAW = (1 / (len(DISTANCE_EDGES) + 1),) * (len(DISTANCE_EDGES) + 1)
SCALE = Scale(np.zeros(2), np.ones(2), 1.0, 0.5, LAW)
EMPTY = State(2, 0.5, LAW, 0.0).view()


class Lows:
    spec = DetectorSpec("sequence.lows", "3", frozenset(), frozenset(), frozenset())

    def score(self, session):
        return session.records

    def evidence(self, session):
        return Evidence("lows")


def benign(n, seed=0):
    rng = np.random.default_rng(seed)
    kinds = np.array(["asks", "explains"])[rng.integers(2, size=n)]
    return [
        Watched(
            str(kind),
            tuple(
                msgspec.structs.replace(EMPTY, queries=q, records=float(rng.normal()))
                for q in CHECKPOINTS[:6]
            ),
        )
        for kind in kinds
    ]


def table_of(n, seed=0):
    return build_session_table(
        benign(n, seed),
        [Lows()],
        scale=SCALE,
        name="t",
        created=1.0,
        rate=0.01,
        rng=np.random.default_rng(seed),
    )


@pytest.fixture(scope="module")
def table():
    return table_of(2000)


def test_checkpoints_are_close_enough_together():
    assert CHECKPOINTS[0] == FIRST
    assert CHECKPOINTS[-1] == MAX_QUERIES
    assert all(b / a < 1.26 for a, b in zip(CHECKPOINTS, CHECKPOINTS[1:], strict=False))
    assert [q for q in range(1, 20) if due(q, q - 1)] == [8, 10, 11, 13, 16, 19]


def test_only_statistics_beyond_the_threshold_reach_the_certified_rank(table):
    level = table.level(0.01)
    assert level.kept
    assert table.p_value(level.threshold + 1e-9) <= 0.01
    assert table.p_value(level.threshold - 1e-9) > table.p_value(level.threshold + 1e-9)
    assert set(level.kind_rates) == {"asks", "explains"}
    assert max(level.kind_rates.values()) <= 0.1 + 1e-9


def test_a_rate_out_of_reach_is_refused_and_the_smallest_one_named(table):
    level = table.level(1e-5)
    assert not level.kept
    assert 0.0025 < level.rate < 0.004
    assert np.isfinite(level.threshold)


def test_the_worst_p_value_is_no_smaller_than_any_kinds(table):
    for statistic in (0.0, 1.0, 3.0, 9.0):
        worst = table.worst_p_value(statistic)
        assert worst >= table.p_value(statistic)
        assert all(worst >= k.p_value(statistic) for k in table.kinds.values())


def test_payoffs_grow_with_strangeness_and_stay_below_the_plain_bet(table):
    payoffs = table.payoffs()
    assert len(payoffs) == len(EDGES) + 1
    assert (np.diff(payoffs) > 0).all()
    assert payoffs[-1] < 0.5 + sum(0.5 / len(EDGES) / edge for edge in EDGES)


def test_a_session_unlike_any_benign_one_passes(table):
    value, name = table.statistic(8, {"sequence.lows": 12.0}, None)
    assert value > table.level(0.01).threshold
    assert name == "sequence.lows"
    assert table.statistic(8, {"unheard of": 12.0}, None) == (0.0, "")


def test_written_and_read_back_it_is_the_same(table):
    again = decode(encode(table))
    assert encode(again) == encode(table)
    assert again.digest == table.digest != table_of(300).digest
    assert again.versions == {"sequence.lows": "3"}


@pytest.mark.parametrize("data", [b"", b"\x80", b"nonsense"])
def test_other_bytes_are_no_table(data):
    with pytest.raises(CalibrationError):
        decode(data)


def test_too_few_sessions_are_an_error():
    with pytest.raises(CalibrationError, match="too few"):
        table_of(MIN_SESSIONS - 1)


def test_a_contrast_learns_what_no_single_number_shows():
    rng = np.random.default_rng(0)
    benign = rng.normal(size=(800, 2)) * 2
    benign = benign[np.sign(benign[:, 0]) == np.sign(benign[:, 1])]
    searching = rng.normal(size=(800, 2)) * 2
    searching = searching[np.sign(searching[:, 0]) != np.sign(searching[:, 1])]
    weights = np.ones(len(benign)), np.ones(len(searching))
    contrast = learn_contrast(benign, searching, weights, rng)
    assert (contrast.scores(searching) > 0).mean() > 0.9
    assert (contrast.scores(benign) > 0).mean() < 0.1
    again = Contrast.of_state(contrast.state())
    assert again.score(benign[0]) == pytest.approx(contrast.scores(benign)[0])
