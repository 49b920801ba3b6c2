from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from bartizan.gateway.http import limited_protocol, server_options

HEAD = b"POST /x HTTP/1.1\r\nhost: a\r\n"
SLOW_S = 0.05


class Wire(asyncio.Transport):
    """What the server wrote, and whether it hung up."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Served:
    """An application that notes what it was asked and answers when it is told to."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.started = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths.append(scope["path"])
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        self.started.set()
        await self.go.wait()
        await send({"type": "http.response.body", "body": b"ok"})


async def connected(app: Served, **limits: Any) -> tuple[Any, Wire]:
    options = {"header_bytes": 400, "headers": 10, "head_timeout_s": SLOW_S, **limits}
    made: Callable[..., Any] = limited_protocol(**options)
    config = uvicorn.Config(app, loop="none", **server_options())
    protocol = made(config=config, server_state=ServerState(), app_state={})
    wire = Wire()
    protocol.connection_made(wire)
    return protocol, wire


def status_and_code(wire: Wire) -> tuple[int, str]:
    head, _, body = wire.written.partition(b"\r\n\r\n")
    assert len(re.findall(rb"HTTP/1\.1 \d", wire.written)) == 1
    named = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert int(named["content-length"]) == len(body)
    assert named["connection"] == "close"
    return int(head.split()[1]), json.loads(body)["error"]["code"]


def run(test: Callable[[], Any]) -> None:
    asyncio.run(test())


def test_a_request_within_the_limits_is_served() -> None:
    async def test() -> None:
        app = Served()
        protocol, wire = await connected(app)
        for _ in range(2):
            protocol.data_received(HEAD + b"content-length: 2\r\n\r\nhi")
            await asyncio.sleep(0.01)
        assert app.bodies == [b"hi", b"hi"]
        await asyncio.sleep(2 * SLOW_S)
        assert not wire.closed  # between requests only the time to stay connected counts

    run(test)


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"x-a: " + b"b" * 500 + b"\r\n\r\n",
        HEAD + b"".join(b"x-%d: 1\r\n" % i for i in range(12)) + b"\r\n",
        b"POST /" + b"x" * 500 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
    ],
    ids=["bytes", "lines", "address"],
)
def test_heads_that_are_too_large_are_told_so(head: bytes) -> None:
    async def test() -> None:
        for before in (b"", HEAD + b"content-length: 0\r\n\r\n"):
            app = Served()
            protocol, wire = await connected(app)
            if before:
                protocol.data_received(before)
                await asyncio.sleep(0.01)
                wire.written = b""
            protocol.data_received(head)
            assert status_and_code(wire) == (431, "headers")
            assert wire.closed
            assert len(app.paths) == bool(before)

    run(test)


def test_a_header_that_never_ends_is_cut_off() -> None:
    async def test() -> None:
        protocol, wire = await connected(Served(), head_timeout_s=60)
        protocol.data_received(HEAD + b"x-a: ")
        sent = 0
        while not wire.closed:
            protocol.data_received(b"b" * 65_536)
            sent += 65_536
            assert sent < 2**20
        assert status_and_code(wire) == (431, "headers")
        protocol.connection_lost(None)

    run(test)


def test_a_body_may_come_in_one_read_with_its_head() -> None:
    async def test() -> None:
        app = Served()
        protocol, wire = await connected(app)
        body = b"x" * 262_000
        protocol.data_received(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
        await asyncio.sleep(0.02)
        assert app.bodies == [body]
        assert not wire.closed

    run(test)


def test_a_head_that_dribbles_is_told_so() -> None:
    async def test() -> None:
        protocol, wire = await connected(Served())
        for byte in HEAD:
            if wire.closed:
                break
            protocol.data_received(bytes([byte]))
            await asyncio.sleep(SLOW_S / 10)
        assert status_and_code(wire) == (408, "timeout")

    run(test)


def test_a_connection_that_only_sits_there_is_closed_without_a_word() -> None:
    async def test() -> None:
        _, wire = await connected(Served())
        await asyncio.sleep(2 * SLOW_S)
        assert (wire.closed, wire.written) == (True, b"")

    run(test)


def test_empty_lines_are_no_request() -> None:
    async def test() -> None:
        for before in (b"", HEAD + b"content-length: 0\r\n\r\n"):
            protocol, wire = await connected(Served())
            if before:
                protocol.data_received(before)
                await asyncio.sleep(0.01)
            for _ in range(30):
                if wire.closed:
                    break
                protocol.data_received(b"\r\n")
                await asyncio.sleep(SLOW_S / 10)
            assert wire.closed

    run(test)


def test_a_slow_body_is_not_a_slow_head() -> None:
    async def test() -> None:
        app = Served()
        protocol, wire = await connected(app)
        protocol.data_received(HEAD + b"content-length: 3\r\n\r\n")
        for _ in range(3):
            await asyncio.sleep(SLOW_S)
            protocol.data_received(b"x")
        await asyncio.sleep(0.01)
        assert app.bodies == [b"xxx"]
        assert not wire.closed

    run(test)


def test_nothing_is_written_into_the_middle_of_another_answer() -> None:
    async def test() -> None:
        app = Served()
        app.go.clear()
        protocol, wire = await connected(app)
        protocol.data_received(HEAD + b"content-length: 0\r\n\r\n" + HEAD)
        await app.started.wait()
        await asyncio.sleep(2 * SLOW_S)
        assert not wire.closed  # the second head waits for its turn, and may
        protocol.data_received(b"x-a: " + b"b" * 500 + b"\r\n\r\n")
        assert wire.closed
        assert len(re.findall(rb"HTTP/1\.1 \d", wire.written)) == 1
        app.go.set()

    run(test)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01nonsense",
        HEAD + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_told_so(data: bytes) -> None:
    async def test() -> None:
        protocol, wire = await connected(Served())
        protocol.data_received(data)
        assert status_and_code(wire) == (400, "malformed_http")
        assert wire.closed
        protocol.connection_lost(None)  # as the loop does next
        await asyncio.sleep(0.01)

    run(test)
