from __future__ import annotations

import json
from typing import Any

import pytest

from bartizan.errors import ProtocolError
from bartizan.protocols.anthropic_blocks import SEALED, UNKNOWN_BLOCK
from bartizan.protocols.anthropic_messages import AnthropicMessages
from bartizan.protocols.gathered import UNKNOWN_FIELD
from bartizan.protocols.limits import Limits
from bartizan.types import Origin, PartKind

OWNER, U, M, T, W = Origin
TEXT, CALL, RESULT, DEFINITION = (
    PartKind.TEXT,
    PartKind.TOOL_CALL,
    PartKind.TOOL_RESULT,
    PartKind.TOOL_DEFINITION,
)


def parse(tree: Any) -> Any:
    return AnthropicMessages().parse_request("/v1/messages", {}, json.dumps(tree).encode())


def asked(*content: Any, role: str = "user", **more: Any) -> Any:
    return parse({"model": "m", "messages": [{"role": role, "content": list(content)}], **more})


def seen(parsed: Any) -> list[tuple[str, PartKind, Origin, str]]:
    return [(p.path, p.kind, p.origin, p.text) for p in parsed.parts]


def test_who_speaks() -> None:
    parsed = parse(
        {
            "model": "m",
            "stream": True,
            "system": [{"type": "text", "text": "Be kind to all.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": "Hello there"},
                {"role": "assistant", "content": "Good day"},
                {"role": "system", "content": "Now be brief."},
                {"role": "oracle", "content": "I know."},
            ],
        }
    )
    assert (parsed.model, parsed.stream, parsed.unjudged) == ("m", True, ())
    assert seen(parsed) == [
        ("/system/0/text", TEXT, OWNER, "Be kind to all."),
        ("/messages/0/content", TEXT, U, "Hello there"),
        ("/messages/1/content", TEXT, M, "Good day"),
        ("/messages/2/content", TEXT, OWNER, "Now be brief."),
        ("/messages/3/content", TEXT, W, "I know."),
    ]
    assert (
        parse({"messages": [{"role": "user", "content": "x"}], "system": "Hi you"}).parts[0].origin is OWNER
    )


def test_a_conversation_keeps_its_seed_as_it_grows() -> None:
    start = [{"role": "user", "content": "Hello there"}]
    more = [*start, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Next"}]
    seeds = {parse({"model": "m", "system": "S t", "messages": m}).session_seed for m in (start, more)}
    other = parse({"model": "m", "system": "S u", "messages": start}).session_seed
    assert len(seeds) == 1
    assert other not in seeds


def test_tool_calls_and_their_results() -> None:
    call = {"type": "tool_use", "id": "t1", "name": "fetch", "input": {"url": "x", "n": 1}}
    nested = [
        {"type": "text", "text": "The page."},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "A file."}},
        {"type": "tool_reference", "tool_name": "fetch"},
        {"type": "tool_reference", "tool_name": "do as I say"},
    ]
    parsed = asked(
        call,
        {"type": "tool_result", "tool_use_id": "t1", "content": "Plain result"},
        {"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": nested},
        {"type": "tool_result", "tool_use_id": "t9"},
        role="assistant",
    )
    base = "/messages/0/content"
    assert seen(parsed) == [
        (f"{base}/0/input", CALL, M, '{"url":"x","n":1}'),
        (f"{base}/1/content", RESULT, T, "Plain result"),
        (f"{base}/2/content/0/text", RESULT, T, "The page."),
        (f"{base}/2/content/2/source/data", RESULT, T, "A file."),
        (f"{base}/2/content/4/tool_name", TEXT, T, "do as I say"),
    ]
    assert [p.name for p in parsed.parts[:3]] == ["fetch"] * 3
    assert parsed.unjudged == ((f"{base}/2/content/1", "an image"),)


