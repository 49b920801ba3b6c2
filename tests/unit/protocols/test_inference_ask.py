import json

import numpy as np
import pytest

from bartizan.errors import ProtocolError
from bartizan.protocols.inference_ask import infer_body, model_path, read_inputs, read_outputs
from bartizan.protocols.open_inference import OpenInference

ROWS = np.array([[1.0, 2.5, 3.0], [4.0, 5.0, 6.0]])


def metadata(*inputs):
    return json.dumps(
        {"name": "m", "inputs": [dict(zip(("name", "datatype", "shape"), i, strict=True)) for i in inputs]}
    ).encode()


def answer(*tensors):
    names = ("name", "datatype", "shape", "data")
    return json.dumps({"outputs": [dict(zip(names, t, strict=True)) for t in tensors]}).encode()


@pytest.mark.parametrize(
    "inputs",
    [
        [("x", "FP64", [-1, 3])],
        [("x", "FP32", [-1, -1])],
        [("x", "FP32", [])],
        [("b", "FP64", [-1, 2]), ("a", "FP64", [-1, 1])],
        [("x", "FP64", [-1, 1, 3])],
    ],
)
def test_a_request_is_read_as_the_rows_it_was_made_from(inputs):
    body = infer_body(read_inputs(metadata(*inputs)), ROWS)
    request = OpenInference().parse_request(model_path("m") + "/infer", {}, body)
    (part,) = request.parts
    assert (part.rows.inputs == ROWS).all()


def test_whole_numbers_are_sent_to_models_of_whole_numbers():
    body = infer_body(read_inputs(metadata(("x", "INT64", [-1, 3]))), np.round(ROWS))
    assert b"." not in body.partition(b'"data"')[2]


@pytest.mark.parametrize(
    "bad",
    [
        b"no JSON",
        b"{}",
        metadata(("x", "BYTES", [1])),
        metadata(("x", "FP99", [1])),
        metadata(("", "FP64", [1])),
    ],
)
def test_metadata_that_is_no_good_is_the_upstreams_fault(bad):
    with pytest.raises(ProtocolError) as found:
        read_inputs(bad)
    assert found.value.side == "upstream"


def test_rows_of_another_width_are_refused_where_there_are_several_inputs():
    inputs = read_inputs(metadata(("b", "FP64", [-1, 2]), ("a", "FP64", [-1, 2])))
    with pytest.raises(ProtocolError, match="3 columns"):
        infer_body(inputs, ROWS)


def test_all_numbers_of_an_answer_are_read_scores_first():
    body = answer(
        ("a-label", "INT64", [2, 1], [1, 0]), ("probabilities", "FP64", [2, 2], [0.1, 0.9, 0.8, 0.2]), ("note", "BYTES", [2], ["x", "y"])
    )  # fmt: skip
    outputs = read_outputs({}, body, 2)
    assert outputs.values.tolist() == [[0.1, 0.9, 1.0], [0.8, 0.2, 0.0]]
    assert outputs.scores == 2


def test_labels_alone_are_an_answer_without_scores():
    outputs = read_outputs({}, answer(("label", "INT64", [2, 1], [3, 4])), 2)
    assert (outputs.values.tolist(), outputs.scores) == ([[3.0], [4.0]], 0)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b'{"error": "no"}',
        answer(("t", "BYTES", [2], ["a", "b"])),
        answer(("y", "FP64", [5], [1, 2, 3, 4, 5])),
    ],
)
def test_an_answer_without_numbers_for_the_rows_is_the_upstreams_fault(bad):
    with pytest.raises(ProtocolError) as found:
        read_outputs({}, bad, 2)
    assert found.value.side == "upstream"


def test_a_models_name_can_not_leave_its_path():
    assert model_path("../../admin?x") == "/v2/models/..%2F..%2Fadmin%3Fx"
