from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from bartizan.errors import ProtocolError
from bartizan.features.digest import digest_rows
from bartizan.ports import ParsedRequest, ParsedResponse
from bartizan.protocols.limits import Limits
from bartizan.protocols.open_inference import OpenInference
from bartizan.types import FloatArray, Origin, PartKind

PROTOCOL = OpenInference()
PATH = "/v2/models/fraud/infer"
LENGTH = "Inference-Header-Content-Length"


def tensor(data: Any, shape: Any, datatype: Any = "FP64", name: Any = "x", **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **more}


def binary(size: Any, shape: Any, datatype: Any = "FP32", name: Any = "x") -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": size}}


def body(tree: Any, tail: bytes = b"", length: Any = None) -> tuple[bytes, dict[str, str]]:
    head = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    given = str(len(head)) if length is None and tail else length
    return head + tail, {} if given is None else {LENGTH: given}


def ask(*inputs: Any, tail: bytes = b"", limits: Limits | None = None, **more: Any) -> ParsedRequest:
    data, headers = body({"inputs": list(inputs), **more}, tail)
    return OpenInference(limits).parse_request(PATH, headers, data)


def answer(request: ParsedRequest, *outputs: Any, tail: bytes = b"") -> ParsedResponse:
    data, headers = body({"model_name": "fraud", "outputs": list(outputs)}, tail)
    return PROTOCOL.parse_response(request, headers, data)


def rows(parsed: ParsedRequest) -> FloatArray:
    (part,) = parsed.parts
    assert part.rows is not None
    assert (part.kind, part.origin, part.digest) == (PartKind.ROWS, Origin.USER, digest_rows(part.rows))
    return part.rows.inputs


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("POST", "/v2/models/m/infer", "judge"),
        ("POST", "/v2/models/m/versions/3/infer", "judge"),
        ("GET", "/v2", "pass"),
        ("GET", "/v2/health/live", "pass"),
        ("GET", "/v2/health/ready", "pass"),
        ("GET", "/v2/models/m", "pass"),
        ("GET", "/v2/models/m/ready", "pass"),
        ("GET", "/v2/models/m/versions/3", "pass"),
        ("GET", "/v2/models/m/versions/3/ready", "pass"),
        ("GET", "/v2/models/m/infer", None),
        ("GET", "/v2/models", None),
        ("GET", "/v2/models/m/config", None),
        ("GET", "/v2/models/m/versions", None),
        ("POST", "/v2/models/m/generate", None),
        ("POST", "/v2/models/m/infer/", None),
        ("POST", "/v2/models/../infer", None),
        ("POST", "/v2/models/%2e%2e/infer", None),
        ("POST", "/v2/models/a%2fb/infer", None),
        ("POST", "/v2/repository/index", None),
        ("POST", "/v2/repository/models/m/load", None),
        ("POST", "/v2/systemsharedmemory/region/r/register", None),
        ("POST", "/v1/models/m:predict", None),
        ("POST", "/v2/health/live", None),
    ],
)
def test_operations(method: str, path: str, operation: str | None) -> None:
    assert PROTOCOL.operation(method, path) == operation


def test_one_input_is_one_part_with_named_columns() -> None:
    parsed = ask(tensor([1, 2, 3, 4, 5, 6], [2, 3], "FP32", "features"), id="1", parameters={"priority": 2})
    np.testing.assert_array_equal(rows(parsed), [[1, 2, 3], [4, 5, 6]])
    (part,) = parsed.parts
    assert part.rows is not None
    assert (part.path, part.name) == ("/inputs/0/data", "features")
    assert part.rows.columns == ("features[0]", "features[1]", "features[2]")
    assert (parsed.model, parsed.stream, parsed.session_seed) == ("fraud", False, "")


