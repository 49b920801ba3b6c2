import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.e2e.running import free_port, served

from bartizan.cli.outputs import Endpoint, asking
from bartizan.config import System, Upstream
from bartizan.errors import CalibrationError

ROWS = np.arange(600 * 3, dtype=float).reshape(600, 3)


def app(outputs, inputs=None, status=200):
    async def metadata(request: Request) -> Response:
        seen.append(dict(request.headers))
        return JSONResponse(
            {"inputs": inputs or [{"name": "x", "datatype": "FP64", "shape": [-1, 3]}]}, status
        )

    async def infer(request: Request) -> Response:
        (tensor,) = (await request.json())["inputs"]
        rows = np.array(tensor["data"]).reshape(tensor["shape"])
        seen.append(dict(request.headers) | {"rows": len(rows)})
        return JSONResponse({"outputs": outputs(rows)})

    seen: list[dict] = []
    made = Starlette(
        routes=[Route("/v2/models/m", metadata), Route("/v2/models/m/infer", infer, methods=["POST"])]
    )
    return made, seen


def scores(rows):
    both = np.stack([rows.sum(axis=1), -rows.sum(axis=1)], axis=1)
    return [
        {"name": "scores", "datatype": "FP64", "shape": list(both.shape), "data": both.reshape(-1).tolist()}
    ]


def labels(rows):
    return [{"name": "label", "datatype": "INT64", "shape": [len(rows), 1], "data": [1] * len(rows)}]


def ask_model(upstream, model, rows):
    with asking(System(name="s", kind="predict", upstream=upstream), model) as ask:
        return ask(rows).outputs


def test_a_model_is_asked_in_batches_with_the_operators_token(monkeypatch):
    monkeypatch.setenv("TOKEN", "secret-of-mine")
    made, seen = app(lambda rows: [*labels(rows), *scores(rows)])
    with served(made) as url:
        outputs = ask_model(Upstream(url=url, api_key_env="TOKEN"), "m", ROWS)
    assert outputs.tolist() == [[r.sum(), -r.sum()] for r in ROWS]
    assert [s["rows"] for s in seen[1:]] == [256, 256, 88]
    assert all(s["authorization"] == "Bearer secret-of-mine" for s in seen)


def test_labels_are_no_outputs_to_detect_on_but_an_answer():
    made, _ = app(labels)
    with served(made) as url:
        with pytest.raises(CalibrationError, match="no numeric output"):
            ask_model(Upstream(url=url), "m", ROWS)
        with Endpoint(Upstream(url=url), "m") as endpoint:
            assert endpoint.ask(ROWS[:2]).values.tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"status": 404}, "answered 404"),
        ({"inputs": [{"name": "t", "datatype": "BYTES", "shape": [1]}]}, "other than numbers"),
    ],
)
def test_a_server_that_can_not_be_asked_is_said(more, why):
    made, _ = app(scores, **more)
    with served(made) as url, pytest.raises(CalibrationError, match=why):
        ask_model(Upstream(url=url), "m", ROWS)


def test_an_answer_that_is_none_is_said():
    made, _ = app(lambda rows: [])
    with served(made) as url, pytest.raises(CalibrationError, match="no numeric output"):
        ask_model(Upstream(url=url), "m", ROWS)


def test_nobody_there_is_said():
    with pytest.raises(CalibrationError, match="can't ask"):
        ask_model(Upstream(url=f"http://127.0.0.1:{free_port()}"), "m", ROWS)
