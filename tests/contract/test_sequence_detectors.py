"""The contract over every registered detector of sequences, and over wrong ones that it must catch."""

import random
import time

import pytest
import sequence_contract as contract

from bartizan import registry
from bartizan.detectors.sequence.similarity import Similarity
from bartizan.types import DetectorSpec, Evidence

NAMES = [n for n in registry.names(registry.DETECTORS) if n.startswith(registry.SEQUENCE)]


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_shipped_detectors_keep_the_contract(name, check):
    check(lambda: registry.detector(name))


def test_all_are_registered_and_none_judges_rows():
    assert len(NAMES) >= 9
    assert [d.spec.name for d in registry.sequence_detectors()] == NAMES
    assert not set(NAMES) & set(registry.detectors_for("predict"))


class Stateful(Similarity):
    def __init__(self):
        self.seen = 0

    def score(self, session):
        self.seen += 1
        return float(self.seen)


class Noisy(Similarity):
    def score(self, session):
        return random.uniform(0, 1)


class Dividing(Similarity):
    def score(self, session):
        return session.near / session.queries


class Infinite(Similarity):
    def score(self, session):
        return float("inf") if session.queries > 100 else 0.0


class Constant(Similarity):
    def score(self, session):
        return 1.0


class Silent(Similarity):
    def evidence(self, session):
        return Evidence("")


class Nameless(Similarity):
    spec = DetectorSpec("sequence.similarity", "1", frozenset(), frozenset(), frozenset())


class Slow(Similarity):
    def score(self, session):
        time.sleep(2e-4)
        return super().score(session)


def broken_rules(make):
    broken = set()
    for check in contract.CHECKS:
        try:
            check(make)
        except Exception:
            broken.add(check.__name__)
    return broken


def test_a_right_detector_passes():
    assert broken_rules(Similarity) == set()


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (Stateful, "check_same_session_same_score"),
        (Noisy, "check_same_session_same_score"),
        (Dividing, "check_scores_are_finite_numbers"),
        (Infinite, "check_scores_are_finite_numbers"),
        (Constant, "check_scores_tell_sessions_apart"),
        (Silent, "check_evidence_says_something"),
        (Nameless, "check_states_a_threat"),
        (Slow, "check_quick"),
    ],
)
def test_a_wrong_detector_is_caught(wrong, rule):
    assert rule in broken_rules(wrong)
