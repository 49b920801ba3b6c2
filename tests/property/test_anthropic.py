"""What holds of the Messages protocol for every input, and for every way in which a stream may be split."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.gateway.test_streaming import PIPELINE

from bartizan.errors import ProtocolError
from bartizan.gateway.enforce import REMOVED
from bartizan.gateway.streaming import StreamJudge
from bartizan.ports import ParsedRequest
from bartizan.protocols.anthropic_messages import AnthropicMessages
from bartizan.types import Interaction, Part, Principal, Step, Verdict

PROTOCOL = AnthropicMessages()
NOTHING = ParsedRequest(())
# Made of pieces, so that no scanner takes this file for a leak.
SECRET = "sk-" + "proj-" + "Zk3vQ9xT7bLm2NcR8wYp5HsD4fGj6AaE1uVoXi0KtBqW"
SPLITS = 1000

texts = st.text(max_size=20)
scalars = st.none() | st.booleans() | st.integers() | texts
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
forms = st.sampled_from(
    [
        "text",
        "thinking",
        "document",
        "search_result",
        "tool_use",
        "server_tool_use",
        "tool_result",
        "web_search_tool_result",
        "compaction",
        "mcp_tool_listing",
        "tool_addition",
        "image",
        "redacted_thinking",
        "browser_state",
        "odd",
    ]
)
fields = dict.fromkeys(
    [
        "input",
        "content",
        "source",
        "title",
        "context",
        "citations",
        "signature",
        "tools",
        "tool",
        "data",
        "thinking",
    ],
    texts | trees,
)
blocks = st.fixed_dictionaries({"type": forms}, optional={"text": texts, "name": texts, "id": texts} | fields)
deltas = st.fixed_dictionaries(
    {"type": st.sampled_from(["text_delta", "input_json_delta", "thinking_delta", "citations_delta", "odd"])},
    optional={"text": texts, "partial_json": texts, "thinking": texts, "citation": trees},
)
content = texts | st.lists(blocks | trees, max_size=3)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "x"]), "content": content}
)
tools = st.fixed_dictionaries(
    {"name": texts}, optional={"description": texts, "input_schema": trees, "type": texts}
)
asked = st.fixed_dictionaries(
    {"messages": st.lists(messages, min_size=1, max_size=3)},
    optional={"system": content, "tools": st.lists(tools, max_size=2), "compaction": trees},
)
answers = st.fixed_dictionaries({"content": st.lists(blocks, max_size=3)}, optional={"stop_details": trees})
kinds = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "message_delta",
    "error",
    "ping",
    "odd",
]
streamed = st.fixed_dictionaries(
    {"type": st.sampled_from(kinds)},
    optional={
        "index": st.integers(0, 2),
        "content_block": blocks,
        "delta": deltas | trees,
        "message": trees,
        "error": st.fixed_dictionaries({"message": texts}) | trees,
    },
)


@settings(max_examples=300, deadline=None)
@given(asked | trees, answers | trees)
def test_whatever_is_read_can_be_replaced_and_nothing_else_is_raised(request: Any, answer: Any) -> None:
    statuses: list[int] = []
    for tree, read in (
        (request, lambda body: PROTOCOL.parse_request("", {}, body)),
        (answer, lambda body: PROTOCOL.parse_response(NOTHING, {}, body)),
    ):
        body = json.dumps(tree).encode()
        try:
            parts = read(body).parts
        except ProtocolError as error:
            statuses.append(error.status)
            continue
        paths = [p.path for p in parts]
        assert len(set(paths)) == len(paths)
        # Inside a definition or an input nothing is left to replace once the whole has been.
        edits = {p.path: '{"a":"replaced"}' for p in parts}
        after = json.loads(PROTOCOL.rewrite(body, {}, edits))
        for path in edits:
            where = after
            for token in path.split("/")[1:]:
                where = where[
                    int(token) if isinstance(where, list) else token.replace("~1", "/").replace("~0", "~")
                ]
            assert "replaced" in json.dumps(where)
    assert set(statuses) <= {400, 413, 502}


@settings(max_examples=300, deadline=None)
@given(streamed)
def test_any_event_gives_a_chunk_that_can_be_rewritten(tree: dict[str, Any]) -> None:
    def read(raw: bytes) -> Any:
        (chunk,) = PROTOCOL.open_stream(NOTHING).receive_data(raw)
        return chunk

    chunk = read(b"data: " + json.dumps(tree).encode() + b"\n\n")
    for path, kind, _ in chunk.deltas:
        after = read(PROTOCOL.open_stream(NOTHING).rewritten(chunk, path, '{"a":"new"}'))
        assert [d for d in after.deltas if d[0] == path] == [(path, kind, '{"a":"new"}')]
        assert {d[0] for d in after.deltas} == {d[0] for d in chunk.deltas}


def event(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


def said(index: int, start: dict[str, Any], form: str, field: str, text: str, size: int) -> list[bytes]:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    return [
        event("content_block_start", index=index, content_block=start),
        *(event("content_block_delta", index=index, delta={"type": form, field: p}) for p in pieces),
        event("content_block_stop", index=index),
    ]


def recorded(size: int) -> bytes:
    """An answer with a secret in everything that it says."""
    text = f"Well, the key is {SECRET} as you see."
    found = {"type": "web_search_result", "title": text, "url": "https://a.example", "encrypted_content": "E"}
    head = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
    }
    call = {"type": "tool_use", "id": "t", "name": "send", "input": {}}
    return b"".join(
        [
            event("message_start", message=head | {"usage": {"input_tokens": 1, "output_tokens": 1}}),
            event("ping"),
            *said(
                0,
                {"type": "thinking", "thinking": "", "signature": ""},
                "thinking_delta",
                "thinking",
                text,
                size,
            ),
            # Ends in the secret: what comes next must not be taken for its continuation.
            *said(1, {"type": "text", "text": text[:20]}, "text_delta", "text", text[20:-12], size),
            event(
                "content_block_start",
                index=2,
                content_block={"type": "web_search_tool_result", "content": [found]},
            ),
            event("content_block_stop", index=2),
            *said(3, call, "input_json_delta", "partial_json", json.dumps({"to": "a", "text": text}), size),
            event("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 9}),
            event("message_stop"),
        ]
    )


def judge() -> StreamJudge:
    def look(parts: tuple[Part, ...]) -> Verdict:
        return PIPELINE.judge(Interaction("i", "s", Step.RESPONSE, Principal("p", "address"), parts))

    return StreamJudge(PROTOCOL.open_stream(NOTHING), look, mode=PIPELINE.policy.mode, record_id="bz-1")


def judged(pieces: list[bytes]) -> bytes:
    made = judge()
    return b"".join(map(made.feed, pieces)) + made.close()


def told(stream: bytes) -> dict[str, str]:
    """What a client puts together, by place."""
    out: dict[str, str] = {}
    for chunk in PROTOCOL.open_stream(NOTHING).receive_data(stream):
        for path, _, text in chunk.deltas:
            out[path] = out.get(path, "") + text
    return out


@pytest.mark.parametrize("size", [3, 11, 200])
def test_the_client_sees_the_same_bytes_however_the_upstreams_were_split(size: int) -> None:
    stream, rng = recorded(size), random.Random(size)
    expected = judged([stream])
    assert SECRET.encode() not in expected
    for _ in range(SPLITS):
        places = sorted({0, len(stream), *(rng.randrange(len(stream)) for _ in range(rng.randint(0, 40)))})
        assert judged([stream[a:b] for a, b in pairwise(places)]) == expected
    assert expected.count(b"event: content_block_stop") == 4


def test_the_client_sees_the_same_text_however_the_events_were_cut() -> None:
    expected = told(judged([recorded(200)]))
    assert all(REMOVED in text for path, text in expected.items() if not path.endswith("/url"))
    assert json.loads(expected["/content/3/input"])["to"] == "a"
    for size in (1, 2, 5, 13, 34):
        assert told(judged([recorded(size)])) == expected


def test_a_block_that_has_ended_is_not_held_back() -> None:
    events = said(0, {"type": "text", "text": ""}, "text_delta", "text", "Hello there, friend.", 4)
    made = judge()
    assert b"content_block_stop" in b"".join(map(made.feed, events))
