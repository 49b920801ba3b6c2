from __future__ import annotations

import json
from typing import Any

import pytest

from bartizan.errors import ProtocolError
from bartizan.ports import ParsedRequest, ParsedResponse
from bartizan.protocols.openai_chat import OpenAIChat

PROTOCOL = OpenAIChat()


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("POST", "/v1/chat/completions", "judge"),
        ("POST", "/openai/v1/chat/completions", "judge"),
        ("GET", "/v1/models", "pass"),
        ("GET", "/api/v1/models", "pass"),
        ("GET", "/v1/models/example-7b", "pass"),
        ("GET", "/v1/models/example-org/chat-7b", "pass"),
        ("GET", "/v1/models/example-org%2Fchat-7b", "pass"),
        ("GET", "/v1/models/..%2f..%2fadmin", None),
        ("GET", "/v1/models/../admin", None),
        ("GET", "/v1/models/a/b/c/d/e", None),
        ("GET", "/v1/chat/completions", None),
        ("POST", "/v1/chat/completions/", None),
        ("POST", "/v1/chat/completions?x=1", None),
        ("POST", "/v1/completions", None),
        ("POST", "/v1/embeddings", None),
        ("POST", "/v1/models", None),
        ("DELETE", "/v1/models/x", None),
        ("post", "/v1/chat/completions", None),
        ("POST", "/v1/../v1/chat/completions", None),
        ("POST", "", None),
    ],
)
def test_operations(method: str, path: str, operation: str | None) -> None:
    assert PROTOCOL.operation(method, path) == operation


def answer(message: Any, **more: Any) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": "stop", **more}
    return json.dumps({"id": "x", "object": "chat.completion", "choices": [choice]}).encode()


def read(body: bytes) -> ParsedResponse:
    return PROTOCOL.parse_response(ParsedRequest(()), {}, body)


def test_an_answer() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "pay", "arguments": '{"to":"x"}'}}
    message = {
        "role": "assistant",
        "content": "Hello.",
        "reasoning_content": "Greet.",
        "refusal": "No.",
        "tool_calls": [call],
        "function_call": {"name": "old", "arguments": "{}"},
        "audio": {"id": "a"},
        "images": [{"url": "x"}],
        "annotations": [],
    }
    parsed = read(answer(message, logprobs={"content": [{"token": "Hello"}]}))
    assert [(p.kind.value, p.origin.name, p.path, p.name, p.text) for p in parsed.parts] == [
        ("text", "MODEL", "/choices/0/message/reasoning_content", "", "Greet."),
        ("text", "MODEL", "/choices/0/message/content", "", "Hello."),
        ("text", "MODEL", "/choices/0/message/refusal", "", "No."),
        ("tool-call", "MODEL", "/choices/0/message/function_call/arguments", "old", "{}"),
        ("tool-call", "MODEL", "/choices/0/message/tool_calls/0/function/arguments", "pay", '{"to":"x"}'),
    ]
    assert {path for path, _ in parsed.unjudged} == {"/choices/0/message/audio", "/choices/0/message/images"}


def test_several_choices_and_content_in_pieces() -> None:
    pieces = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "Yes."},
    ]
    choices = [
        {"message": {"content": "A"}},
        {"message": {"content": pieces}},
        {"message": {"content": None}},
    ]
    parsed = read(json.dumps({"choices": choices}).encode())
    assert [(p.path, p.text) for p in parsed.parts] == [
        ("/choices/0/message/content", "A"),
        ("/choices/1/message/content/0/thinking/0/text", "Hm."),
        ("/choices/1/message/content/1/text", "Yes."),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"error": {"message": "x"}}',
        b'{"choices": {}}',
        b'{"choices": [1]}',
        b'{"choices": [{}]}',
        b'{"choices": [{"text": "x"}]}',
        b'{"choices": [{"message": "x"}]}',
        b'{"choices": [{"message": {"content": 1}}]}',
        b'{"choices": [{"message": {"content": "a", "content": "b"}}]}',
        b'{"choices": [{"message": {"content": "\xff"}}]}',
        b'{"choices": [{"message": {"tool_calls": 1}}]}',
        b'{"choices": [{"message": {"tool_calls": [{"function": {"arguments": "x"}}]}}]}',
        b'{"choices": ' + b"[" * 70 + b"]" * 70 + b"}",
    ],
)
def test_answers_of_another_kind_are_the_upstreams_fault(body: bytes) -> None:
    with pytest.raises(ProtocolError) as refusal:
        read(body)
    error = refusal.value
    assert (error.status, error.code, error.side) == (502, "upstream_invalid_response", "upstream")


