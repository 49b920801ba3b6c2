from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from bartizan.cli.demo.digits import Classifier, Split
from bartizan.cli.demo.model_server import create_app


def tensor(rows: np.ndarray, **changes: Any) -> dict[str, Any]:
    given = {"name": "pixels", "datatype": "FP64", "shape": list(rows.shape), "data": rows.tolist()}
    return given | changes


@pytest.fixture(scope="module")
def client(classifier: Classifier) -> TestClient:
    return TestClient(create_app(classifier))


@pytest.mark.e2e
@pytest.mark.parametrize("binary", [True, False])
def test_triton_client_gets_the_models_answers(
    binary: bool, model_address: str, classifier: Classifier, data: Split
) -> None:
    http = pytest.importorskip("tritonclient.http")
    rows = data.test.inputs[:7]
    client = http.InferenceServerClient(model_address)
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("digits")
        assert client.get_model_metadata("digits")["inputs"][0]["shape"] == [-1, 64]
        pixels = http.InferInput("pixels", list(rows.shape), "FP64")
        pixels.set_data_from_numpy(rows, binary_data=binary)
        wanted = [http.InferRequestedOutput(name, binary_data=binary) for name in ("probabilities", "label")]
        answer = client.infer("digits", [pixels], outputs=wanted, request_id="7")
        everything = client.infer("digits", [pixels])
    finally:
        client.close()
    np.testing.assert_allclose(answer.as_numpy("probabilities"), classifier.probabilities(rows), rtol=1e-12)
    np.testing.assert_array_equal(answer.as_numpy("label")[:, 0], classifier.labels(rows))
    np.testing.assert_array_equal(everything.as_numpy("label"), answer.as_numpy("label"))
    assert answer.get_response()["id"] == "7"


@pytest.mark.e2e
def test_runs_as_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "bartizan.cli.demo.model_server", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().split()[-1]
            with urllib.request.urlopen(f"{address}/v2/health/ready", timeout=20) as answer:
                assert json.load(answer) == {"ready": True}
        finally:
            process.terminate()


def test_only_the_outputs_asked_for_come_back(client: TestClient, data: Split) -> None:
    document = {"inputs": [tensor(data.test.inputs[:2])], "outputs": [{"name": "label"}]}
    answer = client.post("/v2/models/digits/infer", json=document).json()
    assert [output["name"] for output in answer["outputs"]] == ["label"]
    assert answer["outputs"][0]["shape"] == [2, 1]


@pytest.mark.parametrize("datatype", ["FP32", "UINT8"])
def test_other_datatypes_hold_the_same_pixels(
    datatype: str, client: TestClient, data: Split, classifier: Classifier
) -> None:
    rows = data.test.inputs[:3]
    blob = rows.astype({"FP32": "<f4", "UINT8": "<u1"}[datatype]).tobytes()
    pixels = tensor(rows, datatype=datatype, parameters={"binary_data_size": len(blob)})
    del pixels["data"]
    head = json.dumps({"inputs": [pixels]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = client.post("/v2/models/digits/infer", content=head + blob, headers=headers).json()
    assert answer["outputs"][1]["data"] == classifier.labels(rows).tolist()


ROW = np.zeros((1, 64))


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"inputs": []},
        {"inputs": [tensor(ROW, name="other")]},
        {"inputs": [tensor(ROW, datatype="BYTES")]},
        {"inputs": [tensor(ROW, datatype=["FP64"])]},
        {"inputs": [tensor(ROW, shape=[1, 63])]},
        {"inputs": [tensor(ROW, shape=[2, 64])]},
        {"inputs": [tensor(ROW, shape=[0, 64], data=[])]},
        {"inputs": [tensor(ROW, shape=[True, 64])]},
        {"inputs": [tensor(ROW, shape="1x64")]},
        {"inputs": [tensor(ROW, data="zeros")]},
        {"inputs": [tensor(ROW, data=None)]},
        {"inputs": [tensor(ROW, data=[None] * 64)]},
        {"inputs": [tensor(ROW, parameters={"binary_data_size": 512})]},
        {"inputs": [tensor(ROW)], "outputs": [{"name": "logits"}]},
        {"inputs": [tensor(ROW)], "outputs": "label"},
    ],
)
def test_requests_that_break_the_protocol_are_refused(document: Any, client: TestClient) -> None:
    answer = client.post("/v2/models/digits/infer", json=document)
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize(("body", "length"), [(b"{", "1"), (b"{}", "9"), (b"{}", "-1"), (b"\xff", "1")])
def test_bodies_that_are_no_json_are_refused(body: bytes, length: str, client: TestClient) -> None:
    headers = {"Inference-Header-Content-Length": length}
    assert client.post("/v2/models/digits/infer", content=body, headers=headers).status_code == 400


def test_a_body_beyond_the_limit_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bartizan.cli.demo.model_server.MAX_BODY_BYTES", 100)
    assert client.post("/v2/models/digits/infer", json={"inputs": [tensor(ROW)]}).status_code == 413
