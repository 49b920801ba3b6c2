from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bartizan import registry
from bartizan.assembly import build_pipeline
from bartizan.config import from_mapping
from bartizan.errors import LedgerError
from bartizan.gateway.exchange import Context
from bartizan.gateway.identify import Identifier
from bartizan.gateway.metrics import Metrics
from bartizan.gateway.plane import DataPlane
from bartizan.gateway.recording import Recorder
from bartizan.gateway.served import Served, prefixes
from bartizan.gateway.upstream import UpstreamError
from bartizan.types import Record

CHAT = "/v1/chat/completions"
INFER = "/v2/models/m/infer"
GOOD = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello"}]}).encode()
ANSWER = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]}).encode()


@dataclass
class Answer:
    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(
        default_factory=lambda: [(b"content-type", b"application/json")]
    )
    body: tuple[bytes, ...] = (ANSWER,)
    fails: str = ""

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self.body:
            yield piece
        if self.fails:
            raise UpstreamError(self.fails)


@dataclass
class Upstream:
    answer: Answer = field(default_factory=Answer)
    asked: list[tuple[str, str]] = field(default_factory=list)
    unreachable: bool = False
    hold: asyncio.Event | None = None

    @contextlib.asynccontextmanager
    async def send(self, method: str, path: str, headers: Any, body: bytes) -> AsyncIterator[Answer]:
        self.asked.append((method, path))
        if self.hold is not None:
            await self.hold.wait()
        if self.unreachable:
            raise UpstreamError("unreachable")
        yield self.answer

    async def close(self) -> None: ...


@dataclass
class Ledger:
    records: list[Record] = field(default_factory=list)
    full: bool = False

    def append(self, record: Record) -> None:
        if self.full:
            raise LedgerError("full")
        self.records.append(record)


@dataclass
class Heard:
    status: int
    headers: dict[bytes, bytes]
    body: bytes
    complete: bool


@dataclass
class House:
    plane: DataPlane
    upstream: Upstream
    ledger: Ledger

    async def ask(
        self, path: str, method: str = "POST", body: bytes = GOOD, headers: Any = (), leaves: bool = False
    ) -> Heard:
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        heard = Heard(0, {}, b"", complete=False)

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            if not leaves:
                await asyncio.sleep(60)
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                assert heard.status == 0, "a second answer began"
                heard.status, heard.headers = message["status"], dict(message["headers"])
            else:
                heard.body += message["body"]
                heard.complete = not message["more_body"]

        raw, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": raw,
            "raw_path": raw.encode(),
            "query_string": query.encode(),
            "headers": list(headers),
            "client": ("192.0.2.7", 1),
            "http_version": "1.1",
        }
        await self.plane(scope, receive, send)
        return heard


def house(tmp_path: Path, *systems: dict[str, Any], refuse_unrecorded: bool = False, **limits: Any) -> House:
    given = systems or ({"name": "talk", "kind": "chat"},)
    config = from_mapping(
        {
            "store": {"path": str(tmp_path)},
            "limits": limits,
            "systems": [{"upstream": {"url": "http://example.test"}, **s} for s in given],
        },
        base=tmp_path,
    )
    upstream, ledger = Upstream(), Ledger()
    served = [
        Served(
            config=s,
            prefix=prefixes(config.systems)[s.name],
            pipeline=build_pipeline(config, s),
            protocols=registry.protocols_for(s.kind),
            upstream=upstream,
            identifier=Identifier(s.identity, b"k" * 32),
            token=None,
        )
        for s in config.systems
    ]
    ids = iter(f"bz-{i}" for i in range(1000))
    context = Context(
        recorder=Recorder(ledger),
        metrics=Metrics(),
        limits=config.limits,
        learned=ThreadPoolExecutor(1),
        clock=lambda: 1_700_000_000.0,
        new_id=lambda: next(ids),
        keep_content=False,
    )
    return House(DataPlane(context, served, refuse_unrecorded=refuse_unrecorded), upstream, ledger)


PASSING = {"name": "talk", "kind": "chat", "passthrough": ["/v1/files"]}


