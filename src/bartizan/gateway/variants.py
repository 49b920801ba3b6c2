"""Asks the model once more, about changed copies of an exchange's rows.

The call is the client's own request with other numbers: same upstream, path, credentials and
tensors. It runs under a share of the system's deadline and counts as latency that Bartizan
added. A call that fails or does not come back in time makes a fault of every detector that
needs it; rows that can't be asked about are unjudged by those detectors.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, Protocol, cast

import msgspec

from bartizan.calibration.plan import Copies
from bartizan.errors import ProtocolError
from bartizan.features.variants import with_answers
from bartizan.gateway.metrics import Metrics
from bartizan.gateway.served import Served
from bartizan.gateway.upstream import Headers, UpstreamError, whole
from bartizan.ports import ParsedRequest, Repeats, WireProtocol
from bartizan.types import FaultReason, FloatArray, Origin, Part, PartKind, Rows

SHARE: Final = 0.8
"""Share of the deadline that the call may take; the rest is for the detectors."""

FAILED: Final = "the call failed: "


class Context(Protocol):
    """What asking needs of that which all exchanges share."""

    @property
    def learned(self) -> Executor:
        """Where dear work runs, off the event loop."""
        ...

    @property
    def metrics(self) -> Metrics:
        """What counts calls."""
        ...


@dataclass(frozen=True, slots=True)
class Sent:
    """The client's request as it went to the upstream.

    Attributes:
        method: Of the request.
        target: Path and query.
        headers: As forwarded.
    """

    method: str
    target: str
    headers: Headers


async def asked_again(
    context: Context,
    system: Served,
    protocol: WireProtocol,
    request: ParsedRequest,
    sent: Sent,
    parts: tuple[Part, ...],
) -> tuple[tuple[Part, ...], int]:
    """Return an exchange's parts with the model's answers to changed copies of their rows.

    Args:
        context: Where messages are made and read, off the event loop, and calls are counted.
        system: The system; without detectors that need copies nothing happens.
        protocol: The protocol of the exchange.
        request: What the client asked.
        sent: How it was sent.
        parts: The parts of the answer, which carry the rows.

    Returns:
        The parts, and the nanoseconds it took.
    """
    copies = system.pipeline.copies
    places = [i for i, part in enumerate(parts) if part.kind is PartKind.ROWS and part.rows is not None]
    if copies is None or not places:
        return parts, 0
    began = time.perf_counter_ns()
    changed = list(parts)
    for place in places:
        rows = cast("Rows", parts[place].rows)
        if len(places) > 1:
            answered = _without(rows, "the request holds several batches of rows")
        else:
            answered, outcome = await _ask(system, protocol, request, sent, rows, copies, context.learned)
            if outcome:
                context.metrics.extra_call(system.config.name, outcome)
        changed[place] = msgspec.structs.replace(parts[place], rows=answered)
    return tuple(changed), time.perf_counter_ns() - began


async def _ask(
    system: Served,
    protocol: WireProtocol,
    request: ParsedRequest,
    sent: Sent,
    rows: Rows,
    copies: Copies,
    pool: Executor,
) -> tuple[Rows, str]:
    """Return the rows, and how the call went: ``ok``, or why it failed; empty where there was none."""
    why = copies.recipe.refusal(copies.kinds, rows.inputs)
    if rows.outputs is None:
        why = "the model's outputs were not given"
    if not isinstance(protocol, Repeats):
        return _without(rows, "the protocol can't ask again"), ""
    if why:
        return _without(rows, why), ""
    loop, repeats = asyncio.get_running_loop(), cast("Repeats", protocol)
    try:
        async with asyncio.timeout(system.config.deadline_ms / 1000 * SHARE):
            asked, headers, body = await loop.run_in_executor(
                pool, _message, repeats, request, sent, rows, copies
            )
            status, names, answer = await _call(system, sent.method, sent.target, headers, body)
            if not 200 <= status < 300:
                return _failed(rows, FaultReason.UNAVAILABLE, f"status {status}"), "status"
            read = loop.run_in_executor(pool, _read, protocol, names, answer, asked)
            answered = with_answers(rows, copies.recipe, copies.kinds, await read)
            return answered, "ok" if answered.failed is None else "refused"
    except TimeoutError:
        return _failed(rows, FaultReason.TIMEOUT, "no answer in time"), "timeout"
    except UpstreamError as error:
        reason = FaultReason.TIMEOUT if error.reason == "timeout" else FaultReason.UNAVAILABLE
        return _failed(rows, reason, error.reason), error.reason
    except ProtocolError as error:
        if error.code == "not_repeatable":
            return _without(rows, error.message), ""
        return _failed(rows, FaultReason.UNAVAILABLE, error.code), "refused"


def _message(
    protocol: Repeats, request: ParsedRequest, sent: Sent, rows: Rows, copies: Copies
) -> tuple[FloatArray, Headers, bytes]:
    """Return the copies, ``(n, v, d)``, and headers and body that ask about them."""
    known = {name.lower(): value for name, value in sent.headers}
    asked = copies.recipe.copies(copies.kinds, rows.inputs)
    body, further = protocol.repeated(request, known, asked)
    headers = [(k, v) for k, v in sent.headers if k.lower() not in further]
    return asked, [*headers, *further.items()], body


async def _call(
    system: Served, method: str, target: str, headers: Headers, body: bytes
) -> tuple[int, dict[str, str], bytes]:
    limit = system.config.upstream.max_response_bytes
    async with system.upstream.send(method, target, headers, body) as answer:
        names = {k.decode("latin-1"): v.decode("latin-1") for k, v in answer.headers}
        return answer.status, names, await whole(answer, limit)


def _read(
    protocol: WireProtocol, headers: dict[str, str], body: bytes, asked: FloatArray
) -> FloatArray | None:
    """Return the answers to copies, ``(n * v, k)``, read as the answer to any request is."""
    part = Part(PartKind.ROWS, Origin.USER, rows=Rows(asked.reshape(-1, asked.shape[2])))
    parsed = protocol.parse_response(ParsedRequest((part,)), headers, body)
    found = next((p.rows for p in parsed.parts if p.rows is not None), None)
    return None if found is None else found.outputs


def _without(rows: Rows, why: str) -> Rows:
    return msgspec.structs.replace(rows, lacking=why)


def _failed(rows: Rows, reason: FaultReason, why: str) -> Rows:
    return msgspec.structs.replace(rows, lacking=FAILED + why, failed=reason)
