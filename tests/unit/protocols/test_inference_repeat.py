from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest

from bartizan.errors import ProtocolError
from bartizan.ports import PicksEmbedding, Repeats
from bartizan.protocols.inference_repeat import repeated
from bartizan.protocols.open_inference import OpenInference
from bartizan.types import FloatArray

PROTOCOL = OpenInference()
PATH = "/v2/models/m/infer"
LENGTH = "inference-header-content-length"


def tensor(
    name: str, datatype: str, shape: list[int], data: Any = None, size: int | None = None
) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
    return made | ({"data": data} if size is None else {"parameters": {"binary_data_size": size}})


def again(body: bytes, headers: dict[str, str], copies: FloatArray) -> tuple[dict[str, Any], list[Any]]:
    """Ask again; return the new head, and the parts as the gateway itself would read them."""
    asked = PROTOCOL.parse_request(PATH, headers, body)
    new, further = PROTOCOL.repeated(asked, headers, copies)
    parsed = PROTOCOL.parse_request(PATH, {**headers, **further}, new)
    head = new[: int(further[LENGTH])] if further else new
    return json.loads(head), list(parsed.parts)


def copies_of(rows: int, columns: int, count: int = 3) -> FloatArray:
    return np.arange(rows * count * columns, dtype=float).reshape(rows, count, columns) % 100


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16", "INT64", "UINT8", "INT8"])
def test_copies_are_read_back_as_they_were_made(datatype: str) -> None:
    copies = copies_of(2, 4)
    body = json.dumps(
        {"inputs": [tensor("x", datatype, [2, 2, 2], [[[1, 2], [3, 4]], [[5, 6], [7, 8]]])]}
    ).encode()
    head, (part,) = again(body, {}, copies)
    assert head["inputs"][0]["shape"] == [6, 2, 2]
    assert head["inputs"][0]["datatype"] == datatype
    np.testing.assert_array_equal(part.rows.inputs, copies.reshape(6, 4))


@pytest.mark.parametrize(
    ("datatype", "code"),
    [("FP32", "<f4"), ("FP64", "<f8"), ("UINT8", "u1"), ("INT16", "<i2"), ("BF16", "<u2")],
)
def test_binary_tensors_stay_binary(datatype: str, code: str) -> None:
    section = np.zeros(6, dtype=code).tobytes()
    head = json.dumps({"inputs": [tensor("x", datatype, [2, 3], size=len(section))]}).encode()
    copies = copies_of(2, 3)
    new, (part,) = again(head + section, {LENGTH: str(len(head))}, copies)
    assert new["inputs"][0]["parameters"]["binary_data_size"] == 18 * np.dtype(code).itemsize
    np.testing.assert_array_equal(part.rows.inputs, copies.reshape(6, 3))


def test_columns_go_back_to_the_tensors_they_came_from() -> None:
    inputs = [tensor("b", "INT32", [2, 1], [7, 8]), tensor("a", "FP64", [2, 2], [1.5, 2.5, 3.5, 4.5])]
    copies = copies_of(2, 3) + 0.25
    head, (part,) = again(json.dumps({"inputs": inputs}).encode(), {}, copies)
    names = {t["name"]: t["data"] for t in head["inputs"]}
    assert names["a"] == copies.reshape(6, 3)[:, :2].reshape(-1).tolist()
    assert names["b"] == [round(v) for v in copies.reshape(6, 3)[:, 2]]
    assert part.rows.columns == ("a[0]", "a[1]", "b")


def test_texts_are_repeated_for_every_copy_of_their_row() -> None:
    inputs = [tensor("x", "FP64", [2, 1], [1.0, 2.0]), tensor("t", "BYTES", [2, 1], [["red"], ["blue"]])]
    head, _ = again(json.dumps({"inputs": inputs}).encode(), {}, copies_of(2, 1))
    assert head["inputs"][1]["data"] == ["red"] * 3 + ["blue"] * 3
    assert head["inputs"][1]["shape"] == [6, 1]
    section = struct.pack("<I", 3) + b"red" + struct.pack("<I", 4) + b"blue"
    tensors = [tensor("x", "FP64", [2, 1], [1.0, 2.0]), tensor("t", "BYTES", [2], size=len(section))]
    start = json.dumps({"inputs": tensors}).encode()
    _, parts = again(start + section, {LENGTH: str(len(start))}, copies_of(2, 1))
    assert [p.text for p in parts if p.text] == ["red"] * 3 + ["blue"] * 3


