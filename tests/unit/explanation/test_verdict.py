import pytest

from bartizan.explanation.verdict import explain, explain_record, how_unusual
from bartizan.types import (
    Coverage,
    Effect,
    Evidence,
    Fault,
    FaultReason,
    Finding,
    Mode,
    Principal,
    PValue,
    Record,
    Step,
    StepRecord,
    Unjudged,
    Verdict,
)

P = PValue(1 / 5000, 9_999, "abcdef0123456789")


def verdict(**changes):
    fields = {
        "effect": Effect.BLOCK,
        "rule": "false-alarm-rate",
        "mode": Mode.ENFORCE,
        "p_value": P,
        "level": 0.001,
        "findings": (
            Finding(
                "text.secrets",
                2.0,
                P,
                "/choices/0/message/content",
                None,
                Evidence("an AWS key", ((4, 24), (30, 50))),
                Effect.BLOCK,
                ("OWASP LLM02:2026",),
            ),
        ),
        "faults": (Fault("text.leak", FaultReason.TIMEOUT, "deadline passed"),),
        "coverage": Coverage(unjudged=(Unjudged("/messages/0/content/1", "image"),)),
    }
    return Verdict(**(fields | changes))


def test_an_explanation_names_part_span_detector_rarity_rule_and_gaps():
    words = str(explain(verdict()))
    for expected in (
        "Blocked",
        "false-alarm-rate",
        "text.secrets",
        "/choices/0/message/content",
        "characters 4-24, 30-50",
        "an AWS key",
        "1 in 5,000 benign",
        "OWASP LLM02:2026",
        "text.leak gave no answer (timeout: deadline passed)",
        "/messages/0/content/1 was not judged: image",
        "1 in 1,000",
        "abcdef012345",
    ):
        assert expected in words, expected


def test_observe_mode_says_would():
    assert explain(verdict(mode=Mode.OBSERVE)).headline.startswith("Would be blocked")


def test_rows_name_row_and_columns():
    finding = Finding(
        "rows.range", 9.0, P, "/inputs", 3, Evidence("far out", (), ("age", "income")), Effect.BLOCK
    )
    assert "/inputs row 3 in columns age, income" in str(explain(verdict(findings=(finding,))))


def test_without_a_p_value_nothing_is_claimed():
    assert "nothing is known" in explain(verdict(p_value=None)).basis


@pytest.mark.parametrize(
    ("p", "n", "words"),
    [
        (1 / 100, 99, "rarer than all 99 benign ones seen"),
        (2 / 100, 99, "1 in 50 benign"),
        (0.9, 99, "nothing unusual"),
    ],
)
def test_how_unusual(p, n, words):
    assert how_unusual(PValue(p, n, "")) == words


def test_every_step_of_a_record_is_explained():
    record = Record(
        "id", 0.0, "s", "p", Principal("a", "address"), "m", Effect.BLOCK, Effect.BLOCK, "r", 0.1, 400, False, 1, 2,
        (StepRecord(Step.REQUEST, verdict(), ()), StepRecord(Step.RESPONSE, verdict(rule="none"), ())),
    )  # fmt: skip
    assert [step for step, _ in explain_record(record)] == ["request", "response"]