@pytest.mark.parametrize(
    ("block", "texts", "unjudged"),
    [
        (
            {
                "type": "document",
                "title": "A title",
                "context": "Sent by Bob",
                "source": {"type": "text", "data": "Body."},
            },
            {("title", T, "A title"), ("context", T, "Sent by Bob"), ("source/data", T, "Body.")},
            set(),
        ),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JV"}},
            set(),
            {("source", "a file")},
        ),
        (
            {
                "type": "document",
                "source": {
                    "type": "content",
                    "content": [{"type": "text", "text": "In it."}, {"type": "image", "source": {}}],
                },
            },
            {("source/content/0/text", T, "In it.")},
            {("source/content/1", "an image")},
        ),
        (
            {
                "type": "search_result",
                "source": "https://a.example/x y",
                "title": "Found it",
                "content": [{"type": "text", "text": "A hit."}],
            },
            {
                ("source", W, "https://a.example/x y"),
                ("title", W, "Found it"),
                ("content/0/text", W, "A hit."),
            },
            set(),
        ),
        (
            {
                "type": "web_search_tool_result",
                "tool_use_id": "s1",
                "content": [
                    {
                        "type": "web_search_result",
                        "title": "Some page",
                        "url": "https://a.example/?q",
                        "encrypted_content": "Eo8",
                        "page_age": None,
                    },
                    {"type": "web_search_result", "title": "do-as-i-say", "url": ""},
                ],
            },
            {
                ("content/1/title", W, "do-as-i-say"),
                ("content/0/title", W, "Some page"),
                ("content/0/url", W, "https://a.example/?q"),
            },
            {("content/0/encrypted_content", SEALED)},
        ),
        (
            {
                "type": "web_fetch_tool_result",
                "tool_use_id": "s1",
                "content": {
                    "type": "web_fetch_result",
                    "url": "https://a.example/?",
                    "content": {
                        "type": "document",
                        "title": "T t",
                        "source": {"type": "text", "data": "Page text."},
                    },
                },
            },
            {
                ("content/url", W, "https://a.example/?"),
                ("content/content/title", W, "T t"),
                ("content/content/source/data", W, "Page text."),
            },
            set(),
        ),
        (
            {
                "type": "bash_code_execution_tool_result",
                "tool_use_id": "s1",
                "content": {
                    "type": "bash_code_execution_result",
                    "stdout": "a b",
                    "stderr": "",
                    "return_code": 0,
                    "content": [{"type": "bash_code_execution_output", "file_id": "f1"}],
                },
            },
            {("content/stdout", T, "a b")},
            {("content/content/0/file_id", "a file")},
        ),
        (
            {"type": "thinking", "thinking": "I ponder.", "signature": "EqQB+/="},
            {("thinking", U, "I ponder.")},
            set(),
        ),
        (
            {"type": "thinking", "thinking": "", "signature": "not sealed at all"},
            {("signature", U, "not sealed at all")},
            set(),
        ),
        ({"type": "redacted_thinking", "data": "EmwK"}, set(), {("", SEALED)}),
        ({"type": "image", "source": {"type": "base64", "data": "iV"}}, set(), {("", "an image")}),
        ({"type": "container_upload", "file_id": "f"}, set(), {("", "a file")}),
        ({"type": "hologram", "text": "Hidden words"}, {("text", U, "Hidden words")}, {("", UNKNOWN_BLOCK)}),
        ({"type": "text", "text": "Hi.", "odd": "more"}, {("text", U, "Hi.")}, {("odd", UNKNOWN_FIELD)}),
        (
            {
                "type": "text",
                "text": "Cited.",
                "citations": [
                    {
                        "type": "web_search_result_location",
                        "cited_text": "The quote.",
                        "url": "https://a.example/x",
                        "title": None,
                        "encrypted_index": "Eo8=",
                    }
                ],
            },
            {
                ("text", U, "Cited."),
                ("citations/0/cited_text", T, "The quote."),
                ("citations/0/url", T, "https://a.example/x"),
            },
            set(),
        ),
        (
            {"type": "compaction", "content": "Once upon a time.", "encrypted_content": "Eo"},
            {("content", M, "Once upon a time.")},
            {("encrypted_content", SEALED)},
        ),
        (
            {
                "type": "browser_state",
                "tabs": [{"tab_id": "1", "title": "Buy now!", "url": "https://a.example/?"}],
            },
            {("tabs/0/title", W, "Buy now!"), ("tabs/0/url", W, "https://a.example/?")},
            set(),
        ),
    ],
)
def test_blocks(block: Any, texts: set[Any], unjudged: set[Any]) -> None:
    parsed = asked(block)
    base = "/messages/0/content/0"
    assert {(p.path.removeprefix(base + "/"), p.origin, p.text) for p in parsed.parts} == texts
    assert {(path.removeprefix(base).lstrip("/"), why) for path, why in parsed.unjudged} == unjudged


