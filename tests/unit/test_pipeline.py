import math

import numpy as np
import pytest

from bartizan.calibration.build import build_table
from bartizan.calibration.table import Table
from bartizan.features.digest import digest_text
from bartizan.features.memory import Memory
from bartizan.pipeline import FIRST_CHARS, INLINE_CHARS, Pipeline, opaque_parts
from bartizan.policy.decide import Policy
from bartizan.ports import Unavailable
from bartizan.types import (
    DetectorSpec,
    Effect,
    Evidence,
    FaultReason,
    Interaction,
    Measured,
    Mode,
    Origin,
    Part,
    PartKind,
    Principal,
    Scores,
    Step,
)

ALICE = Principal("alice", "api-key", "s1")


class Shouting:
    """Scores the number of exclamation marks."""

    def __init__(self, name="text.shouting", **changes):
        self.calls = 0
        fields = {
            "steps": frozenset({Step.REQUEST, Step.RESPONSE}),
            "kinds": frozenset({PartKind.TEXT, PartKind.TOOL_RESULT}),
            "origins": frozenset({Origin.USER, Origin.TOOL, Origin.MODEL}),
        }
        self.spec = DetectorSpec(name, "1", **(fields | changes))

    def score(self, part, features):
        self.calls += 1
        return Scores((float(part.text.count("!")),))

    def evidence(self, part, features, unit):
        first = part.text.find("!")
        return Evidence("exclamation marks", ((first, first + 1),))


class Broken(Shouting):
    def __init__(self, error):
        super().__init__("text.broken")
        self._error = error

    def score(self, part, features):
        if isinstance(self._error, Exception):
            raise self._error
        return Scores(self._error)


def text(content, origin=Origin.USER, path="/messages/0/content", kind=PartKind.TEXT):
    return Part(kind, origin, path, content, digest=digest_text(kind, origin, "", content))


def request(*parts, principal=ALICE):
    return Interaction("id", "sys", Step.REQUEST, principal, parts)


def calibrated(*detectors, n=900, cells=("request.user", "request.data", "response")):
    rng = np.random.default_rng(0)
    points = [
        Measured(cell, 1, {d.spec.name: float(rng.poisson(0.3)) for d in detectors})
        for cell in cells
        for _ in range(n)
    ]
    return build_table(
        points,
        name="t",
        source="operator",
        created=0.0,
        units={d.spec.name: 1.0 for d in detectors},
        versions={d.spec.name: "1" for d in detectors},
        rng=rng,
    )


def pipeline(*detectors, table=None, mode=Mode.ENFORCE, memory=None, rate=0.01, **policy):
    return Pipeline(
        detectors,
        Policy(mode=mode, **policy),
        table if table is not None else calibrated(*detectors),
        rate=rate,
        memory=memory,
    )


def test_the_ordinary_passes_and_the_strange_is_blocked_with_evidence():
    guard = pipeline(Shouting())
    calm, loud = guard.judge(request(text("hello"))), guard.judge(request(text("now!!!!!!!!!!!!")))
    assert (calm.effect, calm.rule, calm.findings) == (Effect.ALLOW, "none", ())
    assert (loud.effect, loud.rule) == (Effect.BLOCK, "false-alarm-rate")
    assert loud.findings[0].evidence.spans == ((3, 4),)
    assert loud.p_value.value < 0.01 < calm.p_value.value
    assert loud.coverage.judged == ("/messages/0/content",)


def test_observe_decides_the_same_and_enforces_nothing():
    verdict = pipeline(Shouting(), mode=Mode.OBSERVE).judge(request(text("!" * 20)))
    assert verdict.effect is Effect.BLOCK
    assert verdict.enforced is Effect.ALLOW


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("boom"), FaultReason.CRASH),
        (RecursionError(), FaultReason.CRASH),
        (Unavailable("no model"), FaultReason.UNAVAILABLE),
        ((math.nan,), FaultReason.CRASH),
        ((math.inf,), FaultReason.CRASH),
        ((1.0, 2.0), FaultReason.CRASH),
        ((), FaultReason.CRASH),
    ],
)
def test_a_detector_that_cannot_answer_is_a_fault_and_never_safe(error, reason):
    broken = Broken(error)
    verdict = pipeline(broken).judge(request(text("hello")))
    assert [(f.detector, f.reason) for f in verdict.faults] == [("text.broken", reason)]
    assert (verdict.effect, verdict.rule) == (Effect.BLOCK, "fault")
    assert verdict.p_value is None


