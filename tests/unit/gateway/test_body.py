from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from bartizan.errors import ProtocolError
from bartizan.gateway import body
from bartizan.gateway.body import (
    Disconnected,
    Watch,
    deliver,
    forwarded,
    header_map,
    read_body,
    returned,
    with_length,
)
from bartizan.ports import Reply


def received(*messages: dict[str, Any], then_wait: bool = False) -> body.Receive:
    left: Iterator[dict[str, Any]] = iter(messages)

    async def receive() -> dict[str, Any]:
        for message in left:
            return message
        if then_wait:
            await asyncio.sleep(60)
        raise AssertionError("asked for more than there is")

    return receive


def piece(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


def read(receive: body.Receive, headers: dict[str, str] | None = None, limit: int = 10) -> bytes:
    return asyncio.run(read_body(receive, headers or {}, limit=limit, timeout_s=0.05))


# Reading


def test_pieces_are_joined() -> None:
    assert read(received(piece(b"abc", more=True), piece(b"", more=True), piece(b"def"))) == b"abcdef"
    assert read(received(piece(b"abc"))) == b"abc"
    assert read(received({"type": "http.request"})) == b""


def test_a_body_may_be_as_long_as_the_limit_and_no_longer() -> None:
    assert read(received(piece(b"x" * 10)), {"content-length": "10"}) == b"x" * 10
    for receive, headers in (
        (received(piece(b"x" * 11)), {}),
        (received(*[piece(b"xxxx", more=True)] * 3), {}),
        (received(), {"content-length": "11"}),  # refused before a byte of it is read
    ):
        with pytest.raises(ProtocolError) as caught:
            read(receive, headers)
        assert (caught.value.status, caught.value.code) == (413, "request_too_large")


def test_a_body_that_does_not_come_in_time() -> None:
    with pytest.raises(ProtocolError) as caught:
        read(received(piece(b"a", more=True), then_wait=True))
    assert (caught.value.status, caught.value.code) == (408, "request_timeout")


def test_a_client_that_goes_away() -> None:
    with pytest.raises(Disconnected):
        read(received(piece(b"a", more=True), {"type": "http.disconnect"}))


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip"])
def test_compressed_bodies_are_not_read(coding: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        read(received(), {"content-encoding": coding})
    assert caught.value.status == 415


# Headers


def test_headers_that_decide_may_not_be_repeated() -> None:
    assert header_map({"headers": [(b"x-a", b"1"), (b"x-a", b"\xe4")]}) == {"x-a": "ä"}
    for name in (
        b"content-length",
        b"content-type",
        b"host",
        b"authorization",
        b"inference-header-content-length",
    ):
        with pytest.raises(ProtocolError, match="repeated"):
            header_map({"headers": [(name, b"1"), (name, b"1")]})


def test_what_is_between_two_hops_stays_there() -> None:
    headers = {
        "host": "gateway",
        "connection": "keep-alive, X-Private",
        "x-private": "1",
        "keep-alive": "5",
        "transfer-encoding": "chunked",
        "content-length": "5",
        "upgrade": "h2c",
        "te": "trailers",
        "expect": "100-continue",
        "accept-encoding": "gzip, br",
        "authorization": "Bearer mine",
        "x-other": "kept",
    }
    assert forwarded(headers, None) == [
        ("authorization", "Bearer mine"),
        ("x-other", "kept"),
        ("accept-encoding", "identity"),
    ]


def test_an_injected_token_takes_the_place_of_every_credential() -> None:
    headers = {"authorization": "Bearer mine", "x-api-key": "mine", "api-key": "mine", "x-a": "1"}
    assert dict(forwarded(headers, "theirs")) == {
        "x-a": "1",
        "authorization": "Bearer theirs",
        "accept-encoding": "identity",
    }


def test_the_answer_says_where_its_record_is() -> None:
    upstream = [
        (b"content-length", b"9"),
        (b"transfer-encoding", b"chunked"),
        (b"set-cookie", b"a"),
        (b"set-cookie", b"b"),
    ]
    kept = returned(upstream, "bz-1", length=None)
    assert kept == [
        (b"content-length", b"9"),
        (b"set-cookie", b"a"),
        (b"set-cookie", b"b"),
        (b"x-bartizan-record", b"bz-1"),
    ]
    assert (b"content-length", b"4") in returned(upstream, "bz-1", length=4)
    assert (b"content-length", b"9") not in returned(upstream, "bz-1", length=4)


def test_a_reply_of_our_own_says_how_long_it_is() -> None:
    reply = Reply(400, ((b"content-length", b"99"), (b"x-a", b"1")), b"abc")
    assert with_length(reply) == [(b"x-a", b"1"), (b"content-length", b"3")]


# Clients that leave or stall


def test_watching_cancels_what_runs_when_the_client_leaves() -> None:
    async def serve(after_s: float) -> str:
        try:
            with Watch(received(piece(b""), {"type": "http.disconnect"}), after_s):
                await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            return "cancelled"
        return "done"

    assert asyncio.run(serve(0)) == "cancelled"
    assert asyncio.run(serve(5)) == "done"


def test_watching_ends_with_the_block() -> None:
    async def serve() -> int:
        with Watch(received(then_wait=True), 0):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(serve()) == 1


def test_a_client_that_takes_nothing_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "STALL_S", 0.02)

    async def stalled(_: Any) -> None:
        await asyncio.sleep(60)

    with pytest.raises(Disconnected):
        asyncio.run(deliver(stalled, b"x"))
