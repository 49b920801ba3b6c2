"""What holds of the Responses protocol for every message and every split of a stream."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.e2e.responses_script import answer, call, call_events, framed, message, pieces, stream, text_events
from tests.property.test_protocols import near, texts, trees
from tests.unit.gateway.test_streaming import PIPELINE, SECRETS, TEXTS, leaked

from bartizan.errors import ProtocolError
from bartizan.gateway.streaming import StreamJudge
from bartizan.ports import Chunk, ParsedRequest
from bartizan.protocols.responses_events import KINDS
from bartizan.protocols.responses_protocol import OpenAIResponses
from bartizan.protocols.responses_shapes import ITEMS, PIECES
from bartizan.types import Interaction, Mode, Part, Principal, Step, Verdict

PROTOCOL = OpenAIResponses()
NOTHING = ParsedRequest(())
SLOW = [HealthCheck.too_slow]

roles = st.sampled_from(["system", "user", "assistant", "oracle"])
part = st.one_of(
    st.sampled_from(sorted(PIECES)).flatmap(
        lambda kind: near(*PIECES[kind].known.known, values=texts | trees).map(lambda t: t | {"type": kind})
    ),
    st.builds(lambda t: {"type": "output_text", "text": t}, texts),
)
item = st.one_of(
    st.sampled_from(sorted(ITEMS)).flatmap(
        lambda kind: near(*ITEMS[kind].reads, values=texts | st.lists(part | texts, max_size=2) | trees).map(
            lambda t: t | {"type": kind}
        )
    ),
    st.builds(lambda role, c: {"role": role, "content": c}, roles, texts | st.lists(part, max_size=2)),
)
body = st.fixed_dictionaries(
    {},
    optional={
        "input": texts | st.lists(item, max_size=3) | trees,
        "output": st.lists(item, max_size=3),
        "instructions": texts,
        "tools": st.lists(
            st.fixed_dictionaries(
                {"type": st.just("function"), "name": texts}, optional={"description": texts}
            ),
            max_size=2,
        ),
        "prompt": st.fixed_dictionaries(
            {}, optional={"variables": st.dictionaries(texts, texts, max_size=2)}
        ),
        "previous_response_id": texts,
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(body)
def test_a_message_is_refused_or_read_and_every_text_can_be_replaced(tree: dict[str, Any]) -> None:
    raw = json.dumps(tree).encode()
    refusals = set()
    for read in (PROTOCOL.parse_request, lambda _, h, b: PROTOCOL.parse_response(NOTHING, h, b)):
        try:
            parts = read("/v1/responses", {}, raw).parts
        except ProtocolError as error:
            refusals.add((error.side, error.status))
            continue
        paths = [p.path for p in parts]
        assert len(set(paths)) == len(paths)
        after = PROTOCOL.rewrite(raw, {}, dict.fromkeys(paths, '"replaced"'))
        for path in paths:
            where = json.loads(after)
            for token in path.split("/")[1:]:
                where = where[int(token) if isinstance(where, list) else token.replace("~1", "/")]
            told = where.get("description") if isinstance(where, dict) else where
            assert told in ('"replaced"', "replaced")
    assert refusals <= {("client", 400), ("client", 413), ("upstream", 502)}


event = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.fixed_dictionaries(
        {"type": st.just(kind), KINDS[kind].key or "item_id": texts | item | part | body | trees},
        optional={name: st.integers(0, 2) for name in KINDS[kind].indices},
    )
)


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(st.lists(event, max_size=4))
def test_any_event_gives_a_chunk_that_can_be_rewritten(events: list[dict[str, Any]]) -> None:
    reader = PROTOCOL.open_stream(NOTHING)
    for data in framed(events):
        (chunk,) = reader.receive_data(data)
        assert chunk.raw == data
        stated = {path for path, _ in chunk.whole}
        for path in stated | {path for path, _, _ in chunk.deltas}:
            fresh = PROTOCOL.open_stream(NOTHING)
            (after,) = fresh.receive_data(reader.rewritten(chunk, path, "anew"))
            assert "anew" in {t for _, t in after.whole} | {t for _, _, t in after.deltas} or any(
                "anew" in t for _, t in after.whole
            )


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    sorted_places = sorted({0, len(data), *(p % (len(data) + 1) for p in places)})
    return [data[a:b] for a, b in pairwise(sorted_places)]


def look(parts: tuple[Part, ...]) -> Verdict:
    return PIPELINE.judge(Interaction("i", "s", Step.RESPONSE, Principal("p", "address"), parts))


def through(data: Sequence[bytes]) -> bytes:
    judge = StreamJudge(PROTOCOL.open_stream(NOTHING), look, mode=Mode.ENFORCE, record_id="bz-1")
    return b"".join(map(judge.feed, data)) + judge.close()


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, bool]:
    """Answers of one or two items, with some events left out or another text at the end; and if all are there."""
    inner: list[dict[str, Any]] = []
    output = []
    for index in range(draw(st.integers(1, 2))):
        text = draw(TEXTS)
        cuts = draw(st.lists(st.integers(1, max(1, len(text) - 1)), max_size=12))
        if draw(st.booleans()):
            inner += text_events(pieces(text, cuts), index)
            output.append(message(text))
        else:
            arguments = json.dumps({"text": text})
            inner += call_events(pieces(arguments, cuts), index)
            output.append(call(arguments))
    lost = draw(st.sets(st.integers(0, len(inner) - 1), max_size=3))
    if draw(st.booleans()):
        output[0] = message(draw(TEXTS))
    kept = [e for n, e in enumerate(inner) if n not in lost]
    return b"".join(stream(kept, *output)), not lost


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(streams(), st.lists(st.lists(st.integers(min_value=0), max_size=30), min_size=1, max_size=3))
def test_the_client_gets_the_same_bytes_however_they_were_split(
    made: tuple[bytes, bool], ways: list[list[int]]
) -> None:
    data, complete = made
    whole = through([data])
    for places in ways:
        assert through(cut(data, places)) == whole
    # Half a secret, whose beginning never came, is none.
    assert not complete or not leaked(whole.decode())


@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
@given(st.lists(event, max_size=6), st.lists(st.integers(min_value=0), max_size=20))
def test_chunks_are_the_same_however_the_bytes_were_split(
    events: list[dict[str, Any]], places: list[int]
) -> None:
    data = b"".join(framed(events))

    def chunks(given_pieces: list[bytes]) -> list[Chunk]:
        reader = PROTOCOL.open_stream(NOTHING)
        found = [c for piece in given_pieces for c in reader.receive_data(piece)]
        return [*found, *reader.end_of_stream()]

    whole = chunks([data])
    assert b"".join(c.raw for c in whole) == data
    assert chunks(cut(data, places)) == whole


@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
def test_what_is_said_in_pieces_and_what_is_said_in_full_agree(secret: str) -> None:
    text = f"Before it, {secret} and after; that is all."
    for step in (1, 3, 17, 1000):
        data = b"".join(stream(text_events(pieces(text, range(step, len(text), step))), message(text)))
        told: dict[str, str] = {}
        for line in through([data]).split(b"\n"):
            if line.startswith(b"data: "):
                got = json.loads(line[6:])
                kind = got["type"]
                if kind == "response.output_text.delta":
                    told[kind] = told.get(kind, "") + got["delta"]
                elif kind == "response.output_text.done":
                    told[kind] = got["text"]
                elif kind == "response.content_part.done":
                    told[kind] = got["part"]["text"]
                elif kind == "response.output_item.done":
                    told[kind] = got["item"]["content"][0]["text"]
                elif kind == "response.completed":
                    told[kind] = got["response"]["output"][0]["content"][0]["text"]
        assert len(told) == 5
        assert len(set(told.values())) == 1
        assert not leaked(told["response.completed"])
        assert answer(message(text))["output"][0]["content"][0]["text"] == text
