from __future__ import annotations

import json
from typing import Any

import pytest
from tests.e2e.responses_script import answer, call, message

from bartizan.errors import ProtocolError
from bartizan.ports import ParsedRequest, ParsedResponse
from bartizan.protocols.responses_protocol import OpenAIResponses

PROTOCOL = OpenAIResponses()


def parse(tree: Any, request: ParsedRequest | None = None) -> ParsedResponse:
    return PROTOCOL.parse_response(request or ParsedRequest(()), {}, json.dumps(tree).encode())


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("POST", "/v1/responses", "judge"),
        ("POST", "/team/v1/responses", "judge"),
        ("POST", "/v1/responses/compact", "judge"),
        ("POST", "/v1/responses/input_tokens", "pass"),
        ("POST", "/v1/responses/resp_1/cancel", "judge"),
        ("POST", "/v1/responses/resp_1", None),
        ("GET", "/v1/responses/resp_1", "judge"),
        ("GET", "/v1/responses/resp_1/input_items", None),
        ("GET", "/v1/responses", None),
        ("DELETE", "/v1/responses/resp_1", "pass"),
        ("PUT", "/v1/responses/resp_1", None),
        ("POST", "/v1/conversations", None),
        ("POST", "/v1//responses", None),
        ("POST", "/v1/responses/..", None),
        ("POST", "/v1/chat/completions", None),
        ("GET", "/v1/models", None),
    ],
)
def test_operations(method: str, path: str, operation: str | None) -> None:
    assert PROTOCOL.operation(method, path) == operation


def test_a_request_about_a_stored_answer_holds_nothing() -> None:
    for path in ("/v1/responses/resp_1", "/v1/responses/resp_1/cancel"):
        assert PROTOCOL.parse_request(path, {}, b"").parts == ()
    for path in ("/v1/responses", "/v1/responses/compact"):
        with pytest.raises(ProtocolError):
            PROTOCOL.parse_request(path, {}, b"")


def test_everything_in_an_answer_is_judged_as_the_models() -> None:
    tree = answer(
        message("t", annotations=[{"type": "url_citation", "url": "https://a.example/?q=1", "title": "x"}]),
        call('{"a":1}'),
        {"type": "mcp_call", "id": "m", "name": "n", "server_label": "s", "arguments": "{}", "output": "o"},
        {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "sealed"},
        error={"code": "server_error", "message": "e"},
    )
    parsed = parse(tree)
    assert [(p.path, p.kind, p.origin.name, p.text) for p in parsed.parts] == [
        ("/output/0/content/0/text", "text", "MODEL", "t"),
        ("/output/0/content/0/annotations/0/url", "text", "MODEL", "https://a.example/?q=1"),
        ("/output/0/content/0/annotations/0/title", "text", "MODEL", "x"),
        ("/output/1/arguments", "tool-call", "MODEL", '{"a":1}'),
        ("/output/2/arguments", "tool-call", "MODEL", "{}"),
        ("/output/2/output", "text", "MODEL", "o"),
        ("/error/message", "text", "MODEL", "e"),
    ]
    assert parsed.unjudged == ()


def test_what_an_answer_holds_that_nobody_can_judge() -> None:
    image = {"type": "image_generation_call", "id": "i", "status": "completed", "result": "iVBORw0K"}
    parsed = parse(answer(image, {"type": "hologram"}, novelty={"a": 1}))
    assert set(parsed.unjudged) == {
        ("/output/0/result", "an image"),
        ("/output/1", "content of an unknown type"),
        ("/novelty", "a field that this protocol does not define"),
    }


def test_instructions_are_known_only_to_who_gave_them() -> None:
    body = json.dumps({"input": "x", "instructions": "Be brief."}).encode()
    asked = PROTOCOL.parse_request("/v1/responses", {}, body)
    assert parse(answer(instructions="Be brief."), asked).unjudged == ()
    for other in ("Be verbose.", [{"role": "system", "content": "x"}]):
        (unjudged,) = parse(answer(instructions=other), asked).unjudged
        assert unjudged == ("/instructions", "instructions that this request did not give")


@pytest.mark.parametrize("tree", [[], {}, {"output": {}}, {"output": [3]}, {"output": None}, {"error": 3}])
def test_what_is_no_response_is_the_upstreams_fault(tree: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse(tree)
    assert (caught.value.status, caught.value.side) == (502, "upstream")


def test_what_repeats_a_replaced_text_goes_with_it() -> None:
    tree = answer(message("secret", logprobs=[{"token": "secret", "logprob": 0.0}]))
    after = json.loads(PROTOCOL.rewrite(json.dumps(tree), {}, {"/output/0/content/0/text": "gone"}))
    assert "secret" not in json.dumps(after)
    assert after["output"][0]["content"][0]["logprobs"] == []


def test_errors_have_openais_form() -> None:
    reply = PROTOCOL.error(400, "content_filter", "stopped", record_id="bz-1", param="input")
    body = json.loads(reply.body)["error"]
    assert body == {
        "message": "stopped",
        "type": "invalid_request_error",
        "param": "input",
        "code": "content_filter",
    }
    assert (b"x-should-retry", b"false") in reply.headers
