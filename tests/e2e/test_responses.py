"""OpenAI's SDK, unmodified, with the Responses API."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from tests.e2e.conftest import systems
from tests.e2e.responses_script import (
    answer,
    call,
    call_stream,
    message,
    pieces,
    stream,
    text_events,
    text_stream,
)
from tests.e2e.running import Running, post, running
from tests.e2e.scripted import Scripted, chunked, head, raw, whole
from tests.e2e.test_sdks import ATTACK, PROMPT, SECRET, client

from bartizan.gateway.enforce import REMOVED

pytestmark = pytest.mark.e2e

TEXT = f"The key you asked for is {SECRET} and it works from today on."
CLEAN = f"The key you asked for is {REMOVED} and it works from today on."
TOOL = {
    "type": "function",
    "name": "send",
    "description": "Send a message",
    "parameters": {"type": "object", "properties": {"text": {"type": "string"}}},
    "strict": False,
}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture(scope="module")
def strict(_upstream: Scripted, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway that refuses what nobody can judge."""
    both = systems(_upstream.url, _upstream.url, table, "enforce", on_unjudged="block")
    with running(tmp_path_factory.mktemp("strict"), both) as gateway:
        yield gateway


def test_a_whole_answer(before: Running, upstream: Scripted) -> None:
    upstream.play = whole(answer(message("Sun, water and patience.")))
    with client(before.url) as sdk:
        made = sdk.responses.create(model="m", instructions="Be brief.", input="How do I start a garden?")
    assert made.output_text == "Sun, water and patience."
    record = before.records()[0]
    assert (record.protocol, record.model, record.effect.name) == ("openai-responses", "m", "ALLOW")
    assert record.steps[0].verdict.coverage.judged == ("/input",)
    assert record.steps[1].verdict.coverage.judged == ("/output/0/content/0/text",)


def test_a_stream_is_passed_on_byte_for_byte(before: Running, upstream: Scripted) -> None:
    text = "A garden bed needs sun, water – and patience. 庭には水と光が要る。"
    sent = text_stream(text, range(3, len(text), 3))
    upstream.play = chunked(sent)
    body = json.dumps({"model": "m", "input": "Hello", "stream": True}).encode()
    assert post(before.url, "/v1/responses", body)[2] == b"".join(sent)
    assert before.records()[0].stream


def test_the_sdks_stream_helper(before: Running, upstream: Scripted) -> None:
    upstream.play = chunked(text_stream("Sun, water and patience.", [4, 9]))
    with client(before.url) as sdk, sdk.responses.stream(model="m", input="Hello") as events:
        deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
        final = events.get_final_response()
    assert "".join(deltas) == final.output_text == "Sun, water and patience."


def test_a_tool_call_whole_and_streamed(before: Running, upstream: Scripted) -> None:
    upstream.play = whole(answer(call('{"text": "hi"}')))
    with client(before.url) as sdk:
        made = sdk.responses.create(model="m", input="Send hi", tools=[TOOL]).output[0]
        assert (made.type, made.name, made.arguments) == ("function_call", "send", '{"text": "hi"}')
        upstream.play = chunked(call_stream('{"text": "hi"}', [3, 8]))
        events = list(sdk.responses.create(model="m", input="Send hi", tools=[TOOL], stream=True))
    assert "".join(e.delta for e in events if e.type.endswith("arguments.delta")) == '{"text": "hi"}'
    assert events[-1].response.output[0].arguments == '{"text": "hi"}'


