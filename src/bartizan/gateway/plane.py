"""The data plane: a raw ASGI application that finds the system and serves the exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from bartizan.gateway.body import Disconnected, Receive, Scope, Send, with_length
from bartizan.gateway.exchange import Context, Exchange
from bartizan.gateway.passage import Passage
from bartizan.gateway.served import Served
from bartizan.ports import Reply, WireProtocol
from bartizan.protocols.http_message import segments


class DataPlane:
    """Serves every configured system.

    Args:
        context: What exchanges share.
        systems: The systems, found by path prefix.
        refuse_unrecorded: Refuse traffic while records can't be written.
    """

    def __init__(
        self, context: Context, systems: Sequence[Served], *, refuse_unrecorded: bool = False
    ) -> None:
        self._context = context
        self._named = {s.config.name: s for s in systems}
        self._unnamed = [s for s in systems if not s.prefix]
        self._systems = tuple(systems)
        self._refuse_unrecorded = refuse_unrecorded
        self._idle = asyncio.Event()
        self._idle.set()
        self.in_flight = 0
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        if scope["type"] != "http":
            return
        self.in_flight += 1
        self._idle.clear()
        try:
            await self._serve(scope, receive, send)
        except (asyncio.CancelledError, Disconnected):
            # The client left, or time to drain ran out. The exchange has been recorded.
            return
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self._idle.set()

    async def drain(self, timeout_s: float) -> bool:
        """Take no new requests and wait for those in flight; return whether all finished."""
        self.draining = True
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        # As it was sent: what is judged and what is forwarded must be the same path.
        system, path = self._found(scope["raw_path"].decode("latin-1"))
        if system is None:
            await _send(send, _plain(404, "unknown_path", _where(self._systems)))
            return
        refusal = self._refusal()
        protocol, operation = _operation(system, scope["method"], path)
        if refusal is not None:
            self._context.metrics.refused(system.config.name, refusal[0])
            reply = (protocol or system.protocols[0]).error(503, refusal[0], refusal[1], record_id="")
            await _send(send, reply, (b"retry-after", b"1"))
            if refusal[0] == "unrecorded":
                # The refusal is recorded, or not: that is how recording is found to work again.
                passage = Passage(self._context, system, scope, receive, send)
                self._context.recorder.append(passage.refused(503, "refused: nothing could be recorded"))
            return
        if operation == "judge" and protocol is not None:
            await Exchange(self._context, system, protocol, scope, receive, send).serve(path)
        elif operation == "pass" or _passes(system, path):
            await self._pass(system, path, scope, receive, send, record=operation is None)
        else:
            self._context.metrics.refused(system.config.name, "unknown_path")
            allowed = f"{scope['method']} {path} is not served: it would go unjudged"
            reply = system.protocols[0].error(404, "unknown_path", allowed, record_id="")
            await _send(send, reply)

    def _found(self, path: str) -> tuple[Served | None, str]:
        name, _, rest = path[1:].partition("/")
        named = self._named.get(name)
        if named is not None:
            return named, "/" + rest
        for system in self._unnamed:
            if any(p.operation("POST", path) or p.operation("GET", path) for p in system.protocols):
                return system, path
        for system in self._unnamed:
            if _passes(system, path):
                return system, path
        return (self._unnamed[0], path) if len(self._systems) == 1 else (None, path)

    def _refusal(self) -> tuple[str, str] | None:
        if self.draining:
            return "draining", "the gateway is shutting down; try again"
        if self.in_flight > self._context.limits.in_flight:
            return "overloaded", "too many requests are in flight; try again"
        if self._refuse_unrecorded and self._context.recorder.failing:
            return (
                "unrecorded",
                "exchanges can't be recorded at present, and the operator asked to refuse then",
            )
        return None

    async def _pass(
        self, system: Served, path: str, scope: Scope, receive: Receive, send: Send, *, record: bool
    ) -> None:
        """Pass a request through unjudged; record it unless the protocol knows it to be harmless."""
        passage = Passage(self._context, system, scope, receive, send)
        try:
            await passage.serve(path)
        finally:
            if record and not self._context.recorder.append(passage.record()):
                self._context.metrics.dropped()


def _passes(system: Served, path: str) -> bool:
    """Whether a path is configured to pass unjudged.

    A path that servers read differently (dot segments, encoded separators) never is: it could
    lead out of the configured prefix.
    """
    prefixes = system.config.passthrough
    return any(path.startswith(p) for p in prefixes) and segments(path.removesuffix("/")) is not None


def _operation(system: Served, method: str, path: str) -> tuple[WireProtocol | None, str | None]:
    for protocol in system.protocols:
        operation = protocol.operation(method, path)
        if operation is not None:
            return protocol, operation
    return None, None


def _where(systems: Sequence[Served]) -> str:
    places = ", ".join(f"{s.prefix or '/'} ({s.config.kind})" for s in systems)
    return f"no system is served there; systems are at {places}"


def _plain(status: int, code: str, message: str) -> Reply:
    body = msgspec.json.encode({"error": {"message": message, "type": "invalid_request_error", "code": code}})
    return Reply(status, ((b"content-type", b"application/json"), (b"x-should-retry", b"false")), body)


async def _send(send: Send, reply: Reply, *more: tuple[bytes, bytes]) -> None:
    headers = [*with_length(reply), *more]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})