def test_rewriting_replaces_text_and_nothing_else() -> None:
    body = json.dumps(
        {
            "model": "m",
            "seed": 10**30,
            "x": 0.1,
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "user", "content": [{"type": "text", "text": "b"}]},
                {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"k": "v"}'}}]},
                {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "broken {"}}]},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "description": "do evil"}}],
        }
    ).encode()
    call = "/tool_calls/0/function/arguments"
    edits = {
        "/messages/0/content": "é [removed]",
        "/messages/1/content/0/text": "B",
        f"/messages/2{call}": "[removed]",
        f"/messages/3{call}": "[removed]",
        "/tools/0/function": "[removed]",
    }
    parsed = PROTOCOL.parse_request("", {}, body)
    assert set(edits) == {p.path for p in parsed.parts}
    after = json.loads(PROTOCOL.rewrite(parsed.document, {}, edits))
    before = json.loads(body)
    before["messages"][0]["content"] = "é [removed]"
    before["messages"][1]["content"][0]["text"] = "B"
    before["messages"][2]["tool_calls"][0]["function"]["arguments"] = '{"notice": "[removed]"}'
    before["messages"][3]["tool_calls"][0]["function"]["arguments"] = "[removed]"
    before["tools"][0]["function"] = {
        "name": "f",
        "description": "[removed]",
        "parameters": {"type": "object", "properties": {}},
    }
    assert after == before


def test_rewriting_an_answer_takes_its_copies_along() -> None:
    body = answer({"content": "secret"}, logprobs={"content": [{"token": "secret"}]}, token_ids=[1])
    parsed = read(body)
    after = PROTOCOL.rewrite(parsed.document, {}, {"/choices/0/message/content": "***"})
    assert b"secret" not in after
    assert json.loads(after)["choices"] == [
        {"index": 0, "message": {"content": "***"}, "finish_reason": "stop"}
    ]
    assert json.loads(PROTOCOL.rewrite(parsed.document, {}, {})) == json.loads(body)


@pytest.mark.parametrize(
    "pointer",
    [
        "",
        "/",
        "/messages",
        "/messages/0",
        "/messages/1/content",
        "/messages/x",
        "/messages/-1/content",
        "/messages/00000000000000000000/content",
        "/nothing/0",
        "/messages/0/content/0",
        "/model/0",
    ],
)
def test_rewriting_nothing_is_refused(pointer: str) -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "a"}]}).encode()
    with pytest.raises(ProtocolError) as refusal:
        PROTOCOL.rewrite(body, {}, {pointer: "x"})
    assert refusal.value.code == "not_rewritable"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (403, "invalid_request_error"), (502, "server_error")],
)
def test_errors_have_openais_form(status: int, kind: str) -> None:
    reply = PROTOCOL.error(status, "content_filter", "Stopped.", record_id="rec1", param="messages")
    assert reply.status == status
    assert json.loads(reply.body) == {
        "error": {"message": "Stopped.", "type": kind, "param": "messages", "code": "content_filter"}
    }
    headers = dict(reply.headers)
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"x-request-id"] == headers[b"x-bartizan-record"] == b"rec1"
    assert (b"x-should-retry" in headers) == (status < 500)
