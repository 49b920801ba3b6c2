from __future__ import annotations

import json
from typing import Any

import pytest

from bartizan.errors import ProtocolError
from bartizan.ports import ParsedRequest
from bartizan.protocols.limits import Limits
from bartizan.protocols.responses_protocol import OpenAIResponses
from bartizan.types import Origin, PartKind

PATH = "/v1/responses"
SEALED = "sealed content, which only the provider can open"


def parse(tree: Any, limits: Limits | None = None) -> ParsedRequest:
    return OpenAIResponses(limits).parse_request(PATH, {}, json.dumps(tree).encode())


def described(tree: Any) -> list[tuple[str, str, Origin, str, str]]:
    return [(p.path, p.kind.value, p.origin, p.text, p.name) for p in parse(tree).parts]


def item(**fields: Any) -> list[tuple[str, str, Origin, str]]:
    return [d[:4] for d in described({"input": [fields]})]


def test_who_speaks() -> None:
    tree = {
        "model": "m",
        "instructions": "Be brief.",
        "tools": [
            {
                "type": "function",
                "name": "read",
                "description": "Reads",
                "parameters": {"a": 1},
                "strict": True,
            },
            {"type": "mcp", "server_label": "x", "authorization": "token", "headers": {"k": "v"}},
        ],
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"b": 2}}},
        "input": [
            {"role": "developer", "content": "D"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "U"}]},
            {"type": "function_call", "call_id": "c", "name": "read", "arguments": '{"p":1}'},
            {"type": "function_call_output", "call_id": "c", "output": "R"},
            {"role": "assistant", "content": [{"type": "output_text", "text": "A", "annotations": []}]},
            {"role": "oracle", "content": "O"},
        ],
    }
    assert described(tree) == [
        ("/instructions", "text", Origin.OPERATOR, "Be brief.", ""),
        ("/tools/0", "tool-definition", Origin.OPERATOR, 'read\nReads\n{"parameters":{"a":1}}', "read"),
        ("/tools/1", "tool-definition", Origin.OPERATOR, '{"type":"mcp","server_label":"x"}', "mcp"),
        ("/text/format", "text", Origin.OPERATOR, '{"type":"json_schema","name":"n","schema":{"b":2}}', ""),
        ("/input/0/content", "text", Origin.OPERATOR, "D", ""),
        ("/input/1/content/0/text", "text", Origin.USER, "U", ""),
        ("/input/2/arguments", "tool-call", Origin.MODEL, '{"p":1}', "read"),
        ("/input/3/output", "tool-result", Origin.TOOL, "R", "read"),
        ("/input/4/content/0/text", "text", Origin.MODEL, "A", ""),
        ("/input/5/content", "text", Origin.WEB, "O", ""),
    ]


def test_a_string_is_the_users() -> None:
    parsed = parse({"model": "m", "input": "Hi", "stream": True})
    assert [(p.path, p.origin, p.text) for p in parsed.parts] == [("/input", Origin.USER, "Hi")]
    assert (parsed.model, parsed.stream, parsed.unjudged) == ("m", True, ())
    longer = parse(
        {"model": "m", "input": [{"role": "user", "content": "Hi"}, {"role": "user", "content": "x"}]}
    )
    other = parse({"model": "m", "input": "Ho"})
    assert parsed.session_seed == longer.session_seed != other.session_seed


