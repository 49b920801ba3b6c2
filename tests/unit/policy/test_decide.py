import itertools

import pytest

from bartizan.policy.decide import Policy, decide
from bartizan.types import (
    Coverage,
    Effect,
    Evidence,
    Fault,
    FaultReason,
    Finding,
    Mode,
    Origin,
    Part,
    PartKind,
    PValue,
    Unjudged,
)

PART = Part(PartKind.TEXT, Origin.USER, "/p", "x")
P = PValue(0.001, 999, "c")


def finding(effect):
    return Finding("d", 1.0, P, "/p", None, Evidence("seen"), effect)


def decided(policy=None, findings=(), faults=(), unjudged=(), removed=(), parts=(PART,)):
    return decide(
        policy or Policy(Mode.ENFORCE),
        parts=parts,
        findings=tuple(findings),
        faults=tuple(faults),
        coverage=Coverage(unjudged=tuple(unjudged)),
        p_value=P,
        rate=0.001,
        measured=None,
        removed=tuple(removed),
    )


@pytest.mark.parametrize("effects", list(itertools.product(Effect, repeat=3)))
def test_effects_combine_by_max_in_any_order(effects):
    assert decided(findings=[finding(e) for e in effects]).effect is max(effects)


@pytest.mark.parametrize(
    ("reason", "rule"),
    [
        (FaultReason.TIMEOUT, "fault"),
        (FaultReason.CRASH, "fault"),
        (FaultReason.UNAVAILABLE, "fault"),
        (FaultReason.UNCALIBRATED, "none"),
    ],
)
def test_what_a_fault_does(reason, rule):
    assert decided(faults=[Fault("d", reason, part="/p")]).rule == rule


def test_a_fault_about_the_operators_own_text_blinds_nobody():
    operator = Part(PartKind.TEXT, Origin.OPERATOR, "/o", "x")
    fault = Fault("d", FaultReason.CRASH, part="/o")
    assert decided(faults=[fault], parts=(operator, PART)).effect is Effect.ALLOW


def test_the_strongest_rule_is_named():
    policy = Policy(Mode.ENFORCE, on_fault=Effect.BLOCK, on_unjudged=Effect.HOLD)
    fault, gap = Fault("d", FaultReason.CRASH), Unjudged("/q", "image")
    assert decided(policy, unjudged=[gap]).rule == "unjudged"
    assert decided(policy, unjudged=[gap], faults=[fault]).rule == "fault"
    assert decided(policy, [finding(Effect.BLOCK)], [fault], [gap]).rule == "false-alarm-rate"
    assert decided(policy, [finding(Effect.REDACT)], [fault], [gap]).rule == "fault"
    assert decided(policy, removed=["/p"]).rule == "remembered"
    assert decided(policy).rule == "none"


def test_the_defaults_block_when_blind_and_pass_what_cannot_be_judged():
    assert (Policy().mode, Policy().on_fault, Policy().on_unjudged) == (
        Mode.OBSERVE,
        Effect.BLOCK,
        Effect.ALLOW,
    )
