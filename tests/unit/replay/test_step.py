"""One step, decided again from what its record keeps."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.unit.replay.test_parity import ALL, SYSTEM, TABLES, text

from bartizan.gateway.recording import step_record
from bartizan.pipeline import PARTS_COUNTED, Pipeline
from bartizan.policy.decide import Policy
from bartizan.replay.conversation import Conversations
from bartizan.replay.side import side_with
from bartizan.replay.step import replay_step
from bartizan.replay.stored import NotKept, Stored
from bartizan.types import Fault, FaultReason, Interaction, Origin, Principal, Step

ALICE = Principal("alice", "header", "s")


def side(rate=0.1):
    return side_with(SYSTEM, Pipeline(ALL, Policy(), TABLES[0], rate=rate, deadline_ms=60_000))


def recorded(of, *contents):
    parts = tuple(text(c, Origin.USER, f"/messages/{i}") for i, c in enumerate(contents))
    interaction = Interaction("", "", Step.REQUEST, ALICE, parts)
    return step_record(interaction, of.pipeline.judge(interaction), keep_content=False)


@pytest.mark.parametrize("parts", [1, PARTS_COUNTED, PARTS_COUNTED + 4])
def test_parts_are_counted_as_the_pipeline_counts_them(parts):
    base, candidate = side(), side(0.2)
    step = recorded(base, *("hello!" for _ in range(parts)))
    after = replay_step(step, None, candidate, Stored(base, candidate)).verdict
    assert after.measured == step.verdict.measured
    assert after.measured.units == min(parts, PARTS_COUNTED)


def test_a_fault_on_one_side_only_changes_what_is_remembered():
    conversations = Conversations()
    step = recorded(side(), "hello")
    fault = Fault("text.loud", FaultReason.TIMEOUT, "late", "/messages/0")
    late = replace(step, verdict=replace(step.verdict, faults=(fault,)))
    conversations.note(ALICE, late, step.verdict, {})
    with pytest.raises(NotKept, match="a fault"):
        conversations.removed(ALICE, recorded(side(), "hello", "and more"))
    assert conversations.removed(Principal("bob", "header", "s"), step) == ()