def test_faults_never_carry_the_message_of_an_exception():
    verdict = pipeline(Broken(RuntimeError("the secret text"))).judge(request(text("x")))
    assert "secret" not in str(verdict)


def test_an_uncalibrated_detector_is_a_fault_but_scores_for_calibration():
    verdict = pipeline(Shouting(), table=Table("none", 0.0, {})).judge(request(text("hello!")))
    assert verdict.faults[0].reason is FaultReason.UNCALIBRATED
    assert verdict.measured.maxima == {"text.shouting": 1.0}
    assert (verdict.p_value, verdict.effect) == (None, Effect.ALLOW)


def test_another_version_of_a_detector_is_uncalibrated():
    old = Shouting()
    table = calibrated(old)
    new = Shouting()
    new.spec = DetectorSpec("text.shouting", "2", old.spec.steps, old.spec.kinds, old.spec.origins)
    assert "version" in pipeline(new, table=table).judge(request(text("x"))).faults[0].detail


def test_a_late_detector_is_a_timeout():
    ticks = iter(range(0, 10**12, 10**9))
    guard = Pipeline(
        [Shouting(), Shouting("text.other")],
        Policy(mode=Mode.ENFORCE),
        calibrated(Shouting(), Shouting("text.other")),
        rate=0.01,
        deadline_ms=500,
        clock_ns=lambda: next(ticks),
    )
    verdict = guard.judge(request(text("x")))
    assert {f.reason for f in verdict.faults} == {FaultReason.TIMEOUT}
    assert verdict.rule == "fault"


def test_learned_detectors_nobody_waited_for_are_timeouts():
    learned = Shouting(learned=True)
    guard = pipeline(learned)
    pending = guard.start(request(text("x")))
    assert learned.calls == 0
    assert guard.finish(pending).faults[0].reason is FaultReason.TIMEOUT


def test_operator_text_is_trusted_and_opaque_content_is_unjudged():
    parts = (text("be kind", Origin.OPERATOR, "/messages/0/content"), text("hi", path="/messages/1/content"))
    verdict = pipeline(Shouting()).judge(request(*parts, *opaque_parts([("/messages/1/image", "image")])))
    assert verdict.coverage.trusted == ("/messages/0/content",)
    assert [u.part for u in verdict.coverage.unjudged] == ["/messages/1/image"]
    assert verdict.effect is Effect.ALLOW


def test_policy_may_refuse_what_was_not_judged():
    guard = pipeline(Shouting(), on_unjudged=Effect.BLOCK)
    verdict = guard.judge(request(text("hi"), *opaque_parts([("/x", "image")])))
    assert (verdict.effect, verdict.rule) == (Effect.BLOCK, "unjudged")


def turn(*contents):
    """A transcript: user, model, user, … with the last word the user's."""
    return tuple(
        text(c, Origin.USER if i % 2 == 0 else Origin.MODEL, f"/messages/{i}/content")
        for i, c in enumerate(contents)
    )


def test_a_replayed_history_is_scored_once():
    detector = Shouting()
    guard = pipeline(detector, memory=Memory())
    guard.judge(request(*turn("one")))
    guard.judge(request(*turn("one", "two", "three")))
    before = detector.calls
    verdict = guard.judge(request(*turn("one", "two", "three", "four", "five")))
    assert detector.calls == before + 2
    assert verdict.coverage.remembered == tuple(f"/messages/{i}/content" for i in (0, 1, 2))


def test_one_old_hit_does_not_block_the_conversation_for_ever():
    guard = pipeline(Shouting(), memory=Memory())
    attack = "now!!!!!!!!!!!!!!!!"
    assert guard.judge(request(*turn("hi", "hello", attack))).effect is Effect.BLOCK
    again = guard.judge(request(*turn("hi", "hello", attack, "I can't", "weather?")))
    assert (again.effect, again.rule) == (Effect.REDACT, "remembered")
    assert again.removed == ("/messages/2/content",)