def test_inputs_of_one_batch_become_one_matrix_in_the_order_of_their_names() -> None:
    age = tensor([30, 40], [2], "INT64", "age")
    pixels = tensor([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], [2, 2, 2], "UINT8", "pixels")
    member = tensor([True, False], [2, 1], "BOOL", "member")
    parsed = ask(pixels, member, age)
    np.testing.assert_array_equal(rows(parsed), [[30, 1, 1, 2, 3, 4], [40, 0, 5, 6, 7, 8]])
    (part,) = parsed.parts
    assert part.rows is not None
    assert part.path == "/inputs"
    assert part.rows.columns == ("age", "member", "pixels[0]", "pixels[1]", "pixels[2]", "pixels[3]")
    assert part.digest == ask(age, pixels, member).parts[0].digest


def test_inputs_of_different_batches_stay_apart() -> None:
    parsed = ask(tensor([1, 2], [2, 1], name="b"), tensor([3, 4, 5], [3], name="a"))
    assert [(p.path, p.rows.inputs.tolist() if p.rows else None) for p in parsed.parts] == [
        ("/inputs/1/data", [[3], [4], [5]]),
        ("/inputs/0/data", [[1], [2]]),
    ]


def test_nested_and_flat_data_are_the_same() -> None:
    flat = ask(tensor(list(range(24)), [2, 3, 4], "INT32"))
    nested = ask(tensor(np.arange(24).reshape(2, 3, 4).tolist(), [2, 3, 4], "INT32"))
    np.testing.assert_array_equal(rows(flat), rows(nested))
    np.testing.assert_array_equal(rows(ask(tensor([7], [], "INT32"))), [[7]])


def test_tensors_without_elements_hold_nothing() -> None:
    empty = tensor([], [0, 3], name="e")
    assert ask(empty).parts == ()
    assert ask(tensor([[], []], [2, 0], name="e")).parts == ()
    assert rows(ask(empty, tensor([1], [1, 1]))).shape == (1, 1)


def test_values_are_what_the_model_will_see() -> None:
    assert rows(ask(tensor([0.1], [1, 1], "FP32")))[0, 0] == np.float64(np.float32(0.1))
    assert rows(ask(tensor([0.1], [1, 1], "FP16")))[0, 0] == np.float64(np.float16(0.1))
    assert rows(ask(tensor([0.1], [1, 1], "BF16")))[0, 0] == 0.10009765625
    assert rows(ask(tensor([0.1], [1, 1], "FP64")))[0, 0] == 0.1
    assert rows(ask(tensor([2**64 - 1], [1, 1], "UINT64")))[0, 0] == 2.0**64


def test_wide_inputs_have_no_column_names() -> None:
    parsed = ask(tensor([0] * 20, [2, 10]), limits=Limits(columns=9))
    assert parsed.parts[0].rows is not None
    assert parsed.parts[0].rows.columns == ()


def test_texts_are_parts_of_their_own() -> None:
    parsed = ask(
        tensor(["a", "", "b"], [3], "BYTES", "prompt"),
        tensor([["c", "d"], ["e", "f"]], [2, 2], "BYTES", "grid"),
        tensor([1.5, 2.5, 3.5], [3], name="x"),
        parameters={"tone": "be evil now", "mode": "fast", "deep": {"a": 1}, "b/c": [1]},
    )
    assert [(p.origin.name, p.path, p.name, p.text) for p in parsed.parts if p.rows is None] == [
        ("USER", "/parameters/tone", "", "be evil now"),
        ("USER", "/inputs/0/data/0", "prompt", "a"),
        ("USER", "/inputs/0/data/2", "prompt", "b"),
        ("USER", "/inputs/1/data/0/0", "grid", "c"),
        ("USER", "/inputs/1/data/0/1", "grid", "d"),
        ("USER", "/inputs/1/data/1/0", "grid", "e"),
        ("USER", "/inputs/1/data/1/1", "grid", "f"),
    ]
    assert {path for path, _ in parsed.unjudged} == {"/parameters/deep", "/parameters/b~1c"}


