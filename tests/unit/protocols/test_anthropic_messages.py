from __future__ import annotations

import json
from typing import Any

import pytest

from bartizan.errors import ProtocolError
from bartizan.ports import ParsedRequest
from bartizan.protocols.anthropic_messages import AnthropicMessages
from bartizan.types import Origin, PartKind

PROTOCOL = AnthropicMessages()
NOTHING = ParsedRequest(())


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("POST", "/v1/messages", "judge"),
        ("POST", "/proxy/v1/messages", "judge"),
        ("POST", "/v1/messages/count_tokens", "pass"),
        ("GET", "/v1/models", "pass"),
        ("GET", "/v1/models/m-1", "pass"),
        ("GET", "/v1/models/m-1/x", None),
        ("GET", "/v1/messages", None),
        ("POST", "/v1/messages/batches", None),
        ("GET", "/v1/messages/batches/b1/results", None),
        ("POST", "/v1/complete", None),
        ("DELETE", "/v1/models/m", None),
        ("POST", "/v1//messages", None),
        ("POST", "/v1/messages/", None),
        ("POST", "/v1/x/../messages", None),
    ],
)
def test_operations(method: str, path: str, operation: str | None) -> None:
    assert PROTOCOL.operation(method, path) == operation


def read(*content: Any, **more: Any) -> Any:
    body = {"type": "message", "role": "assistant", "content": list(content), **more}
    return PROTOCOL.parse_response(NOTHING, {}, json.dumps(body).encode())


def test_all_of_an_answer_is_judged_as_the_models_words() -> None:
    fetched = {
        "type": "web_fetch_result",
        "url": "https://a.example/?",
        "content": {"type": "document", "source": {"type": "text", "data": "Page text."}},
    }
    parsed = read(
        {"type": "thinking", "thinking": "I ponder.", "signature": "Eq=="},
        {"type": "text", "text": "Well then."},
        {"type": "server_tool_use", "id": "s1", "name": "web_fetch", "input": {"url": "u"}},
        {"type": "web_fetch_tool_result", "tool_use_id": "s1", "content": fetched},
        {"type": "redacted_thinking", "data": "Em"},
        stop_reason="refusal",
        stop_details={"type": "refusal", "category": "bio", "explanation": "It was too much."},
        usage={"input_tokens": 1},
    )
    assert [(p.path, p.kind, p.text) for p in parsed.parts] == [
        ("/content/0/thinking", PartKind.TEXT, "I ponder."),
        ("/content/1/text", PartKind.TEXT, "Well then."),
        ("/content/2/input", PartKind.TOOL_CALL, '{"url":"u"}'),
        ("/content/3/content/url", PartKind.TEXT, "https://a.example/?"),
        ("/content/3/content/content/source/data", PartKind.TEXT, "Page text."),
        ("/stop_details/explanation", PartKind.TEXT, "It was too much."),
    ]
    assert {p.origin for p in parsed.parts} == {Origin.MODEL}
    assert [path for path, _ in parsed.unjudged] == ["/content/4"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"content": "x"}', b'{"content": [1]}'])
def test_an_answer_that_is_none_is_the_upstreams_fault(body: bytes) -> None:
    with pytest.raises(ProtocolError) as refusal:
        PROTOCOL.parse_response(NOTHING, {}, body)
    assert (refusal.value.side, refusal.value.status) == ("upstream", 502)


def test_rewriting() -> None:
    body = json.dumps(
        {
            "system": [{"type": "text", "text": "a"}],
            "tools": [{"name": "pay", "description": "bad", "input_schema": {"type": "object"}}],
            "content": [
                {"type": "tool_use", "input": {"a": "old"}},
                {"type": "tool_use", "input": {"a": "old"}},
            ],
        }
    ).encode()
    edits = {
        "/system/0/text": "b",
        "/tools/0": "-",
        "/content/0/input": '{"a":"new"}',
        "/content/1/input": "-",
    }
    assert json.loads(PROTOCOL.rewrite(body, {}, edits)) == {
        "system": [{"type": "text", "text": "b"}],
        "tools": [{"name": "pay", "description": "-", "input_schema": {"type": "object", "properties": {}}}],
        "content": [
            {"type": "tool_use", "input": {"a": "new"}},
            {"type": "tool_use", "input": {"notice": "-"}},
        ],
    }
    for path in ("/system", "/nothing", "/content/7/input", ""):
        with pytest.raises(ProtocolError) as refusal:
            PROTOCOL.rewrite(body, {}, {path: "x"})
        assert refusal.value.code == "not_rewritable"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (403, "permission_error"),
        (413, "request_too_large"),
        (502, "api_error"),
    ],
)
def test_errors(status: int, kind: str) -> None:
    reply = PROTOCOL.error(status, "content_filter", "stopped", record_id="bz-1", param="/messages")
    assert json.loads(reply.body) == {
        "type": "error",
        "error": {"type": kind, "message": "stopped", "code": "content_filter", "param": "/messages"},
        "request_id": "bz-1",
    }
    assert ((b"x-should-retry", b"false") in reply.headers) == (status < 500)


def test_a_compressed_request_is_refused() -> None:
    with pytest.raises(ProtocolError) as refusal:
        PROTOCOL.parse_request("/v1/messages", {"content-encoding": "gzip"}, b"{}")
    assert refusal.value.status == 415


def test_a_call_without_input_has_nothing_to_replace() -> None:
    assert read({"type": "tool_use", "id": "t", "name": "pay"}).parts == ()
