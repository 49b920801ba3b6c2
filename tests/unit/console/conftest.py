"""A store in memory with the console's view of it, sample exchanges, and the whole admin plane."""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from bartizan.alarms import Alarm, Answer, Cause, Ground, StreamShare
from bartizan.console.routes import routes
from bartizan.errors import LedgerError
from bartizan.gateway.admin import build_admin
from bartizan.gateway.status import (
    CellStatus,
    ContainedStatus,
    DetectorStatus,
    GatewayStatus,
    SystemStatus,
    WatchStatus,
)
from bartizan.store import Bucket, Event, Proof, StoreHealth, StreamPoint
from bartizan.types import (
    Coverage,
    Effect,
    Evidence,
    Fault,
    FaultReason,
    Finding,
    Measured,
    Mode,
    Origin,
    PartKind,
    PartSummary,
    Principal,
    PValue,
    Record,
    Step,
    StepRecord,
    Unjudged,
    Verdict,
)

NOW = 1_767_323_040.0
TOKEN = "an-admin-token-for-tests"
PAYLOAD = (
    '<script>alert(1)</script>"><img src=x onerror=alert(2)> \u202egnihtemos\u200b\U000e0041 {{ 7 * 7 }}'
)


class MemoryStore:
    """What the console reads, over a list of records."""

    def __init__(self) -> None:
        self.kept: list[Record] = []
        self.told: list[Alarm] = []
        self.points: list[StreamPoint] = []
        self.p: list[float] = []
        self.sealed = True

    def events(self, query):
        found = []
        for index in range(len(self.kept) - 1, -1, -1):
            e = event_of(index, self.kept[index])
            wanted = (
                (query.system in (None, e.system))
                and (query.effect_at_least is None or e.effect >= query.effect_at_least)
                and (query.principal in (None, e.principal))
                and (query.session in (None, e.session))
                and (query.detector is None or query.detector in e.detectors)
                and (query.since is None or e.time >= query.since)
                and (query.until is None or e.time < query.until)
                and (query.before_index is None or index < query.before_index)
                and (query.after_index is None or index > query.after_index)
            )
            if wanted:
                found.append(e)
        return found[: query.limit]

    def record(self, id):
        return next((r for r in self.kept if r.id == id), None)

    def alarms(self, system=None, cause=None, principal=None, since=None, limit=50):
        last = {a.id: a for a in self.told}
        found = [
            a
            for a in reversed(last.values())
            if system in (None, a.system)
            and cause in (None, a.cause)
            and (principal is None or principal in a.principals)
            and (since is None or a.time >= since)
        ]
        return found[:limit]

    def alarm_tellings(self, id, limit=50):
        return [a for a in reversed(self.told) if a.id == id][:limit]

    def stream_points(self, system, since, until):
        return [p for p in self.points if p.system == system and since - 60 < p.minute < until]

    def traffic(self, since, until, system=None):
        counts = Counter(
            (int(r.time // 60 * 60), r.effect)
            for r in self.kept
            if since <= r.time < until and system in (None, r.system)
        )
        return [Bucket(minute, effect, n, 800.0) for (minute, effect), n in sorted(counts.items())]

    def latency(self, limit=2000):
        return [r.added_us for r in self.kept[-limit:]]

    def p_values(self, system, cell, limit):
        return self.p[:limit]

    def prove(self, id):
        if not self.sealed:
            raise LedgerError("the record is not under a checkpoint yet")
        index = next(i for i, r in enumerate([*self.kept, *self.told]) if r.id == id)
        return Proof(id, index, len(self.kept), "{}", ("ab" * 32,), "note")

    def health(self):
        n = len(self.kept)
        return StoreHealth(True, True, 0, 0, 0, 0, n, n, 4.2, "", "")


def event_of(index: int, r: Record) -> Event:
    verdicts = [s.verdict for s in r.steps]
    return Event(
        index=index,
        id=r.id,
        time=r.time,
        system=r.system,
        protocol=r.protocol,
        principal=r.principal.id,
        session=r.principal.session,
        model=r.model,
        effect=r.effect,
        enforced=r.enforced,
        rule=r.rule,
        p_value=r.p_value,
        status=r.status,
        stream=r.stream,
        added_us=r.added_us,
        upstream_us=r.upstream_us,
        faults=sum(len(v.faults) for v in verdicts),
        unjudged=sum(len(v.coverage.unjudged) for v in verdicts),
        detectors=tuple(sorted({f.detector for v in verdicts for f in v.findings})),
    )


def plain_record(id: str, *, time: float = NOW - 60, **changes) -> Record:
    verdict = Verdict(
        Effect.ALLOW,
        "none",
        Mode.ENFORCE,
        PValue(0.4, 12_000, "c0ffee"),
        0.001,
        coverage=Coverage(("/messages/0/content",)),
    )
    part = PartSummary("/messages/0/content", PartKind.TEXT, Origin.USER, "d1" * 16, 5, content="hello")
    base = Record(
        id=id,
        time=time,
        system="assistant",
        protocol="openai-chat",
        principal=Principal("key-1", "api-key", "s-1"),
        model="small",
        effect=Effect.ALLOW,
        enforced=Effect.ALLOW,
        rule="none",
        p_value=0.4,
        status=200,
        stream=False,
        added_us=900,
        upstream_us=250_000,
        steps=(StepRecord(Step.REQUEST, verdict, (part,)),),
    )
    return replace(base, **changes)


def hostile_record(id: str = "ex-hostile") -> Record:
    """Return an exchange in which everything a caller can write is an attack on the page."""
    finding = Finding(
        "text.hidden",
        9.5,
        PValue(1 / 4200, 12_000, "c0ffee"),
        "/messages/1/content",
        None,
        Evidence("bidirectional controls", spans=((0, 8), (56, 66)), columns=(PAYLOAD,)),
        Effect.BLOCK,
        ("OWASP LLM01:2025", "AML.T0051.001"),
    )
    verdict = Verdict(
        Effect.BLOCK,
        "false-alarm-rate",
        Mode.ENFORCE,
        PValue(1 / 4200, 12_000, "c0ffee"),
        0.001,
        (finding,),
        (Fault("text.secrets", FaultReason.TIMEOUT, PAYLOAD, "/messages/0/content"),),
        Coverage(
            judged=("/messages/1/content",),
            remembered=("/messages/0/content",),
            unjudged=(Unjudged("/messages/2/" + PAYLOAD, "an image"),),
        ),
        Measured("request.data", 2, {"text.hidden@data": 9.5}),
    )
    parts = (
        PartSummary(
            "/messages/1/content", PartKind.TOOL_RESULT, Origin.WEB, "d2" * 16, len(PAYLOAD), PAYLOAD, PAYLOAD
        ),
        PartSummary("/messages/3/content", PartKind.TEXT, Origin.USER, "d3" * 16, 77),
        PartSummary(
            "/inputs/0", PartKind.ROWS, Origin.USER, "d4" * 16, 2, content=[[1.0, 2.5], [PAYLOAD, 4.0]]
        ),
    )
    return plain_record(
        id,
        principal=Principal(PAYLOAD, "header", PAYLOAD),
        model=PAYLOAD,
        effect=Effect.BLOCK,
        enforced=Effect.BLOCK,
        rule="false-alarm-rate",
        p_value=1 / 4200,
        status=403,
        note=PAYLOAD,
        steps=(StepRecord(Step.REQUEST, verdict, parts),),
    )


def sample_alarm(id: str = "al-attack", **changes) -> Alarm:
    base = Alarm(
        id=id,
        system="fraud",
        time=NOW - 600,
        index=12_345,
        cause=Cause.ATTACK,
        onset=NOW - 900,
        onset_index=12_000,
        streams=(StreamShare("input.amount", 0.75, "higher"), StreamShare("output.class", 0.25, "'deny'")),
        principals=("key-1", PAYLOAD),
        grounds=(
            Ground("global", Answer.YES, 0.0, "the evidence reached 1 in 1,000,000 events"),
            Ground("local", Answer.YES, 0.01, "2 of 50 principals differ", 0.0004),
            Ground("search", Answer.NO, 0.0, PAYLOAD),
            Ground("trusted", Answer.UNKNOWN, 0.0, "there is no trusted source"),
        ),
        log_evidence=14.25,
        error=0.01,
        promise="at most 1 false alarm per 1,000,000 events is expected",
        advice="Contain the principals named here.",
    )
    return replace(base, **changes)


def sample_points() -> list[StreamPoint]:
    """Two hours of three streams; the first two rise until an alarm sets them back."""
    points = []
    for i in range(120):
        minute = int(NOW // 60) * 60 - 60 * (120 - i)
        rising = 15.0 * max(0, i - 95) / 15 if i <= 110 else 0.0
        for name, height in (("all streams", rising), ("input.amount", rising * 1.05), ("missing", 0.3)):
            points.append(StreamPoint("fraud", name, minute, height, height + 0.1, 13.8, i / 100, 50))
    return points


def sample_watch() -> WatchStatus:
    return WatchStatus(
        baseline="ba5e" * 16,
        promise="at most 1 false alarm per 1,000,000 events is expected",
        events=6000,
        queued=3,
        dropped=7,
        unfit=2,
        why_unfit="the stream lacks " + PAYLOAD,
        alarms=4,
        contained=(
            ContainedStatus("key-1", "none", "hold", "attack", "al-attack", NOW - 600, NOW + 30, None),
            ContainedStatus(PAYLOAD, "hold", "hold", "attack", "al-attack", NOW - 600, NOW - 500, NOW + 3000),
            ContainedStatus("", "hold", "hold", "model changed", "al-swap", NOW - 60, NOW - 60, None),
        ),
        let_go=1,
        enforcing=True,
    )


def sample_status() -> GatewayStatus:
    cells = (
        CellStatus(
            "request.user", 12_000, "c0ffee" * 4, "operator", 1e-3, 1e-3, 8, 9000, 8 / 9000, 4e-4, 1.75e-3
        ),
        CellStatus("request.data", 900, "c0ffee" * 4, "live", 1e-3, 5.1e-3, 0, 0, 0.0, 0.0, 1.0),
        CellStatus("response", 0, "", "none", 1e-3, 1.0, 0, 0, 0.0, 0.0, 1.0),
    )
    detectors = (
        DetectorStatus("text.hidden", "stable", True, True, 35, 210),
        DetectorStatus("text.secrets", "incubating", False, False, 0, 0, 3),
    )
    generic = CellStatus("exchange", 5000, "ab", "generic", 1e-2, 1e-2, 90, 1000, 0.09, 0.073, 0.11)
    return GatewayStatus(
        version="0.1.0",
        started_at=NOW - 90_061,
        ready=True,
        checks={"store": "ok", "calibration": "assistant: response is not calibrated"},
        systems=(
            SystemStatus(
                "assistant",
                "chat",
                Mode.ENFORCE,
                "https://llm.example.com/v1",
                ("openai-chat",),
                1e-3,
                cells,
                detectors,
            ),
            SystemStatus(
                "fraud",
                "predict",
                Mode.OBSERVE,
                "https://models.example.com",
                ("open-inference",),
                1e-2,
                (generic,),
                watch=sample_watch(),
            ),
        ),
        in_flight=2,
    )


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    store.kept = [plain_record(f"ex-{i}", time=NOW - 3000 + i) for i in range(120)]
    store.kept.append(hostile_record())
    store.points = sample_points()
    store.told = [
        sample_alarm(cause=Cause.UNDETERMINED, principals=()),
        sample_alarm("al-swap", cause=Cause.MODEL_CHANGED, streams=(), principals=(), time=NOW - 60),
        sample_alarm(crossings=3),
        sample_alarm("al-drift", cause=Cause.BENIGN_DRIFT, time=NOW - 50_000, onset_index=-1, promise=""),
    ]
    store.p = [(i + 1) / 400 for i in range(400)]
    return store


@pytest.fixture
def client(store: MemoryStore) -> TestClient:
    app = build_admin(
        store=store,
        status=sample_status,
        token=TOKEN,
        metrics=lambda: b"",
        clock=lambda: NOW,
        console=routes(store, sample_status, lambda: NOW),
    )
    return TestClient(
        app, base_url="http://localhost", headers={"authorization": f"Bearer {TOKEN}"}, follow_redirects=False
    )
