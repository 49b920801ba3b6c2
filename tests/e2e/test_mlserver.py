"""A server of the Open Inference Protocol that nobody here wrote, behind the gateway.

Needs a Python that has MLServer; see docs/guides/mlserver.md.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
from tests.e2e.running import Running, free_port, get, running, wait_for

from bartizan.cli.__main__ import main
from bartizan.cli.demo.digits import split

PYTHON = os.environ.get("BARTIZAN_MLSERVER", "")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not PYTHON, reason="set BARTIZAN_MLSERVER to a Python with mlserver and mlserver-sklearn"
    ),
]

TRAIN = """
import sys, joblib
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
inputs, labels = load_digits(return_X_y=True)
joblib.dump(LogisticRegression(max_iter=5000).fit(inputs[:900], labels[:900]), sys.argv[1])
"""
SERVE = "import sys; from mlserver.cli import main; sys.argv = ['mlserver', 'start', sys.argv[1]]; main()"


@pytest.fixture(scope="module")
def mlserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlserver") / "digits"
    folder.mkdir()
    subprocess.run([PYTHON, "-c", TRAIN, str(folder / "model.joblib")], check=True, timeout=100)
    model = {"name": "digits", "implementation": "mlserver_sklearn.SKLearnModel"}
    (folder / "model-settings.json").write_text(
        json.dumps(model | {"parameters": {"uri": "./model.joblib", "version": "v1"}})
    )
    http, grpc, metrics = free_port(), free_port(), free_port()
    ports = {"http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    settings = {"host": "127.0.0.1", "parallel_workers": 0} | ports
    (folder / "settings.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PYTHON, "-c", SERVE, str(folder)], stdout=log, stderr=log, cwd=folder)
    try:
        wait_for(lambda: _is_ready(http), 60)
        yield f"http://127.0.0.1:{http}"
    finally:
        process.terminate()
        process.wait(20)


def _is_ready(port: int) -> bool:
    try:
        return get(port, "/v2/models/digits/ready")[0] == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def guarded(mlserver: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    path = tmp_path_factory.mktemp("guarded")
    rows = split().calibration.inputs
    with triton.InferenceServerClient(mlserver.removeprefix("http://")) as client:
        answers = ask(client, rows)
    benign, config, table = path / "benign.jsonl", path / "bartizan.yaml", path / "digits.msgpack"
    lines = ({"row": r.tolist(), "outputs": a.tolist()} for r, a in zip(rows, answers, strict=True))
    benign.write_text("".join(json.dumps(line) + "\n" for line in lines))
    system = {"name": "digits", "kind": "predict", "upstream": {"url": mlserver}, "false_alarm_rate": 0.02}
    config.write_text(json.dumps({"systems": [system], "store": {"path": str(path / "store")}}))
    assert main(["calibrate", str(benign), "-c", str(config), "-o", str(table), "--json"]) == 0
    enforced = system | {"mode": "enforce", "calibration": {"file": str(table)}}
    with running(path, [enforced]) as gateway:
        yield gateway


def ask(client: triton.InferenceServerClient, rows: np.ndarray) -> np.ndarray:
    tensor = triton.InferInput("predict", list(rows.shape), "FP64")
    tensor.set_data_from_numpy(rows, binary_data=False)
    wanted = [triton.InferRequestedOutput("predict_proba", binary_data=False)]
    found = client.infer("digits", [tensor], outputs=wanted).as_numpy("predict_proba")
    assert found is not None
    return np.asarray(found)


def test_a_clean_row_is_answered_as_without_the_gateway(guarded: Running, mlserver: str) -> None:
    rows = split().test.inputs[:20]
    with (
        triton.InferenceServerClient(mlserver.removeprefix("http://")) as direct,
        triton.InferenceServerClient(guarded.url.removeprefix("http://")) as through,
    ):
        assert through.is_server_ready()
        assert through.is_model_ready("digits")
        assert through.get_model_metadata("digits")["name"] == "digits"
        expected = ask(direct, rows[:1])
        np.testing.assert_array_equal(ask(through, rows[:1]), expected)
        assert expected.shape == (1, 10)
        passed = sum(_passes(through, row[None, :]) for row in rows)
    assert passed >= 17
    record = guarded.records()[-1]
    assert record.steps[0].verdict.faults == ()
    assert {"rows.range", "rows.margin"} <= set(record.steps[0].verdict.measured.maxima)


def test_a_row_like_nothing_seen_is_blocked(guarded: Running) -> None:
    noise = np.random.default_rng(1).uniform(0, 16, (1, 64)).round()
    noise[0, ::9] = 300.0
    with triton.InferenceServerClient(guarded.url.removeprefix("http://")) as through:
        with pytest.raises(triton.InferenceServerException, match="stopped by policy; record bz-") as caught:
            ask(through, noise)
        assert caught.value.status() == "400"
    record = guarded.records()[0]
    assert (record.enforced.name, record.status) == ("BLOCK", 400)
    assert record.steps[0].verdict.findings


def _passes(client: triton.InferenceServerClient, row: np.ndarray) -> bool:
    try:
        ask(client, row)
    except triton.InferenceServerException:
        return False
    return True
