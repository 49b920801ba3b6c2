"""A watched system: exchanges to the monitor, alarms to the ledger and to containment, and back on the wire."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from tests.unit.gateway.test_plane import INFER, House, Ledger, Upstream
from tests.unit.gateway.test_plane import Answer as WireAnswer

from bartizan import registry
from bartizan.alarms import Alarm, Answer, Cause, Events, Ground, StreamShare
from bartizan.assembly import build_pipeline, containment_of
from bartizan.config import from_mapping
from bartizan.errors import CalibrationError, ConfigError, LedgerError, ProtocolError
from bartizan.gateway import containment
from bartizan.gateway.baselines import load_baseline, watched_of
from bartizan.gateway.body import with_length
from bartizan.gateway.containment import Containing
from bartizan.gateway.exchange import Context
from bartizan.gateway.identify import Identifier
from bartizan.gateway.keeping import load_monitor, save_monitor
from bartizan.gateway.metrics import Metrics
from bartizan.gateway.plane import DataPlane
from bartizan.gateway.recording import Recorder
from bartizan.gateway.served import Served
from bartizan.gateway.watcher import Watched
from bartizan.gateway.watching import Watching, watching_of
from bartizan.monitoring.learning import learn
from bartizan.monitoring.stored import encode
from bartizan.monitoring.streams import learn_stream
from bartizan.policy.containment import EVERYBODY, Imposed, Measure
from bartizan.protocols.open_inference import OpenInference
from bartizan.types import Effect, Mode

NOW = 1_700_000_000.0
KEY = b"k" * 32


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


class Kept:
    """Stands in for the store."""

    def __init__(self) -> None:
        self.alarms: list[Alarm] = []
        self.points: list[Any] = []
        self.full = False

    def append_alarm(self, alarm: Alarm) -> None:
        if self.full:
            raise LedgerError("full")
        self.alarms.append(alarm)

    def add_points(self, points: list[Any]) -> None:
        self.points += points


class Monitor:
    """Says what it is told to say."""

    def __init__(self) -> None:
        self.fed: list[Events] = []
        self.says: list[Alarm] = []
        self.fails: Exception | None = None
        self.told: list[Ground | None] = []
        self.restored = b""

    def feed(self, events: Events) -> list[Alarm]:
        if self.fails is not None:
            raise self.fails
        self.fed.append(events)
        said, self.says = self.says, []
        return said

    def evidence(self) -> dict[str, float]:
        return {"input.a": 7.0}

    def canaries(self, ground: Ground | None) -> None:
        self.told.append(ground)

    def snapshot(self) -> bytes:
        return b"seen %d" % sum(map(len, self.fed))

    def restore(self, data: bytes) -> None:
        if data == b"broken":
            raise CalibrationError("not a state")
        self.restored = data


def alarm(id: str = "al-1", cause: Cause = Cause.ATTACK, principals: tuple[str, ...] = ("mallory",)) -> Alarm:
    grounds = (Ground("search", Answer.YES, 0.001, "Somebody searches."),)
    shares = (StreamShare("input.a", 1.0, "higher"),)
    return Alarm(id, "digits", NOW, 10, cause, NOW - 5, 5, shares, principals, grounds, 14.0, 0.001, "", "")


def settings(tmp_path: Path, **system: Any):
    fields = {
        "name": "digits",
        "kind": "predict",
        "upstream": {"url": "http://example.test"},
        "identity": {"header": "x-user"},
        "containment": {"delay_queries": [0, 0], "delay_s": [0, 0], **system.pop("containment", {})},
    }
    return from_mapping({"store": {"path": str(tmp_path)}, "systems": [fields | system]}, base=tmp_path)


class World:
    """One watched system with everything around it."""

    def __init__(self, tmp_path: Path, *, mode: Mode = Mode.ENFORCE, monitor: bool = True, **system: Any):
        # The pipeline only enforces when calibrated; containment is what is looked at here.
        config = settings(tmp_path, **system)
        given = config.systems[0]
        self.clock, self.kept, self.metrics = Clock(), Kept(), Metrics()
        self.slept: list[float] = []

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        self.containing = Containing(containment_of(given), mode, KEY, self.clock, sleep)
        self.monitor = Monitor()
        rng = np.random.default_rng(0)
        streams = (learn_stream("input.a", rng.normal(size=1000), 1e-3, rng),)
        watched = Watched(self.monitor, streams, 1e4, "d1", "a promise", "") if monitor else None
        self.watching = Watching(
            given,
            self.containing,
            self.kept,
            self.metrics,
            self.clock,
            tmp_path / "watch" / "digits",
            watched,
        )
        self.ledger, self.upstream = Ledger(), Upstream(WireAnswer(body=(ANSWER,)))
        served = Served(
            config=given,
            prefix="",
            pipeline=build_pipeline(config, given),
            protocols=registry.protocols_for("predict"),
            upstream=self.upstream,
            identifier=Identifier(given.identity, KEY),
            token=None,
            watching=self.watching,
        )
        ids = iter(f"bz-{i}" for i in range(10_000))
        context = Context(
            recorder=Recorder(self.ledger),
            metrics=self.metrics,
            limits=config.limits,
            learned=ThreadPoolExecutor(1),
            clock=self.clock,
            new_id=lambda: next(ids),
            keep_content=False,
        )
        self.house = House(DataPlane(context, [served]), self.upstream, self.ledger)

    def ask(self, who: str = "mallory", body: bytes | None = None, **headers: str):
        sent = [
            (b"x-user", who.encode()),
            *((k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()),
        ]
        return asyncio.run(self.house.ask(INFER, body=ASKED if body is None else body, headers=sent))

    @property
    def record(self):
        return self.ledger.records[-1]

    def stopped_headers(self, code: str, words: str) -> dict[bytes, bytes]:
        """Return the headers of the answer to any request that is stopped for what it says."""
        name = self.record.id
        reply = OpenInference().error(400, code, f"{words}; record {name}", record_id=name)
        return dict(with_length(reply))

    def metric(self, line: str) -> bool:
        return line in self.metrics.exposition().decode()


ASKED = json.dumps(
    {"inputs": [{"name": "a", "datatype": "FP32", "shape": [2, 1], "data": [0.5, 1.5]}]}
).encode()
ANSWER = json.dumps(
    {
        "outputs": [
            {"name": "p", "datatype": "FP32", "shape": [2, 2], "data": [0.4612, 0.5388, 0.0131, 0.9869]}
        ]
    }
).encode()


def until(condition) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


@pytest.fixture
def world(tmp_path):
    made: list[World] = []

    def make(**changes: Any) -> World:
        made.append(World(tmp_path, **changes))
        return made[-1]

    yield make
    for each in made:
        each.watching.close()


# Containment on the wire


def test_nobody_is_contained_without_an_alarm(world):
    made = world()
    heard = made.ask()
    assert (heard.status, heard.body) == (200, ANSWER)
    assert made.record.rule != "contained"
    assert made.record.note == ""
    assert len(made.record.steps) == 1


@pytest.mark.parametrize("measure", ["hold", "block"])
def test_a_stopped_principal_gets_what_any_stopped_request_gets(world, measure):
    made = world(containment={"attack": measure})
    made.watching.on_alarm(alarm())
    heard = made.ask()
    assert heard.status == 400
    code, words = (
        ("held_for_review", "held for review by policy")
        if measure == "hold"
        else (
            "content_filter",
            "stopped by policy",
        )
    )
    assert json.loads(heard.body) == {"error": f"{words}; record {made.record.id}"}
    assert heard.headers == made.stopped_headers(code, words)
    assert made.upstream.asked == []
    record = made.record
    assert record.rule == "contained"
    assert record.effect is record.enforced is Effect[measure.upper()]
    assert record.note == f"contained after alarm al-1: {'held' if measure == 'hold' else 'blocked'}"
    assert record.steps[0].verdict.coverage.unjudged[0].why == "its principal is contained"
    assert record.steps[0].parts[0].digest
    assert made.ask("alice").status == 200


def test_the_answer_to_a_stopped_principal_takes_as_long_as_others_do(world):
    made = world()
    made.ask("alice")
    made.watching.on_alarm(alarm())
    made.ask()
    assert len(made.slept) == 1
    assert 0 < made.slept[0] < 5


def test_a_flood_of_stopped_queries_does_not_wait(world, monkeypatch):
    monkeypatch.setattr(containment, "MAX_PACED", 2)
    made = world()
    made.containing.took(1.0)
    held = Imposed(Measure.HOLD, "al-1")
    waiting, most, late = 0, 0, asyncio.Event()

    async def sleep(_: float) -> None:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        await late.wait()
        waiting -= 1

    async def flood() -> None:
        monkeypatch.setattr(made.containing, "_sleep", sleep)
        tasks = [asyncio.ensure_future(made.containing.wait(held, f"bz-{i}")) for i in range(10)]
        await asyncio.sleep(0.01)
        assert sum(task.done() for task in tasks) == 8
        late.set()
        await asyncio.gather(*tasks)
        await made.containing.wait(held, "bz-11")

    asyncio.run(flood())
    assert (most, waiting) == (2, 0)


def test_a_degraded_answer_keeps_its_form(world):
    made = world(containment={"attack": "degrade"})
    made.watching.on_alarm(alarm())
    heard = made.ask()
    assert heard.status == 200
    (tensor,) = json.loads(heard.body)["outputs"]
    assert tensor["data"] == [0.4, 0.5, 0.0, 0.9]
    assert heard.headers[b"content-length"] == str(len(heard.body)).encode()
    assert (made.record.rule, made.record.effect) == ("contained", Effect.REDACT)
    assert made.record.note == "contained after alarm al-1: answered with fewer digits"
    assert json.loads(made.ask("alice").body) == json.loads(ANSWER)


def test_what_cannot_be_given_with_fewer_digits_is_held(world, monkeypatch):
    made = world(containment={"attack": "degrade"})
    made.watching.on_alarm(alarm())

    def refuse(*_, **__):
        raise ProtocolError("too long", code="not_rewritable")

    monkeypatch.setattr(OpenInference, "coarsen", refuse)
    heard = made.ask()
    assert heard.status == 400
    assert b"held for review by policy" in heard.body
    assert made.record.note.endswith("held")


def test_a_protocol_that_has_no_coarser_answers_gives_none(world):
    assert world().containing.coarsened(object(), ANSWER, {}) is None


def test_a_throttled_principal_waits(world):
    limits = {"throttle_burst": 2, "throttle_wait_s": 2.5, "throttle_per_s": 2}
    made = world(containment={"attack": "throttle", **limits})
    made.watching.on_alarm(alarm())
    statuses = [made.ask().status for _ in range(4)]  # two rows each
    assert statuses == [200, 200, 200, 400]
    assert made.slept[:2] == [1.0, 2.0]
    notes = [r.note for r in made.ledger.records]
    assert notes[1] == "contained after alarm al-1: delayed 1.00 s"
    assert notes[3] == "contained after alarm al-1: held"
    assert {r.rule for r in made.ledger.records} == {"contained"}


@pytest.mark.parametrize("measure", ["throttle", "degrade", "hold", "block"])
def test_under_observe_it_is_recorded_and_not_done(world, measure):
    made = world(mode=Mode.OBSERVE, containment={"attack": measure, "throttle_burst": 1})
    made.watching.on_alarm(alarm())
    for _ in range(3):
        heard = made.ask()
        assert (heard.status, heard.body) == (200, ANSWER)
    assert made.slept == []
    assert made.record.rule == "contained"
    assert made.record.enforced is Effect.ALLOW
    assert "would be" in made.record.note


def test_release_and_the_measure_before_it_starts(world):
    made = world(containment={"delay_queries": [4, 4], "delay_s": [1000, 1000]})
    made.watching.on_alarm(alarm())
    assert [made.ask().status for _ in range(4)] == [200, 200, 400, 400]
    assert "contained" not in made.ledger.records[1].note
    assert made.watching.release("mallory")
    assert made.ask().status == 200
    assert not made.watching.release("mallory")


def test_a_changed_model_holds_everybody_where_that_is_configured(world):
    made = world(on_model_changed="hold")
    made.watching.on_alarm(alarm(cause=Cause.MODEL_CHANGED, principals=()))
    assert made.ask("alice").status == 400
    assert made.watching.release(EVERYBODY)
    assert made.ask("alice").status == 200


def test_a_changed_model_is_only_told_by_default(world):
    made = world()
    made.watching.on_alarm(alarm(cause=Cause.MODEL_CHANGED, principals=()))
    assert made.ask("alice").status == 200
    assert len(made.kept.alarms) == 1


# To the monitor


def test_judged_exchanges_reach_the_monitor(world):
    made = world(
        monitoring={
            "trusted_principals": ["batch"],
            "group_headers": {"network": "x-asn"},
            "snapshot_s": 3600,
        }
    )
    made.watching.start()
    made.ask("alice", x_asn="as1")
    made.ask("batch")
    until(lambda: sum(map(len, made.monitor.fed)) == 4)
    events = made.monitor.fed
    assert [p for e in events for p in e.principals] == ["alice", "alice", "batch", "batch"]
    assert [t for e in events for t in e.trusted] == [False, False, True, True]
    assert events[0].outputs.shape[1] == 2
    assert [g for e in events for g in e.groups["network"]] == ["as1", "as1", "", ""]
    status = made.watching.status()
    assert (status.baseline, status.promise, status.events) == ("d1", "a promise", 4)
    assert [(s.name, round(s.log_evidence, 3)) for s in status.streams] == [("input.a", 1.946)]


def test_trusted_traffic_is_marked_by_a_secret_that_goes_no_further(world, monkeypatch):
    monkeypatch.setenv("MARK", "the-secret")
    made = world(monitoring={"trusted_header": "X-Trusted", "trusted_token_env": "MARK"})
    seen: list[dict[str, str]] = []
    send = made.upstream.send
    made.upstream.send = lambda m, p, headers, body: (seen.append(dict(headers)), send(m, p, headers, body))[
        1
    ]
    made.watching.start()
    made.ask("a", x_trusted="the-secret")
    made.ask("b", x_trusted="1")
    made.ask("c")
    until(lambda: sum(map(len, made.monitor.fed)) == 6)
    assert [bool(t) for e in made.monitor.fed for t in e.trusted[::2]] == [True, False, False]
    assert all("x-trusted" not in headers for headers in seen)


def test_what_the_monitor_does_not_see_is_counted_and_said(world):
    made = world(monitoring={"queue": 1})
    for _ in range(3):
        made.ask("alice")
    assert made.watching.status().dropped == 2
    assert "2 exchanges were not watched: the queue was full" in made.watching.check()
    assert made.metric('bartizan_monitor_dropped_total{reason="queue full",system="digits"} 2.0')
    two = [
        {"name": "a", "datatype": "FP32", "shape": [2, 1], "data": [0.5, 1.5]},
        {"name": "b", "datatype": "FP32", "shape": [1, 1], "data": [0.5]},
    ]
    made.ask("alice", body=json.dumps({"inputs": two}).encode())
    assert made.watching.status().unfit == 1
    assert "several batch sizes" in made.watching.check()


def test_events_that_do_not_fit_and_a_broken_monitor_stop_nothing(world):
    made = world()
    made.watching.start()
    made.monitor.fails = CalibrationError("the stream lacks input.z")
    assert made.ask("alice").status == 200
    until(lambda: made.watching.status().unfit == 2)
    assert made.watching.status().why_unfit == "the stream lacks input.z"
    made.monitor.fails = ZeroDivisionError()
    assert made.ask("alice").status == 200
    until(lambda: made.watching.status().unfit == 4)
    assert made.watching.status().why_unfit == "the monitor failed: ZeroDivisionError"
    made.monitor.fails = None
    made.ask("alice")
    until(lambda: made.watching.status().events == 2)


def test_a_watcher_that_dies_or_cannot_save_is_said(world, monkeypatch):
    made = world(monitoring={"snapshot_s": 0.01})
    monkeypatch.setattr(made.monitor, "snapshot", lambda: 1 / 0)
    made.watching.start()
    until(lambda: "can't be saved: ZeroDivisionError" in made.watching.check())
    monkeypatch.setattr(made.monitor, "evidence", lambda: 1 / 0)
    assert made.ask("alice").status == 200
    until(lambda: "nothing is watched any more: ZeroDivisionError" in made.watching.check())
    assert made.ask("alice").status == 200
    assert made.watching.status().dropped == 1


def test_stopped_queries_do_not_reach_the_monitor(world):
    made = world()
    made.watching.on_alarm(alarm())
    made.watching.start()
    made.ask("mallory")
    made.ask("alice")
    until(lambda: made.monitor.fed)
    assert made.monitor.fed[0].principals == ("alice", "alice")


# From the monitor


def test_alarms_are_recorded_counted_and_contain(world):
    made = world()
    made.watching.start()
    made.monitor.says = [alarm(), alarm("al-2", Cause.BENIGN_DRIFT, ("alice",))]
    made.ask("alice")
    until(lambda: len(made.kept.alarms) == 2)
    until(lambda: made.watching.status().contained)
    (contained,) = made.watching.status().contained
    assert (contained.principal, contained.pending, contained.cause) == ("mallory", "hold", "attack")
    assert made.metric('bartizan_alarms_total{cause="attack",system="digits"} 1.0')
    assert made.metric('bartizan_contained_principals{system="digits"} 1.0')
    assert made.ask("mallory").status == 400
    made.watching.close()
    points = {p.stream: p for p in made.kept.points}
    assert set(points) == {"input.a", "all streams"}
    assert points["all streams"].highest == 14.0


def test_an_alarm_that_the_ledger_does_not_take_still_contains(world):
    made = world()
    made.kept.full = True
    made.watching.on_alarm(alarm())
    assert made.ask().status == 400
    assert "1 alarms are not in the ledger" in made.watching.check()


def test_the_monitor_is_told_about_canaries(world):
    made = world()
    made.watching.start()
    ground = Ground("canary", Answer.YES, 1e-6, "It moved.")
    made.watching.canaries(ground)
    made.ask("alice")
    until(lambda: made.monitor.fed)
    assert made.monitor.told[-1] == ground


# Over a restart


def test_state_survives_a_restart(world):
    first = world()
    first.watching.start()
    first.watching.on_alarm(alarm())
    first.ask("alice")
    first.watching.close()
    second = world()
    second.watching.start()
    assert second.monitor.restored == b"seen 2"
    assert [c.principal for c in second.watching.status().contained] == ["mallory"]
    assert second.ask("mallory").status == 400


def test_who_is_contained_is_kept_at_once(world):
    first = world()
    first.watching.on_alarm(alarm())
    assert [c.principal for c in world().watching.status().contained] == ["mallory"]
    first.watching.release("mallory")
    assert world().watching.status().contained == ()


def test_a_state_that_cannot_be_used_is_said(world, tmp_path):
    save_monitor(tmp_path / "watch" / "digits.monitor", "d1", b"broken")
    made = world()
    made.watching.start()
    assert "starts anew" in made.watching.check()


def test_without_a_baseline_only_containment_works(world):
    made = world(monitor=False)
    made.watching.start()
    assert made.ask("alice").status == 200
    status = made.watching.status()
    assert (status.baseline, status.streams, status.dropped, status.unfit) == ("", (), 0, 0)
    assert made.watching.check() == "ok"


# Putting together


@pytest.fixture(scope="module")
def baseline():
    rng = np.random.default_rng(0)
    n = 600
    outputs = rng.dirichlet((2.0, 2.0), size=n)
    events = Events(np.arange(n) + NOW - n, {"a": rng.normal(size=n)}, outputs)
    return learn(events, name="calm", created=NOW, rng=rng)


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_real_monitor_is_made_of_a_saved_baseline(tmp_path, baseline, wrapped):
    data = encode(baseline)
    path = tmp_path / "calm.baseline"
    path.write_bytes(
        msgspec.msgpack.encode({"format": "x", "schema": {}, "baseline": data}) if wrapped else data
    )
    assert load_baseline(path)[0].digest == baseline.digest
    config = settings(tmp_path, monitoring={"baseline": "calm.baseline"})
    made = watching_of(config.systems[0], KEY, Kept(), Metrics(), Clock(), tmp_path)
    made.start()
    made.close()
    status = made.status()
    assert status.baseline == baseline.digest
    assert [s.name for s in status.streams][:1] == ["input.a"]
    again = watched_of(config.systems[0], KEY, tmp_path, Clock())
    assert again.threshold == pytest.approx(baseline.threshold)
    kept, why = load_monitor(tmp_path / "watch" / "digits.monitor", baseline.digest)
    assert why == ""
    again.monitor.restore(kept)


@pytest.mark.parametrize("content", [None, b"nonsense", b"\x80"])
def test_a_baseline_that_cannot_be_read_stops_start_up(tmp_path, content):
    if content is not None:
        (tmp_path / "b").write_bytes(content)
    config = settings(tmp_path, monitoring={"baseline": "b"})
    with pytest.raises(ConfigError) as caught:
        watched_of(config.systems[0], KEY, tmp_path, Clock())
    assert caught.value.hint


@pytest.mark.parametrize(
    "wrong",
    [
        {"monitoring": {"trusted_header": "x-trusted"}},
        {"kind": "chat", "monitoring": {"trusted_principals": ["a"]}},
        {"containment": {"delay_queries": [9, 3]}},
        {"containment": {"delay_s": [-1, 3]}},
        {"containment": {"attack": "shout"}},
        {"containment": {"tenant_change": "block"}},
        {"on_model_changed": "block"},
    ],
)
def test_configuration_that_makes_no_sense_is_refused(tmp_path, wrong):
    with pytest.raises(ConfigError):
        settings(tmp_path, **wrong)


def test_the_defaults_hold_attackers_and_nobody_else(tmp_path):
    fields = {"name": "digits", "kind": "predict", "upstream": {"url": "http://example.test"}}
    policy = containment_of(from_mapping({"systems": [fields]}, base=tmp_path).systems[0])
    assert (policy.attack, policy.tenant_change, policy.model_changed) == (
        Measure.HOLD,
        Measure.NONE,
        Measure.NONE,
    )
    assert policy.delay_queries[1] > policy.delay_queries[0] > 0
    assert (
        watching_of(
            from_mapping(
                {"systems": [fields | {"kind": "chat", "turns": {"watch": False}}]}, base=tmp_path
            ).systems[0],
            KEY,
            Kept(),
            Metrics(),
            Clock(),
            tmp_path,
        )
        is None
    )


def test_alarms_of_the_same_id_do_not_pile_up(world):
    made = world(containment={"duration_s": 100})
    for _ in range(3):
        made.watching.on_alarm(replace(alarm(), crossings=2))
    assert len(made.watching.status().contained) == 1
