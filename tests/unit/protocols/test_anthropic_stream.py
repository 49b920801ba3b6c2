from __future__ import annotations

import json
from typing import Any

import pytest

from bartizan.errors import ProtocolError
from bartizan.ports import Chunk, ParsedRequest
from bartizan.protocols.anthropic_blocks import SEALED, UNKNOWN_BLOCK
from bartizan.protocols.anthropic_messages import AnthropicMessages
from bartizan.protocols.anthropic_stream import NOT_UNDERSTOOD, MessagesStreamReader
from bartizan.protocols.limits import Limits


def reader() -> MessagesStreamReader:
    made = AnthropicMessages().open_stream(ParsedRequest(()))
    assert isinstance(made, MessagesStreamReader)
    return made


def event(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


def start(index: int, **block: Any) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def delta(index: int, **piece: Any) -> bytes:
    return event("content_block_delta", index=index, delta=piece)


def stop(index: int) -> bytes:
    return event("content_block_stop", index=index)


TEXT = start(0, type="text", text="")


def read(*events: bytes) -> list[Chunk]:
    chunks = list(reader().receive_data(b"".join(events)))
    assert [c.raw for c in chunks] == list(events)
    return chunks


def test_text_and_its_end() -> None:
    chunks = read(
        event("message_start", message={"type": "message", "content": [], "stop_reason": None}),
        event("ping"),
        start(0, type="text", text="He"),
        delta(0, type="text_delta", text="llo"),
        stop(0),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 3}),
        event("message_stop"),
    )
    path = "/content/0/text"
    assert [c.deltas for c in chunks] == [
        (),
        (),
        ((path, "text", "He"),),
        ((path, "text", "llo"),),
        (),
        (),
        (),
    ]
    assert [c.final for c in chunks] == [False] * 5 + [True] * 2
    assert [(c.whole, c.ends) for c in chunks if c.ends] == [(((path, ""),), True)]
    assert chunks[4].ends
    assert not any(c.opaque for c in chunks)


def test_a_block_without_text_ends_nothing() -> None:
    assert not read(TEXT, stop(0))[1].ends


def test_tool_calls() -> None:
    chunks = read(
        start(1, type="tool_use", id="t", name="pay", input={}),
        delta(1, type="input_json_delta", partial_json=""),
        delta(1, type="input_json_delta", partial_json='{"to":'),
        start(2, type="tool_use", id="t", name="pay", input={"to": "a"}),
        start(3, type="tool_use", id="t", name="pay now please", input={}),
    )
    assert [c.deltas for c in chunks] == [
        (),
        (),
        (("/content/1/input", "tool-call", '{"to":'),),
        (("/content/2/stated/input", "tool-call", '{"to":"a"}'),),
        (("/content/3/name", "text", "pay now please"),),
    ]


def test_thinking_citations_and_what_tools_of_the_provider_found() -> None:
    cited = {"type": "char_location", "cited_text": "A quote.", "document_title": None, "document_index": 0}
    found = {
        "type": "web_search_result",
        "title": "A page",
        "url": "https://a.example",
        "encrypted_content": "E",
    }
    chunks = read(
        start(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking="Hm."),
        delta(0, type="signature_delta", signature="EqQB+/=="),
        delta(0, type="signature_delta", signature="a free text"),
        start(1, type="text", text="", citations=[cited]),
        delta(1, type="citations_delta", citation=cited),
        delta(1, type="citations_delta", citation=cited),
        start(2, type="web_search_tool_result", tool_use_id="s", content=[found]),
    )
    assert [[(path, text) for path, _, text in c.deltas] for c in chunks] == [
        [],
        [("/content/0/thinking", "Hm.")],
        [],
        [("/content/0/signature", "a free text")],
        [("/content/1/citations/0/cited_text", "A quote.")],
        [("/content/1/citations/1/cited_text", "A quote.")],
        [("/content/1/citations/2/cited_text", "A quote.")],
        [("/content/2/content/0/title", "A page"), ("/content/2/content/0/url", "https://a.example")],
    ]
    assert chunks[7].opaque == (("/content/2/content/0/encrypted_content", SEALED),)


