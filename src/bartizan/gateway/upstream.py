"""The way to an upstream: a four-method port, and its implementation on pyreqwest (rustls, HTTP/2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Protocol

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import BodyDecodeError, PyreqwestError, ReadError, RequestTimeoutError
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from bartizan.config import Upstream as UpstreamConfig

Headers = Sequence[tuple[str, str]]
_SETTLE_S = 0.05

UPSTREAM_STATUS = {"timeout": 504, "unsendable": 400}
UPSTREAM_WORDS = {
    "timeout": "the upstream did not answer in time",
    "too_large": "the upstream's answer is larger than this gateway passes on",
    "broken": "the upstream's answer broke off",
    "unsendable": "a header or the path can't be forwarded as it is",
}


class UpstreamError(Exception):
    """The upstream could not be reached, or broke off.

    Args:
        reason: ``unreachable``, ``timeout``, ``broken``, ``too_large`` or ``unsendable`` (the
            request itself can't be expressed); a metric label.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Answer(Protocol):
    """An upstream's answer whose head has arrived."""

    status: int
    headers: list[tuple[bytes, bytes]]

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives.

        Raises:
            UpstreamError: It broke off.
        """
        ...


class Upstream(Protocol):
    """Sends requests to one upstream."""

    def send(
        self, method: str, path: str, headers: Headers, body: bytes
    ) -> AbstractAsyncContextManager[Answer]:
        """Send a request; leaving the context drops the connection if the body isn't read."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


async def whole(answer: Answer, limit: int) -> bytes:
    """Read an answer's whole body.

    Raises:
        UpstreamError: It broke off, or is larger than ``limit`` bytes.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in answer.chunks():
        size += len(chunk)
        if size > limit:
            raise UpstreamError("too_large")
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class _Answer:
    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: Response) -> None:
        self._response = response
        self.status = response.status
        self.headers = _headers(response)

    async def chunks(self) -> AsyncIterator[bytes]:
        reader = self._response.body_reader
        try:
            while (chunk := await reader.read_chunk()) is not None:
                yield bytes(chunk)
        except RequestTimeoutError as error:
            raise UpstreamError("timeout") from error
        except PyreqwestError as error:
            raise UpstreamError("broken") from error


class _Sending:
    """The context of one request; a class of its own because a generator costs more."""

    __slots__ = ("_request",)

    def __init__(self, request: StreamRequest) -> None:
        self._request = request

    async def __aenter__(self) -> Answer:
        try:
            return _Answer(await self._request.__aenter__())
        except RequestTimeoutError as error:
            raise UpstreamError("timeout") from error
        except (ReadError, BodyDecodeError) as error:
            # The head came; what was read ahead of the body broke off.
            raise UpstreamError("broken") from error
        except PyreqwestError as error:
            raise UpstreamError("unreachable") from error

    async def __aexit__(self, *_: object) -> None:
        await self._request.__aexit__(None, None, None)


class PyreqwestUpstream:
    """Implements :class:`Upstream`.

    Redirects are not followed, cookies not kept, environment proxies not used and bodies not
    decompressed: what the upstream says reaches the client as it was said.
    """

    def __init__(self, config: UpstreamConfig) -> None:
        self._base = config.url
        builder = (
            ClientBuilder()
            .follow_redirects(False)
            .no_proxy()
            .error_for_status(False)
            .referer(False)
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .connect_timeout(timedelta(seconds=config.connect_timeout_s))
            .read_timeout(timedelta(seconds=config.timeout_s))
            .pool_max_idle_per_host(256)
            .pool_idle_timeout(timedelta(seconds=30))
            .max_connections(None)
            .tcp_nodelay(True)
        )
        if config.ca_file is not None:
            builder = builder.add_root_certificate_pem(config.ca_file.read_bytes())
        self._client: Client = builder.build()

    def send(self, method: str, path: str, headers: Headers, body: bytes) -> _Sending:
        """Send a request. See :class:`Upstream`."""
        try:
            request = self._client.request(method, self._base + path).headers(_sendable(headers))
            if body:
                request = request.body_bytes(body)
            # Without a limit of 0 the head waits for 64 KiB of body: no stream flows, and a client
            # that leaves is not let go of.
            return _Sending(request.streamed_read_buffer_limit(0).build_streamed())
        except (ValueError, PyreqwestError) as error:
            raise UpstreamError("unsendable") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()
        # Its threads let go of Python a moment later; a process that ends before that aborts.
        await asyncio.sleep(_SETTLE_S)


def _headers(response: Response) -> list[tuple[bytes, bytes]]:
    try:
        return [(k.encode(), v.encode()) for k, v in response.headers.items()]
    except ValueError:
        pass
    # One value is not ASCII and can't be read here. The others can; that one is left out.
    found: list[tuple[bytes, bytes]] = []
    for name in dict.fromkeys(response.headers):
        try:
            found.extend((name.encode(), v.encode()) for v in response.headers.getall(name))
        except ValueError:
            continue
    return found


def _sendable(headers: Headers) -> list[tuple[str, str]]:
    """Return headers whose bytes, decoded as latin-1 on their way in, leave as they came."""
    return [(k, v if v.isascii() else v.encode("latin-1").decode(errors="replace")) for k, v in headers]
