"""Streamed answers: judged text by text as they flow, and cut short where they are stopped."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.unit.replay.test_parity import ALL, SYSTEM, TABLES, text

from bartizan.gateway.recording import record_of, step_record
from bartizan.pipeline import Pipeline
from bartizan.policy.decide import Policy
from bartizan.replay.records import Replay
from bartizan.replay.side import side_with
from bartizan.types import Effect, Interaction, Mode, Origin, Principal, Record, Step

ALICE = Principal("alice", "header", "s")


def side(rate, mode=Mode.OBSERVE):
    return side_with(SYSTEM, Pipeline(ALL, Policy(mode), TABLES[0], rate=rate, deadline_ms=60_000))


def streamed(judge, *contents, stream=True) -> Record:
    """The record of an answer with these texts, as one side judges the whole of it."""
    parts = tuple(text(c, Origin.MODEL, f"/choices/{i}") for i, c in enumerate(contents))
    interaction = Interaction("r", "talk", Step.RESPONSE, ALICE, parts)
    verdict = judge.pipeline.judge(interaction)
    return record_of(
        id="r",
        time=1.0,
        system="talk",
        protocol="openai-chat",
        principal=ALICE,
        model="m",
        steps=[step_record(interaction, verdict, keep_content=False)],
        status=200,
        stream=stream,
        added_us=0,
        upstream_us=0,
    )


def between(contents, *others):
    """A rate at which a text is stopped by itself, and not among others."""
    for rate in (r / 100 for r in range(1, 50)):
        alone = side(rate).pipeline.judge(streamed_interaction(contents))
        among = side(rate).pipeline.judge(streamed_interaction(contents, *others))
        if alone.effect > among.effect:
            return rate
    raise AssertionError("there is no such rate")


def streamed_interaction(*contents):
    parts = tuple(text(c, Origin.MODEL, f"/choices/{i}") for i, c in enumerate(contents))
    return Interaction("r", "talk", Step.RESPONSE, ALICE, parts)


@pytest.mark.parametrize(
    ("mode", "stream", "told"), [("enforce", True, False), ("enforce", False, True), ("observe", True, True)]
)
def test_a_text_that_may_be_stopped_by_itself_as_it_flows(mode, stream, told):
    loud, plain = "!!!!!!!!", ("a", "b", "c", "d")
    rate = between(loud, *plain)
    record = streamed(side(0.001), loud, *plain, stream=stream)
    said = Replay(side(0.001), side(rate, Mode(mode))).compare(record)
    assert (said.after is not None) is told
    if not told:
        assert "by itself" in said.why


def test_a_stream_that_was_cut_has_no_rest():
    strict, loose = side(0.3, Mode.ENFORCE), side(0.001, Mode.ENFORCE)
    record = streamed(strict, "!!!!!!!!")
    assert record.enforced is Effect.BLOCK
    said = Replay(strict, loose).compare(record)
    assert said.after is None
    assert "cut" in said.why
    same = Replay(strict, side(0.4, Mode.ENFORCE)).compare(record)
    assert same.after == same.before


def test_an_exchange_in_which_nothing_was_judged_is_no_exchange():
    record = replace(streamed(side(0.1), "a"), steps=())
    assert Replay(side(0.1), side(0.2)).compare(record) is None
