"""What every detector of sequences promises (``bartizan.ports.SequenceDetector``), as checks."""

import math
import time

import numpy as np

from bartizan.features.answer import read_answer
from bartizan.features.sessions import MAX_QUERIES, State
from bartizan.features.sketch import DISTANCE_EDGES

WIDTH = 6
NEAR = 0.5
LAW = tuple(np.full(len(DISTANCE_EDGES) + 1, 1 / (len(DISTANCE_EDGES) + 1)).tolist())


def empty():
    return State(WIDTH, NEAR, LAW, 0.0)


def session(rows, outputs):
    state = empty()
    for k, row in enumerate(rows):
        sketch = np.asarray(row, np.float32)
        answer = read_answer(None if outputs is None else np.asarray(outputs[k], float))
        state.add(sketch, k, answer, f"account {k % 3}", float(k), state.nearest(sketch))
    return state.view()


def sessions(seed=0):
    """Sessions of every odd shape: empty, single, constant, huge, without answers, with broken ones."""
    rng = np.random.default_rng(seed)
    found = [empty().view()]
    for n in (1, 2, 8, 70, MAX_QUERIES):
        cloud = rng.normal(size=(n, WIDTH)) * 0.05
        walk = np.cumsum(rng.normal(size=(n, WIDTH)) * 0.05, axis=0)
        odds = rng.dirichlet(np.ones(3), size=n)
        broken = np.where(rng.random((n, 3)) < 0.3, np.nan, odds)
        for rows in (cloud, walk, np.zeros((n, WIDTH)), rng.normal(size=(n, WIDTH)) * 1e6):
            for outputs in (None, odds, broken, np.log(odds) * 50, odds[:, :1], np.full((n, 1), 7.0)):
                found.append(session(rows, outputs))
    return found


SESSIONS = sessions()


def check_scores_are_finite_numbers(make):
    detector = make()
    for view in SESSIONS:
        value = detector.score(view)
        assert isinstance(value, float)
        assert math.isfinite(value)


def check_same_session_same_score(make):
    detector = make()
    first = [detector.score(view) for view in SESSIONS]
    assert first == [detector.score(view) for view in SESSIONS], "scores depend on what was scored before"
    assert first[::-1] == [detector.score(view) for view in reversed(SESSIONS)], "scores depend on the order"
    other = make()
    assert first == [other.score(view) for view in SESSIONS], "another instance disagrees"


def check_scores_tell_sessions_apart(make):
    detector = make()
    assert len({detector.score(view) for view in SESSIONS}) > 1, "one score for every session"


def check_evidence_says_something(make):
    detector = make()
    for view in SESSIONS:
        assert detector.evidence(view).summary


def check_states_a_threat(make):
    spec = make().spec
    assert any(entry.startswith("AML.") for entry in spec.taxonomy)
    assert any(entry.startswith("OWASP ML") for entry in spec.taxonomy)


def check_quick(make):
    detector = make()
    view = SESSIONS[-1]
    best = math.inf
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(200):
            detector.score(view)
        best = min(best, (time.perf_counter() - began) / 200)
    assert best < 1e-4, f"{best * 1e6:.0f} microseconds a score"


CHECKS = (
    check_scores_are_finite_numbers,
    check_same_session_same_score,
    check_scores_tell_sessions_apart,
    check_evidence_says_something,
    check_states_a_threat,
    check_quick,
)
