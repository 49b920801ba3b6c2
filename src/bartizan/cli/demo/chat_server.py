"""An upstream with OpenAI's Chat Completions interface, answered by a rule-based stand-in.

Run with ``python -m bartizan.cli.demo.chat_server --port P``. No language model is involved;
see :mod:`bartizan.cli.demo.chat_rules`. Every answer says so in ``system_fingerprint`` and in
the header ``x-demo-stand-in``.
"""

from __future__ import annotations

import datetime
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from bartizan.cli.demo.chat_rules import Reply, reply, text_of
from bartizan.cli.demo.serving import arguments, bounded_body, serve

MODEL: Final = "stand-in-1"
STAND_IN: Final = {"x-demo-stand-in": "rule-based, not a language model"}
MAX_BODY_BYTES: Final = 4 << 20
PIECE_CHARS: Final = 12


@dataclass(frozen=True, slots=True)
class _Envelope:
    """What all chunks of one answer share."""

    id: str
    model: str
    created: int

    def wrap(self, kind: str, choices: list[dict[str, Any]], usage: Any = None) -> dict[str, Any]:
        document = {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": "rule-based-stand-in",
            "choices": choices,
        }
        return document | ({"usage": usage} if usage is not None else {})


def create_app(*, clock: Callable[[], float] = lambda: 0.0, chunk_delay_s: float = 0.0) -> Starlette:
    """Return the application.

    Args:
        clock: Seconds since the epoch, for ``created``.
        chunk_delay_s: Pause before each chunk of a streamed answer.
    """
    numbers = itertools.count(1)

    async def models(_: Request) -> Response:
        listed = [{"id": MODEL, "object": "model", "created": 0, "owned_by": "bartizan-demo"}]
        return _json({"object": "list", "data": listed})

    async def completions(request: Request) -> Response:
        document = _document(await bounded_body(request, MAX_BODY_BYTES))
        if document is None:
            message = "The body is not a JSON object of at most 4 MiB with a list of messages."
            error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
            return _json({"error": error}, 400)
        answer = reply(document["messages"], document.get("tools") or ())
        envelope = _Envelope(f"chatcmpl-{next(numbers):08d}", _model(document), int(clock()))
        usage = _usage(document["messages"], answer)
        if not document.get("stream"):
            return _json(_whole(envelope, answer, usage))
        options = document.get("stream_options")
        wants_usage = isinstance(options, dict) and options.get("include_usage") is True
        events = _events(_chunks(envelope, answer, usage if wants_usage else None), chunk_delay_s)
        return StreamingResponse(events, media_type="text/event-stream", headers=STAND_IN)

    return Starlette(
        routes=[
            Route("/v1/models", models),
            Route("/v1/chat/completions", completions, methods=["POST"]),
        ]
    )


def _document(body: bytes | None) -> dict[str, Any] | None:
    """Return the request, or ``None`` if it is none that can be answered."""
    try:
        document = json.loads(body) if body is not None else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    messages, tools = document.get("messages"), document.get("tools") or []
    if not isinstance(messages, list) or not messages or not isinstance(tools, list):
        return None
    return document if all(isinstance(item, dict) for item in [*messages, *tools]) else None


def _model(document: Mapping[str, Any]) -> str:
    return str(document.get("model", MODEL)).encode("utf-8", "replace").decode()


def _json(document: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(document), status, STAND_IN, "application/json")


def _usage(messages: list[Mapping[str, Any]], answer: Reply) -> dict[str, int]:
    """Count words as tokens: there is no tokenizer behind the stand-in."""
    asked = sum(len(text_of(message).split()) for message in messages)
    said = len((answer.text or (answer.call.arguments if answer.call else "")).split())
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def _call(answer: Reply, arguments_text: str) -> dict[str, Any]:
    name = answer.call.name if answer.call else ""
    function = {"name": name, "arguments": arguments_text}
    return {"id": "call_1", "type": "function", "function": function}


def _whole(envelope: _Envelope, answer: Reply, usage: Mapping[str, int]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if answer.call is not None:
        message["tool_calls"] = [_call(answer, answer.call.arguments)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(answer)}
    return envelope.wrap("chat.completion", [choice], dict(usage))


def _finish(answer: Reply) -> str:
    return "stop" if answer.call is None else "tool_calls"


def _chunks(envelope: _Envelope, answer: Reply, usage: Mapping[str, int] | None) -> Iterator[dict[str, Any]]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return envelope.wrap("chat.completion.chunk", [choice])

    yield chunk({"role": "assistant", "content": "" if answer.call is None else None})
    if answer.call is None:
        for piece in _pieces(answer.text):
            yield chunk({"content": piece})
    else:
        yield chunk({"tool_calls": [{"index": 0, **_call(answer, "")}]})
        for piece in _pieces(answer.call.arguments):
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    yield chunk({}, _finish(answer))
    if usage is not None:
        yield envelope.wrap("chat.completion.chunk", [], dict(usage))


def _pieces(text: str) -> Iterator[str]:
    """Cut text into pieces about the size of a few tokens, regardless of words."""
    for start in range(0, len(text), PIECE_CHARS):
        yield text[start : start + PIECE_CHARS]


async def _events(chunks: Iterator[dict[str, Any]], delay_s: float) -> AsyncIterator[bytes]:
    for chunk in chunks:
        if delay_s > 0.0:
            await anyio.sleep(delay_s)
        yield b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


def _now() -> float:
    return datetime.datetime.now(datetime.UTC).timestamp()


def main() -> None:
    """Serve the stand-in."""
    parser = arguments("A rule-based stand-in behind the Chat Completions interface.")
    parser.add_argument("--chunk-delay-ms", type=float, default=0.0)
    options = parser.parse_args()
    delay_s = options.chunk_delay_ms / 1000.0
    serve(lambda: create_app(clock=_now, chunk_delay_s=delay_s), options.host, options.port)


if __name__ == "__main__":
    main()
