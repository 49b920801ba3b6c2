"""Coarser answers: the same form, the same first class, and not more digits than allowed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bartizan.errors import ProtocolError
from bartizan.protocols.inference_coarsen import coarsen, coarsened
from bartizan.protocols.open_inference import OpenInference

HEAD = "inference-header-content-length"
FINITE = st.floats(-1e6, 1e6, allow_subnormal=False)


def message(*outputs: dict, **more) -> bytes:
    return json.dumps({"model_name": "m", "outputs": list(outputs), **more}).encode()


def tensor(name, datatype, shape, data=None, **parameters) -> dict:
    made = {"name": name, "datatype": datatype, "shape": shape}
    if data is not None:
        made["data"] = data
    if parameters:
        made["parameters"] = parameters
    return made


def outputs(body: bytes) -> list:
    return json.loads(body)["outputs"]


SCORES = [[0.4612, 0.5388], [0.0131, 0.9869], [0.4951, 0.5049]]
COARSE = [[0.4, 0.5], [0.0, 0.9], [0.4, 0.5]]
FLAT_SCORES = [x for row in SCORES for x in row]
FLAT_COARSE = [x for row in COARSE for x in row]


@given(arrays(np.float64, (4, 5), elements=FINITE), st.integers(0, 3))
def test_the_first_class_stays_the_first_and_becomes_the_only_one(values, digits):
    coarse = coarsened(values, digits)
    assert coarse.shape == values.shape
    for before, after in zip(values, coarse, strict=True):
        top = before.argmax()
        assert (np.delete(after, top) < after[top]).all()


@given(arrays(np.float64, (6, 1), elements=st.floats(0, 1)), st.integers(1, 2), st.data())
def test_a_comparison_with_a_point_of_the_grid_stays_as_it_was(values, digits, data):
    point = data.draw(st.integers(0, 10**digits)) / 10**digits
    near = np.abs(values - point) < 2e-4
    coarse = coarsened(values, digits)
    assert ((coarse >= point) == (values >= point))[~near].all()


@given(arrays(np.float64, (3, 4), elements=st.floats(0, 1)))
def test_what_is_left_is_a_digit(values):
    steps = coarsened(values, 1) * 10
    assert np.allclose(steps, np.round(steps), atol=1e-9)
    assert steps.max() <= 11  # a tie is broken upwards


def test_what_is_no_number_stays():
    values = np.array([[np.nan, 0.123, np.inf]])
    assert np.array_equal(coarsened(values, 1), [[np.nan, 0.1, np.inf]], equal_nan=True)
    assert coarsened(np.zeros((0, 3)), 1).shape == (0, 3)


def test_only_the_first_class():
    assert coarsened(np.array(SCORES), 1, top_only=True).tolist() == [[0, 1], [0, 1], [0, 1]]
    assert coarsened(np.array([[3.7], [0.2]]), 1, top_only=True).tolist() == [[3.0], [0.0]]


@pytest.mark.parametrize("nested", [True, False])
def test_json_scores(nested):
    data = SCORES if nested else FLAT_SCORES
    body = message(tensor("p", "FP32", [3, 2], data), tensor("label", "INT64", [3], [17, 1, 99]))
    first, second = outputs(coarsen(body, {}, 1))
    assert first["data"] == (COARSE if nested else FLAT_COARSE)
    assert second["data"] == [17, 1, 99]
    (first, _) = outputs(coarsen(body, {}, 1, top_only=True))
    assert np.array(first["data"]).reshape(3, 2).tolist() == [[0, 1]] * 3


def test_a_tensor_without_a_batch_is_not_compared_across():
    (only,) = outputs(coarsen(message(tensor("p", "FP64", [3], [0.91, 0.94, 0.2])), {}, 1, top_only=True))
    assert only["data"] == [0.9, 0.9, 0.2]


@pytest.mark.parametrize(("datatype", "dtype"), [("FP16", "<f2"), ("FP32", "<f4"), ("FP64", "<f8")])
def test_binary_scores(datatype, dtype):
    section = np.array(SCORES, dtype).tobytes()
    labels = np.array([1, 1, 1], "<i8").tobytes()
    head = message(
        tensor("p", datatype, [3, 2], binary_data_size=len(section)),
        tensor("label", "INT64", [3], binary_data_size=len(labels)),
    )
    headers = {HEAD: str(len(head))}
    new = coarsen(head + section + labels, headers, 1)
    assert len(new) == len(head + section + labels)
    assert json.loads(new[: len(head)]) == json.loads(head)
    scores = np.frombuffer(new[len(head) : len(head) + len(section)], dtype).reshape(3, 2)
    assert np.allclose(scores, COARSE, atol=1e-3)
    assert new[len(head) + len(section) :] == labels


def test_brain_floats():
    bits = (np.array([[0.46, 0.54]], np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
    head = message(tensor("p", "BF16", [1, 2], binary_data_size=4))
    new = coarsen(head + bits, {HEAD: str(len(head))}, 1)
    got = (np.frombuffer(new[len(head) :], "<u2").astype(np.uint32) << 16).view(np.float32)
    assert np.allclose(got, [0.4, 0.5], atol=0.01)


def test_binary_and_json_side_by_side_fit_the_old_head():
    section = np.array([0.1234, 0.8766], "<f4").tobytes()
    head = message(tensor("p", "FP32", [1, 2], binary_data_size=8), tensor("q", "FP32", [1, 2], [1, 0]))
    new = coarsen(head + section, {HEAD: str(len(head))}, 1)
    parsed = OpenInference().parse_response(
        OpenInference().parse_request("/v2/models/m/infer", {}, REQUEST), {HEAD: str(len(head))}, new
    )
    assert parsed.parts[0].rows.outputs is not None


REQUEST = json.dumps({"inputs": [tensor("x", "FP32", [1, 2], [0.5, 1.5])]}).encode()


def test_a_head_that_would_grow_is_refused():
    head = b'{"outputs":[{"name":"q","datatype":"FP32","shape":[1,2],"data":[1e-9,2e9]}]}'
    with pytest.raises(ProtocolError, match="length"):
        coarsen(head, {HEAD: str(len(head))}, 2)


def test_scores_of_the_classification_extension():
    texts = ["0.97531:281:tabby", "0.02469:7:owl", "tabby: 0.9753", "nan:1:x"]
    (only,) = outputs(coarsen(message(tensor("c", "BYTES", [1, 4], texts)), {}, 1))
    assert only["data"] == ["0.9:281:tabby", "0:7:owl", "tabby: 0.9753", "nan:1:x"]
    raw = b"".join(len(t).to_bytes(4, "little") + t.encode() for t in texts[:2])
    head = message(tensor("c", "BYTES", [1, 2], binary_data_size=len(raw)))
    new = coarsen(head + raw, {HEAD: str(len(head))}, 1)
    assert b"0.9:281:tabby" in new
    size = json.loads(new[: len(head)])["outputs"][0]["parameters"]["binary_data_size"]
    assert size == len(new) - len(head)


def test_answers_without_outputs_stay():
    assert json.loads(coarsen(b'{"outputs": []}', {}, 1)) == {"outputs": []}


def test_the_protocol_offers_it():
    body = message(tensor("p", "FP32", [3, 2], SCORES))
    assert outputs(OpenInference().coarsen(body, {}, 1, top_only=False))[0]["data"] == COARSE