def test_definitions_of_tools_and_settings() -> None:
    shape = {"type": "object", "properties": {"city": {"type": "string"}}}
    parsed = asked(
        {"type": "text", "text": "Hi."},
        tools=[
            {"name": "get_weather", "description": "Weather", "input_schema": shape, "strict": True},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 5},
            {"type": "mcp_toolset", "mcp_server_name": "x"},
        ],
        output_config={"format": {"type": "json_schema", "schema": shape}},
        context_management={"edits": [{"type": "compact_20260112", "instructions": "Keep it short."}]},
    )
    assert [(p.path, p.kind, p.origin, p.name) for p in parsed.parts] == [
        ("/tools/0", DEFINITION, OWNER, "get_weather"),
        ("/tools/1", DEFINITION, OWNER, "web_search"),
        ("/tools/2", DEFINITION, OWNER, "mcp_toolset"),
        ("/output_config/format/schema", TEXT, OWNER, ""),
        ("/context_management/edits/0/instructions", TEXT, OWNER, ""),
        ("/messages/0/content/0/text", TEXT, U, ""),
    ]
    assert parsed.parts[0].text.startswith("get_weather\nWeather\n{")
    assert '"max_uses":5' in parsed.parts[1].text


def test_tools_described_elsewhere_are_not_the_operators_word() -> None:
    tool = {"name": "pay", "description": "Pays", "input_schema": {"type": "object"}}
    listing = {"type": "mcp_tool_listing", "mcp_server_name": "bank", "tools": [tool]}
    (part,) = asked(listing).parts
    assert (part.path, part.kind, part.origin) == ("/messages/0/content/0/tools/0", DEFINITION, T)


@pytest.mark.parametrize(
    ("key", "value"),
    [("thread", {"id": "t"}), ("container", "c1"), ("mcp_servers", [{"type": "url", "url": "x"}])],
)
def test_what_the_provider_brings_in_by_itself_is_unjudged(key: str, value: Any) -> None:
    parsed = asked({"type": "text", "text": "Hi."}, **{key: value})
    assert [path for path, _ in parsed.unjudged] == [f"/{key}"]


@pytest.mark.parametrize(
    "tree",
    [
        [],
        {},
        {"messages": []},
        {"messages": "x"},
        {"messages": ["x"]},
        {"messages": [{"content": "x"}]},
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": [{"role": "user", "content": ["x"]}]},
        {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "document"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "x", "input": {}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_use", "name": "x", "input": "s"}]}]},
        {"messages": [{"role": "user", "content": "x"}], "model": 5},
        {"messages": [{"role": "user", "content": "x"}], "stream": "yes"},
        {"messages": [{"role": "user", "content": "x"}], "tools": {}},
        {"messages": [{"role": "user", "content": "x"}], "tools": [{}]},
        {"messages": [{"role": "user", "content": "x"}], "Messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "Text": "y"}]}]},
    ],
)
def test_what_breaks_the_protocol_is_refused(tree: Any) -> None:
    with pytest.raises(ProtocolError) as refusal:
        parse(tree)
    assert (refusal.value.side, refusal.value.status) == ("client", 400)


def test_limits() -> None:
    small = AnthropicMessages(Limits(messages=2, pieces=5))
    many = {"messages": [{"role": "user", "content": "x"}] * 3}
    pieces = {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * 6}]}
    deep = {"messages": [{"role": "user", "content": [{"type": "odd", "a": list("abcdef")}]}]}
    for tree in (many, pieces, deep):
        with pytest.raises(ProtocolError) as refusal:
            small.parse_request("", {}, json.dumps(tree).encode())
        assert refusal.value.status == 413
