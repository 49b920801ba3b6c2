"""What a client gets of a stream, over the three protocols: the same whatever way it was cut.

``BARTIZAN_STREAM_SPLITS`` sets how many splits are tried of each stream; thousands before a release.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import anthropic
import httpx2 as httpx
import openai
import pytest
from tests.e2e import responses_script as responses
from tests.property import test_anthropic as messages
from tests.unit.gateway import test_streaming as chat

from bartizan.assembly import generic_table
from bartizan.detectors.text.exfiltration import Exfiltration
from bartizan.detectors.text.leak import Leak
from bartizan.detectors.text.secrets import Secrets
from bartizan.gateway.enforce import REMOVED
from bartizan.gateway.streaming import StreamJudge
from bartizan.pipeline import Pipeline
from bartizan.policy.decide import Policy
from bartizan.ports import ParsedRequest
from bartizan.protocols.anthropic_messages import AnthropicMessages
from bartizan.protocols.openai_chat import OpenAIChat
from bartizan.protocols.responses_protocol import OpenAIResponses
from bartizan.types import Interaction, Mode, Part, Principal, Step, Verdict

SPLITS = int(os.environ.get("BARTIZAN_STREAM_SPLITS", "25"))
CANARY = "MARBLE-" + "HERON-7731"
SECRETS = chat.TOKENS
TEXT = (
    f"Voilà: the key is {SECRETS[0]}, see [the docs](https://example.org/guide?page=2). "
    f'Or "{SECRETS[2]}"; the database is {SECRETS[4]} – 庭には 12 34 birds. Done, task-wise.'
)
ARGUMENTS = json.dumps(
    {
        "to": "ann@example.org",
        "body": f'Line one\nthe key is "{SECRETS[0]}"\n{SECRETS[3]}\té\\{SECRETS[1]}\\',
        "n": [1, 2.5, None, True],
        "näïve": {"deep": [f"{SECRETS[2]}é😀", "kept 😀", f"{SECRETS[5]}"]},
    }
)
PROTOCOLS = {"chat": OpenAIChat(), "responses": OpenAIResponses(), "messages": AnthropicMessages()}
NOTHING = ParsedRequest(())


def in_chat(text: list[str], arguments: list[str]) -> bytes:
    head = {"index": 0, "id": "call_1", "type": "function"}
    calls = [{**head, "function": {"name": "send", "arguments": ""}}]
    calls += [{"index": 0, "function": {"arguments": piece}} for piece in arguments]
    said = [chat.event(content=piece) for piece in text] + [chat.event(tool_calls=[call]) for call in calls]
    return b"".join([*said, chat.event(finish="tool_calls"), b"data: [DONE]\n\n"])


def in_responses(text: list[str], arguments: list[str]) -> bytes:
    events = responses.text_events(text) + responses.call_events(arguments, 1)
    whole = responses.message("".join(text)), responses.call("".join(arguments))
    return b"".join(responses.stream(events, *whole))


def in_messages(text: list[str], arguments: list[str]) -> bytes:
    event = messages.event
    usage = {"input_tokens": 1, "output_tokens": 1}
    head = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    call = {"type": "tool_use", "id": "t", "name": "send", "input": {}}
    out = [event("message_start", message=head), event("ping")]
    for index, (block, form, field, pieces) in enumerate(
        [
            ({"type": "text", "text": ""}, "text_delta", "text", text),
            (call, "input_json_delta", "partial_json", arguments),
        ]
    ):
        out.append(event("content_block_start", index=index, content_block=block))
        out += [event("content_block_delta", index=index, delta={"type": form, field: p}) for p in pieces]
        out.append(event("content_block_stop", index=index))
    return b"".join(
        [*out, event("message_delta", delta={"stop_reason": "tool_use"}, usage=usage), event("message_stop")]
    )


STREAMS: dict[str, Callable[[list[str], list[str]], bytes]] = {
    "chat": in_chat,
    "responses": in_responses,
    "messages": in_messages,
}
by_protocol = pytest.mark.parametrize("name", STREAMS)
GUARDED = Pipeline(
    [Secrets(), Exfiltration(), Leak(canaries=(CANARY,))],
    Policy(mode=Mode.ENFORCE),
    generic_table(),
    rate=0.001,
    deadline_ms=1e6,
)


def through(name: str, data: Iterable[bytes], pipeline: Pipeline = GUARDED) -> bytes:
    def look(parts: tuple[Part, ...]) -> Verdict:
        return pipeline.judge(Interaction("i", "s", Step.RESPONSE, Principal("p", "address"), parts))

    reader = PROTOCOLS[name].open_stream(NOTHING)
    judge = StreamJudge(reader, look, mode=Mode.ENFORCE, record_id="bz-1")
    return b"".join(map(judge.feed, data)) + judge.close()


def cut(whole: Any, rng: random.Random, most: int) -> list[Any]:
    places = sorted({0, len(whole), *(rng.randrange(len(whole)) for _ in range(rng.randint(0, most)))})
    return [whole[a:b] for a, b in pairwise(places)]


def served(data: bytes) -> httpx.MockTransport:
    return httpx.MockTransport(
        lambda _: httpx.Response(200, headers={"content-type": "text/event-stream"}, content=data)
    )


def read(name: str, data: bytes) -> tuple[str, str]:
    """What the vendor's own client makes of a stream: the text, and the arguments as JSON."""
    with httpx.Client(transport=served(data)) as http:
        if name == "messages":
            client = anthropic.Anthropic(api_key="k", base_url="http://there", http_client=http)
            with client.messages.stream(
                model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]
            ) as events:
                said = events.get_final_message().content
            return said[0].text, json.dumps(said[1].input)  # type: ignore[union-attr]
        ai = openai.OpenAI(api_key="k", base_url="http://there", http_client=http)
        if name == "responses":
            with ai.responses.stream(model="m", input="x") as found:
                answer = found.get_final_response()
            return answer.output_text, answer.output[1].arguments  # type: ignore[union-attr]
        with ai.chat.completions.stream(model="m", messages=[{"role": "user", "content": "x"}]) as chunks:
            choice = chunks.get_final_completion().choices[0].message
        return choice.content or "", choice.tool_calls[0].function.arguments  # type: ignore[index]


