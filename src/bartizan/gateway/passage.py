"""One exchange that passes unjudged: forwarded, answered, recorded."""

from __future__ import annotations

import asyncio
import time

from bartizan.errors import ProtocolError
from bartizan.gateway.body import (
    Disconnected,
    Receive,
    Scope,
    Send,
    Watch,
    deliver,
    forwarded,
    header_map,
    read_body,
    returned,
    with_length,
)
from bartizan.gateway.exchange import CLIENT_GONE, Context
from bartizan.gateway.http import SUBJECT
from bartizan.gateway.recording import record_of
from bartizan.gateway.served import Served
from bartizan.gateway.upstream import UPSTREAM_STATUS, UPSTREAM_WORDS, UpstreamError
from bartizan.types import Principal, Record


class Passage:
    """Serves one request without looking at it. Made anew for each."""

    def __init__(self, context: Context, system: Served, scope: Scope, receive: Receive, send: Send) -> None:
        self._context = context
        self._system = system
        self._scope = scope
        self._receive = receive
        self._send = send
        self._began = time.perf_counter_ns()
        self._time = context.clock()
        self._id = context.new_id()
        self._principal = Principal("unknown", "address")
        self._status = 0
        self._note = "passed through unjudged, as configured"

    async def serve(self, path: str) -> None:
        """Serve the request; ``path`` is relative to the system."""
        try:
            await self._relay(path)
        except ProtocolError as error:
            self._context.metrics.refused(self._system.config.name, error.code)
            await self._fail(error.status, error.code, error.message)
        except UpstreamError as error:
            self._context.metrics.upstream_error(self._system.config.name, error.reason)
            self._note += f"; the upstream failed: {error.reason}"
            status = UPSTREAM_STATUS.get(error.reason, 502)
            words = UPSTREAM_WORDS.get(error.reason, "the upstream can't be reached")
            await self._fail(status, f"upstream_{error.reason}", words)
        except (asyncio.CancelledError, Disconnected):
            self._status = CLIENT_GONE
            self._note += "; the client left"
            raise

    def refused(self, status: int, why: str) -> Record:
        """Return the record of the request as one that was not served."""
        self._status, self._note = status, why
        return self.record()

    def record(self) -> Record:
        """Return the record, with what is known by now."""
        return record_of(
            id=self._id,
            time=self._time,
            system=self._system.config.name,
            protocol="passthrough",
            principal=self._principal,
            model="",
            steps=(),
            status=self._status,
            stream=False,
            added_us=0,
            upstream_us=(time.perf_counter_ns() - self._began) // 1000,
            note=self._note,
        )

    async def _relay(self, path: str) -> None:
        headers, limits, client = header_map(self._scope), self._context.limits, self._scope.get("client")
        self._principal = self._system.identifier.principal(
            headers, client[0] if client else "", "", self._scope.get(SUBJECT, "")
        )
        body = await read_body(
            self._receive, headers, limit=limits.body_bytes, timeout_s=limits.body_timeout_s
        )
        query = self._scope.get("query_string", b"").decode("latin-1")
        target = path + ("?" + query if query else "")
        outgoing = forwarded(headers, self._system.token)
        with Watch(self._receive, 0):
            async with self._system.upstream.send(self._scope["method"], target, outgoing, body) as answer:
                self._status = answer.status
                head = returned(answer.headers, self._id, length=None)
                await self._send({"type": "http.response.start", "status": answer.status, "headers": head})
                async for chunk in answer.chunks():
                    await deliver(self._send, chunk)
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _fail(self, status: int, code: str, message: str) -> None:
        if self._status:
            return  # an answer has begun: leaving it unfinished says that it broke off
        self._status = status
        reply = self._system.protocols[0].error(status, code, message, record_id=self._id)
        await self._send({"type": "http.response.start", "status": status, "headers": with_length(reply)})
        await self._send({"type": "http.response.body", "body": reply.body, "more_body": False})
