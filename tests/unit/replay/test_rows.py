"""Batches of rows: the penalty for their number, fitted state, and what records do not hold."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from bartizan.calibration.build import build_table
from bartizan.config import System
from bartizan.gateway.recording import record_of, step_record
from bartizan.pipeline import Pipeline
from bartizan.policy.decide import Policy
from bartizan.replay.outcome import decision_of
from bartizan.replay.records import Replay
from bartizan.replay.side import side_with
from bartizan.types import (
    DetectorSpec,
    Effect,
    Evidence,
    Interaction,
    Measured,
    Mode,
    Origin,
    Part,
    PartKind,
    Principal,
    Rows,
    Scores,
    Step,
)

SYSTEM = System(name="fraud", kind="predict", upstream={"url": "http://localhost"})


class Far:
    """Scores how far a row is from a fitted centre."""

    def __init__(self, centre=None, *, needs_outputs=False):
        self._centre = centre
        self.spec = DetectorSpec(
            "rows.far",
            "1",
            frozenset({Step.EXCHANGE}),
            frozenset({PartKind.ROWS}),
            frozenset({Origin.USER}),
            needs_fit=True,
            needs_outputs=needs_outputs,
        )

    def with_state(self, state):
        return Far(state["centre"], needs_outputs=self.spec.needs_outputs)

    def score(self, part, features):
        return Scores(tuple(np.abs(part.rows.inputs - self._centre).max(axis=1).tolist()))

    def evidence(self, part, features, unit):
        return Evidence("far")


def side(rate, *, centre=0.0, mode=Mode.OBSERVE, needs_outputs=False):
    rng = np.random.default_rng(0)
    table = build_table(
        [Measured("exchange", 1, {"rows.far": float(s)}) for s in rng.exponential(size=2_000)],
        name="benign",
        source="operator",
        created=0.0,
        units={"rows.far": 1.0},
        versions={"rows.far": "1"},
        rng=rng,
        fitted={"rows.far": {"centre": np.array([centre])}},
    )
    detectors = (Far(needs_outputs=needs_outputs),)
    return side_with(SYSTEM, Pipeline(detectors, Policy(mode), table, rate=rate, deadline_ms=60_000))


def exchange(number, rng):
    rows = Rows(rng.exponential(1.5, size=(int(rng.integers(1, 20)), 3)), np.zeros((1, 2)))
    part = Part(PartKind.ROWS, Origin.USER, "/outputs", rows=rows, digest=str(number))
    return Interaction(str(number), "fraud", Step.EXCHANGE, Principal("a", "header"), (part,))


def record(interaction, verdict, *, keep):
    return record_of(
        id=interaction.id,
        time=1.0,
        system="fraud",
        protocol="open-inference",
        principal=interaction.principal,
        model="m",
        steps=[step_record(interaction, verdict, keep_content=keep)],
        status=200,
        stream=False,
        added_us=0,
        upstream_us=0,
    )


def pairs(base, candidate, *, keep=False):
    rng = np.random.default_rng(1)
    replay = Replay(base, candidate)
    for number in range(200):
        interaction = exchange(number, rng)
        said = replay.compare(record(interaction, base.pipeline.judge(interaction), keep=keep))
        yield said, interaction, candidate.pipeline.judge(interaction)


def test_another_level_over_batches_is_told_from_stored_scores():
    found = list(pairs(side(0.01), side(0.2, mode=Mode.ENFORCE)))
    assert all(said.after == decision_of((verdict,)) for said, _, verdict in found)
    blocked = [said for said, _, _ in found if said.after.effect > said.before.effect]
    assert 10 < len(blocked) < 190
    assert all("rows.far: p" in said.why for said in blocked)


@pytest.mark.parametrize("needs_outputs", [False, True])
def test_other_reference_rows_are_never_guessed(needs_outputs):
    base = side(0.01, needs_outputs=needs_outputs)
    other = side(0.01, centre=1.0, needs_outputs=needs_outputs)
    for said, _, _ in pairs(base, other, keep=True):
        assert said.after is None
        assert "reference rows" in said.why


def test_a_contained_query_stays_contained():
    base, candidate = side(0.01, mode=Mode.ENFORCE), side(0.2, mode=Mode.ENFORCE)
    interaction = exchange(0, np.random.default_rng(1))
    verdict = base.pipeline.judge(interaction)
    contained = replace(verdict, rule="contained", effect=Effect.HOLD)
    said = Replay(base, candidate).compare(record(interaction, contained, keep=False))
    assert said.after == said.before
    unheard_of = replace(verdict, rule="a rule of tomorrow", effect=Effect.HOLD)
    said = Replay(base, candidate).compare(record(interaction, unheard_of, keep=False))
    assert said.after is None
    assert "not replayed" in said.why
