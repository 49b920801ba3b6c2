"""uvicorn's HTTP protocol with limits on the head of a request: its size, its lines and its time."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SUBJECT = "bartizan.client_subject"
"""Where the ASGI scope holds the subject of a verified client certificate."""

_LARGEST_READ = 262_144
"""Bytes that one read may bring; the rest of a request may come together with its head."""


def _refusal(status: bytes, message: bytes, code: bytes) -> bytes:
    body = b'{"error":{"message":"%b","type":"invalid_request_error","code":"%b"}}' % (message, code)
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    return head % (status, len(body)) + body


_TOO_LARGE = _refusal(b"431 Request Header Fields Too Large", b"the request head is too large", b"headers")
_TOO_SLOW = _refusal(b"408 Request Timeout", b"the request head came too slowly", b"timeout")
_MALFORMED = _refusal(b"400 Bad Request", b"this is not HTTP/1.1 as it should be", b"malformed_http")


def _subject_of(certificate: Any) -> str:
    """Return the subject of a verified client certificate, as ``name=value`` pairs, or nothing."""
    pairs = (pair for names in (certificate or {}).get("subject", ()) for pair in names)
    return ",".join(f"{name}={value}" for name, value in pairs)


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
        _unparsed_bytes = 0
        _in_head = False
        _subject = ""
        _head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._subject = _subject_of(transport.get_extra_info("peercert"))
            self._start_timer()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            self._head_bytes = self._unparsed_bytes = 0
            self._in_head = True
            self._start_timer()
            super().on_message_begin()
            if self._subject:
                cast("dict[str, Any]", self.scope)[SUBJECT] = self._subject

        def on_url(self, url: bytes) -> None:
            super().on_url(url)
            self._count(len(url))

        def on_header(self, name: bytes, value: bytes) -> None:
            super().on_header(name, value)
            self._count(len(name) + len(value) + 4)

        def on_headers_complete(self) -> None:
            self._in_head = False
            self._stop_timer()
            if not self.transport.is_closing():
                super().on_headers_complete()

        def data_received(self, data: bytes) -> None:
            if not self._serving() and not self._in_head:
                # Whatever comes, be it empty lines, must become a request in time.
                self._start_timer()
            super().data_received(data)
            if self._in_head:
                # A single header that never ends does not reach on_header: count raw bytes too.
                self._unparsed_bytes += len(data)
                if self._unparsed_bytes > 4 * header_bytes + _LARGEST_READ:
                    self._refuse(_TOO_LARGE)

        def send_400_response(self, msg: str) -> None:
            self._in_head = True
            self._refuse(_MALFORMED)

        def _serving(self) -> bool:
            cycle: Any = self.cycle  # None before the first request
            return cycle is not None and not cycle.response_complete

        def _count(self, size: int) -> None:
            self._head_bytes += size
            if self._head_bytes > header_bytes or len(self.headers) > headers:
                self._refuse(_TOO_LARGE)

        def _start_timer(self) -> None:
            if self._head_timer is None:
                self._head_timer = self.loop.call_later(head_timeout_s, self._expired)

        def _stop_timer(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _expired(self) -> None:
            self._head_timer = None
            if self._serving():
                self._start_timer()  # a pipelined head waits because reading is paused
            else:
                self._refuse(_TOO_SLOW)

        def _refuse(self, reply: bytes) -> None:
            self._stop_timer()
            if not self.transport.is_closing():
                # Nothing has been asked on a connection that only sat there, and nothing may be
                # written into the middle of another answer: close without a word.
                if self._in_head and not (self._serving() and self.cycle.response_started):
                    self.transport.write(reply)
                self.transport.close()

    return LimitedProtocol


def server_options() -> dict[str, Any]:
    """Return the options both planes give uvicorn."""
    return {
        "log_config": None,
        "access_log": False,
        # Who calls is said by a configured header, not by whatever X-Forwarded-For claims.
        "proxy_headers": False,
        "server_header": False,
        "lifespan": "off",
        "ws": "none",
        "timeout_keep_alive": 30,
    }
