"""Counts, intervals and advice."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from bartizan.calibration.table import Level
from bartizan.replay.outcome import Compared, Decision, Kind, StepOutcome, kind_of
from bartizan.replay.recommend import Advice, recommend
from bartizan.replay.tally import Tally
from bartizan.stats.intervals import clopper_pearson
from bartizan.types import Effect, Mode, Step

ALLOW = Decision(Effect.ALLOW, Effect.ALLOW, "none")
WOULD = Decision(Effect.BLOCK, Effect.ALLOW, "false-alarm-rate")
BLOCK = Decision(Effect.BLOCK, Effect.BLOCK, "false-alarm-rate")
FAULT = Decision(Effect.BLOCK, Effect.BLOCK, "fault")
REDACT = Decision(Effect.REDACT, Effect.REDACT, "false-alarm-rate")
HOLD = Decision(Effect.HOLD, Effect.HOLD, "unjudged")


class Candidate:
    """A side whose every cell certifies one rate."""

    def __init__(self, rate: float = 0.01, certified: float | None = None, created: float = 0.0) -> None:
        self._level = Level(rate, rate if certified is None else certified, rate)
        cells = {"request.user": SimpleNamespace(source="operator")}
        self.table = SimpleNamespace(created=created, cells=cells)

    def level(self, cell: str) -> Level:
        return self._level


def tallied(side: Candidate, *groups: tuple[int, Decision, Decision | None, bool | None], attacks=()):
    tally = Tally(side, attacks)
    number = 0
    for count, before, after, alarmed in groups:
        for _ in range(count):
            steps = (StepOutcome(Step.REQUEST, "request.user", alarmed),)
            why = "" if after is not None else "its content was not kept"
            tally.add(Compared(f"r{number}", before, after, why, steps, time=5.0))
            number += 1
    return tally.summary()


def advised(side: Candidate, *groups, **more) -> Advice:
    return recommend(tallied(side, *groups, **more), Mode.ENFORCE).advice


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (ALLOW, ALLOW, None),
        (WOULD, BLOCK, Kind.BLOCKED),
        (ALLOW, WOULD, Kind.BLOCKED),
        (ALLOW, HOLD, Kind.HELD),
        (ALLOW, REDACT, Kind.REDACTED),
        (REDACT, BLOCK, Kind.BLOCKED),
        (BLOCK, REDACT, Kind.RELAXED),
        (BLOCK, ALLOW, Kind.ALLOWED),
        (BLOCK, WOULD, Kind.ALLOWED),
        (WOULD, ALLOW, Kind.ALLOWED),
    ],
)
def test_kinds_of_change(before, after, kind):
    assert kind_of(before, after) is kind


def test_counts_and_their_intervals():
    summary = tallied(Candidate(), (90, ALLOW, ALLOW, False), (6, WOULD, BLOCK, True), (4, ALLOW, None, None))
    assert (summary.replayed, summary.told, summary.same, summary.flagged) == (100, 96, 90, 6)
    blocked = summary.kinds[Kind.BLOCKED]
    assert (blocked.hits, blocked.total) == (6, 96)
    assert (blocked.low, blocked.high) == clopper_pearson(6, 96)
    assert summary.unknown == {"its content was not kept": 4}
    assert (summary.cells[0].alarms.hits, summary.cells[0].alarms.total, summary.cells[0].unknown) == (
        6,
        96,
        4,
    )


def test_nothing_changes():
    assert advised(Candidate(), (5, ALLOW, ALLOW, False)) is Advice.UNCHANGED


def test_enough_traffic_within_the_promise_is_promoted():
    assert advised(Candidate(), (1_000, ALLOW, ALLOW, False), (10, WOULD, BLOCK, True)) is Advice.PROMOTE


def test_too_little_traffic_is_not_enough():
    advice = recommend(tallied(Candidate(), (80, ALLOW, ALLOW, False), (1, WOULD, BLOCK, True)), Mode.ENFORCE)
    assert advice.advice is Advice.NOT_YET
    assert "more messages are needed" in advice.reason


def test_more_alarms_than_promised_are_refused():
    assert advised(Candidate(), (1_000, ALLOW, ALLOW, False), (40, WOULD, BLOCK, True)) is Advice.REFUSE


def test_known_attacks_are_no_false_alarms():
    attacks = {f"r{i}" for i in range(1_000, 1_040)}
    groups = (1_000, ALLOW, ALLOW, False), (40, WOULD, BLOCK, True)
    summary = tallied(Candidate(), *groups, attacks=attacks)
    assert (summary.attacks, summary.cells[0].alarms.hits) == (40, 0)
    assert recommend(summary, Mode.ENFORCE).advice is Advice.PROMOTE


def test_faults_that_stop_traffic_are_refused():
    advice = recommend(
        tallied(Candidate(), (500, ALLOW, ALLOW, False), (50, ALLOW, FAULT, False)), Mode.ENFORCE
    )
    assert advice.advice is Advice.REFUSE
    assert "could not be judged" in advice.reason


def test_what_cannot_be_told_counts_against_a_promotion_and_never_for_a_refusal():
    groups = (1_000, ALLOW, ALLOW, False), (5, WOULD, BLOCK, True)
    assert advised(Candidate(), *groups, (5, ALLOW, None, None)) is Advice.PROMOTE
    advice = recommend(tallied(Candidate(), *groups, (200, ALLOW, None, None)), Mode.ENFORCE)
    assert advice.advice is Advice.NOT_YET
    assert "keep_content" in advice.reason


def test_a_rate_that_is_not_certified_waits():
    side = Candidate(0.001, certified=0.02)
    assert advised(side, (5_000, ALLOW, ALLOW, False), (1, WOULD, BLOCK, True)) is Advice.NOT_YET


def test_only_what_cannot_be_told():
    assert advised(Candidate(), (10, ALLOW, None, None)) is Advice.NOT_YET


def test_records_older_than_the_calibration_are_counted():
    assert tallied(Candidate(created=6.0), (3, ALLOW, ALLOW, False)).older == 3
    assert tallied(Candidate(created=4.0), (3, ALLOW, ALLOW, False)).older == 0


@pytest.mark.statistical
def test_a_candidate_that_keeps_its_rate_is_refused_at_most_one_time_in_twenty():
    rng, rate, refused, wrong = np.random.default_rng(0), 0.01, 0, 0
    for hits in rng.binomial(2_000, rate, size=2_000):
        side = Candidate(rate)
        tally = Tally(side)
        for flag, count in ((True, hits), (False, 2_000 - hits)):
            tally._steps["request.user", flag] += int(count)
        tally._replayed, tally._kinds[Kind.BLOCKED] = 2_000, int(hits)
        refused += recommend(tally.summary(), Mode.ENFORCE).advice is Advice.REFUSE
        wrong += hits / 2_000 > rate  # what comparing the bare share with the rate would refuse
    assert refused / 2_000 < 0.05
    assert wrong / 2_000 > 0.3
