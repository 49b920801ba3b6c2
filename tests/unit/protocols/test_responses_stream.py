from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from tests.e2e.responses_script import (
    answer,
    call,
    call_events,
    framed,
    message,
    stream,
    text_events,
    text_stream,
)

from bartizan.errors import ProtocolError
from bartizan.ports import Chunk, ParsedRequest
from bartizan.protocols.limits import Limits
from bartizan.protocols.responses_events import FIELDS, KINDS, What
from bartizan.protocols.responses_protocol import OpenAIResponses
from bartizan.protocols.responses_shapes import ITEMS, PIECES
from bartizan.protocols.responses_stream import NOT_UNDERSTOOD, ResponsesStreamReader

TEXT = "/output/0/content/0/text"
ARGUMENTS = "/output/0/arguments"
WHERE = {"output_index": 0, "content_index": 0, "item_id": "i"}


def reader(limits: Limits | None = None) -> ResponsesStreamReader:
    made = OpenAIResponses(limits).open_stream(ParsedRequest(()))
    assert isinstance(made, ResponsesStreamReader)
    return made


def chunks(events: list[dict[str, Any]]) -> list[Chunk]:
    return list(reader().receive_data(b"".join(framed(events))))


def one(kind: str, **fields: Any) -> Chunk:
    (chunk,) = chunks([{"type": kind, **fields}])
    return chunk


def models(annotation: Any) -> Iterator[Any]:
    if hasattr(annotation, "model_fields"):
        yield annotation
    for inner in get_args(annotation):
        yield from models(inner)


def types(annotation: Any) -> Iterator[tuple[str, Any]]:
    """Every literal type of a union of the SDK's models, with its model."""
    for model in models(annotation):
        field = model.model_fields.get("type")
        for literal in get_args(field.annotation) if field else ():
            for name in get_args(literal) or (literal,):
                if isinstance(name, str):
                    yield name, model


def names(model: Any) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def test_every_event_of_openais_sdk_is_known() -> None:
    module = pytest.importorskip("openai.types.responses.response_stream_event")
    events = dict(types(module.ResponseStreamEvent))
    assert len(events) > 50
    assert set(events) <= set(KINDS)
    for name, model in events.items():
        assert names(model) <= FIELDS.known, name
        kind = KINDS[name]
        assert kind.what is What.NOTHING or kind.key in names(model), name
        assert set(kind.indices) <= names(model), name


def test_every_item_and_piece_of_openais_sdk_is_known() -> None:
    given = pytest.importorskip("openai.types.responses.response_input_item").ResponseInputItem
    told = pytest.importorskip("openai.types.responses.response_output_item").ResponseOutputItem
    for union in (given, told):
        found = list(types(union))
        assert len(found) > 25
        for name, model in found:
            assert names(model) <= ITEMS[name].known.known, name
            if "content" in model.model_fields:
                for piece, inner in types(model.model_fields["content"].annotation):
                    assert names(inner) <= PIECES[piece].known.known, piece


def test_pieces_are_new_and_what_repeats_them_is_not() -> None:
    found = chunks([json.loads(e.split(b"data: ")[1]) for e in text_stream("Hello", [2])])
    assert [(c.deltas, c.whole, c.ends, c.final) for c in found if c.deltas or c.whole] == [
        (((TEXT, "text", "He"),), (), False, False),
        (((TEXT, "text", "llo"),), (), False, False),
        *[((), ((TEXT, "Hello"),), True, False)] * 3,
        ((), ((TEXT, "Hello"),), True, True),
    ]
    assert not any(c.opaque for c in found)


def test_what_only_a_later_event_tells_is_new() -> None:
    delta, done, _, item = text_events(["Hello"])[2:]
    assert [c.deltas for c in chunks([done, item])] == [((TEXT, "text", "Hello"),), ()]
    first, second = chunks([delta, done | {"text": "Hello you"}])
    assert first.deltas == ((TEXT, "text", "Hello"),)
    assert (second.deltas, second.whole) == (((TEXT, "text", " you"),), ((TEXT, "Hello you"),))


