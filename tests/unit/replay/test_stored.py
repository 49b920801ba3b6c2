"""Which stored scores hold for a candidate."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed
from tests.unit.replay.test_parity import ALL, LOUD, SYSTEM, TABLES, Counting, text

from bartizan.gateway.recording import step_record
from bartizan.pipeline import Pipeline
from bartizan.policy.decide import Policy
from bartizan.replay.content import Afresh
from bartizan.replay.side import side_with
from bartizan.replay.stored import NotKept, Stored
from bartizan.types import Interaction, Origin, Principal, Step

ALICE = Principal("alice", "header", "s")


def side(table=TABLES[0], **changes):
    pipeline = Pipeline(ALL, Policy(), table, rate=0.1, deadline_ms=60_000)
    return side_with(SYSTEM.model_copy(update=changes), pipeline)


def verdict(of):
    return of.pipeline.judge(
        Interaction("", "", Step.REQUEST, ALICE, (text("hello!", Origin.USER, "/messages/0"),))
    )


def test_the_same_detector_holds():
    stored = Stored(side(), side(TABLES[1]))
    assert stored.problem(LOUD.spec, verdict(side())) == ""
    assert not stored.assumed(verdict(side()))
    assert stored.assumed(verdict(side(replace(TABLES[0], digest="another"))))


def test_other_options_do_not():
    stored = Stored(side(), side(options={"text.loud": {"sign": "?"}}))
    assert "configured otherwise" in stored.problem(LOUD.spec, verdict(side()))
    assert stored.problem(ALL[1].spec, verdict(side())) == ""


def test_canaries_are_options_of_detectors_that_look_at_the_conversation():
    stored = Stored(side(), side(canary_envs=("A_CANARY",)))
    looking = Counting("text.leak", "!", contextual=True).spec
    assert "configured otherwise" in stored.problem(looking, verdict(side()))
    assert stored.problem(LOUD.spec, verdict(side())) == ""


def test_another_version_does_not():
    older = replace(TABLES[0], digest="older", versions={"text.loud": "0"})
    stored = Stored(side(older), side())
    recorded = verdict(side())
    as_older = recorded.p_value.__class__(recorded.p_value.value, recorded.p_value.n, "older")
    assert "was version 0, this is 1" in stored.problem(LOUD.spec, changed(recorded, p_value=as_older))
    # Judged by this version under a table of another, which the verdict itself says.
    told = verdict(side(older))
    assert any("this is 1" in f.detail for f in told.faults)
    assert stored.problem(LOUD.spec, changed(told, p_value=as_older)) == ""


@pytest.mark.parametrize("kept", ["all", "not the request"])
def test_a_detector_of_conversations_needs_all_of_it(kept):
    looking = Counting("text.leak", "!", contextual=True)
    of = side_with(SYSTEM, Pipeline((looking,), Policy(), TABLES[0], rate=0.1, deadline_ms=60_000))
    asked = (text("hello", Origin.OPERATOR, "/messages/0"),)
    said = (text("well!", Origin.MODEL, "/choices/0"),)
    request = Interaction("", "", Step.REQUEST, ALICE, asked)
    response = Interaction("", "", Step.RESPONSE, ALICE, said, asked)
    first = step_record(request, of.pipeline.judge(request), keep_content=kept == "all")
    step = step_record(response, of.pipeline.judge(response), keep_content=True)
    slot = of.plans["response"][said[0].kind, Origin.MODEL][0]
    if kept == "all":
        assert Afresh(step, first).score(slot, step.parts[0]) == (1.0,)
        with pytest.raises(NotKept, match="the request"):
            Afresh(step, None).score(slot, step.parts[0])
    else:
        with pytest.raises(NotKept, match="not all was kept"):
            Afresh(step, first).score(slot, step.parts[0])