def test_a_tool_result_that_gives_orders_is_blocked(guarding: Running, upstream: Scripted) -> None:
    history = [
        {"role": "user", "content": "What is in my mail?"},
        {"type": "function_call", "call_id": "c", "name": "read", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": ATTACK},
    ]
    with client(guarding.url) as sdk, pytest.raises(openai.BadRequestError) as caught:
        sdk.responses.create(model="m", input=history)
    assert caught.value.code == "content_filter"
    assert upstream.asked == []
    assert guarding.records()[0].steps[0].verdict.findings[0].part == "/input/2/output"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_blocked_request_is_a_bad_request(guarding: Running, upstream: Scripted, streamed: bool) -> None:
    with client(guarding.url, max_retries=3) as sdk, pytest.raises(openai.BadRequestError) as caught:
        sdk.responses.create(model="m", input=ATTACK, stream=streamed)
    assert caught.value.code == "content_filter"
    assert caught.value.request_id.startswith("bz-")
    assert upstream.asked == []


def test_a_secret_in_a_whole_answer_is_replaced(guarding: Running, upstream: Scripted) -> None:
    upstream.play = whole(answer(message(TEXT), call(json.dumps({"text": TEXT}))))
    with client(guarding.url) as sdk:
        made = sdk.responses.create(model="m", input="Which key?")
    assert made.output_text == CLEAN
    assert json.loads(made.output[1].arguments) == {"text": CLEAN}
    assert guarding.records()[0].enforced.name == "REDACT"


def test_a_secret_is_gone_from_every_event_however_it_was_split(
    guarding: Running, upstream: Scripted
) -> None:
    rng = random.Random(11)
    start = TEXT.index(SECRET)
    ways = [[], [start + 5], range(1, len(TEXT)), *(rng.sample(range(1, len(TEXT)), 12) for _ in range(4))]
    for cuts in ways:
        upstream.play = chunked(text_stream(TEXT, cuts))
        with client(guarding.url) as sdk:
            events = list(sdk.responses.create(model="m", input="Which key?", stream=True))
        assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == CLEAN
        by_type = {e.type: e for e in events}
        assert by_type["response.output_text.done"].text == CLEAN
        assert by_type["response.content_part.done"].part.text == CLEAN
        assert by_type["response.output_item.done"].item.content[0].text == CLEAN
        assert by_type["response.completed"].response.output_text == CLEAN
        assert SECRET not in "".join(e.model_dump_json() for e in events)
    assert guarding.records()[0].enforced.name == "REDACT"


def test_a_secret_that_only_the_last_events_tell_is_replaced_there(
    guarding: Running, upstream: Scripted
) -> None:
    events = [e for e in text_events([TEXT]) if not e["type"].endswith(".delta")]
    upstream.play = chunked(stream(events, message(TEXT)))
    with client(guarding.url) as sdk:
        got = list(sdk.responses.create(model="m", input="Which key?", stream=True))
    assert got[-1].response.output_text == CLEAN
    assert SECRET not in "".join(e.model_dump_json() for e in got)


def test_a_secret_in_streamed_arguments_is_replaced(guarding: Running, upstream: Scripted) -> None:
    arguments = json.dumps({"text": TEXT})
    upstream.play = chunked(call_stream(arguments, range(7, len(arguments), 7)))
    with client(guarding.url) as sdk:
        events = list(sdk.responses.create(model="m", input="Send it", tools=[TOOL], stream=True))
    told = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
    assert json.loads(told) == {"text": CLEAN}
    assert events[-1].response.output[0].arguments == told


def test_a_stream_that_turns_bad_ends_as_incomplete(guarding: Running, upstream: Scripted) -> None:
    text = "Sure. My instructions are these: " + PROMPT
    upstream.play = chunked(text_stream(text, range(5, len(text), 5)))
    with client(guarding.url) as sdk:
        events = list(sdk.responses.create(model="m", instructions=PROMPT, input="Hello there", stream=True))
    last = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "content_filter"
    assert (last.response.id, last.response.status) == ("resp_1", "incomplete")
    assert [e.sequence_number for e in events[:-1]] == list(range(len(events) - 1))
    assert last.sequence_number >= len(events) - 1
    told = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text.startswith(told)
    assert len(told) < len(text) - 40
    record = guarding.records()[0]
    assert (record.enforced.name, record.status) == ("BLOCK", 200)


def test_an_answer_may_repeat_the_instructions_it_was_given(strict: Running, upstream: Scripted) -> None:
    upstream.play = chunked(text_stream("Fine.", instructions=PROMPT))
    with client(strict.url) as sdk:
        events = list(sdk.responses.create(model="m", instructions=PROMPT, input="Hello", stream=True))
        assert events[-1].response.output_text == "Fine."
        upstream.play = whole(answer(message("Fine."), instructions=PROMPT))
        assert sdk.responses.create(model="m", instructions=PROMPT, input="Hello").output_text == "Fine."
        with pytest.raises(openai.BadRequestError):
            sdk.responses.create(model="m", input="Hello")


def test_an_image_can_be_refused(strict: Running, guarding: Running, upstream: Scripted) -> None:
    upstream.play = whole(answer(message("A cat.")))
    asked = [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
            ],
        }
    ]
    with client(guarding.url) as sdk:
        assert sdk.responses.create(model="m", input=asked).output_text == "A cat."
    (unjudged,) = guarding.records()[0].steps[0].verdict.coverage.unjudged
    assert (unjudged.part, unjudged.why) == ("/input/0/content/1", "an image")
    upstream.asked.clear()
    with client(strict.url) as sdk, pytest.raises(openai.BadRequestError) as caught:
        sdk.responses.create(model="m", input=asked)
    assert caught.value.code == "content_filter"
    assert upstream.asked == []


def test_history_that_the_server_keeps_can_be_refused(strict: Running, upstream: Scripted) -> None:
    with client(strict.url) as sdk:
        for more in (
            {"previous_response_id": "resp_0"},
            {"conversation": "conv_1"},
            {"prompt": {"id": "pmpt_1"}},
        ):
            with pytest.raises(openai.BadRequestError):
                sdk.responses.create(model="m", input="Go on", **more)
    assert upstream.asked == []


def test_an_answer_fetched_later_is_judged(guarding: Running, upstream: Scripted) -> None:
    with client(guarding.url) as sdk:
        upstream.play = whole(answer(status="queued", background=True))
        made = sdk.responses.create(model="m", input="Which key?", background=True)
        upstream.play = whole(answer(message(TEXT)))
        assert sdk.responses.retrieve(made.id).output_text == CLEAN
        assert upstream.asked[-1].line == "GET /v1/responses/resp_1 HTTP/1.1"
        upstream.play = chunked(text_stream(TEXT, [30]))
        events = list(sdk.responses.retrieve(made.id, stream=True))
        assert events[-1].response.output_text == CLEAN
        upstream.play = whole(answer(status="cancelled"))
        assert sdk.responses.cancel(made.id).status == "cancelled"
        upstream.play = whole({"id": "resp_1", "object": "response", "deleted": True})
        sdk.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            sdk.responses.input_items.list(made.id)


def test_a_stream_that_breaks_off_raises(guarding: Running, upstream: Scripted) -> None:
    sent = b"".join(stream(text_events(pieces("A plain answer", [5]))[:4]))
    cut = sent[: sent.index(b"event: response.completed")]
    start = head(content_type="text/event-stream", transfer_encoding="chunked")
    upstream.play = raw(start, b"%x\r\n%b\r\n" % (len(cut), cut))
    seen = []
    with client(guarding.url) as sdk, pytest.raises(openai.APIError, match="broke off"):
        seen.extend(e.type for e in sdk.responses.create(model="m", input="Hello", stream=True))
