"""Answers and event streams of the Responses API, as OpenAI's reference describes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any


def answer(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A whole response."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1700000000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "m",
        "output": list(output),
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None,
        **more,
    }


def message(text: str, *, status: str = "completed", **piece: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": [], **piece}]
    return {"type": "message", "id": "msg_1", "status": status, "role": "assistant", "content": content}


def call(arguments: str, *, name: str = "send", status: str = "completed") -> dict[str, Any]:
    known = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name}
    return {**known, "arguments": arguments, "status": status}


def pieces(text: str, cuts: Iterable[int]) -> list[str]:
    places = [0, *sorted(set(cuts) & set(range(1, len(text)))), len(text)]
    return [text[a:b] for a, b in zip(places, places[1:], strict=False) if text[a:b]]


def framed(events: Iterable[dict[str, Any]]) -> list[bytes]:
    """Events on the wire, numbered."""
    return [
        f"event: {e['type']}\ndata: {json.dumps({**e, 'sequence_number': n}, ensure_ascii=False)}\n\n".encode()
        for n, e in enumerate(events)
    ]


def text_events(deltas: Sequence[str], output_index: int = 0) -> list[dict[str, Any]]:
    """One message: in pieces, and three times in full."""
    text = "".join(deltas)
    where = {"item_id": "msg_1", "output_index": output_index, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    item = {"output_index": output_index}
    return [
        {
            "type": "response.output_item.added",
            **item,
            "item": message("", status="in_progress") | {"content": []},
        },
        {"type": "response.content_part.added", **where, "part": part},
        *(
            {"type": "response.output_text.delta", **where, "delta": d, "logprobs": [], "obfuscation": "x"}
            for d in deltas
        ),
        {"type": "response.output_text.done", **where, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **where, "part": {**part, "text": text}},
        {"type": "response.output_item.done", **item, "item": message(text)},
    ]


def call_events(deltas: Sequence[str], output_index: int = 0) -> list[dict[str, Any]]:
    """One call of a function: in pieces, and twice in full."""
    arguments = "".join(deltas)
    where = {"item_id": "fc_1", "output_index": output_index}
    item = {"output_index": output_index}
    return [
        {"type": "response.output_item.added", **item, "item": call("", status="in_progress")},
        *({"type": "response.function_call_arguments.delta", **where, "delta": d} for d in deltas),
        {"type": "response.function_call_arguments.done", **where, "name": "send", "arguments": arguments},
        {"type": "response.output_item.done", **item, "item": call(arguments)},
    ]


def stream(inner: Iterable[dict[str, Any]], *output: dict[str, Any], **more: Any) -> list[bytes]:
    """A whole stream around the events of its items."""
    begun = answer(status="in_progress", **more)
    return framed(
        [
            {"type": "response.created", "response": begun},
            {"type": "response.in_progress", "response": begun},
            *inner,
            {"type": "response.completed", "response": answer(*output, **more)},
        ]
    )


def text_stream(text: str, cuts: Iterable[int] = (), **more: Any) -> list[bytes]:
    return stream(text_events(pieces(text, cuts)), message(text), **more)


def call_stream(arguments: str, cuts: Iterable[int] = ()) -> list[bytes]:
    return stream(call_events(pieces(arguments, cuts)), call(arguments))
