from __future__ import annotations

import json
from typing import Any

import pytest

from bartizan.errors import ProtocolError
from bartizan.ports import Chunk, ParsedRequest
from bartizan.protocols.limits import Limits
from bartizan.protocols.openai_chat import OpenAIChat
from bartizan.protocols.openai_stream import NOT_UNDERSTOOD, ChatStreamReader


def reader() -> ChatStreamReader:
    made = OpenAIChat().open_stream(ParsedRequest(()))
    assert isinstance(made, ChatStreamReader)
    return made


def event(*choices: Any, **more: Any) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m"}
    return b"data: " + json.dumps(head | {"choices": list(choices)} | more).encode() + b"\n\n"


def choice(delta: Any, index: int = 0, **more: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": None, **more}


def call(arguments: str | None, index: int = 0, name: str | None = None) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "function": {"name": name, "arguments": arguments}}]}


def one(data: bytes) -> Chunk:
    (chunk,) = reader().receive_data(data)
    assert chunk.raw == data
    return chunk


def test_deltas() -> None:
    both = choice(
        {"content": "a", "refusal": "c", "reasoning": "d", "reasoning_content": "b", "role": "assistant"}, 1
    )
    assert one(event(both)).deltas == (
        ("/choices/1/message/content", "text", "a"),
        ("/choices/1/message/reasoning_content", "text", "b"),
        ("/choices/1/message/reasoning", "text", "d"),
        ("/choices/1/message/refusal", "text", "c"),
    )
    assert one(event(choice({"content": ""}), choice({}), choice(None))).deltas == ()
    assert one(event(choice({"content": "x"}), choice({"content": "y"}, 1))).deltas == (
        ("/choices/0/message/content", "text", "x"),
        ("/choices/1/message/content", "text", "y"),
    )


def test_tool_calls_and_their_names() -> None:
    stream = reader()
    chunks = stream.receive_data(
        event(choice({"role": "assistant", "content": None} | call("", 2, "pay")))
        + event(choice(call('{"to":', 2)))
        + event(
            choice(
                {"tool_calls": [{"function": {"arguments": "x"}}, {"custom": {"name": "sh", "input": "ls"}}]}
            )
        )
        + event(choice({"function_call": {"name": "old", "arguments": "{}"}}))
    )
    path = "/choices/0/message/tool_calls/2/function/arguments"
    assert [c.deltas for c in chunks] == [
        (),
        ((path, "tool-call", '{"to":'),),
        (
            ("/choices/0/message/tool_calls/0/function/arguments", "tool-call", "x"),
            ("/choices/0/message/tool_calls/1/custom/input", "tool-call", "ls"),
        ),
        (("/choices/0/message/function_call/arguments", "tool-call", "{}"),),
    ]
    assert not any(c.opaque or c.final for c in chunks)
    assert stream.names[path] == "pay"


def test_what_ends_an_answer() -> None:
    ended = one(event(choice({"content": "bye"}) | {"finish_reason": "stop"}))
    assert ended.final
    assert ended.deltas
    assert one(b"data: [DONE]\n\n") == Chunk(b"data: [DONE]\n\n", final=True)
    usage = one(event(usage={"total_tokens": 3}))
    assert usage == Chunk(usage.raw)
    after = reader().receive_data(b"data: [DONE]\n\n" + event(choice({"content": "late"})))
    assert [c.deltas for c in after] == [(), (("/choices/0/message/content", "text", "late"),)]


@pytest.mark.parametrize(
    "raw", [b": ping\n\n", b"\n", b"event: ping\n\n", b"data:\n\n", b"id: 5\nretry: 3\n\n"]
)
def test_events_without_data_pass(raw: bytes) -> None:
    assert one(raw) == Chunk(raw)


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"{",
        b"[]",
        b"1",
        b"{}",
        b'{"choices": null}',
        b'{"choices": [1]}',
        b'{"choices": [{"index": "0"}]}',
        b'{"choices": [{"index": true}]}',
        b'{"choices": [{"index": -1}]}',
        b'{"choices": [{"index": 99999}]}',
        b'{"choices": [{"delta": "x"}]}',
        b'{"choices": [{"delta": {"content": 1}}]}',
        b'{"choices": [{"delta": {"content": ["x"]}}]}',
        b'{"choices": [{"delta": {"content": "a", "content": "b"}}]}',
        b'{"choices": [{"delta": {"Content": "a"}}]}',
        b'{"choices": [{"delta": {"tool_calls": {"a": 1}}}]}',
        b'{"choices": [{"delta": {"tool_calls": ["x"]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"index": {}}]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"function": "x"}]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"function": {"arguments": {"a": 1}}}]}}]}',
        b'{"choices": [{"delta": {"function_call": "x"}}]}',
        b'{"error": 5}',
        b'{"error": {"message": 5}}',
        b'{"choices": ' + b"[" * 70 + b"]" * 70 + b"}",
    ],
)
def test_events_that_are_not_understood_are_opaque(data: bytes) -> None:
    chunk = one(b"data: " + data + b"\n\n")
    assert chunk.opaque == NOT_UNDERSTOOD
    assert chunk.final


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({"choices": [choice({"audio": {"data": "x"}})]}, "/choices/0/message/audio"),
        ({"choices": [choice({"role": "free text"})]}, "/choices/0/message/role"),
        ({"choices": [choice({"role": ["x"]})]}, "/choices/0/message/role"),
        ({"choices": [choice({}, message={"content": "x"})]}, "/choices/0/message"),
        ({"choices": [choice({}, text="x")]}, "/choices/0/text"),
        ({"choices": [], "extra": {"a": "b"}}, "/extra"),
        (
            {"choices": [choice(call("{}", name="run this now"))]},
            "/choices/0/message/tool_calls/0/function/name",
        ),
    ],
)
def test_content_in_unknown_places_is_opaque(tree: Any, path: str) -> None:
    chunk = one(b"data: " + json.dumps(tree).encode() + b"\n\n")
    assert [where for where, _ in chunk.opaque] == [path]


