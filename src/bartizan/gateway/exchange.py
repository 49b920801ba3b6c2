"""One exchange: read, judge, forward, judge the answer, enforce, record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import msgspec

from bartizan.config import Limits
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
from bartizan.gateway.enforce import edits, stops
from bartizan.gateway.guest import Guest
from bartizan.gateway.http import SUBJECT
from bartizan.gateway.metrics import Metrics, action_of
from bartizan.gateway.recording import Recorder, record_of, step_record
from bartizan.gateway.served import Served
from bartizan.gateway.streaming import StreamJudge
from bartizan.gateway.upstream import UPSTREAM_STATUS, UPSTREAM_WORDS, Answer, UpstreamError, whole
from bartizan.gateway.variants import Sent, asked_again
from bartizan.pipeline import opaque_parts
from bartizan.ports import ParsedRequest, Reply, StreamReader, WireProtocol
from bartizan.types import (
    Effect,
    Interaction,
    Mode,
    Part,
    Principal,
    Step,
    StepRecord,
    Verdict,
)

CLIENT_GONE = 499
"""Status recorded when the client left before its answer; nginx's number for it."""

WATCH_AFTER_S = 1.0
"""An exchange that takes longer than this is given up if the client leaves; most are over before."""


@dataclass(frozen=True, slots=True)
class Context:
    """What all exchanges share."""

    recorder: Recorder
    metrics: Metrics
    limits: Limits
    learned: Executor
    clock: Callable[[], float]
    new_id: Callable[[], str]
    keep_content: bool


