"""What holds of wire protocols for every input, not only for the examples one thinks of."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bartizan.errors import ProtocolError
from bartizan.ports import Chunk, ParsedRequest
from bartizan.protocols.json_guard import decode_json, nesting
from bartizan.protocols.open_inference import OpenInference
from bartizan.protocols.openai_chat import OpenAIChat
from bartizan.protocols.sse import EventSplitter

CHAT, PREDICT = OpenAIChat(), OpenInference()
NOTHING = ParsedRequest(())

texts = st.text(max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def near(*keys: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with keys that mean something, and values that may not."""
    return st.dictionaries(st.sampled_from(keys) | texts, values, max_size=len(keys))


def likely(required: dict[str, st.SearchStrategy[Any]], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of the right shape, as far as their values are."""
    return st.fixed_dictionaries(required, optional=optional)


roles = st.sampled_from(["system", "user", "assistant", "tool", "oracle"])
called = likely({"name": texts}, arguments=texts | trees, input=texts) | near(
    "name", "arguments", values=scalars
)
calls = likely({}, id=texts, index=st.integers(0, 3), function=called, custom=called) | scalars
pieces = (
    likely({"type": st.just("text"), "text": texts})
    | likely(
        {}, type=st.sampled_from(["image_url", "refusal"]), refusal=texts, thinking=texts, image_url=scalars
    )
    | near("type", "text", "image_url", values=scalars)
    | texts
)
content = texts | st.none() | st.lists(pieces, max_size=3)
spoken = likely(
    {},
    role=roles,
    content=content,
    refusal=texts,
    reasoning_content=texts,
    name=texts,
    tool_call_id=texts,
    tool_calls=st.lists(calls, max_size=2),
    function_call=called,
)
messages = spoken.map(lambda tree: {"role": "user"} | tree) | near("role", "content", "name", values=scalars)
choices = likely(
    {},
    index=st.integers(0, 3),
    message=spoken,
    delta=spoken,
    finish_reason=st.sampled_from([None, "stop"]),
    logprobs=trees,
)
tools = likely({}, type=texts, function=likely({"name": texts}, description=texts, parameters=trees))
chats = likely(
    {"messages": st.lists(messages, min_size=1, max_size=4), "choices": st.lists(choices, max_size=3)},
    model=texts,
    tools=st.lists(tools, max_size=2),
    prediction=likely({}, content=content),
    response_format=likely({}, json_schema=trees),
) | near(
    "model", "messages", "stream", "tools", "choices", "error", values=st.lists(messages | choices) | trees
)
datatypes = st.sampled_from(["FP32", "FP16", "BF16", "INT8", "UINT64", "BOOL", "BYTES", "FP64"])
sized = st.lists(st.integers(0, 2), max_size=2).flatmap(
    lambda shape: st.fixed_dictionaries(
        {
            "name": texts,
            "shape": st.just(shape),
            "datatype": datatypes,
            "data": st.lists(
                st.integers(0, 9) | texts | st.booleans(),
                min_size=int(np.prod(shape)),
                max_size=int(np.prod(shape)),
            ),
        }
    )
)
tensors = sized | near(
    "name",
    "shape",
    "datatype",
    "data",
    "parameters",
    values=datatypes
    | st.lists(st.integers(-1, 4), max_size=4)
    | near("binary_data_size", values=scalars)
    | trees,
)
inferences = near("inputs", "outputs", "parameters", "id", values=st.lists(tensors, max_size=3) | trees)
bodies = (
    st.binary(max_size=200)
    | (chats | inferences | trees).map(lambda tree: json.dumps(tree).encode())
    | st.tuples(inferences, st.binary(max_size=40)).map(lambda t: json.dumps(t[0]).encode() + t[1])
)


@settings(max_examples=400, deadline=None)
@given(bodies, st.none() | st.integers(-1, 200).map(str) | texts)
def test_parsing_raises_nothing_but_protocol_errors(body: bytes, length: str | None) -> None:
    headers = {} if length is None else {"inference-header-content-length": length}
    refusals = []
    for protocol in (CHAT, PREDICT):
        try:
            parsed = protocol.parse_request("/v2/models/m/infer", headers, body)
        except ProtocolError as error:
            refusals.append((error.side, error.status))
        else:
            paths = [part.path for part in parsed.parts if part.rows is None]
            assert len(set(paths)) == len(paths)
            assert all(part.digest for part in parsed.parts)
        try:
            protocol.parse_response(NOTHING, headers, body)
        except ProtocolError as error:
            refusals.append((error.side, error.status))
    assert set(refusals) <= {("client", 400), ("client", 413), ("upstream", 502)}


@settings(max_examples=300, deadline=None)
@given(chats)
def test_every_text_read_from_a_chat_can_be_replaced(tree: dict[str, Any]) -> None:
    body = json.dumps(tree).encode()
    for read in (CHAT.parse_request, lambda _, h, b: CHAT.parse_response(NOTHING, h, b)):
        try:
            parts = read("", {}, body).parts
        except ProtocolError:
            continue
        schemas = ("/tools", "/response_format")
        edits = {p.path: '"replaced"' for p in parts if p.text and not p.path.startswith(schemas)}
        after = json.loads(CHAT.rewrite(body, {}, edits))
        for path in edits:
            where = after
            for token in path.split("/")[1:]:
                where = where[int(token) if isinstance(where, list) else token]
            assert where in ('"replaced"', "replaced")


def unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("duplicate")
    return dict(pairs)


def refuse(constant: str) -> None:
    raise ValueError(constant)


brackets = [b"{", b"}", b"[", b"]", b"{}", b":", b","]
keys = [b'{"a":', b'{"a:b":1,', b'"a":', b'"\\u0061":', b'"\\u003a"']
strings = [b"1", b'"\\\\"', b'"\\""', b'"[{"', b'"']
fragments = st.sampled_from([*brackets, *keys, *strings])
members = st.tuples(
    st.sampled_from(["a", "b", ":", "\\u0061", "\\u003a"]),
    st.sampled_from(["1", '":"', '"\\u003A"', '{"a":1}']),
)
objects = st.lists(members, max_size=4).map(
    lambda pairs: ("{" + ",".join(f'"{key}":{value}' for key, value in pairs) + "}").encode()
)
json_like = st.lists(fragments, max_size=14).map(b"".join) | objects


@settings(max_examples=1000, deadline=None)
@given(json_like | trees.map(lambda tree: json.dumps(tree).encode()))
def test_json_is_accepted_exactly_if_the_standard_library_finds_it_unambiguous(body: bytes) -> None:
    try:
        expected = json.loads(body.decode(), object_pairs_hook=unambiguous, parse_constant=refuse)
        json.dumps(expected, ensure_ascii=False, allow_nan=False).encode()  # no surrogates, no overflow
    except ValueError:
        with pytest.raises(ProtocolError):
            decode_json(body, depth=64)
    else:
        assert decode_json(body, depth=64) == expected


def height(tree: Any) -> int:
    if isinstance(tree, dict):
        tree = list(tree.values())
    return 1 + max(map(height, tree), default=0) if isinstance(tree, list) else 0


@settings(deadline=None)
@given(trees)
def test_nesting_is_the_height_of_the_tree(tree: Any) -> None:
    assert nesting(json.dumps(tree, ensure_ascii=False).encode()) == height(tree)


events = st.sampled_from(
    [
        b": ping",
        b"event: x",
        b"data: [DONE]",
        b"data: not json",
        b"data:",
        b"data",
        'data: {"choices": [{"index": 0, "delta": {"content": "né\U0001f600"}}]}'.encode(),
        b'data: {"choices": [{"index": 1, "delta": {"content": "a\\n\\n"}, "finish_reason": "stop"}]}',
        b'data: {"choices":\ndata:[{"delta": {"tool_calls": [{"index":2,"function":{"arguments": "{"}}]}}]}',
    ]
)
ends = st.sampled_from(
    [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n", b"\r\r\n", b"\n", b"\r", b"\r\n", b"\n\n\n"]
)
streams = st.tuples(
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.lists(st.tuples(events, ends).map(b"".join), max_size=8).map(b"".join),
    st.sampled_from([b"", b"data: {", b"\r", b"\n"]),
).map(b"".join) | st.lists(
    st.sampled_from([b"data: x", b"\r", b"\n", b"\xef\xbb\xbf", b":"]), max_size=20
).map(b"".join)


def split(stream: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[a:b] for a, b in pairwise(places)] or [b""]


@settings(max_examples=400, deadline=None)
@given(streams, st.lists(st.integers(min_value=0)))
def test_a_stream_is_the_same_however_it_is_split(stream: bytes, cuts: list[int]) -> None:
    def chunks(pieces: list[bytes]) -> list[Chunk]:
        reader = CHAT.open_stream(NOTHING)
        found = [chunk for piece in pieces for chunk in reader.receive_data(piece)]
        return [*found, *reader.end_of_stream()]

    whole = chunks([stream])
    assert b"".join(chunk.raw for chunk in whole) == stream
    assert chunks(split(stream, cuts)) == whole
    assert chunks([bytes([byte]) for byte in stream]) == whole


@settings(max_examples=400, deadline=None)
@given(streams, st.lists(st.integers(min_value=0)))
def test_events_are_those_that_openais_client_sees(stream: bytes, cuts: list[int]) -> None:
    streaming = pytest.importorskip("openai._streaming")
    assume(not stream.startswith(b"\xef"))  # the client leaves byte order marks to others
    assume(b"\n\xef" not in stream)
    assume(b"\r\xef" not in stream)
    splitter = EventSplitter()
    ours = [event.data for piece in split(stream, cuts) for event in splitter.receive_data(piece)]
    complete = [data.decode() for data in ours if data]
    theirs = [event.data for event in streaming.SSEDecoder().iter_bytes(iter([stream])) if event.data]
    rest = [event.data.decode() for event in splitter.end_of_stream() if event.data]
    assert theirs in (complete, complete + rest)


@settings(max_examples=300, deadline=None)
@given(chats, st.binary(max_size=60))
def test_any_event_gives_a_chunk_that_can_be_rewritten(tree: dict[str, Any], noise: bytes) -> None:
    for data in (json.dumps(tree).encode(), noise.replace(b"\n", b"").replace(b"\r", b"")):
        reader = CHAT.open_stream(NOTHING)
        (chunk,) = reader.receive_data(b"data: " + data + b"\n\n")
        for path, kind, _ in chunk.deltas:
            (after,) = reader.receive_data(reader.rewritten(chunk, path, "new"))
            assert [d for d in after.deltas if d[0] == path] == [(path, kind, "new")]
            assert {d[0] for d in after.deltas} == {d[0] for d in chunk.deltas}
        assert json.loads(reader.cut("r", "m").split(b"\n")[0][6:])["choices"]


def numbers(dtype: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return what makes an array of a type from random bits, finite throughout."""

    def make(bits: np.ndarray) -> np.ndarray:
        if dtype == "bool":
            return bits.astype(np.uint8) % 2 == 1
        values = bits.view(dtype)[: len(bits)]
        return np.where(np.isfinite(values), values, 0).astype(dtype)

    return make


NUMPY = {"BOOL": "bool", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"} | {
    f"{sign}INT{8 * n}": f"<{code}{n}" for sign, code in (("U", "u"), ("", "i")) for n in (1, 2, 4, 8)
}


@pytest.mark.parametrize("datatype", [*NUMPY, "BF16", "BYTES"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_binary_and_json_mean_the_same(datatype: str, data: st.DataObject) -> None:
    """Requests are encoded by Triton's own client."""
    client = pytest.importorskip("tritonclient.http")
    shape = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    array = drawn(datatype, shape, data)
    seen = []
    for is_binary in (True, False) if datatype != "BF16" else (True,):
        given_input = client.InferInput("x", shape, datatype)
        given_input.set_data_from_numpy(array, binary_data=is_binary)
        body, head = client.InferenceServerClient.generate_request_body([given_input])
        headers = {} if head is None else {"Inference-Header-Content-Length": str(head)}
        seen.append(PREDICT.parse_request("/v2/models/m/infer", headers, body))
    if datatype == "BF16":  # the client has no JSON form for it
        flat = array.astype(np.float64).ravel().tolist()
        tensor = {"name": "x", "shape": shape, "datatype": "BF16", "data": flat}
        body = json.dumps({"inputs": [tensor]}).encode()
        seen.append(PREDICT.parse_request("/v2/models/m/infer", {}, body))
    described = [[(p.kind, p.path, p.text, p.digest) for p in parsed.parts] for parsed in seen]
    assert described[0] == described[1]
    if datatype == "BYTES":
        assert [p.text for p in seen[0].parts] == [t.decode() for t in array.ravel() if t]
    else:
        rows = seen[0].parts[0].rows
        assert rows is not None
        np.testing.assert_array_equal(rows.inputs, array.astype(np.float64).reshape(shape[0], -1))


def drawn(datatype: str, shape: list[int], data: st.DataObject) -> np.ndarray:
    size = int(np.prod(shape))
    if datatype == "BYTES":
        words = data.draw(st.lists(texts.map(str.encode), min_size=size, max_size=size))
        return np.array(words, dtype=object).reshape(shape)
    bits = np.array(
        data.draw(st.lists(st.integers(0, 2**64 - 1), min_size=size, max_size=size)), dtype=np.uint64
    )
    if datatype == "BF16":
        ml_dtypes = pytest.importorskip("ml_dtypes")
        values = bits.astype(np.uint16).view(ml_dtypes.bfloat16)
        return np.where(np.isfinite(values), values, ml_dtypes.bfloat16(0)).reshape(shape)
    return numbers(NUMPY[datatype])(bits).reshape(shape)