# Finding the system


def test_an_exchange_is_judged_forwarded_and_recorded(tmp_path: Path) -> None:
    made = house(tmp_path)
    heard = asyncio.run(made.ask(CHAT + "?a=%20b"))
    assert (heard.status, heard.body, heard.complete) == (200, ANSWER, True)
    assert made.upstream.asked == [("POST", CHAT + "?a=%20b")]
    (record,) = made.ledger.records
    assert (record.system, record.protocol, record.status, len(record.steps)) == (
        "talk",
        "openai-chat",
        200,
        2,
    )
    assert made.plane.in_flight == 0


def test_the_only_system_of_its_kind_needs_no_prefix(tmp_path: Path) -> None:
    made = house(tmp_path, {"name": "talk", "kind": "chat"}, {"name": "fraud", "kind": "predict"})
    assert asyncio.run(made.ask(CHAT)).status == 200
    assert asyncio.run(made.ask("/talk" + CHAT)).status == 200
    assert asyncio.run(made.ask("/v2/health/live", "GET", b"")).status == 200
    assert asyncio.run(made.ask("/fraud" + CHAT)).status == 404
    assert [p for _, p in made.upstream.asked] == [CHAT, CHAT, "/v2/health/live"]


def test_two_of_a_kind_are_told_apart_by_name(tmp_path: Path) -> None:
    made = house(tmp_path, {"name": "one", "kind": "chat"}, {"name": "two", "kind": "chat"})
    nowhere = asyncio.run(made.ask(CHAT))
    assert nowhere.status == 404
    assert b"/one (chat), /two (chat)" in nowhere.body
    assert asyncio.run(made.ask("/two" + CHAT)).status == 200
    assert made.ledger.records[-1].system == "two"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files/../chat/completions",
        "/v1/files/%2e%2e/chat/completions",
        "/v1/files/%2E./chat/completions",
        "/v1/files/..%2fchat%2fcompletions",
        "/v1/files/a%5c..%5c..%5cchat/completions",
        "/v1/files//chat",
        "/v1/files/%252e%252e/chat/completions",
        "/v1/files/a;b",
        "/v1/files/a%00",
        "/v1/%66iles/a",
        "/v1/chat/%2563ompletions",
    ],
)
def test_no_path_leads_out_of_what_may_pass(tmp_path: Path, path: str) -> None:
    made = house(tmp_path, PASSING)
    heard = asyncio.run(made.ask(path))
    assert heard.status == 404
    assert json.loads(heard.body)["error"]["code"] == "unknown_path"
    assert made.upstream.asked == []
    assert made.ledger.records == []


@pytest.mark.parametrize(
    "path", ["/v1/files", "/v1/files/", "/v1/files/a%20b?x=../y", "/v1/files/a.b/content"]
)
def test_what_may_pass_passes_as_it_is_and_is_recorded_as_unjudged(tmp_path: Path, path: str) -> None:
    made = house(tmp_path, PASSING)
    made.upstream.answer = Answer(201, [(b"content-type", b"text/plain")], (b"a", b"b"))
    heard = asyncio.run(made.ask(path, "PUT", b"\x00\xff"))
    assert (heard.status, heard.body, heard.complete) == (201, b"ab", True)
    assert made.upstream.asked == [("PUT", path)]
    (record,) = made.ledger.records
    assert (record.protocol, record.rule, record.status, record.steps) == ("passthrough", "unjudged", 201, ())
    assert record.principal.id == "192.0.2.7"


# When passing goes wrong


@pytest.mark.parametrize("reason", ["timeout", "unreachable"])
def test_a_passage_to_nobody(tmp_path: Path, reason: str) -> None:
    made = house(tmp_path, PASSING)
    made.upstream.unreachable = reason == "unreachable"
    made.upstream.answer = Answer(fails="timeout", body=())
    heard = asyncio.run(made.ask("/v1/files"))
    if reason == "unreachable":
        assert (heard.status, heard.complete) == (502, True)
        assert heard.headers[b"content-length"] == str(len(heard.body)).encode()
    else:
        assert (heard.status, heard.complete) == (200, False)  # it had begun
    assert reason in made.ledger.records[0].note