def test_an_error_in_the_middle_is_text_like_any_other() -> None:
    chunk = one(b'data: {"error": {"message": "oops", "code": 500}}\n\n')
    assert (chunk.deltas, chunk.final) == ((("/error/message", "text", "oops"),), True)
    assert json.loads(reader().rewritten(chunk, "/error/message", "-")[6:])["error"]["message"] == "-"
    plain = one(b'data: {"error": "oops"}\n\n')
    assert json.loads(reader().rewritten(plain, "/error", "-")[6:]) == {"error": "-"}


@pytest.mark.parametrize(
    ("delta", "path"),
    [
        ({"content": "old"}, "/choices/3/message/content"),
        ({"refusal": "old"}, "/choices/3/message/refusal"),
        ({"reasoning_content": "old", "content": "kept"}, "/choices/3/message/reasoning_content"),
        (call("old", 2), "/choices/3/message/tool_calls/2/function/arguments"),
        ({"tool_calls": [{"custom": {"input": "old"}}]}, "/choices/3/message/tool_calls/0/custom/input"),
        ({"function_call": {"arguments": "old"}}, "/choices/3/message/function_call/arguments"),
    ],
)
def test_rewriting_a_delta(delta: dict[str, Any], path: str) -> None:
    copy = {"logprobs": {"content": [{"token": "old"}]}, "token_ids": [7]}
    raw = b"event: x\nid: 5\n" + event(
        choice({"content": "kept"}), choice(delta, 3, **copy), service_tier="t"
    )
    chunk = one(raw.replace(b"\n", b"\r\n"))
    out = reader().rewritten(chunk, path, "nëw")
    assert out.startswith(b"event: x\nid: 5\ndata: ")
    assert b"old" not in out
    assert b"token_ids" not in out
    assert b'"service_tier":"t"' in out
    again = one(out)
    expected = tuple((p, kind, "nëw" if p == path else text) for p, kind, text in chunk.deltas)
    assert again.deltas == expected
    assert one(reader().rewritten(again, path, "")).deltas == tuple(d for d in expected if d[0] != path)


def test_a_delta_said_twice_in_one_event_is_replaced_once() -> None:
    chunk = one(event(choice({"content": "a"}), choice({"content": "b"})))
    (delta,) = one(reader().rewritten(chunk, "/choices/0/message/content", "c")).deltas
    assert delta == ("/choices/0/message/content", "text", "c")


def test_rewriting_what_is_not_there_is_refused() -> None:
    chunk = one(event(choice({"content": "a"})))
    for path in ("", "/choices/0/message/refusal", "/choices/1/message/content", "/error"):
        with pytest.raises(ProtocolError) as refusal:
            reader().rewritten(chunk, path, "c")
        assert refusal.value.code == "not_rewritable"


def test_a_cut_ends_open_choices_in_openais_form() -> None:
    types = pytest.importorskip("openai.types.chat")
    stream = reader()
    stream.receive_data(event(choice({"content": "a"}), choice({"content": "b"}, 1)))
    stream.receive_data(event(choice({}, 1) | {"finish_reason": "stop"}))
    chunks = reader().receive_data(stream.cut("rec1", "stopped by policy"))
    assert [c.final for c in chunks] == [True, True]
    assert chunks[1].raw == b"data: [DONE]\n\n"
    tree = json.loads(chunks[0].raw[6:])
    assert tree["bartizan"] == {"record_id": "rec1", "message": "stopped by policy"}
    parsed = types.ChatCompletionChunk.model_validate(tree, strict=True)
    assert (parsed.id, parsed.model, parsed.created) == ("chatcmpl-1", "m", 1700000000)
    assert [(c.index, c.finish_reason, c.delta.content) for c in parsed.choices] == [
        (0, "content_filter", None)
    ]


def test_a_cut_before_anything_came() -> None:
    tree = json.loads(reader().cut("rec1", "x").split(b"\n")[0][6:])
    assert tree["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "content_filter"}]


def test_an_unfinished_event_is_still_judged() -> None:
    stream = reader()
    raw = event(choice({"content": "a"})).rstrip()
    assert list(stream.receive_data(raw)) == []
    (chunk,) = stream.end_of_stream()
    assert (chunk.raw, chunk.deltas) == (raw, (("/choices/0/message/content", "text", "a"),))


def test_an_event_beyond_the_limit_is_the_upstreams_fault() -> None:
    stream = OpenAIChat(Limits(event_bytes=1000)).open_stream(ParsedRequest(()))
    with pytest.raises(ProtocolError) as refusal:
        stream.receive_data(event(choice({"content": "x" * 1000})))
    assert refusal.value.side == "upstream"
