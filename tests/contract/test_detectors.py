"""The contract over every registered detector, and over wrong ones that it must catch."""

import random
from pathlib import Path

import detector_contract as contract
import pytest

from bartizan import registry
from bartizan.types import DetectorSpec, Evidence, Origin, PartKind, Scores, Step

OPTIONS = {
    "text.classifier": {
        "path": str(Path(__file__).parents[1] / "fixtures" / "classifier"),
        "window": 32,
        "stride": 24,
        "max_windows": 4096,
    }
}


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize(
    "name", [n for n in registry.names(registry.DETECTORS) if not n.startswith(registry.SEQUENCE)]
)
def test_shipped_detectors_keep_the_contract(name, check):
    check(lambda: registry.detector(name, OPTIONS.get(name)))


class Right:
    spec = DetectorSpec(
        "text.right", "1", frozenset({Step.REQUEST}), frozenset({PartKind.TEXT}), frozenset({Origin.USER})
    )

    def score(self, part, features):
        return Scores((float(len(part.text)),))

    def evidence(self, part, features, unit):
        return Evidence("all of it", ((0, len(part.text)),) if part.text else ())


class Random(Right):
    def score(self, part, features):
        return Scores((random.uniform(0, 1),))


class Stateful(Right):
    def __init__(self):
        self.seen = 0

    def score(self, part, features):
        self.seen += len(part.text)
        return Scores((float(self.seen),))


class NotANumber(Right):
    def score(self, part, features):
        return Scores((float("nan") if "\u200d" in part.text else 0.0,))


class SpanOutside(Right):
    def evidence(self, part, features, unit):
        return Evidence("past the end", ((0, len(part.text) + 1),))


class CrashOnEmpty(Right):
    def score(self, part, features):
        return Scores((float(ord(part.text[0])),))


class Quadratic(Right):
    def score(self, part, features):
        return Scores((float(sum(part.text[i:].count("ab") for i in range(0, len(part.text), 16))),))


class Shrinking(Right):
    spec = DetectorSpec(
        "text.shrinking",
        "1",
        frozenset({Step.RESPONSE}),
        frozenset({PartKind.TEXT}),
        frozenset({Origin.MODEL}),
    )

    def score(self, part, features):
        return Scores((1.0 / (1 + len(part.text)),))


def broken_rules(make):
    broken = set()
    for check in contract.CHECKS:
        try:
            check(make)
        except Exception:
            broken.add(check.__name__)
    return broken


def test_a_right_detector_passes():
    assert broken_rules(Right) == set()


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (Random, "check_same_input_same_score"),
        (Stateful, "check_same_input_same_score"),
        (NotANumber, "check_scores_are_finite_and_one_per_unit"),
        (SpanOutside, "check_evidence_lies_inside"),
        (CrashOnEmpty, "check_never_raises"),
        (Quadratic, "check_linear_time"),
        (Shrinking, "check_answers_grow_with_their_prefix"),
    ],
)
def test_a_wrong_detector_is_caught(wrong, rule):
    assert rule in broken_rules(wrong)
