"""What a replay says must be what a pipeline under the candidate decides about the same traffic."""

from __future__ import annotations

import random

import numpy as np
import pytest

from bartizan.calibration.build import build_table
from bartizan.calibration.table import Table
from bartizan.config import System
from bartizan.features.digest import digest_text
from bartizan.features.memory import Memory
from bartizan.gateway.recording import record_of, step_record
from bartizan.pipeline import Pipeline, opaque_parts
from bartizan.policy.decide import Policy
from bartizan.ports import Unavailable
from bartizan.replay.outcome import decision_of
from bartizan.replay.records import Replay
from bartizan.replay.side import Side, side_with
from bartizan.types import (
    DetectorSpec,
    Effect,
    Evidence,
    Interaction,
    Mode,
    Origin,
    Part,
    PartKind,
    Principal,
    Scores,
    Step,
)

SYSTEM = System(name="talk", kind="chat", upstream={"url": "http://localhost"})


class Counting:
    """Scores how often a character occurs."""

    def __init__(self, name: str, sign: str, **changes: object) -> None:
        self._sign = sign
        fields = {
            "steps": frozenset({Step.REQUEST, Step.RESPONSE}),
            "kinds": frozenset({PartKind.TEXT, PartKind.TOOL_RESULT}),
            "origins": frozenset({Origin.USER, Origin.TOOL, Origin.MODEL}),
        }
        self.spec = DetectorSpec(name, "1", **(fields | changes))

    def score(self, part: Part, features: object) -> Scores:
        if "unavailable" in part.text:
            raise Unavailable("it says so")
        return Scores((float(part.text.count(self._sign)),))

    def evidence(self, part: Part, features: object, unit: int) -> Evidence:
        return Evidence("seen")


LOUD = Counting("text.loud", "!")
CURIOUS = Counting("text.curious", "?", by_origin=True, effect=Effect.REDACT)
RICH = Counting("text.rich", "$", origins=frozenset({Origin.USER}))
ALL = (LOUD, CURIOUS, RICH)


def text(content: str, origin: Origin, path: str) -> Part:
    kind = PartKind.TOOL_RESULT if origin is Origin.TOOL else PartKind.TEXT
    return Part(kind, origin, path, content, digest=digest_text(kind, origin, "", content))


def phrase(draw: random.Random) -> str:
    signs = "".join(s * draw.choice((0, 0, 0, 1, 2, 3, 5, 8)) for s in "!?$")
    fault = "unavailable " if draw.random() < 0.01 else ""
    return f"{fault}word {draw.randrange(10**9)} {signs}"


def table(seed: int) -> Table:
    """A calibration on benign texts of the same kind, some loud."""
    draw = random.Random(seed)
    pipeline = Pipeline(ALL, Policy(), Table("none", 0.0, {}), rate=0.1)
    measured = []
    for _ in range(3_000):
        origin = draw.choice((Origin.USER, Origin.TOOL))
        step = draw.choice((Step.REQUEST, Step.REQUEST, Step.RESPONSE))
        part = text(phrase(draw), origin if step is Step.REQUEST else Origin.MODEL, "/0")
        parts = (part,)
        if step is Step.REQUEST and draw.random() < 0.5:
            parts = (part, text(phrase(draw), Origin.USER, "/1"))
        verdict = pipeline.judge(Interaction("", "", step, Principal("a", "b"), parts))
        if verdict.measured is not None:
            measured.append(verdict.measured)
    return build_table(
        measured,
        name="benign",
        source="operator",
        created=0.0,
        units={d.spec.name: 1.0 for d in ALL},
        versions={d.spec.name: "1" for d in ALL},
        rng=np.random.default_rng(seed),
    )


TABLES = [table(1), table(2)]


def conversations(draw: random.Random, count: int):
    """Interactions of several conversations, interleaved: transcripts that grow turn by turn."""
    turns = []
    for number in range(count):
        principal = Principal(f"p{number % 3}", "header", f"s{number}")
        history: list[Part] = []
        for turn in range(draw.randrange(1, 5)):
            for _ in range(draw.choice((1, 1, 1, 2, 3, 20))):
                origin = draw.choice((Origin.USER, Origin.USER, Origin.TOOL))
                history.append(text(phrase(draw), origin, f"/messages/{len(history)}"))
            opaque = opaque_parts([("/image", "an image")]) if draw.random() < 0.1 else ()
            answer = phrase(draw)
            asked, said = (*history, *opaque), text(answer, Origin.MODEL, "/choices/0")
            turns.append((draw.random() + turn, f"{number}.{turn}", principal, asked, said))
            history.append(text(answer, Origin.MODEL, f"/messages/{len(history)}"))
    return sorted(turns)