@by_protocol
def test_every_split_of_the_bytes_gives_the_client_the_same_bytes(name: str) -> None:
    rng = random.Random(name)
    for size in (3, 40):
        data = STREAMS[name](cut(TEXT, rng, len(TEXT) // size), cut(ARGUMENTS, rng, len(ARGUMENTS) // size))
        expected = through(name, [data])
        for _ in range(SPLITS):
            assert through(name, cut(data, rng, 60)) == expected


@by_protocol
def test_an_answer_that_is_cut_off_ends_at_the_same_byte_whatever_the_split(name: str) -> None:
    rng = random.Random(name)
    text = f"Of course. I was told to say {CANARY} to nobody. That is all that I know."
    for size in (2, 9):
        data = STREAMS[name](cut(text, rng, len(text) // size), cut(ARGUMENTS, rng, 9))
        expected = through(name, [data])
        assert b"content_filter" in expected
        assert b"that I know" not in expected
        for _ in range(SPLITS):
            assert through(name, cut(data, rng, 40)) == expected


@by_protocol
def test_every_cutting_into_deltas_gives_the_client_the_same_text(name: str) -> None:
    rng = random.Random(name)
    text, arguments = read(name, through(name, [STREAMS[name]([TEXT], [ARGUMENTS])]))
    assert text.count(REMOVED) == 3
    assert "see [the docs](https://example.org/guide?page=2). Or" in text
    assert text.endswith(" – 庭には 12 34 birds. Done, task-wise.")
    tree = json.loads(arguments)
    assert tree["body"] == f'Line one\nthe key is "{REMOVED}"\n{REMOVED}\té\\{REMOVED}\\'
    assert tree["näïve"] == {"deep": [f"{REMOVED}é😀", "kept 😀", REMOVED]}
    assert (tree["to"], tree["n"]) == ("ann@example.org", [1, 2.5, None, True])
    assert not any(chat.leaked(shown) for shown in (text, arguments))
    for _ in range(SPLITS // 2):
        deltas = cut(TEXT, rng, 150), cut(ARGUMENTS, rng, 150)
        got = read(name, through(name, cut(STREAMS[name](*deltas), rng, 20)))
        assert (got[0], json.loads(got[1])) == (text, tree)


PIECES = {
    "spelt": " ".join(SECRETS[0]),
    "lines": "\n".join(SECRETS[0]),
    "items": "\n".join(f"{n}. {c}" for n, c in enumerate(SECRETS[0], 1)),
    "sum": '" + "'.join([SECRETS[0][:20], SECRETS[0][20:]]),
    "hex": SECRETS[0].encode().hex(" "),
    "codes": " ".join(str(ord(c)) for c in SECRETS[0]),
}


@pytest.mark.parametrize("piece", PIECES)
def test_a_token_in_pieces_goes_whatever_the_deltas(piece: str) -> None:
    text = f"Before it, {PIECES[piece]}. And after; that is all."
    tail = " And after; that is all."
    found = set()
    for step in (1, 2, 3, 7, 20, 10_000):
        deltas = [text[a : a + step] for a in range(0, len(text), step)]
        found.add(chat.told(through("chat", [*(chat.event(content=d) for d in deltas), chat.END])))
    (seen,) = found
    assert REMOVED in seen
    assert seen.endswith(tail)
    # The first letters of a token that is spelt say nothing, and are not waited for.
    assert len(seen) <= len(f"Before it, 1. s\n2. k\n3. {REMOVED}.{tail}")


HARD = {
    "escaped letters": "".join(f"\\u{ord(c):04x}" for c in SECRETS[0]),
    "a quote inside": SECRETS[0][:30] + '\\"' + SECRETS[0][30:],
    "a line inside": SECRETS[0][:30] + "\\n" + SECRETS[0][30:],
    "a character behind": SECRETS[0] + "\\u00e9",
    "a pair behind": SECRETS[0] + "\\ud83d\\ude00",
    "a backslash behind": SECRETS[0] + "\\\\",
    "spelt, over the strings": '", "'.join(SECRETS[0]),
}


@by_protocol
@pytest.mark.parametrize("form", HARD)
def test_arguments_stay_json_whatever_is_removed_from_them(name: str, form: str) -> None:
    arguments = '{"a": ["' + HARD[form] + '", "."], "b": 1, "c": "\\u00e9 kept\\n"}'
    json.loads(arguments)
    rng = random.Random(form)
    for most in (0, 3, 30, 300):
        pieces = cut(arguments, rng, most)
        tree = json.loads(read(name, through(name, [STREAMS[name](["Well."], pieces)]))[1])
        assert tree["b"] == 1
        assert REMOVED in json.dumps(tree["a"])
        assert not chat.leaked("".join(tree["a"]).replace('"', "").replace("\n", ""))
        assert tree["c"].endswith("kept\n")
