"""The gateway asks the model once more about changed copies of rows, and says so when it can't."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.e2e.conftest import PREDICT_RATE
from tests.e2e.running import Running, post, running
from tests.e2e.scripted import Asked, Scripted, head, whole

from bartizan.assembly import load_table
from bartizan.cli.__main__ import main
from bartizan.cli.demo.digits import split, train
from bartizan.features.variants import KINDS, MAX_ROWS, Recipe
from bartizan.types import Effect

pytestmark = pytest.mark.e2e

PATH = "/v2/models/digits/infer"
DETECTORS = ["rows.squeezing", "rows.attribution", "rows.margin"]
COPIES = sum(Recipe.of(split().train.inputs).counts(KINDS).values())
DEADLINE_MS = 1000


@pytest.fixture(scope="module")
def asking_table(model_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibration whose detectors compare answers, made by ``bartizan calibrate --model``."""
    folder = tmp_path_factory.mktemp("asking")
    np.save(folder / "benign.npy", split().calibration.inputs)
    config, out = folder / "bartizan.yaml", folder / "t.msgpack"
    settings = {"store": {"path": str(folder / "data")}, "systems": [system(model_url)]}
    config.write_text(json.dumps({"false_alarm_rate": PREDICT_RATE, **settings}))
    arguments = ["calibrate", str(folder / "benign.npy"), "-c", str(config), "--model", "digits"]
    assert main([*arguments, "-o", str(out), "--json"]) == 0
    return out


def system(url: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "digits",
        "kind": "predict",
        "upstream": {"url": url, "timeout_s": 5},
        "extra_calls": True,
        "detectors": DETECTORS,
        "deadline_ms": DEADLINE_MS,
        "false_alarm_rate": PREDICT_RATE,
        **more,
    }


