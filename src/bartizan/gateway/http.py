"""uvicorn's HTTP protocol with limits on the head of a request: its size, its lines and its time."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
    b"content-length: 94\r\nconnection: close\r\n\r\n"
    b'{"error":{"message":"request head too large","type":"invalid_request_error","code":"headers"}}'
)
_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\n"
    b"content-length: 94\r\nconnection: close\r\n\r\n"
    b'{"error":{"message":"request head too slow.","type":"invalid_request_error","code":"timeout"}}'
)


def limited_protocol(  # noqa: C901 - one small class, counted as one function
    *, header_bytes: int, headers: int, head_timeout_s: float
) -> type[asyncio.Protocol]:
    """Return a protocol class for ``uvicorn.Config(http=...)``.

    Args:
        header_bytes: Largest request line and headers together.
        headers: Most header lines.
        head_timeout_s: Longest time for a whole head to arrive, from its first byte or from the
            opening of the connection; a client that dribbles bytes is cut off (slow loris).
    """

    class LimitedProtocol(HttpToolsProtocol):
        _head_bytes = 0
        _head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._start_timer()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            self._head_bytes = 0
            if self._head_timer is None:
                self._start_timer()
            super().on_message_begin()

        def on_url(self, url: bytes) -> None:
            super().on_url(url)
            self._count(len(url))

        def on_header(self, name: bytes, value: bytes) -> None:
            super().on_header(name, value)
            self._count(len(name) + len(value) + 4)

        def on_headers_complete(self) -> None:
            self._stop_timer()
            if not self.transport.is_closing():
                super().on_headers_complete()

        def data_received(self, data: bytes) -> None:
            if self._head_timer is not None:
                # A single header that never ends does not reach on_header: count raw bytes too.
                self._pending_bytes += len(data)
                if self._pending_bytes > 4 * header_bytes + 65_536:
                    self._refuse(_TOO_LARGE)
                    return
            super().data_received(data)

        def _count(self, size: int) -> None:
            self._head_bytes += size
            if self._head_bytes > header_bytes or len(self.headers) > headers:
                self._refuse(_TOO_LARGE)

        def _start_timer(self) -> None:
            self._pending_bytes = 0
            self._head_timer = self.loop.call_later(head_timeout_s, self._refuse, _TOO_SLOW)

        def _stop_timer(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _refuse(self, reply: bytes) -> None:
            self._stop_timer()
            if not self.transport.is_closing():
                # Nothing has been asked on a connection that only sat there: close without a word.
                if self._pending_bytes:
                    self.transport.write(reply)
                self.transport.close()

    return LimitedProtocol


def server_options() -> dict[str, Any]:
    """Return the options both planes give uvicorn."""
    return {
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "lifespan": "off",
        "ws": "none",
        "timeout_keep_alive": 30,
    }