def test_a_passage_that_breaks_off_is_left_unfinished(tmp_path: Path) -> None:
    made = house(tmp_path, PASSING)
    made.upstream.answer = Answer(body=(b"half",), fails="broken")
    heard = asyncio.run(made.ask("/v1/files"))
    assert (heard.status, heard.body, heard.complete) == (200, b"half", False)
    assert made.plane.in_flight == 0
    assert "broken" in made.ledger.records[0].note


def test_a_passage_with_headers_that_contradict_each_other(tmp_path: Path) -> None:
    made = house(tmp_path, PASSING)
    twice = [(b"authorization", b"a"), (b"authorization", b"b")]
    heard = asyncio.run(made.ask("/v1/files", headers=twice))
    assert heard.status == 400
    assert made.upstream.asked == []
    assert made.ledger.records[0].status == 400


def test_a_passage_whose_client_leaves_ends(tmp_path: Path) -> None:
    async def run() -> None:
        made = house(tmp_path, PASSING)
        made.upstream.hold = asyncio.Event()
        heard = await asyncio.wait_for(made.ask("/v1/files", leaves=True), 5)
        assert heard.status == 0
        assert made.plane.in_flight == 0
        assert made.ledger.records[0].status == 499

    asyncio.run(run())


# Too much, and stopping


def test_more_than_the_limit_is_told_to_come_back(tmp_path: Path) -> None:
    async def run() -> None:
        made = house(tmp_path, in_flight=2)
        made.upstream.hold = asyncio.Event()
        busy = [asyncio.ensure_future(made.ask(CHAT)) for _ in range(2)]
        await asyncio.sleep(0.01)
        heard = await made.ask(CHAT)
        assert (heard.status, heard.headers[b"retry-after"]) == (503, b"1")
        assert json.loads(heard.body)["error"]["code"] == "overloaded"
        assert heard.headers[b"content-length"] == str(len(heard.body)).encode()
        made.upstream.hold.set()
        assert [h.status for h in await asyncio.gather(*busy)] == [200, 200]
        assert (await made.ask(CHAT)).status == 200

    asyncio.run(run())


def test_draining_waits_for_what_runs_and_takes_nothing_new(tmp_path: Path) -> None:
    async def run() -> None:
        made = house(tmp_path)
        assert await made.plane.drain(1)
        made.plane.draining = False
        made.upstream.hold = asyncio.Event()
        busy = asyncio.ensure_future(made.ask(CHAT))
        await asyncio.sleep(0.01)
        assert not await made.plane.drain(0.02)
        waiting = asyncio.ensure_future(made.plane.drain(5))
        await asyncio.sleep(0.01)
        heard = await made.ask(CHAT)
        assert json.loads(heard.body)["error"]["code"] == "draining"
        made.upstream.hold.set()
        assert (await busy).status == 200
        assert await waiting

    asyncio.run(run())


def test_refusing_while_nothing_can_be_recorded_ends_when_it_can(tmp_path: Path) -> None:
    made = house(tmp_path, refuse_unrecorded=True)
    made.ledger.full = True
    assert asyncio.run(made.ask(CHAT)).status == 200  # nobody knew yet
    for _ in range(3):
        heard = asyncio.run(made.ask(CHAT))
        assert (heard.status, json.loads(heard.body)["error"]["code"]) == (503, "unrecorded")
    made.ledger.full = False
    assert asyncio.run(made.ask(CHAT)).status == 503
    assert asyncio.run(made.ask(CHAT)).status == 200
    refused, served = made.ledger.records
    assert (refused.status, refused.note) == (503, "refused: nothing could be recorded")
    assert served.status == 200


def test_other_traffic_than_http_is_ignored(tmp_path: Path) -> None:
    made = house(tmp_path)

    async def never(*_: Any) -> Any:
        raise AssertionError("not to be called")

    asyncio.run(made.plane({"type": "websocket"}, never, never))