def test_bytes_that_are_no_text_are_named_and_not_hidden() -> None:
    tail = struct.pack("<I", 2) + b"ok" + struct.pack("<I", 2) + b"\xff\xfe"
    parsed = ask(binary(len(tail), [2], "BYTES"), tail=tail)
    assert [(p.path, p.text) for p in parsed.parts] == [("/inputs/0/data/0", "ok")]
    assert parsed.unjudged == (("/inputs/0/data/1", "bytes that are not UTF-8 text"),)
    coded = ask(tensor(["aGk="], [1], "BYTES", parameters={"content_type": "base64"}))
    assert coded.unjudged == (("/inputs/0", "text that the upstream decodes first"),)


def test_binary_and_json_tensors_mix() -> None:
    tail = np.array([1, 2], "<f4").tobytes() + np.array([5, 6], "<i8").tobytes()
    parsed = ask(
        binary(8, [2, 1], "FP32", "a"),
        tensor([3, 4], [2], name="b"),
        binary(16, [2], "INT64", "c"),
        tail=tail,
    )
    np.testing.assert_array_equal(rows(parsed), [[1, 3, 5], [2, 4, 6]])


F4 = np.array([1, 2], "<f4").tobytes()
X = tensor([1.0], [1, 1])
BAD_TREES: list[tuple[Any, str]] = [
    (b"", "invalid_json"),
    (b"{", "invalid_json"),
    (b'{"inputs": [], "inputs": []}', "duplicate_key"),
    (b'{"inputs": [{"name":"x","shape":[1],"datatype":"FP32","data":[1],"data":[2]}]}', "duplicate_key"),
    (b'{"inputs": [{"name":"x","shape":[1],"datatype":"FP32","data":[NaN]}]}', "invalid_json"),
    (b'{"inputs": [{"name":"x","shape":[1],"datatype":"FP32","data":[1e999]}]}', "invalid_json"),
    (
        b'{"inputs": [{"name":"x","shape":[1],"datatype":"FP32","data":' + b"[" * 70 + b"]" * 70 + b"}]}",
        "json_too_deep",
    ),
    ([], "invalid_request"),
    ({}, "invalid_request"),
    ({"inputs": []}, "invalid_request"),
    ({"inputs": {"a": 1}}, "invalid_request"),
    ({"inputs": [X], "Inputs": []}, "ambiguous_key"),
    ({"inputs": [X | {"Data": [2.0]}]}, "ambiguous_key"),
    ({"inputs": [X], "outputs": {"a": 1}}, "invalid_request"),
    ({"inputs": [X], "outputs": ["a"]}, "invalid_request"),
    (
        {"inputs": [X], "outputs": [{"name": "y", "parameters": {"shared_memory_region": "r"}}]},
        "shared_memory",
    ),
    ({"inputs": [X], "parameters": ["a"]}, "invalid_request"),
    ({"inputs": ["x"]}, "invalid_tensor"),
    ({"inputs": [X, X]}, "invalid_tensor"),
    ({"inputs": [tensor([1.0], [1], name=None)]}, "invalid_tensor"),
    ({"inputs": [tensor([1.0], [1], name="")]}, "invalid_tensor"),
    ({"inputs": [tensor([1.0], [1], name="n" * 300)]}, "invalid_tensor"),
    ({"inputs": [tensor([1.0], [1], name=5)]}, "invalid_tensor"),
    ({"inputs": [tensor([1.0], [1], "FP8")]}, "unknown_datatype"),
    ({"inputs": [tensor([1.0], [1], "fp32")]}, "unknown_datatype"),
    ({"inputs": [tensor([1.0], [1], None)]}, "unknown_datatype"),
    ({"inputs": [tensor([1.0], [1], ["FP32"])]}, "unknown_datatype"),
    ({"inputs": [tensor([1.0], None)]}, "invalid_tensor"),
    ({"inputs": [tensor([1.0], 1)]}, "invalid_tensor"),
    ({"inputs": [tensor([1.0], [-1])]}, "invalid_tensor"),
    ({"inputs": [tensor([1.0], [-1, -1])]}, "invalid_tensor"),
    ({"inputs": [tensor([1.0], [1.0])]}, "invalid_tensor"),
    ({"inputs": [tensor([1.0], [True])]}, "invalid_tensor"),
    ({"inputs": [tensor([1.0], ["1"])]}, "invalid_tensor"),
    ({"inputs": [tensor([1.0], [1] * 33)]}, "invalid_tensor"),
    ({"inputs": [tensor(None, [1])]}, "invalid_tensor"),
    ({"inputs": [tensor("1.0", [1])]}, "invalid_tensor"),
    ({"inputs": [tensor({"0": 1.0}, [1])]}, "invalid_tensor"),
    ({"inputs": [tensor(1.0, [])]}, "invalid_tensor"),
    ({"inputs": [tensor([1.0, 2.0], [1])]}, "shape_mismatch"),
    ({"inputs": [tensor([], [1])]}, "shape_mismatch"),
    ({"inputs": [tensor([1.0], [0])]}, "shape_mismatch"),
    ({"inputs": [tensor([1.0], [2, 3])]}, "shape_mismatch"),
    ({"inputs": [tensor([[1.0], [2.0, 3.0]], [2, 2])]}, "shape_mismatch"),
    ({"inputs": [tensor([[1.0, 2.0], 3.0, 4.0], [2, 2])]}, "shape_mismatch"),
    ({"inputs": [tensor([[1.0, 2.0], [3.0, 4.0]], [4, 1])]}, "shape_mismatch"),
    ({"inputs": [tensor([[[1.0, 2.0]]], [1, 2])]}, "shape_mismatch"),
    ({"inputs": [tensor([[1.0, 2.0]], [1, 1, 2])]}, "shape_mismatch"),
    ({"inputs": [tensor([[1.0]], [])]}, "invalid_tensor"),
    ({"inputs": [tensor([[[1.0]]], [1, 1])]}, "invalid_tensor"),
    ({"inputs": [tensor(["1.0"], [1])]}, "invalid_tensor"),
    ({"inputs": [tensor([True], [1])]}, "invalid_tensor"),
    ({"inputs": [tensor([None], [1])]}, "invalid_tensor"),
    ({"inputs": [tensor([{}], [1])]}, "invalid_tensor"),
    ({"inputs": [tensor([1.0], [1], "INT32")]}, "invalid_tensor"),
    ({"inputs": [tensor([True], [1], "INT32")]}, "invalid_tensor"),
    ({"inputs": [tensor([1], [1], "BOOL")]}, "invalid_tensor"),
    ({"inputs": [tensor([1], [1], "BYTES")]}, "invalid_tensor"),
    ({"inputs": [tensor([128], [1], "INT8")]}, "out_of_range"),
    ({"inputs": [tensor([-129], [1], "INT8")]}, "out_of_range"),
    ({"inputs": [tensor([256], [1], "UINT8")]}, "out_of_range"),
    ({"inputs": [tensor([-1], [1], "UINT64")]}, "out_of_range"),
    ({"inputs": [tensor([2**64], [1], "UINT64")]}, "out_of_range"),
    ({"inputs": [tensor([2**63], [1], "INT64")]}, "out_of_range"),
    ({"inputs": [tensor([10**400], [1], "INT64")]}, "out_of_range"),
    ({"inputs": [tensor([10**400], [1], "FP64")]}, "out_of_range"),
    ({"inputs": [tensor([1e39], [1], "FP32")]}, "out_of_range"),
    ({"inputs": [tensor([-1e39], [1], "FP32")]}, "out_of_range"),
    ({"inputs": [tensor([65536], [1], "FP16")]}, "out_of_range"),
    ({"inputs": [tensor([3.4e38], [1], "BF16")]}, "out_of_range"),
    ({"inputs": [X | {"parameters": [1]}]}, "invalid_request"),
    ({"inputs": [binary(8, [2])]}, "invalid_binary"),
    ({"inputs": [X | {"parameters": {"binary_data_size": 0}}]}, "invalid_tensor"),
    ({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32"}]}, "invalid_tensor"),
    ({"inputs": [X | {"parameters": {"shared_memory_region": "r"}}]}, "shared_memory"),
]
BAD_TAILS: list[tuple[Any, bytes, Any, str]] = [
    ({"inputs": [binary(8, [2])]}, F4 + b"\0", None, "invalid_binary"),
    ({"inputs": [binary(8, [2])]}, F4[:-1], None, "invalid_binary"),
    ({"inputs": [binary(4, [2])]}, F4, None, "shape_mismatch"),
    ({"inputs": [binary(8, [3])]}, F4, None, "shape_mismatch"),
    ({"inputs": [binary(8, [2], "FP64")]}, F4, None, "shape_mismatch"),
    ({"inputs": [binary(-8, [2])]}, F4, None, "invalid_binary"),
    ({"inputs": [binary("8", [2])]}, F4, None, "invalid_binary"),
    ({"inputs": [binary(8.0, [2])]}, F4, None, "invalid_binary"),
    ({"inputs": [binary(True, [1], "INT8")]}, b"\0", None, "invalid_binary"),
    ({"inputs": [binary(10**30, [2])]}, F4, None, "invalid_binary"),
    ({"inputs": [X]}, F4, None, "invalid_binary"),
    ({"inputs": [binary(8, [2])]}, F4, "0", "invalid_binary"),
    ({"inputs": [binary(8, [2])]}, F4, "-1", "invalid_binary"),
    ({"inputs": [binary(8, [2])]}, F4, "+9", "invalid_binary"),
    ({"inputs": [binary(8, [2])]}, F4, " 90", "invalid_binary"),
    ({"inputs": [binary(8, [2])]}, F4, "9_0", "invalid_binary"),
    ({"inputs": [binary(8, [2])]}, F4, "\u0669", "invalid_binary"),
    ({"inputs": [binary(8, [2])]}, F4, "", "invalid_binary"),
    ({"inputs": [binary(8, [2])]}, F4, "9" * 5000, "invalid_binary"),
    ({"inputs": [binary(8, [2])]}, F4, "99999", "invalid_binary"),
    ({"inputs": [binary(8, [2])]}, F4, "10", "invalid_json"),
    ({"inputs": [binary(8, [2])]}, np.array([1, np.nan], "<f4").tobytes(), None, "non_finite"),
    ({"inputs": [binary(8, [2])]}, np.array([1, -np.inf], "<f4").tobytes(), None, "non_finite"),
    ({"inputs": [binary(2, [1], "BF16")]}, b"\x80\x7f", None, "non_finite"),
    ({"inputs": [binary(2, [1], "FP16")]}, np.array([np.nan], "<f2").tobytes(), None, "non_finite"),
    ({"inputs": [binary(1, [1], "BOOL")]}, b"\x02", None, "out_of_range"),
    ({"inputs": [binary(4, [1], "BYTES")]}, struct.pack("<I", 9), None, "invalid_binary"),
    ({"inputs": [binary(3, [1], "BYTES")]}, b"\0\0\0", None, "invalid_binary"),
    ({"inputs": [binary(5, [1], "BYTES")]}, struct.pack("<I", 0) + b"x", None, "invalid_binary"),
    ({"inputs": [binary(8, [1], "BYTES")]}, struct.pack("<II", 0, 0), None, "invalid_binary"),
    ({"inputs": [binary(4, [2], "BYTES")]}, struct.pack("<I", 0), None, "invalid_binary"),
    ({"inputs": [binary(0, [1], "BYTES"), binary(4, [1], name="y")]}, b"\0\0\0\0", None, "invalid_binary"),
]


@pytest.mark.parametrize(("tree", "code"), BAD_TREES)
def test_bad_requests_are_refused(tree: Any, code: str) -> None:
    check_refused(*body(tree), code)


@pytest.mark.parametrize(("tree", "tail", "length", "code"), BAD_TAILS)
def test_bad_binary_requests_are_refused(tree: Any, tail: bytes, length: Any, code: str) -> None:
    check_refused(*body(tree, tail, length), code)


def check_refused(data: bytes, headers: Mapping[str, str], code: str) -> None:
    with pytest.raises(ProtocolError) as refusal:
        PROTOCOL.parse_request(PATH, headers, data)
    error = refusal.value
    assert (error.status, error.code, error.side) == (400, code, "client")
    assert error.message


@pytest.mark.parametrize(
    ("inputs", "limits", "code"),
    [
        ([tensor([1.0] * 4, [4])], Limits(elements=3), "too_many_elements"),
        ([tensor([1.0] * 2, [2], name=n) for n in "ab"], Limits(elements=3), "too_many_elements"),
        ([tensor([], [0, 10**30])], Limits(), "too_many_elements"),
        ([tensor([], [10**9, 10**9, 0])], Limits(), "too_many_elements"),
        ([tensor([1.0], [1], name=n) for n in "abc"], Limits(tensors=2), "too_many_tensors"),
        ([tensor(["a"] * 3, [3], "BYTES")], Limits(pieces=2), "too_many_pieces"),
    ],
)
def test_limits(inputs: list[Any], limits: Limits, code: str) -> None:
    with pytest.raises(ProtocolError) as refusal:
        ask(*inputs, limits=limits)
    assert (refusal.value.status, refusal.value.code) == (413, code)


REQUEST = ask(tensor([1, 2, 3, 4], [2, 2]))
SCORES = tensor([0.1, 0.9, 0.5, 0.5], [2, 2], "FP32", "scores")
LABEL = tensor([1, 0], [2], "INT64", "label")


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ([SCORES], [[0.1, 0.9], [0.5, 0.5]]),
        ([LABEL, SCORES], [[0.1, 0.9], [0.5, 0.5]]),
        ([tensor([7, 8], [2, 1], name="y"), SCORES], [[0.1, 0.9], [0.5, 0.5]]),
        (
            [tensor([7, 8], [2, 1], name="LOGITS"), tensor([0.5, 0.25], [2], name="Probabilities")],
            [[0.5], [0.25]],
        ),
        ([tensor([7, 8], [2, 1], name="b"), tensor([9, 9], [2, 1], name="a")], [[7], [8]]),
        ([tensor([7, 8, 9], [3], name="scores"), tensor([1.5, 2.5], [2], name="y")], [[1.5], [2.5]]),
        ([tensor([1, 2, 3, 4], [2, 2], "INT8", "q")], [[1, 2], [3, 4]]),
        ([tensor(list(range(8)), [2, 2, 2])], [[0, 1, 2, 3], [4, 5, 6, 7]]),
        ([LABEL], None),
        ([tensor([1.0, 2.0, 3.0], [3])], None),
        ([], None),
    ],
)
def test_the_models_answer_joins_the_rows(outputs: list[Any], expected: Any) -> None:
    (part,) = answer(REQUEST, *outputs).parts
    assert part.rows is not None
    assert REQUEST.parts[0].rows is not None
    assert part.rows.inputs is REQUEST.parts[0].rows.inputs
    assert (part.path, part.origin, part.digest) == ("/inputs/0/data", Origin.USER, digest_rows(part.rows))
    if expected is None:
        assert part.rows.outputs is None
    else:
        assert part.rows.outputs is not None
        np.testing.assert_allclose(part.rows.outputs, expected, rtol=1e-7)


