"""A predictive system watched live: one tenant changes, is contained, and let go; the ledger has it all."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.e2e.running import Running, post, running, served, wait_for

from bartizan.alarms import Answer, Cause, Events
from bartizan.cli.__main__ import main
from bartizan.monitoring.baseline import Settings
from bartizan.monitoring.learning import learn
from bartizan.monitoring.stored import encode
from bartizan.store import verify
from bartizan.types import FloatArray

pytestmark = pytest.mark.e2e

COLUMNS = 3
WEIGHTS = np.array([1.0, -0.6, 0.3])
BATCH = 8
ORDINARY = np.tile([1.0, -0.8, 0.2], (BATCH, 1))
TENANTS = [f"tenant-{i}" for i in range(12)]
CHANGED = TENANTS[3]


def model(inputs: FloatArray) -> FloatArray:
    up = 1 / (1 + np.exp(-(inputs @ WEIGHTS)))
    return np.stack([1 - up, up], axis=1)


async def infer(request: Request) -> Response:
    (tensor,) = (await request.json())["inputs"]
    answers = model(np.array(tensor["data"], dtype=np.float64).reshape(-1, COLUMNS))
    made = {"name": "probabilities", "datatype": "FP64", "shape": list(answers.shape)}
    return JSONResponse({"model_name": "m", "outputs": [made | {"data": answers.reshape(-1).tolist()}]})


async def describe(_: Request) -> Response:
    (x, p) = ({"name": n, "datatype": "FP64", "shape": [-1, k]} for n, k in (("x", COLUMNS), ("p", 2)))
    return JSONResponse({"name": "m", "platform": "test", "inputs": [x], "outputs": [p]})


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    routes = [Route("/v2/models/m/infer", infer, methods=["POST"]), Route("/v2/models/m", describe)]
    with served(Starlette(routes=routes)) as url:
        yield url


@pytest.fixture(scope="module")
def folder(upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibration and a baseline of the same benign traffic."""
    path = tmp_path_factory.mktemp("watched")
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(4000, COLUMNS))
    names = [f"x[{i}]" for i in range(COLUMNS)]
    events = Events(np.arange(4000.0), dict(zip(names, inputs.T, strict=True)), model(inputs))
    baseline = learn(events, name="benign", created=0.0, rng=rng, settings=Settings(events_per_alarm=1e5))
    (path / "benign.baseline").write_bytes(encode(baseline))
    (path / "benign.jsonl").write_text(
        "".join(json.dumps({"id": str(i), "row": r.tolist()}) + "\n" for i, r in enumerate(inputs[:1200]))
    )
    system = {"name": "fraud", "kind": "predict", "upstream": {"url": upstream}}
    config = {"false_alarm_rate": 0.02, "systems": [system], "store": {"path": str(path / "unused")}}
    (path / "bartizan.yaml").write_text(json.dumps(config))
    arguments = ["calibrate", str(path / "benign.jsonl"), "-c", str(path / "bartizan.yaml"), "--model", "m"]
    assert main([*arguments, "-o", str(path / "table"), "--json"]) == 0
    return path


def system(folder: Path, upstream: str) -> dict[str, Any]:
    return {
        "name": "fraud",
        "kind": "predict",
        "mode": "enforce",
        "false_alarm_rate": 0.02,
        "upstream": {"url": upstream},
        "calibration": {"file": str(folder / "table")},
        "identity": {"header": "x-tenant"},
        "monitoring": {"baseline": str(folder / "benign.baseline"), "trusted_principals": ["batch"]},
        "containment": {
            "tenant_change": "throttle",
            "throttle_burst": 1,
            "throttle_wait_s": 0,  # whatever comes too fast is held
            "delay_queries": [10, 30],
            "delay_s": [300, 600],
        },
    }


def ask(gateway: Running, who: str, inputs: FloatArray) -> int:
    made = {"name": "x", "datatype": "FP64", "shape": list(inputs.shape), "data": inputs.reshape(-1).tolist()}
    body = json.dumps({"inputs": [made]}).encode()
    return post(gateway.url, "/v2/models/m/infer", body, **{"x-tenant": who})[0]


def traffic(gateway: Running, rounds: int, *, shift: float, seed: int) -> dict[str, list[int]]:
    rng = np.random.default_rng(seed)
    statuses: dict[str, list[int]] = {}
    for _ in range(rounds):
        for who in [*TENANTS, "batch"]:
            inputs = rng.normal(size=(BATCH, COLUMNS)).clip(-2, 2)
            if who == CHANGED:
                inputs[:, 0] += shift
            statuses.setdefault(who, []).append(ask(gateway, who, inputs))
    return statuses


def api(gateway: Running, path: str) -> Any:
    status, body = gateway.admin_get(path)
    assert status == 200, body
    return json.loads(body)


def release(gateway: Running, who: str) -> int:
    url = f"http://127.0.0.1:{gateway.admin}/api/v1/principals/{who}/release"
    request = urllib.request.Request(url, method="POST", data=b"")
    request.add_header("authorization", f"Bearer {gateway.gateway.token}")
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(answer.status)


def test_one_tenant_changes_and_is_contained_until_it_is_let_go(folder: Path, upstream: str) -> None:
    given = [system(folder, upstream)]
    with running(folder, given) as gateway:
        traffic(gateway, 6, shift=0.0, seed=1)
        watched = api(gateway, "/api/v1/status")["gateway"]["systems"][0]["watch"]
        assert watched["contained"] == []
        for seed in range(2, 40):
            traffic(gateway, 1, shift=2.5, seed=seed)
            contained = api(gateway, "/api/v1/status")["gateway"]["systems"][0]["watch"]["contained"]
            if contained and contained[0]["measure"] == "throttle":
                break
        assert [c["principal"] for c in contained] == [CHANGED]

        gateway.records()
        (alarm,) = [a for a in api(gateway, "/api/v1/alarms")["alarms"] if a["principals"]]
        assert alarm["cause"] == Cause.TENANT_CHANGE
        assert alarm["principals"] == [CHANGED]
        assert alarm["streams"][0]["name"] == "input.x[0]"
        grounds = {g["kind"]: g["answer"] for g in alarm["grounds"]}
        assert grounds["local"] == Answer.YES
        assert grounds["trusted"] != Answer.YES

        statuses = traffic(gateway, 2, shift=0.0, seed=99)
        assert statuses[CHANGED] == [400, 400]
        assert all(400 not in s for who, s in statuses.items() if who != CHANGED) or _only_judged(gateway)
        gateway.records()  # waits until the query store has them
        report = api(gateway, f"/api/v1/principals/{CHANGED}")
        assert report["events"][0]["rule"] == "contained"
        assert report["contained"][0]["enforcing"]

    with running(folder, given) as gateway:  # after a restart
        assert ask(gateway, CHANGED, ORDINARY) == 400
        assert release(gateway, CHANGED) == 200
        assert ask(gateway, CHANGED, ORDINARY) == 200
        wait_for(lambda: api(gateway, "/api/v1/streams/fraud")["points"], 20)
        assert f'bartizan_alarms_total{{cause="{Cause.TENANT_CHANGE}"' not in gateway.metrics()
        time.sleep(0.1)

    assert verify(folder / "data").ok
    assert main(["events", "--alarms", "--store", str(folder / "data"), "--json"]) == 0


def _only_judged(gateway: Running) -> bool:
    """Whether what else was stopped was stopped for what it said, at the rate that was asked for."""
    stopped = [r for r in gateway.records() if r.status == 400 and r.principal.id != CHANGED]
    return all(r.rule == "false-alarm-rate" for r in stopped)
