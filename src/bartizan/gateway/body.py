"""Reads a request's body within its limits, and tells what may be forwarded of its head."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from bartizan.errors import ProtocolError
from bartizan.ports import Reply

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
     "trailer", "transfer-encoding", "upgrade", "host", "content-length", "accept-encoding", "expect")
)  # fmt: skip
_HOP_BY_HOP_ANSWER = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"te", b"trailer", b"transfer-encoding", b"upgrade",
     b"proxy-connection")
)  # fmt: skip


STALL_S = 60.0
"""A client that takes nothing for so long is gone, whatever its connection says."""


class Disconnected(Exception):  # noqa: N818 - an event, not a failure
    """The client went away."""


def header_map(scope: Scope) -> dict[str, str]:
    """Return the headers with lower-cased names; of repeated ones the last.

    Raises:
        ProtocolError: A header that decides how the message is understood is repeated.
    """
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1")
        if key in headers and key in _SINGLE:
            raise ProtocolError(f"header {key} is repeated", code="repeated_header", param=key)
        headers[key] = value.decode("latin-1")
    return headers


_SINGLE = frozenset(
    ("content-length", "content-type", "host", "inference-header-content-length", "authorization")
)


async def read_body(receive: Receive, headers: Mapping[str, str], *, limit: int, timeout_s: float) -> bytes:
    """Read a whole request body.

    Raises:
        ProtocolError: 413 too large, 408 too slow, 415 compressed.
        Disconnected: The client went away.
    """
    if headers.get("content-encoding", "identity") not in ("identity", ""):
        raise ProtocolError(
            "compressed request bodies are not accepted; send it uncompressed",
            status=415,
            code="unsupported_content_encoding",
            param="content-encoding",
        )
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    except TimeoutError:
        raise ProtocolError(
            f"the request body did not arrive within {timeout_s:g} s", status=408, code="request_timeout"
        ) from None


async def deliver(send: Send, data: bytes) -> None:
    """Send a piece of a body.

    Raises:
        Disconnected: The client does not take it.
    """
    try:
        async with asyncio.timeout(STALL_S):
            await send({"type": "http.response.body", "body": data, "more_body": True})
    except TimeoutError:
        raise Disconnected from None


def forwarded(headers: Mapping[str, str], inject_token: str | None) -> list[tuple[str, str]]:
    """Return the request headers for the upstream.

    Hop-by-hop headers (RFC 9110, 7.6.1) go; answers are asked for uncompressed, since what
    is compressed can't be judged as it flows.
    """
    listed = (
        {h.strip().lower() for h in headers.get("connection", "").split(",")}
        if "connection" in headers
        else ()
    )
    kept = [(k, v) for k, v in headers.items() if k not in _HOP_BY_HOP and k not in listed]
    if inject_token is not None:
        kept = [(k, v) for k, v in kept if k not in ("authorization", "x-api-key", "api-key")]
        kept.append(("authorization", f"Bearer {inject_token}"))
    kept.append(("accept-encoding", "identity"))
    return kept


def returned(
    headers: list[tuple[bytes, bytes]], record_id: str, *, length: int | None
) -> list[tuple[bytes, bytes]]:
    """Return the answer headers for the client.

    Args:
        headers: The upstream's.
        record_id: Added, so that a person can find the record of what they see.
        length: New content length where the body was changed; ``None`` keeps what was said.
    """
    kept = [
        (k, v)
        for k, v in headers
        if k not in _HOP_BY_HOP_ANSWER and (length is None or k != b"content-length")
    ]
    if length is not None:
        kept.append((b"content-length", str(length).encode()))
    kept.append((b"x-bartizan-record", record_id.encode()))
    return kept


def with_length(reply: Reply) -> list[tuple[bytes, bytes]]:
    """Return a reply's headers with the length of its body: HTTP/1.0 knows no chunks."""
    kept = [(k, v) for k, v in reply.headers if k != b"content-length"]
    return [*kept, (b"content-length", str(len(reply.body)).encode())]


def _too_large(limit: int) -> ProtocolError:
    return ProtocolError(
        f"the request body is larger than {limit:,} bytes", status=413, code="request_too_large"
    )


class Watch:
    """Cancels the current task if the client leaves while something else is awaited.

    Args:
        receive: The request's channel; its body must have been read.
        after_s: Start watching after this long; most answers are there before.
    """

    def __init__(self, receive: Receive, after_s: float) -> None:
        self._receive = receive
        self._after_s = after_s

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._watching: asyncio.Future[None] | None = None
        self._timer = loop.call_later(self._after_s, self._start)

    def _start(self) -> None:
        self._watching = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._task is not None:
            self._task.cancel()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()