def test_an_answer_in_binary_may_hold_what_is_not_a_number() -> None:
    tail = np.array([np.nan, -np.inf, 1, 2], "<f4").tobytes()
    (part,) = answer(REQUEST, binary(16, [2, 2], "FP32", "logits"), tail=tail).parts
    assert part.rows is not None
    np.testing.assert_array_equal(part.rows.outputs, [[np.nan, -np.inf], [1, 2]])


def test_texts_in_an_answer_are_the_models() -> None:
    parsed = answer(ask(tensor(["hi"], [1], "BYTES")), tensor([["a", "b"]], [1, 2], "BYTES", "y"))
    assert [(p.kind, p.origin, p.path, p.name, p.text) for p in parsed.parts] == [
        (PartKind.TEXT, Origin.MODEL, "/outputs/0/data/0/0", "y", "a"),
        (PartKind.TEXT, Origin.MODEL, "/outputs/0/data/0/1", "y", "b"),
    ]


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (b"", {}),
        (b"<html>", {}),
        (b"[]", {}),
        (b"{}", {}),
        (b'{"error": "x"}', {}),
        body({"outputs": {}}),
        body({"outputs": [1]}),
        body({"outputs": [tensor([1.0], [2])]}),
        body({"outputs": [tensor(None, [1], parameters={"shared_memory_region": "r"})]}),
        body({"outputs": [binary(8, [2])]}, F4[:-1]),
        body({"outputs": [binary(8, [2])]}, F4, "x"),
    ],
)
def test_answers_of_another_kind_are_the_upstreams_fault(data: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(ProtocolError) as refusal:
        PROTOCOL.parse_response(REQUEST, headers, data)
    error = refusal.value
    assert (error.status, error.code, error.side) == (502, "upstream_invalid_response", "upstream")


def test_rewriting_json_texts() -> None:
    data, headers = body({"inputs": [tensor(["a", "b"], [2], "BYTES"), X | {"name": "n"}]})
    after = json.loads(PROTOCOL.rewrite(data, headers, {"/inputs/0/data/1": "[removed]"}))
    assert after == {"inputs": [tensor(["a", "[removed]"], [2], "BYTES"), X | {"name": "n"}]}
    data, headers = body({"outputs": [tensor([["a"], ["b"]], [2, 1], "BYTES")]})
    after = json.loads(PROTOCOL.rewrite(data, headers, {"/outputs/0/data/1/0": "-"}))
    assert after["outputs"][0]["data"] == [["a"], ["-"]]


def test_rewriting_binary_texts_keeps_the_heads_length() -> None:
    texts = struct.pack("<I", 6) + b"secret" + struct.pack("<I", 4) + b"open"
    tree = {"inputs": [binary(8, [2], name="n"), binary(len(texts), [2], "BYTES", "t")]}
    data, headers = body(tree, F4 + texts)
    request = PROTOCOL.parse_request(PATH, headers, data)
    after = PROTOCOL.rewrite(request.document, headers, {"/inputs/1/data/0": "[removed by policy]"})
    again = PROTOCOL.parse_request(PATH, headers, after)
    assert [(p.path, p.text) for p in again.parts if p.rows is None] == [
        ("/inputs/1/data/0", "[removed by policy]"),
        ("/inputs/1/data/1", "open"),
    ]
    assert again.parts[0].digest == request.parts[0].digest


def test_rewriting_refuses_what_it_can_not_do() -> None:
    head = json.dumps(
        {"inputs": [binary(8, [2]), binary(6, [1], "BYTES", "t")]}, separators=(",", ":")
    ).encode()
    data, headers = body(head, F4 + struct.pack("<I", 2) + b"ab")
    for pointer, text in [
        ("/inputs/0/data/0", "x"),
        ("/inputs/1/data/1", "x"),
        ("/inputs/1/data", "x"),
        ("/inputs/9/data/0", "x"),
        ("/inputs/1/shape/0", "x"),
        ("/nothing", "x"),
        ("/inputs/1/data/0", "much longer than ten"),  # one digit more, and no room for it
    ]:
        with pytest.raises(ProtocolError) as refusal:
            PROTOCOL.rewrite(data, headers, {pointer: text})
        assert refusal.value.code == "not_rewritable"


def test_there_is_no_stream_and_errors_have_the_protocols_form() -> None:
    assert PROTOCOL.open_stream(REQUEST) is None
    reply = PROTOCOL.error(403, "blocked", "Stopped.", record_id="rec1")
    assert (reply.status, json.loads(reply.body)) == (403, {"error": "Stopped."})
    assert dict(reply.headers)[b"x-bartizan-record"] == b"rec1"
    assert dict(reply.headers)[b"x-should-retry"] == b"false"


def test_the_model_is_the_one_in_the_path() -> None:
    data, headers = body({"inputs": [X]})
    for path, model in [("/v2/models/a%20b/versions/2/infer", "a b"), ("", ""), ("/x", "")]:
        assert PROTOCOL.parse_request(path, headers, data).model == model