class Exchange:
    """Serves one request. Made anew for each."""

    def __init__(
        self,
        context: Context,
        system: Served,
        protocol: WireProtocol,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._context = context
        self._system = system
        self._protocol = protocol
        self._scope = scope
        self._receive = receive
        self._send = send
        self._began = time.perf_counter_ns()
        self._waited = 0
        self._time = context.clock()
        self._id = context.new_id()
        self._steps: list[StepRecord] = []
        self._principal = Principal("unknown", "address")
        self._model = ""
        self._stream = False
        self._status = 0
        self._note = ""
        self._deferred: asyncio.Future[Verdict] | None = None
        self._sent = Sent("", "", ())
        self._guest: Guest | None = None

    async def serve(self, path: str) -> None:
        """Serve the exchange; ``path`` is relative to the system."""
        context, metrics = self._context, self._context.metrics
        try:
            headers = header_map(self._scope)
            body = await self._timed(
                read_body(
                    self._receive,
                    headers,
                    limit=context.limits.body_bytes,
                    timeout_s=context.limits.body_timeout_s,
                )
            )
            request = self._protocol.parse_request(path, headers, body)
        except ProtocolError as error:
            metrics.refused(self._system.config.name, error.code)
            await self._refuse(error)
            return
        except Disconnected:
            metrics.refused(self._system.config.name, "client_gone")
            return
        try:
            await self._judged(path, headers, body, request)
        except (asyncio.CancelledError, Disconnected):
            self._status, self._note = CLIENT_GONE, "the client left, or the gateway was stopped"
            raise
        finally:
            if self._deferred is not None:
                await self._deferred
            self._record()

    async def _judged(self, path: str, headers: dict[str, str], body: bytes, request: ParsedRequest) -> None:
        self._model, self._stream = request.model, request.stream
        client = self._scope.get("client")
        self._principal = self._system.identifier.principal(
            headers, client[0] if client else "", request.session_seed, self._scope.get(SUBJECT, "")
        )
        if self._system.watching is not None:
            self._guest = self._system.watching.guest(self._principal, headers, self._id)
            borne = await self._guest.arrive(request.parts)
            if borne is not None:
                self._note = self._guest.note
                self._keep(self._interaction(Step.REQUEST, borne[1], ()), borne[0])
                if stops(borne[0]):
                    await self._block(borne[0])
                    return
        if self._protocol.kind == "chat":
            judging = self._judge(Step.REQUEST, request.parts + opaque_parts(request.unjudged))
            if self._system.pipeline.policy.mode is Mode.OBSERVE:
                # Nothing waits for a verdict that is only recorded.
                self._deferred = asyncio.ensure_future(judging)
                await self._forward(path, headers, body, request)
                return
            verdict = await judging
            if stops(verdict):
                await self._block(verdict)
                return
            if verdict.enforced is Effect.REDACT:
                changed = edits(verdict, request.parts)
                try:
                    body = self._protocol.rewrite(request.document, headers, changed)
                except ProtocolError:  # what can't be taken out goes nowhere
                    await self._block(verdict)
                    return
        await self._forward(path, headers, body, request)

    async def _forward(self, path: str, headers: dict[str, str], body: bytes, request: ParsedRequest) -> None:
        query = self._scope.get("query_string", b"")
        target = path + ("?" + query.decode("latin-1") if query else "")
        outgoing = forwarded(headers, self._system.token)
        self._sent = Sent(self._scope["method"], target, outgoing)
        try:
            began = time.perf_counter_ns()
            sending = self._system.upstream.send(self._scope["method"], target, outgoing, body)
            with Watch(self._receive, WATCH_AFTER_S):
                async with sending as answer:
                    self._waited += time.perf_counter_ns() - began
                    await self._relay(request, answer)
        except UpstreamError as error:
            await self._upstream_failed(error.reason)
        except ProtocolError as error:
            self._context.metrics.upstream_error(self._system.config.name, error.code)
            await self._refuse(error)

    async def _relay(self, request: ParsedRequest, answer: Answer) -> None:
        if answer.status >= 300:
            self._note = f"the upstream answered {answer.status}; passed through unjudged"
            body = await self._timed(self._whole(answer))
            await self._reply(answer.status, returned(answer.headers, self._id, length=len(body)), body)
            return
        kind, coding = _named(answer, b"content-type"), _named(answer, b"content-encoding")
        if coding.strip().lower() not in (b"", b"identity"):
            # It was asked not to; compressed, an answer can't be judged as it flows.
            raise ProtocolError(
                "the upstream's answer is compressed", status=502, code="upstream_encoded", side="upstream"
            )
        if kind.startswith(b"text/event-stream"):
            reader = self._protocol.open_stream(request)
            if reader is not None:
                await self._relay_stream(request, answer, reader)
                return
        await self._relay_whole(request, answer)

    async def _relay_whole(self, request: ParsedRequest, answer: Answer) -> None:
        body = await self._timed(self._whole(answer))
        names = {k.decode("latin-1"): v.decode("latin-1") for k, v in answer.headers}
        parsed = self._protocol.parse_response(request, names, body)
        parts = parsed.parts + opaque_parts(parsed.unjudged)
        if self._protocol.kind == "predict":
            parts, spent_ns = await asked_again(
                self._context, self._system, self._protocol, request, self._sent, parts
            )
            verdict = await self._judge(
                Step.EXCHANGE, parts + opaque_parts(request.unjudged), spent_ns=spent_ns
            )
            if self._guest is not None:
                self._guest.answered(parsed.parts)
        else:
            verdict = await self._judge(Step.RESPONSE, parts, request.parts)
        if stops(verdict):
            await self._block(verdict)
            return
        if verdict.enforced is Effect.REDACT:
            body = self._protocol.rewrite(parsed.document, names, edits(verdict, parsed.parts))
        if self._guest is not None:
            given = await self._guest.given(self._protocol, body, names)
            if isinstance(given, Verdict):
                self._note = self._guest.note
                await self._block(given)
                return
            body = given
        await self._reply(answer.status, returned(answer.headers, self._id, length=len(body)), body)

    async def _relay_stream(self, request: ParsedRequest, answer: Answer, reader: StreamReader) -> None:
        pipeline = self._system.pipeline

        def look(parts: tuple[Part, ...]) -> Verdict:
            return pipeline.glance(self._interaction(Step.RESPONSE, parts, request.parts))

        judge = StreamJudge(reader, look, mode=pipeline.policy.mode, record_id=self._id)
        self._status = answer.status
        headers = returned(answer.headers, self._id, length=None)
        headers = [(k, v) for k, v in headers if k != b"content-length"]
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})
        try:
            await self._pump(answer, judge, reader)
        finally:
            await self._conclude(request, judge)
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, answer: Answer, judge: StreamJudge, reader: StreamReader) -> None:
        chunks = answer.chunks()
        try:
            while not judge.cut:
                began = time.perf_counter_ns()
                try:
                    data = await anext(chunks)
                except StopAsyncIteration:
                    break
                finally:
                    self._waited += time.perf_counter_ns() - began
                await self._emit(judge.feed(data))
            await self._emit(judge.close())
        except (UpstreamError, ProtocolError) as error:
            reason = error.reason if isinstance(error, UpstreamError) else error.code
            self._context.metrics.upstream_error(self._system.config.name, reason)
            self._note = f"the upstream's stream broke off: {reason}"
            code = "upstream_" + reason.removeprefix("upstream_")
            ending = reader.failed(code, "the upstream's answer broke off", self._id)
            await self._emit(judge.release() + ending)
        finally:
            await chunks.aclose()  # type: ignore[attr-defined] # an async generator by the port's contract

    async def _emit(self, data: bytes) -> None:
        if data:
            began = time.perf_counter_ns()
            await deliver(self._send, data)
            self._waited += time.perf_counter_ns() - began

    async def _conclude(self, request: ParsedRequest, judge: StreamJudge) -> None:
        """Judge the streamed answer as a whole, for the record and for the conversation's memory."""
        parts = judge.parts()
        if judge.overlong:
            self._note = "cut off: more text than can be judged as it flows"
        if not parts:
            return
        interaction = self._interaction(Step.RESPONSE, parts, request.parts)
        verdict = await asyncio.get_running_loop().run_in_executor(
            self._context.learned, self._system.pipeline.judge, interaction
        )
        stopped = judge.stopped_by or judge.redacted_by
        if stopped is not None and stopped.effect > verdict.effect:
            verdict = msgspec.structs.replace(stopped, measured=verdict.measured)
        self._keep(interaction, verdict)

    async def _judge(
        self, step: Step, parts: tuple[Part, ...], context: tuple[Part, ...] = (), *, spent_ns: int = 0
    ) -> Verdict:
        pipeline = self._system.pipeline
        interaction = self._interaction(step, parts, context)
        pending = pipeline.start(interaction, spent_ns=spent_ns)
        learned = None
        if pending.deferred:
            remaining = max(0.0, (pending.deadline_ns - time.perf_counter_ns()) / 1e9)
            work = asyncio.get_running_loop().run_in_executor(
                self._context.learned, pipeline.run_deferred, pending
            )
            try:
                learned = await asyncio.wait_for(work, remaining)
            except TimeoutError:
                learned = None
        verdict = pipeline.finish(pending, learned)
        self._keep(interaction, verdict)
        if self._guest is not None and step is Step.REQUEST:
            self._guest.judged(interaction, verdict, pipeline.table)
        return verdict

    def _interaction(self, step: Step, parts: tuple[Part, ...], context: tuple[Part, ...]) -> Interaction:
        return Interaction(
            self._id, self._system.config.name, step, self._principal, parts, context, self._model, self._time
        )

    def _keep(self, interaction: Interaction, verdict: Verdict) -> None:
        self._steps.append(step_record(interaction, verdict, keep_content=self._context.keep_content))
        if verdict.findings or verdict.faults:
            self._context.metrics.verdict(self._system.config.name, verdict)

    async def _block(self, verdict: Verdict) -> None:
        held = verdict.enforced is Effect.HOLD
        code = "held_for_review" if held else "content_filter"
        words = "held for review by policy" if held else "stopped by policy"
        if verdict.enforced is Effect.REDACT:
            self._note = "stopped: what is to be redacted can't be told from the rest"
        await self._answer(self._protocol.error(400, code, f"{words}; record {self._id}", record_id=self._id))

    async def _refuse(self, error: ProtocolError) -> None:
        message = f"{error.message}. {error.hint}" if error.hint else error.message
        reply = self._protocol.error(error.status, error.code, message, record_id=self._id, param=error.param)
        if error.code == "request_timeout":
            reply = replace(reply, headers=(*reply.headers, (b"connection", b"close")))
        await self._answer(reply)

    async def _upstream_failed(self, reason: str) -> None:
        self._context.metrics.upstream_error(self._system.config.name, reason)
        self._note = f"the upstream failed: {reason}"
        status = UPSTREAM_STATUS.get(reason, 502)
        message = UPSTREAM_WORDS.get(reason, "the upstream can't be reached")
        await self._answer(self._protocol.error(status, f"upstream_{reason}", message, record_id=self._id))

    async def _answer(self, reply: Reply) -> None:
        if self._status:
            return  # an answer has begun; there is no second status line
        await self._reply(reply.status, with_length(reply), reply.body)

    async def _reply(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._status = status
        began = time.perf_counter_ns()
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})
        self._waited += time.perf_counter_ns() - began

    async def _whole(self, answer: Answer) -> bytes:
        return await whole(answer, self._system.config.upstream.max_response_bytes)

    async def _timed(self, waiting: Awaitable[bytes]) -> bytes:
        began = time.perf_counter_ns()
        try:
            return await waiting
        finally:
            self._waited += time.perf_counter_ns() - began

    def _record(self) -> None:
        total_us = (time.perf_counter_ns() - self._began) // 1000
        added_us = max(0, total_us - self._waited // 1000)
        record = record_of(
            id=self._id,
            time=self._time,
            system=self._system.config.name,
            protocol=self._protocol.name,
            principal=self._principal,
            model=self._model,
            steps=sorted(self._steps, key=lambda s: s.step is Step.RESPONSE),
            status=self._status,
            stream=self._stream,
            added_us=added_us,
            upstream_us=self._waited // 1000,
            note=self._note,
        )
        self._context.metrics.exchange(
            record.system, record.protocol, action_of(record.enforced), added_us, total_us
        )
        if not self._context.recorder.append(record):
            self._context.metrics.dropped()


def _named(answer: Answer, name: bytes) -> bytes:
    return next((v for k, v in answer.headers if k == name), b"")
