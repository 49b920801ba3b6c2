"""New exchanges as server-sent events.

References:
    WHATWG HTML, 9.2 Server-sent events.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import anyio
import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from bartizan.console.present import row
from bartizan.console.shapes import Reads
from bartizan.store import Event, EventQuery

POLL_SECONDS = 1.0
BATCH = 100
"""Exchanges sent per look at most; of more, the newest are sent and the rest counted."""
MAX_STREAMS = 16
STREAM_SECONDS = 300.0
"""A stream ends after this, and the browser opens another one: so a session that was closed
stops seeing traffic within this time."""
RETRY_MS = 2000
_MAX_INDEX_DIGITS = 18


class Live:
    """The stream of new exchanges.

    Args:
        store: What happened.
        clock: Seconds since the epoch.
    """

    def __init__(self, store: Reads, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._open = 0

    async def answer(self, request: Request) -> Response:
        """Answer with the stream, from after the exchange that the browser saw last."""
        if self._open >= MAX_STREAMS:
            return PlainTextResponse("Too many live pages are open.", 503, {"retry-after": "30"})
        last = request.headers.get("last-event-id") or request.query_params.get("after", "")
        after = int(last) if last.isascii() and last.isdigit() and len(last) <= _MAX_INDEX_DIGITS else None
        headers = {"x-accel-buffering": "no"}  # proxies must not hold it back
        return StreamingResponse(self.messages(after), media_type="text/event-stream", headers=headers)

    async def messages(self, after: int | None) -> AsyncIterator[bytes]:
        """Yield framed messages: ``rows`` with new exchanges, ``skipped`` with a count.

        Args:
            after: Ledger index of the last exchange seen; ``None`` starts with what is new.
        """
        self._open += 1
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            ends = self._clock() + STREAM_SECONDS
            last = await self._newest() if after is None else after
            while self._clock() < ends:
                found = await self._after(last)
                for message in _messages(found, last):
                    yield message
                if found:
                    last = found[0].index
                else:
                    yield b":\n\n"  # a broken connection shows only when something is written
                await anyio.sleep(POLL_SECONDS)
        finally:
            self._open -= 1

    async def _newest(self) -> int:
        newest = await anyio.to_thread.run_sync(self._store.events, EventQuery(limit=1))
        return newest[0].index if newest else -1

    async def _after(self, index: int) -> list[Event]:
        query = EventQuery(after_index=index, limit=BATCH)
        return await anyio.to_thread.run_sync(self._store.events, query)


def _messages(found: list[Event], last: int) -> list[bytes]:
    """Frame what was found, oldest exchange first."""
    framed = []
    if len(found) == BATCH and (skipped := found[-1].index - last - 1) > 0:
        framed.append(_frame("skipped", str(skipped).encode(), last))
    if found:
        rows = [row(event).shown() for event in reversed(found)]
        framed.append(_frame("rows", msgspec.json.encode(rows), found[0].index))
    return framed


def _frame(name: str, data: bytes, index: int) -> bytes:
    # JSON escapes line breaks, so the data is one line and can't forge a field.
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (index, name.encode(), data)
