import itertools

import pytest

from bartizan.alarms import Answer, Cause, Ground, StreamShare
from bartizan.monitoring.triage import ADVICE, decide, error_of

KINDS = ("global", "local", "search", "trusted", "canary")


def grounds(**answers):
    return [
        Ground(kind, Answer(answer), 0.01 if answer == "yes" else 0.0, "") for kind, answer in answers.items()
    ]


@pytest.mark.parametrize(
    ("answers", "cause"),
    [
        ({"global": "yes", "local": "no", "search": "no", "trusted": "yes"}, Cause.BENIGN_DRIFT),
        ({"global": "yes", "local": "no", "search": "no", "trusted": "no"}, Cause.PIPELINE_FAULT),
        ({"global": "yes", "local": "yes", "search": "no", "trusted": "no"}, Cause.TENANT_CHANGE),
        ({"global": "no", "local": "yes", "search": "no", "trusted": "no"}, Cause.TENANT_CHANGE),
        ({"global": "yes", "local": "yes", "search": "yes", "trusted": "no"}, Cause.ATTACK),
        ({"global": "no", "local": "yes", "search": "yes"}, Cause.ATTACK),
        ({"global": "yes", "local": "yes", "search": "yes", "trusted": "yes"}, Cause.ATTACK),
        (
            {"global": "yes", "local": "unknown", "search": "unknown", "trusted": "unknown"},
            Cause.UNDETERMINED,
        ),
        ({"global": "no", "local": "no", "search": "yes"}, Cause.TENANT_CHANGE),
        ({"global": "no", "local": "yes", "search": "yes", "canary": "yes"}, Cause.MODEL_CHANGED),
    ],
)
def test_the_table(answers, cause):
    assert decide(grounds(**answers)) is cause


def test_search_alone_is_never_an_attack_and_unknown_is_never_no():
    for values in itertools.product(("yes", "no", "unknown"), repeat=4):
        answers = dict(zip(KINDS, values, strict=False))
        cause = decide(grounds(**answers))
        if cause is Cause.ATTACK:
            assert answers["local"] == answers["search"] == "yes"
        if cause is Cause.PIPELINE_FAULT:
            assert answers["trusted"] == "no"
        if cause is Cause.BENIGN_DRIFT:
            assert answers["trusted"] == "yes"


def test_broken_values_are_a_fault_even_without_a_trusted_source():
    streams = [StreamShare("missing", 0.7, "more 1"), StreamShare("input.a", 0.3, "higher")]
    seen = grounds(**{"global": "yes", "local": "no", "search": "no", "trusted": "unknown"})
    assert decide(seen, streams) is Cause.PIPELINE_FAULT
    assert decide(seen, streams[1:]) is Cause.UNDETERMINED


def test_the_error_is_the_sum_over_what_the_cause_rests_on():
    seen = grounds(**{"global": "yes", "local": "yes", "search": "yes", "trusted": "yes"})
    assert error_of(Cause.ATTACK, seen) == pytest.approx(0.02)
    assert error_of(Cause.BENIGN_DRIFT, seen) == pytest.approx(0.01)
    assert error_of(Cause.UNDETERMINED, seen) == 0


def test_every_cause_says_what_to_do():
    assert set(ADVICE) == set(Cause)