def test_another_text_at_the_same_place_is_a_text_of_its_own() -> None:
    delta, done, part, item = text_events(["Hello"])[2:]
    other = message("Bye")
    found = chunks([delta, done | {"text": "Bye"}, part, item | {"item": other}])
    again = f"{TEXT}/1"
    assert [(c.deltas, c.whole) for c in found] == [
        (((TEXT, "text", "Hello"),), ()),
        (((again, "text", "Bye"),), ((again, "Bye"),)),
        ((), ((TEXT, "Hello"),)),
        ((), ((again, "Bye"),)),
    ]
    stream_reader = reader()
    held = stream_reader.receive_data(b"".join(framed([delta, done | {"text": "Bye"}])))
    after = json.loads(stream_reader.rewritten(held[1], again, "gone").split(b"data: ")[1])
    assert after["text"] == "gone"
    many = [done | {"text": str(n)} for n in range(6)]
    assert [c.opaque for c in chunks(many)] == [(), (), (), (), NOT_UNDERSTOOD, NOT_UNDERSTOOD]


def test_calls() -> None:
    found = chunks(call_events(['{"a"', ":1}"]))
    assert [(c.deltas, c.whole, c.ends) for c in found] == [
        ((), (), False),
        (((ARGUMENTS, "tool-call", '{"a"'),), (), False),
        (((ARGUMENTS, "tool-call", ":1}"),), (), False),
        ((), ((ARGUMENTS, '{"a":1}'),), True),
        ((), ((ARGUMENTS, '{"a":1}'),), True),
    ]


@pytest.mark.parametrize(
    ("kind", "fields", "path"),
    [
        ("response.refusal.delta", {"delta": "x"}, "/output/0/content/0/refusal"),
        ("response.refusal.done", {"refusal": "x"}, "/output/0/content/0/refusal"),
        ("response.reasoning_text.delta", {"delta": "x"}, TEXT),
        ("response.reasoning_text.done", {"text": "x"}, TEXT),
        ("response.reasoning_summary_text.delta", {"delta": "x", "summary_index": 3}, "/output/0/summary/3/text"),
        ("response.reasoning_summary_text.done", {"text": "x", "summary_index": 3}, "/output/0/summary/3/text"),
        (
            "response.reasoning_summary_part.added",
            {"part": {"type": "summary_text", "text": "x"}, "summary_index": 1},
            "/output/0/summary/1/text",
        ),
        ("response.mcp_call_arguments.delta", {"delta": "x"}, ARGUMENTS),
        ("response.mcp_call_arguments.done", {"arguments": "x"}, ARGUMENTS),
        ("response.custom_tool_call_input.delta", {"delta": "x"}, "/output/0/input"),
        ("response.custom_tool_call_input.done", {"input": "x"}, "/output/0/input"),
        ("response.code_interpreter_call_code.delta", {"delta": "x"}, "/output/0/code"),
        ("response.code_interpreter_call_code.done", {"code": "x"}, "/output/0/code"),
        ("response.shell_call_command.added", {"command": "x", "command_index": 2}, "/output/0/action/commands/2"),
        ("response.shell_call_command.delta", {"delta": "x", "command_index": 2}, "/output/0/action/commands/2"),
        ("response.shell_call_command.done", {"command": "x", "command_index": 2}, "/output/0/action/commands/2"),
        (
            "response.shell_call_output_content.delta",
            {"delta": {"stdout": "x"}, "command_index": 1},
            "/output/0/output/1/stdout",
        ),
        (
            "response.shell_call_output_content.done",
            {"output": [{"stdout": "x", "stderr": "", "outcome": {"type": "timeout"}}], "command_index": 1},
            "/output/0/output/1/0/stdout",
        ),
        (
            "response.output_text.annotation.added",
            {"annotation": {"type": "url_citation", "url": "x"}, "annotation_index": 1},
            "/output/0/content/0/annotations/1/url",
        ),
        ("response.content_part.added", {"part": {"type": "output_text", "text": "x"}}, TEXT),
        ("response.output_item.added", {"item": call("x")}, ARGUMENTS),
        ("response.created", {"response": answer(call("x"))}, ARGUMENTS),
        ("response.failed", {"response": answer(error={"code": "c", "message": "x"})}, "/error/message"),
        ("response.audio.transcript.delta", {"delta": "x"}, "/audio/transcript"),
        ("error", {"message": "x", "code": None, "param": None}, "/message"),
        ("error", {"error": {"message": "x", "type": "t"}}, "/error/message"),
        ("error", {"error": "x"}, "/error"),
    ],
)  # fmt: skip
def test_each_event_is_read_and_rewritten_at_its_place(kind: str, fields: dict[str, Any], path: str) -> None:
    stream_reader = reader()
    (chunk,) = stream_reader.receive_data(framed([{"type": kind, **WHERE, **fields}])[0])
    assert [(p, t) for p, _, t in chunk.deltas] == [(path, "x")]
    assert chunk.opaque == ()
    after = stream_reader.rewritten(chunk, path, "new")
    assert after.startswith(b"event: " + kind.encode() + b"\ndata: {")
    (again,) = reader().receive_data(after)
    assert [(p, t) for p, _, t in again.deltas] == [(path, "new")]
    with pytest.raises(ProtocolError):
        stream_reader.rewritten(chunk, "/output/9/text", "new")