@pytest.mark.parametrize(
    ("datatype", "low", "high"),
    [
        ("UINT8", 0, 255),
        ("INT8", -128, 127),
        ("INT64", -(2**63), 2**63 - 1),
        ("FP16", -65504.0, 65504.0),
        ("BOOL", False, True),
    ],
)
def test_values_are_bounded_to_the_datatype(datatype: str, low: Any, high: Any) -> None:
    body = json.dumps(
        {"inputs": [tensor("x", datatype, [1, 2], [True, False] if datatype == "BOOL" else [1, 0])]}
    ).encode()
    head, _ = again(body, {}, np.array([[[-1e300, 1e300]]]))
    assert head["inputs"][0]["data"] == [low, high]


def test_the_largest_whole_numbers_survive_binary_form() -> None:
    section = struct.pack("<2q", 1, 0)
    head = json.dumps({"inputs": [tensor("x", "INT64", [1, 2], size=16)]}).encode()
    new, _ = repeated(head + section, {LENGTH: str(len(head))}, np.array([[[-1e300, 1e300]]]))
    low, high = struct.unpack("<2q", new[-16:])
    assert low == -(2**63)
    assert high > 2**62


def test_what_the_client_wanted_stays_and_its_id_goes() -> None:
    asked = {
        "id": "7",
        "inputs": [tensor("x", "FP64", [1, 1], [1.0])],
        "outputs": [{"name": "probabilities"}],
        "parameters": {"binary_data_output": True},
    }
    head, _ = again(json.dumps(asked).encode(), {}, copies_of(1, 1))
    assert "id" not in head
    assert head["outputs"] == asked["outputs"]
    assert head["parameters"] == asked["parameters"]


@pytest.mark.parametrize(
    "asked",
    [
        {"inputs": [tensor("x", "FP64", [2, 1], [1.0, 2.0]), tensor("t", "BYTES", [1], ["a"])]},
        {"inputs": [tensor("x", "FP64", [2, 1], [1.0, 2.0]), tensor("y", "FP64", [1], [1.0])]},
        {"inputs": [tensor("x", "FP64", [2, 2], [1.0] * 4)]},
        {"inputs": [tensor("x", "FP64", [2, 1], [1.0, 2.0])], "parameters": {"sequence_id": 9}},
    ],
)
def test_what_is_not_one_batch_of_rows_is_not_asked_again(asked: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="can't be asked again") as caught:
        repeated(json.dumps(asked).encode(), {}, copies_of(2, 1))
    assert caught.value.code == "not_repeatable"


def test_a_named_embedding_is_no_answer() -> None:
    assert isinstance(PROTOCOL, Repeats)
    assert isinstance(PROTOCOL, PicksEmbedding)
    body = json.dumps({"inputs": [tensor("x", "FP64", [2, 1], [1.0, 2.0])]}).encode()
    outputs = [tensor("output", "FP64", [2, 3], list(range(6))), tensor("z", "FP64", [2, 2], [0.5] * 4)]
    answer = json.dumps({"model_name": "m", "outputs": outputs}).encode()
    plain = PROTOCOL.parse_response(PROTOCOL.parse_request(PATH, {}, body), {}, answer).parts[0].rows
    assert plain is not None
    assert plain.outputs is not None
    assert plain.outputs.shape == (2, 3)
    assert plain.embedding is None
    told = PROTOCOL.with_embedding("output")
    rows = told.parse_response(told.parse_request(PATH, {}, body), {}, answer).parts[0].rows
    assert rows is not None
    np.testing.assert_array_equal(rows.embedding, np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(rows.outputs, np.full((2, 2), 0.5))