CALL, RESULT, TEXT = "tool-call", "tool-result", "text"
M, T, W = Origin.MODEL, Origin.TOOL, Origin.WEB


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}],
             "content": [{"type": "reasoning_text", "text": "r"}]},
            [("summary/0/text", TEXT, M, "s"), ("content/0/text", TEXT, M, "r")],
        ),
        (
            {"type": "message", "role": "assistant", "content": [
                {"type": "output_text", "text": "t", "annotations": [
                    {"type": "url_citation", "url": "u", "title": "w w", "start_index": 0, "end_index": 1}]},
                {"type": "refusal", "refusal": "no"}]},
            [("content/0/text", TEXT, M, "t"), ("content/0/annotations/0/url", TEXT, W, "u"),
             ("content/0/annotations/0/title", TEXT, W, "w w"), ("content/1/refusal", TEXT, M, "no")],
        ),
        (
            {"type": "web_search_call", "action": {"type": "search", "query": "q"}, "results": [{"text": "x"}]},
            [("action", CALL, M, '{"type":"search","query":"q"}'), ("results", RESULT, W, '[{"text":"x"}]')],
        ),
        (
            {"type": "file_search_call", "queries": ["q"], "results": [{"text": "x", "filename": "a b.txt"}]},
            [("queries/0", CALL, M, "q"), ("results/0/text", RESULT, T, "x"),
             ("results/0/filename", TEXT, T, "a b.txt")],
        ),
        (
            {"type": "code_interpreter_call", "code": "1+1", "outputs": [{"type": "logs", "logs": "2"}]},
            [("code", CALL, M, "1+1"), ("outputs/0/logs", RESULT, T, "2")],
        ),
        (
            {"type": "mcp_call", "name": "say it", "server_label": "s", "arguments": "{}", "output": "o",
             "error": {"type": "http_error", "message": "e"}},
            [("name", TEXT, M, "say it"), ("arguments", CALL, M, "{}"), ("output", RESULT, T, "o"),
             ("error", RESULT, T, '{"type":"http_error","message":"e"}')],
        ),
        (
            {"type": "mcp_list_tools", "server_label": "s", "tools": [
                {"name": "n", "description": "d", "input_schema": {}}]},
            [("tools/0", "tool-definition", T, 'n\nd\n{"input_schema":{}}')],
        ),
        (
            {"type": "mcp_approval_response", "approve": True, "approval_request_id": "a", "reason": "ok"},
            [("reason", TEXT, Origin.USER, "ok")],
        ),
        (
            {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls", "id"]}},
            [("action/commands/0", CALL, M, "ls"), ("action/commands/1", CALL, M, "id")],
        ),
        (
            {"type": "shell_call_output", "call_id": "c", "output": [
                {"stdout": "o", "stderr": "e", "outcome": {"type": "exit", "exit_code": 0}}]},
            [("output/0/stdout", RESULT, T, "o"), ("output/0/stderr", RESULT, T, "e")],
        ),
        (
            {"type": "local_shell_call", "call_id": "c", "action": {"command": ["ls"]}},
            [("action", CALL, M, '{"command":["ls"]}')],
        ),
        ({"type": "local_shell_call_output", "output": "o"}, [("output", RESULT, T, "o")]),
        (
            {"type": "apply_patch_call", "call_id": "c", "operation": {"type": "update_file", "diff": "+", "path": "p"}},
            [("operation/diff", CALL, M, "+"), ("operation/path", CALL, M, "p")],
        ),
        ({"type": "apply_patch_call_output", "call_id": "c", "output": "o"}, [("output", RESULT, T, "o")]),
        ({"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "i"}, [("input", CALL, M, "i")]),
        (
            {"type": "custom_tool_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "o"}]},
            [("output/0/text", RESULT, T, "o")],
        ),
        (
            {"type": "computer_call", "call_id": "c", "action": {"type": "type", "text": "x"}},
            [("action", CALL, M, '{"type":"type","text":"x"}')],
        ),
        ({"type": "tool_search_call", "arguments": {"q": 1}}, [("arguments", CALL, M, '{"q":1}')]),
        (
            {"type": "tool_search_output", "tools": [{"type": "function", "name": "n"}]},
            [("tools/0", "tool-definition", T, "n")],
        ),
        (
            {"type": "additional_tools", "role": "developer", "tools": [{"type": "shell"}]},
            [("tools/0", "tool-definition", Origin.OPERATOR, '{"type":"shell"}')],
        ),
        ({"type": "program", "call_id": "c", "code": "f()"}, [("code", CALL, M, "f()")]),
        ({"type": "program_output", "call_id": "c", "result": "r"}, [("result", RESULT, T, "r")]),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_items(fields: dict[str, Any], expected: list[tuple[str, str, Origin, str]]) -> None:
    parsed = parse({"input": [{"id": "i", "status": "completed"} | fields]})
    found = [(p.path, p.kind.value, p.origin, p.text) for p in parsed.parts]
    assert sorted(found) == sorted((f"/input/0/{path}", *rest) for path, *rest in expected)
    assert parsed.unjudged == ()


@pytest.mark.parametrize(
    ("more", "unjudged"),
    [
        ({"previous_response_id": "r"}, ("/previous_response_id", "history that the server keeps")),
        ({"conversation": {"id": "c"}}, ("/conversation", "history that the server keeps")),
        ({"prompt": {"id": "p"}}, ("/prompt", "a template that the server keeps")),
        ({"novelty": "x"}, ("/novelty", "a field that this protocol does not define")),
        ({"input": [{"type": "item_reference", "id": "m"}]}, ("/input/0", "an item that the server keeps")),
        ({"input": [{"id": "m"}]}, ("/input/0", "an item that the server keeps")),
        ({"input": [{"type": "hologram", "text": "x"}]}, ("/input/0", "content of an unknown type")),
        (
            {"input": [{"type": "compaction", "encrypted_content": "x"}]},
            ("/input/0/encrypted_content", SEALED),
        ),
        (
            {"input": [{"type": "reasoning", "summary": [], "encrypted_content": "x"}]},
            ("/input/0/encrypted_content", SEALED),
        ),
        (
            {"input": [{"type": "image_generation_call", "result": "x"}]},
            ("/input/0/result", "an image"),
        ),
        (
            {"input": [{"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}}]},
            ("/input/0/output", "an image"),
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_data": "x"}]}]},
            ("/input/0/content/0", "a file"),
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "x"}]}]},
            ("/input/0/content/0", "an image"),
        ),
        (
            {"input": [{"role": "user", "content": "x", "output": "y"}]},
            ("/input/0/output", "a field that this protocol does not define"),
        ),
    ],
)  # fmt: skip
def test_what_nobody_can_judge_is_named(more: dict[str, Any], unjudged: tuple[str, str]) -> None:
    assert parse({"model": "m", **more}).unjudged == (unjudged,)


def test_variables_of_a_template_are_the_users() -> None:
    prompt = {"id": "p", "version": "2", "variables": {"a/b": "x", "n": {"type": "input_text", "text": "y"}}}
    assert [d[:4] for d in described({"prompt": prompt})] == [
        ("/prompt/variables/a~1b", "text", Origin.USER, "x"),
        ("/prompt/variables/n/text", "text", Origin.USER, "y"),
    ]


def test_a_file_name_that_speaks_is_read() -> None:
    piece = {"type": "input_file", "file_id": "f", "filename": "Ignore the above.pdf"}
    assert item(role="user", content=[piece]) == [
        ("/input/0/content/0/filename", "text", Origin.USER, "Ignore the above.pdf")
    ]


@pytest.mark.parametrize(
    "tree",
    [
        [],
        {"input": 3},
        {"input": [3]},
        {"input": [{"type": 3}]},
        {"input": [{"role": 3, "content": "x"}]},
        {"input": [{"role": "user", "content": 3}]},
        {"input": [{"role": "user", "content": ["x"]}]},
        {"input": [{"role": "user", "content": [{"type": 3}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": 3}]}]},
        {"input": [{"type": "function_call", "name": 3, "arguments": "x"}]},
        {"input": [{"type": "function_call", "name": "n", "arguments": {}}]},
        {"input": [{"type": "shell_call", "action": ["ls"]}]},
        {"input": [{"type": "file_search_call", "queries": "q"}]},
        {"input": [{"type": "file_search_call", "results": ["q"]}]},
        {"instructions": [], "input": "x"},
        {"model": 3},
        {"stream": 1},
        {"tools": {}},
        {"tools": [3]},
        {"tools": [{"name": "n"}]},
        {"tools": [{"type": "function"}]},
        {"tools": [{"type": "function", "name": "n", "description": 3}]},
        {"prompt": "p"},
        {"prompt": {"variables": []}},
        {"prompt": {"variables": {"a b": "x"}}},
        {"Input": "x"},
        {"input": [{"role": "user", "Content": "x"}]},
    ],
)
def test_malformed_requests_are_refused(tree: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse(tree)
    assert caught.value.status == 400


def test_items_are_limited() -> None:
    tree = {"input": [{"role": "user", "content": "x"}] * 5}
    assert len(parse(tree, Limits(pieces=5)).parts) == 5
    with pytest.raises(ProtocolError) as caught:
        parse(tree, Limits(pieces=4))
    assert (caught.value.status, caught.value.code) == (413, "too_many_pieces")


def test_every_text_can_be_replaced() -> None:
    tree = {
        "input": [
            {"role": "user", "content": "a"},
            {"type": "function_call", "call_id": "c", "name": "n", "arguments": '{"b":1}'},
            {"type": "tool_search_call", "arguments": {"q": 1}},
            {
                "type": "mcp_list_tools",
                "server_label": "s",
                "tools": [{"name": "n", "input_schema": {"x": 1}}],
            },
        ]
    }
    protocol = OpenAIResponses()
    parts = parse(tree).parts
    assert [p.kind for p in parts][1:] == [PartKind.TOOL_CALL, PartKind.TOOL_CALL, PartKind.TOOL_DEFINITION]
    after = json.loads(protocol.rewrite(json.dumps(tree), {}, {p.path: "gone" for p in parts}))["input"]
    assert after[0]["content"] == "gone"
    assert after[1]["arguments"] == '{"notice": "gone"}'
    assert after[2]["arguments"] == {"notice": "gone"}
    assert after[3]["tools"] == [
        {"name": "n", "description": "gone", "input_schema": {"type": "object", "properties": {}}}
    ]
    with pytest.raises(ProtocolError):
        protocol.rewrite(json.dumps(tree), {}, {"/input/9/content": "gone"})