def test_a_replaced_text_takes_its_probabilities_along() -> None:
    stream_reader = reader()
    logprobs = [{"token": "x", "logprob": 0.0}]
    for fields in ({"delta": "x", "logprobs": logprobs}, {"text": "x", "logprobs": logprobs}):
        kind = "delta" if "delta" in fields else "done"
        (chunk,) = stream_reader.receive_data(
            framed([{"type": f"response.output_text.{kind}", **WHERE, **fields}])[0]
        )
        after = stream_reader.rewritten(chunk, TEXT, "new")
        assert json.loads(after.split(b"data: ")[1])["logprobs"] == []


def test_what_is_not_understood_is_opaque_and_may_end_the_answer() -> None:
    for kind, fields in [
        ("response.hologram", {"text": "x"}),
        ("response.output_text.delta", {"delta": 3}),
        ("response.output_text.delta", {"delta": "x", "output_index": -1}),
        ("response.output_text.delta", {"delta": "x", "Delta": "y"}),
        ("response.output_item.done", {"item": 3}),
        ("response.completed", {"response": {"output": 3}}),
    ]:
        chunk = one(kind, **WHERE | fields)
        assert (chunk.opaque, chunk.final) == (NOT_UNDERSTOOD, True), kind
    assert one("response.output_text.delta", **WHERE, delta="x", text="y").opaque == (
        ("/text", "a field that this protocol does not define"),
    )
    assert one("response.audio.delta", delta="UklGR").opaque == (("/audio", "audio"),)
    image = one("response.image_generation_call.partial_image", **WHERE, partial_image_b64="x")
    assert image.opaque == (("/output/0/result", "an image"),)
    named = one("response.function_call_arguments.done", output_index=0, arguments="{}", name="do as I say")
    assert named.opaque == (("/name", "a tool name that is no identifier"),)
    (noise,) = reader().receive_data(b"data: {not json}\n\n")
    assert noise.opaque == NOT_UNDERSTOOD


def test_comments_and_the_end() -> None:
    comment, end = reader().receive_data(b": ping\n\ndata: [DONE]\n\n")
    assert (comment.deltas, comment.final, end.final) == ((), False, True)


def test_an_index_left_out_is_the_first() -> None:
    assert one("response.output_text.delta", delta="x").deltas == ((TEXT, "text", "x"),)


def test_the_places_of_an_answer_are_limited() -> None:
    stream_reader = reader(Limits(pieces=3))
    events = [
        {"type": "response.output_text.delta", "content_index": 0, "output_index": n % 3, "delta": "x"}
        for n in range(6)
    ]
    assert not any(c.opaque for c in stream_reader.receive_data(b"".join(framed(events))))
    far = {"type": "response.output_text.delta", "content_index": 1, "output_index": 0, "delta": "x"}
    assert stream_reader.receive_data(framed([far])[0])[0].opaque == NOT_UNDERSTOOD


def test_cut_and_failed_go_on_counting() -> None:
    stream_reader = reader()
    stream_reader.receive_data(b"".join(stream([])[:2]))
    cut = stream_reader.cut("bz-1", "stopped by policy")
    assert cut.startswith(b"event: response.incomplete\ndata: ")
    body = json.loads(cut.split(b"data: ")[1])
    assert (body["type"], body["sequence_number"]) == ("response.incomplete", 2)
    assert body["response"]["incomplete_details"] == {"reason": "content_filter"}
    assert (body["response"]["id"], body["response"]["model"]) == ("resp_1", "m")
    assert body["response"]["bartizan"]["record_id"] == "bz-1"
    failed = stream_reader.failed("upstream_closed", "broke off", "bz-1")
    assert failed.startswith(b"event: error\ndata: ")
    assert json.loads(failed.split(b"data: ")[1])["error"]["code"] == "upstream_closed"