@pytest.mark.parametrize(
    ("events", "opaque"),
    [
        ([start(0, type="redacted_thinking", data="E")], ("/content/0", SEALED)),
        ([start(0, type="hologram")], ("/content/0", UNKNOWN_BLOCK)),
        ([TEXT, delta(0, type="odd_delta", text="x")], ("/content/0", UNKNOWN_BLOCK)),
        (
            [delta(5, type="text_delta", text="x")],
            ("/content/5", "a delta for a block that is not open"),
        ),
        (
            [TEXT, stop(0), delta(0, type="text_delta", text="x")],
            ("/content/0", "a delta for a block that is not open"),
        ),
        (
            [event("message_start", message={"content": [{"type": "text", "text": "x"}]})],
            ("/content", "a whole message in a stream"),
        ),
    ],
)
def test_what_nobody_can_judge(events: list[bytes], opaque: tuple[str, str]) -> None:
    assert opaque in read(*events)[-1].opaque


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"[]",
        b"{}",
        b'{"type": "completion", "completion": "x"}',
        b'{"type": "content_block_delta", "index": 0}',
        b'{"type": "content_block_delta", "index": "0", "delta": {"type": "text_delta", "text": "x"}}',
        b'{"type": "content_block_delta", "index": 99999, "delta": {"type": "text_delta", "text": "x"}}',
        b'{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 5}}',
        b'{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "Text": "x"}}',
        b'{"type": "content_block_start", "index": 0}',
        b'{"type": "content_block_start", "index": 0, "content_block": {"type": "text"}}',
        b'{"type": "message_delta"}',
        b'{"type": "error", "error": "x"}',
        b'{"type": "ping", "type": "ping"}',
    ],
)
def test_events_that_are_not_understood_are_opaque(data: bytes) -> None:
    (chunk,) = reader().receive_data(b"data: " + data + b"\n\n")
    assert (chunk.opaque, chunk.final) == (NOT_UNDERSTOOD, True)


def test_an_error_in_the_middle_is_text_like_any_other() -> None:
    (chunk,) = read(event("error", error={"type": "overloaded_error", "message": "Overloaded"}))
    assert (chunk.deltas, chunk.final) == ((("/error/message", "text", "Overloaded"),), True)


@pytest.mark.parametrize(
    ("events", "path"),
    [
        ([TEXT, delta(0, type="text_delta", text="old")], "/content/0/text"),
        ([start(0, type="text", text="old", citations=None)], "/content/0/text"),
        ([delta(0, type="thinking_delta", thinking="old")], "/content/0/thinking"),
        ([delta(0, type="input_json_delta", partial_json="old")], "/content/0/input"),
        ([start(2, type="tool_use", id="t", name="n", input={"a": "old"})], "/content/2/stated/input"),
        (
            [delta(0, type="citations_delta", citation={"cited_text": "old", "title": "kept it"})],
            "/content/0/citations/0/cited_text",
        ),
        (
            [
                start(
                    0, type="bash_code_execution_tool_result", content={"stdout": "old", "stderr": "kept it"}
                )
            ],
            "/content/0/content/stdout",
        ),
        ([event("error", error={"message": "old"})], "/error/message"),
        (
            [event("message_delta", delta={"stop_details": {"explanation": "old"}})],
            "/stop_details/explanation",
        ),
        ([event("message_start", message={"content": [], "stop_sequence": "o l d"})], "/stop_sequence"),
    ],
)
def test_rewriting(events: list[bytes], path: str) -> None:
    chunk = read(*events)[-1]
    out = reader().rewritten(chunk, path, '{"a":"nëw"}')
    assert out.split(b"\n")[0] == chunk.raw.split(b"\n")[0]
    assert b"old" not in out
    assert b"o l d" not in out
    after = read(*events[:-1], out)[-1]
    expected = tuple((p, kind, '{"a":"nëw"}' if p == path else text) for p, kind, text in chunk.deltas)
    assert after.deltas == expected
    assert len(expected) >= 1
    with pytest.raises(ProtocolError):
        reader().rewritten(chunk, "/content/0/nothing", "x")


def test_endings_are_errors_in_the_protocols_own_form() -> None:
    for out, code in (
        (reader().cut("r1", "stopped"), "content_filter"),
        (reader().failed("x", "m", "r1"), "x"),
    ):
        (chunk,) = reader().receive_data(out)
        assert chunk.final
        assert chunk.raw.startswith(b"event: error\n")
        tree = json.loads(chunk.raw.split(b"data: ")[1])
        assert (tree["type"], tree["error"]["code"], tree["request_id"]) == ("error", code, "r1")


def test_an_unfinished_event_is_still_judged() -> None:
    stream = reader()
    raw = TEXT + delta(0, type="text_delta", text="a").rstrip()
    assert len(stream.receive_data(raw)) == 1
    (chunk,) = stream.end_of_stream()
    assert chunk.deltas == (("/content/0/text", "text", "a"),)


def test_an_event_beyond_the_limit_is_the_upstreams_fault() -> None:
    stream = AnthropicMessages(Limits(event_bytes=1000)).open_stream(ParsedRequest(()))
    with pytest.raises(ProtocolError) as refusal:
        stream.receive_data(delta(0, type="text_delta", text="x" * 1000))
    assert refusal.value.side == "upstream"