def run(side: Side, turns, *, keep: bool):
    """What a gateway with this pipeline records of these turns."""
    for when, name, principal, asked, said in turns:
        steps = []
        request = Interaction(name, "talk", Step.REQUEST, principal, asked)
        first = side.pipeline.judge(request)
        steps.append(step_record(request, first, keep_content=keep))
        if first.enforced < Effect.HOLD:
            response = Interaction(name, "talk", Step.RESPONSE, principal, (said,), asked)
            steps.append(step_record(response, side.pipeline.judge(response), keep_content=keep))
        yield record_of(
            id=name,
            time=when,
            system="talk",
            protocol="openai-chat",
            principal=principal,
            model="m",
            steps=steps,
            status=200,
            stream=False,
            added_us=0,
            upstream_us=0,
        )


def side(draw: random.Random, **fixed) -> Side:
    settings = {
        "rate": draw.choice((0.01, 0.03, 0.1, 0.3)),
        "table": draw.choice(TABLES),
        "detectors": draw.choice((ALL, ALL, (LOUD, CURIOUS), (CURIOUS,))),
        "effects": draw.choice(({}, {"text.loud": Effect.REDACT}, {"text.curious": Effect.BLOCK})),
        "on_unjudged": draw.choice((Effect.ALLOW, Effect.HOLD)),
        "mode": draw.choice((Mode.OBSERVE, Mode.ENFORCE)),
    } | fixed
    policy = Policy(settings["mode"], Effect.BLOCK, settings["on_unjudged"], settings["effects"])
    # A deadline is no part of what is tested, and a busy machine must not meet it.
    pipeline = Pipeline(
        settings["detectors"],
        policy,
        settings["table"],
        rate=settings["rate"],
        deadline_ms=60_000,
        memory=Memory(),
    )
    return side_with(SYSTEM, pipeline)


def decided(said, done):
    """What the candidate did; where the record holds no answer, as far as the request goes."""
    return decision_of(tuple(s.verdict for s in done.steps[: len(said.steps)]))


def replayed(base: Side, candidate: Side, turns, *, keep: bool):
    """Pairs of what the replay says and what the candidate does, exchange by exchange."""
    recorded = list(run(base, turns, keep=keep))
    replay = Replay(base, candidate)
    return list(zip([replay.compare(r) for r in recorded], run(candidate, turns, keep=False), strict=True))


@pytest.mark.parametrize("seed", range(150))
def test_whatever_changes_what_is_told_is_what_happens(seed):
    draw = random.Random(seed)
    base, candidate = side(draw), side(draw)
    turns = conversations(draw, 30)
    pairs = replayed(base, candidate, turns, keep=draw.random() < 0.5)
    told = [(said, done) for said, done in pairs if said.after is not None]
    for said, done in told:
        assert said.after == decided(said, done), (said, done)
    if candidate.names <= base.names:
        assert len(told) > len(pairs) / 4


@pytest.mark.parametrize("seed", range(10))
def test_the_same_in_enforce_mode_is_told_but_for_what_follows_a_stop(seed):
    draw = random.Random(seed)
    base = side(draw, mode=Mode.OBSERVE, detectors=ALL, rate=0.01)
    candidate = side_with(
        SYSTEM,
        Pipeline(
            ALL,
            Policy(Mode.ENFORCE, base.policy.on_fault, base.policy.on_unjudged, base.policy.effects),
            base.table,
            rate=base.rate,
            deadline_ms=60_000,
            memory=Memory(),
        ),
    )
    pairs = replayed(base, candidate, conversations(draw, 30), keep=False)
    untold = [said.why for said, _ in pairs if said.after is None]
    assert len(untold) < len(pairs) / 2, untold
    for said, done in pairs:
        if said.after is not None:
            assert said.after == decided(said, done)


def test_another_rate_of_single_turns_is_always_told():
    draw = random.Random(5)
    base = side(draw, mode=Mode.OBSERVE, rate=0.01, detectors=ALL, table=TABLES[0])
    candidate = side(draw, rate=0.1, detectors=ALL, table=TABLES[0])
    turns = [t for t in conversations(draw, 400) if t[1].endswith(".0")]
    pairs = replayed(base, candidate, turns, keep=False)
    assert all(said.after is not None for said, _ in pairs)
    assert sum(said.kind is not None for said, _ in pairs) > 10
    assert not any(said.rescored for said, _ in pairs)


def test_a_detector_that_was_off_needs_content():
    draw = random.Random(6)
    base = side(draw, mode=Mode.OBSERVE, rate=0.1, detectors=(LOUD,), table=TABLES[0])
    candidate = side(draw, rate=0.1, detectors=ALL, table=TABLES[0])
    turns = [t for t in conversations(draw, 100) if t[1].endswith(".0")]
    without = replayed(base, candidate, turns, keep=False)
    assert all(said.after is None for said, _ in without)
    assert {"its content was not kept" in said.why for said, _ in without} == {True}
    kept = replayed(base, candidate, turns, keep=True)
    for said, done in kept:
        if "gives no answer" not in said.why:
            assert said.rescored
            assert said.after == decided(said, done)
    assert sum(said.after is not None for said, _ in kept) > 80