def test_repeating_the_attack_as_the_newest_turn_is_blocked_again():
    guard = pipeline(Shouting(), memory=Memory())
    attack = "now!!!!!!!!!!!!!!!!"
    for _ in range(2):
        assert guard.judge(request(*turn("hi", "hello", attack))).effect is Effect.BLOCK


def test_one_principals_history_says_nothing_about_anothers():
    guard = pipeline(Shouting(), memory=Memory())
    history = turn("now!!!!!!!!!!!!!!!!", "no", "weather?")
    guard.judge(request(history[0]))
    verdict = guard.judge(request(*history, principal=Principal("bob", "api-key", "s1")))
    assert verdict.effect is Effect.BLOCK
    assert verdict.removed == ()


def test_content_that_faulted_is_not_remembered_as_judged():
    guard = pipeline(Broken(RuntimeError()), memory=Memory(), on_fault=Effect.ALLOW)
    guard.judge(request(*turn("one")))
    assert guard.judge(request(*turn("one", "two", "three"))).coverage.remembered == ()


def test_policy_effects_override_the_detectors_own():
    verdict = pipeline(Shouting(), effects={"text.shouting": Effect.HOLD}).judge(request(text("!" * 20)))
    assert verdict.effect is Effect.HOLD


def test_too_little_calibration_works_at_the_rate_it_can_certify():
    detector = Shouting()
    guard = pipeline(detector, table=calibrated(detector, n=150), rate=0.0001)
    verdict = guard.judge(request(text("!" * 30)))
    assert verdict.level == pytest.approx(1 - 0.01 ** (1 / 120), rel=1e-6)
    assert verdict.effect is Effect.BLOCK


def test_the_same_interaction_always_gets_the_same_verdict():
    guard = pipeline(Shouting())
    assert guard.judge(request(text("a!b"))) == guard.judge(request(text("a!b")))


def test_an_attack_among_many_small_parts_is_still_found():
    attack = text("now!!!!!!!!!!!!!!!!!!!!", path="/messages/0/content/0")
    small = [text("a", path=f"/messages/0/content/{i}") for i in range(1, 500)]
    assert pipeline(Shouting()).judge(request(attack, *small)).effect is Effect.BLOCK


def response(part):
    return Interaction("id", "sys", Step.RESPONSE, ALICE, (part,))


def test_a_glance_at_a_stream_looks_at_long_stretches_too():
    loud = "x" * (2 * INLINE_CHARS) + "!" * 20
    guard = pipeline(Shouting())
    assert guard.glance(response(text(loud, Origin.MODEL))).effect is Effect.BLOCK
    # Elsewhere so long a text is left for another thread, and is a fault if nobody gets to it.
    assert guard.finish(guard.start(response(text(loud, Origin.MODEL)))).rule == "fault"


class Tiered(Shouting):
    """Clears what does not shout with its first tier."""

    def __init__(self, error=None):
        super().__init__("text.tiered", learned=True)
        self._error = error
        self.asked = 0

    def first(self, part, features):
        self.asked += 1
        if self._error is not None:
            raise self._error
        return None if "!" in part.text else Scores((0.0,))


def test_what_the_first_tier_clears_is_not_put_off():
    detector = Tiered()
    judging = pipeline(detector)
    pending = judging.start(request(text("calm")))
    assert not pending.deferred
    assert judging.finish(pending).p_value.value > 0.5
    pending = judging.start(request(text("loud!!!!!!!!!!!!")))
    assert len(pending.deferred) == 1
    assert judging.finish(pending, judging.run_deferred(pending)).findings


def test_a_first_tier_that_fails_is_asked_in_full():
    detector = Tiered(Unavailable("gone"))
    judging = pipeline(detector)
    assert len(judging.start(request(text("calm"))).deferred) == 1


def test_a_first_tier_without_calibration_leaves_the_fault_to_the_second():
    detector = Tiered()
    judging = Pipeline([detector], Policy(), Table("none", 0.0, {}), rate=0.1)
    verdict = judging.judge(request(text("calm")))
    assert [f.reason for f in verdict.faults] == [FaultReason.UNCALIBRATED]


def test_a_long_text_does_not_meet_the_first_tier_on_the_event_loop():
    detector = Tiered()
    assert len(pipeline(detector).start(request(text("a" * (FIRST_CHARS + 1)))).deferred) == 1
    assert detector.asked == 0
