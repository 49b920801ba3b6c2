"""A conversational system under watch, without sockets: turns in, alarms and containment out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.gateway.test_watching import KEY, Clock, Kept, until

from bartizan.alarms import Cause
from bartizan.assembly import containment_of
from bartizan.calibration.table import Cell, Table
from bartizan.config import from_mapping
from bartizan.gateway import turns
from bartizan.gateway.containment import Containing
from bartizan.gateway.metrics import Metrics
from bartizan.gateway.turns import GENERIC, NO_TURN, TurnWatching, turn_of
from bartizan.policy.containment import session_of
from bartizan.stats.conformal import Ranking
from bartizan.types import (
    Coverage,
    Effect,
    Evidence,
    Finding,
    Interaction,
    Measured,
    Mode,
    Origin,
    Part,
    PartKind,
    Principal,
    PValue,
    Step,
    Verdict,
)

N = 4_000
HELD = {"delay_queries": [0, 0], "delay_s": [0, 0]}


def table(source: str = "operator") -> Table:
    return Table("t", 0.0, {"request.user": Cell({}, Ranking.of([0.0]), source)}, trimmed=0.001, digest="d1")


def interaction(
    text: str = "hello", who: str = "mallory", session: str = "s", id: str = "bz-1"
) -> Interaction:
    parts = (
        Part(PartKind.TEXT, Origin.OPERATOR, "/messages/0", "Be kind."),
        Part(PartKind.TEXT, Origin.USER, "/messages/1", "an old question"),
        Part(PartKind.TEXT, Origin.MODEL, "/messages/2", "an old answer"),
        Part(PartKind.TEXT, Origin.USER, "/messages/3", text),
        Part(PartKind.TOOL_RESULT, Origin.TOOL, "/messages/4", "a result"),
    )
    return Interaction(id, "chat", Step.REQUEST, Principal(who, "header", session), parts, observed_at=5.0)


def verdict(p: float | None = 0.01, effect: Effect = Effect.ALLOW, found: bool = False) -> Verdict:
    coverage = Coverage(judged=("/messages/2", "/messages/3", "/messages/4"), remembered=("/messages/1",))
    value = None if p is None else PValue(p, N, "d1")
    measured = None if p is None else Measured("request.user", 2, {"text.x": 1.0})
    findings = (
        (Finding("text.x", 1.0, PValue(0.0, N, "d1"), "/messages/3", None, Evidence("x"), Effect.BLOCK),)
        if found
        else ()
    )
    return Verdict(effect, "none", Mode.ENFORCE, value, 1e-3, findings, (), coverage, measured)


class World:
    def __init__(self, tmp_path: Path, *, mode: Mode = Mode.ENFORCE, **system: Any) -> None:
        fields = {"name": "chat", "kind": "chat", "upstream": {"url": "http://x.test"}}
        containment = HELD | system.pop("containment", {})
        config = from_mapping({"systems": [fields | {"containment": containment} | system]}, base=tmp_path)
        given = config.systems[0]
        self.kept, self.metrics = Kept(), Metrics()
        self.containing = Containing(containment_of(given), mode, KEY, Clock())
        self.watching = TurnWatching(
            given, self.containing, self.kept, self.metrics, KEY, tmp_path / "watch" / "chat"
        )
        self._rng = np.random.default_rng(0)

    def say(self, p: float | None = 0.01, **more: Any) -> None:
        text = "".join(map(chr, self._rng.integers(97, 123, 60)))
        self.watching.judged(interaction(text, **more), verdict(p), table())

    def contained(self) -> list[str]:
        return [c.principal for c in self.watching.status().contained]


@pytest.fixture
def world(tmp_path):
    made: list[World] = []

    def make(**changes: Any) -> World:
        made.append(World(tmp_path, **changes))
        return made[-1]

    yield make
    for each in made:
        each.watching.close()


def test_a_turn_is_what_was_judged_now_and_not_said_by_the_model():
    turn = turn_of(interaction("a new question"), verdict(), table())
    assert turn is not None
    assert turn.text == "a new question\na result"
    assert (turn.p_value, turn.n, turn.trimmed) == (0.01, N, 0.001)
    assert (turn.stopped, turn.generic) == (False, False)
    assert turn_of(interaction(), verdict(), table("generic")).generic
    assert turn_of(interaction(), verdict(None), table()) is None


def test_a_turn_was_stopped_if_something_was_found_in_it():
    assert turn_of(interaction(), verdict(found=True), table()).stopped
    # Something that was stopped earlier is redacted in every later turn: those are not odd for it.
    assert not turn_of(interaction(), verdict(effect=Effect.REDACT), table()).stopped


def test_long_texts_are_cut_to_their_end():
    turn = turn_of(interaction("x" * 100_000), verdict(), table())
    assert len(turn.text) == turns.MAX_CHARS
    assert turn.text.endswith("a result")
    assert turn.elements < 5_000


@pytest.mark.parametrize(
    ("scope", "name"), [("session", session_of("mallory", "s")), ("principal", "mallory")]
)
def test_a_signal_becomes_an_alarm_and_contains_what_is_configured(world, scope, name):
    made = world(containment={"scope": scope})
    made.watching.start()
    for _ in range(8):
        made.say()
    until(lambda: made.kept.alarms)
    (told,) = made.kept.alarms
    assert (told.cause, told.principals, told.system) == (Cause.TENANT_CHANGE, ("mallory",), "chat")
    assert made.contained() == [name]
    guest = made.watching.guest(Principal("mallory", "header", "s"), {}, "bz-9")
    other = made.watching.guest(Principal("mallory", "header", "t"), {}, "bz-9")
    assert guest._containing.impose(name) is not None
    assert (name in guest._names, name in other._names) == (True, scope == "principal")
    assert 'bartizan_alarms_total{cause="tenant change or attack",system="chat"} 1.0' in str(
        made.metrics.exposition()
    )
    assert made.watching.release("mallory")
    assert made.contained() == []
    assert not made.watching.release("mallory")


def test_without_a_measure_nobody_is_contained(world):
    made = world(containment={"turns": "none"})
    made.watching.start()
    for _ in range(8):
        made.say()
    until(lambda: made.kept.alarms)
    assert made.contained() == []


def test_a_principal_without_sessions_is_contained_itself(world):
    made = world()
    made.watching.start()
    for _ in range(8):
        made.say(session="")
    until(lambda: made.contained())
    assert made.contained() == ["mallory"]
    assert made.watching.guest(Principal("mallory", "header"), {}, "bz-1")._names == ("mallory",)


def test_what_is_watched_and_promised_is_said(world):
    made = world()
    assert (made.watching.status().baseline, made.watching.status().refused) == ("", NO_TURN)
    assert made.watching.check() == "ok"
    made.watching.start()
    made.say()
    until(lambda: made.watching.status().events == 1)
    status = made.watching.status()
    assert (status.baseline, status.refused, status.enforcing) == ("d1", "", True)
    assert "1 in 1,000 benign sessions" in status.promise
    assert "10 signals per million turns" in status.promise
    made.watching.judged(interaction(), verdict(), table("generic"))
    status = made.watching.status()
    assert (status.promise, status.refused) == ("", GENERIC)
    made.say(None)
    assert made.watching.status().unfit == 1


def test_turns_that_find_no_room_are_counted(world):
    made = world(turns={"queue": 2})
    for _ in range(5):
        made.say()
    assert made.watching.status().dropped == 3
    assert "3 turns were not watched" in made.watching.check()
    assert 'bartizan_monitor_dropped_total{reason="queue full",system="chat"} 3.0' in str(
        made.metrics.exposition()
    )


def test_an_alarm_that_the_ledger_does_not_take_still_contains(world):
    made = world()
    made.kept.full = True
    made.watching.start()
    for _ in range(8):
        made.say()
    until(lambda: made.contained())
    assert "1 alarms are not in the ledger" in made.watching.check()


def test_a_watch_that_dies_or_cannot_save_is_said(world, monkeypatch):
    made = world(turns={"snapshot_s": 0.01})

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(turns, "save_monitor", full)
    made.watching.start()
    made.say()
    until(lambda: "No space left" in made.watching.check())
    monkeypatch.setattr(made.watching._watch, "observe", lambda _: 1 / 0)
    made.say()
    until(lambda: "not watched any more: ZeroDivisionError" in made.watching.check())
    made.say()
    assert made.watching.status().dropped == 1


def test_state_that_cannot_be_used_is_said(world, tmp_path):
    from bartizan.gateway.keeping import save_monitor

    save_monitor(tmp_path / "watch" / "chat.turns", "turns", b"nothing like it")
    made = world()
    made.watching.start()
    assert "watched afresh" in made.watching.check()


def test_what_waits_at_the_end_is_watched_and_kept(tmp_path):
    one = World(tmp_path)
    one.watching.start()
    for _ in range(3):
        one.say()
    one.watching.close()
    assert one.watching.status().events == 3
    two = World(tmp_path)
    two._rng = np.random.default_rng(1)
    two.watching.start()
    for _ in range(3):
        two.say()
    until(lambda: two.kept.alarms)
    two.watching.close()
    three = World(tmp_path)
    assert three.contained() == [session_of("mallory", "s")]
    three.watching.close()


def test_watching_never_makes_a_request_wait(world):
    made = world()
    began = time.perf_counter()
    for _ in range(1_000):
        made.say()
    assert time.perf_counter() - began < 2.0