@pytest.fixture(scope="module")
def live(model_url: str, asking_table: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    made = system(model_url, mode="enforce", calibration={"file": str(asking_table)})
    with running(tmp_path_factory.mktemp("live"), [made]) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def _scripted() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.close()


@pytest.fixture
def upstream(_scripted: Scripted) -> Scripted:
    """An upstream of this module's own, forgetful at the start of every test."""
    _scripted.asked.clear()
    return _scripted


@pytest.fixture(scope="module")
def scripted_gateway(
    _scripted: Scripted, asking_table: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    made = system(_scripted.url, mode="enforce", calibration={"file": str(asking_table)})
    with running(tmp_path_factory.mktemp("scripted"), [made]) as gateway:
        yield gateway


def ask(rows: np.ndarray, **more: Any) -> bytes:
    tensor = {
        "name": "pixels",
        "shape": list(rows.shape),
        "datatype": "FP64",
        "data": rows.reshape(-1).tolist(),
    }
    return json.dumps({"inputs": [tensor], **more}).encode()


def answer_to(asked: Asked) -> bytes:
    tensor = json.loads(asked.body)["inputs"][0]
    outputs = train().probabilities(np.reshape(tensor["data"], tensor["shape"]))
    out = {"name": "probabilities", "shape": list(outputs.shape), "datatype": "FP64"}
    return json.dumps(
        {"model_name": "digits", "outputs": [{**out, "data": outputs.reshape(-1).tolist()}]}
    ).encode()


def rows_in(asked: Asked) -> int:
    return int(json.loads(asked.body)["inputs"][0]["shape"][0])


def clean(count: int = 2) -> np.ndarray:
    return split().test.inputs[:count]


def test_the_choice_and_the_recipe_are_in_the_table(asking_table: Path) -> None:
    table = load_table(asking_table)
    assert {"rows.squeezing", "rows.attribution", "variants"} <= set(table.fitted)
    assert table.calibrated() == set(DETECTORS)


def test_a_live_model_is_judged_by_its_answers_to_copies(live: Running) -> None:
    status, _, body = post(live.url, PATH, ask(clean()))
    assert status == 200
    assert json.loads(body)["outputs"][0]["shape"] == [2, 10]
    verdict = live.records()[0].steps[0].verdict
    assert set(verdict.measured.maxima) == set(DETECTORS)
    assert verdict.faults == verdict.coverage.unjudged == ()
    assert 'bartizan_extra_calls_total{outcome="ok",system="digits"}' in live.metrics()


def test_binary_tensors_are_asked_about_in_binary(live: Running) -> None:
    section = clean().astype("<f4").tobytes()
    tensor = {
        "name": "pixels",
        "shape": [2, 64],
        "datatype": "FP32",
        "parameters": {"binary_data_size": len(section)},
    }
    start = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    status, _, _ = post(live.url, PATH, start + section, Inference_Header_Content_Length=str(len(start)))
    assert status == 200
    verdict = live.records()[0].steps[0].verdict
    assert set(verdict.measured.maxima) == set(DETECTORS)
    assert verdict.faults == ()


def test_the_second_request_is_the_first_with_other_numbers(
    scripted_gateway: Running, upstream: Scripted
) -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await whole(answer_to(asked))(asked, writer)

    upstream.play = play
    status, _, _ = post(
        scripted_gateway.url, PATH + "?v=1", ask(clean(), id="mine"), Authorization="Bearer of-the-client"
    )
    assert status == 200
    first, second = upstream.asked
    assert [rows_in(first), rows_in(second)] == [2, 2 * COPIES]
    assert second.target == first.target == PATH + "?v=1"
    assert second.header("authorization") == "Bearer of-the-client"
    assert "id" not in json.loads(second.body)
    record = scripted_gateway.records()[0]
    assert record.steps[0].verdict.faults == ()


def failing(kind: str) -> Any:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if rows_in(asked) <= MAX_ROWS and rows_in(asked) % COPIES:
            await whole(answer_to(asked))(asked, writer)
        elif kind == "slow":
            await asyncio.sleep(DEADLINE_MS / 1000 + 1)
        elif kind == "status":
            await whole(b'{"error": "too many rows"}', status=400)(asked, writer)
        elif kind == "broken":
            writer.write(head(content_length=500) + b"{")
        elif kind == "nonsense":
            await whole(b"nonsense")(asked, writer)
        elif kind == "other shape":
            outputs = [{"name": "p", "shape": [1, 2], "datatype": "FP64", "data": [0.5, 0.5]}]
            await whole({"model_name": "digits", "outputs": outputs})(asked, writer)

    return play


@pytest.mark.parametrize(
    ("kind", "reason", "outcome"),
    [
        ("slow", "timeout", "timeout"),
        ("status", "unavailable", "status"),
        ("broken", "unavailable", "broken"),
        ("nonsense", "unavailable", "refused"),
        ("other shape", "unavailable", "refused"),
    ],
)
def test_a_call_that_fails_is_a_fault_of_those_that_need_it(
    scripted_gateway: Running, upstream: Scripted, kind: str, reason: str, outcome: str
) -> None:
    upstream.play = failing(kind)
    status, _, _ = post(scripted_gateway.url, PATH, ask(clean()))
    assert status == 400, "enforce: a fault about untrusted content is never safe"
    record = scripted_gateway.records()[0]
    verdict = record.steps[0].verdict
    assert {(f.detector, f.reason.value) for f in verdict.faults} == {
        ("rows.squeezing", reason),
        ("rows.attribution", reason),
    }
    assert verdict.effect is Effect.BLOCK
    assert set(verdict.measured.maxima) == {"rows.margin"}, "the others had time left"
    assert f'bartizan_extra_calls_total{{outcome="{outcome}",system="digits"}}' in scripted_gateway.metrics()
    if kind == "slow":
        assert 0.7e6 * DEADLINE_MS / 1000 <= record.added_us <= 1.5e6 * DEADLINE_MS / 1000


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (ask(np.tile(clean(1), (MAX_ROWS + 1, 1))), "more than 64 rows"),
        (ask(clean(), parameters={"sequence_id": 3}), "remembers the requests"),
    ],
)
def test_what_is_not_asked_about_is_unjudged_and_costs_no_call(
    scripted_gateway: Running, upstream: Scripted, body: bytes, why: str
) -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await whole(answer_to(asked))(asked, writer)

    upstream.play = play
    status, _, _ = post(scripted_gateway.url, PATH, body)
    assert status == 200
    assert len(upstream.asked) == 1
    verdict = scripted_gateway.records()[0].steps[0].verdict
    assert len(verdict.coverage.unjudged) == 2
    assert all(why in u.why for u in verdict.coverage.unjudged)
    assert verdict.faults == ()
