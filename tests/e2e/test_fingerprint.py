"""A gateway before a model server whose model is swapped while it runs."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from tests.e2e.running import post, running, served, wait_for

from bartizan.alarms import Cause
from bartizan.cli.__main__ import main
from bartizan.cli.demo.digits import Classifier, split, train
from bartizan.cli.demo.model_server import create_app
from bartizan.monitoring.fingerprint_file import fingerprint_path, load_fingerprint

pytestmark = pytest.mark.e2e


class Single(Classifier):
    """The classifier, row by row: a server whose numbers do not depend on the batch."""

    def probabilities(self, inputs):
        one = Classifier.probabilities
        return np.concatenate([one(self, row[None]) for row in inputs])


@dataclass
class Deployment:
    """A model server whose application can be replaced, and what it was asked."""

    app: Starlette
    heads: list[dict[str, str]]
    bodies: list[bytes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            body = await Request(scope, receive).body()
            self.heads.append({k.decode(): v.decode() for k, v in scope["headers"]})
            self.bodies.append(body)
            messages = iter([{"type": "http.request", "body": body, "more_body": False}])

            async def again():
                return next(messages)

            await self.app(scope, again, send)
        else:
            await self.app(scope, receive, send)


def single(seed: int | None = None) -> Starlette:
    model = train() if seed is None else train(seed)
    return create_app(Single(model.weights, model.biases))


@pytest.fixture
def deployment() -> Iterator[tuple[Deployment, str]]:
    app = Deployment(single(), [], [])
    with served(app) as url:  # type: ignore[arg-type]
        yield app, url


def system_of(url, **more):
    settings = {"model": "digits", "every_s": 0.05, "canaries": 16, **more}
    return {"name": "digits", "kind": "predict", "upstream": {"url": url}, "fingerprint": settings}


def calibrated(path, url):
    """Enrol with ``bartizan calibrate``, as an operator does."""
    benign, config = path / "benign.jsonl", path / "bartizan.yaml"
    rows = split().calibration.inputs
    benign.write_text(
        "".join(json.dumps({"id": str(i), "row": r.tolist()}) + "\n" for i, r in enumerate(rows))
    )
    settings = {"store": {"path": str(path / "data")}, "false_alarm_rate": 0.02, "systems": [system_of(url)]}
    config.write_text(json.dumps(settings))
    assert main(["calibrate", str(benign), "-c", str(config), "--model", "digits", "--json"]) == 0


def asking(row):
    tensor = {"name": "pixels", "shape": [1, 64], "datatype": "FP64", "data": row.tolist()}
    return json.dumps({"inputs": [tensor]}).encode()


def test_a_swapped_model_is_noticed_through_the_endpoint(deployment, tmp_path, capsys):
    app, url = deployment
    calibrated(tmp_path, url)
    assert "16 canaries enrolled, answers always the same" in capsys.readouterr().err
    file = fingerprint_path(tmp_path / "data", "digits")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    alarms, grounds = [], []
    with running(tmp_path, [system_of(url)]) as gateway:
        watch = gateway.gateway.fingerprints["digits"]
        tell, grounded = watch._on_alarm, watch._on_ground
        watch._on_alarm = lambda alarm: (alarms.append(alarm), tell(alarm))
        watch._on_ground = lambda ground: (grounds.append(ground), grounded(ground))
        wait_for(lambda: "steady model" in watch.status() and watch._watch.checks > 20, 20)
        assert watch.moved is None
        assert not alarms
        app.app = single(5)
        wait_for(lambda: alarms, 10)
        _, ready = gateway.admin_get("/readyz?verbose")
        assert "fingerprint of digits" in ready.decode()
        assert "CHANGED" in ready.decode()
        app.app = single()
        wait_for(lambda: watch.moved is None, 20)
    (alarm,) = alarms
    assert alarm.cause is Cause.MODEL_CHANGED
    assert alarm.system == "digits"
    assert [g is None for g in grounds] == [False, True]


def test_a_model_is_enrolled_at_the_first_start_and_the_state_survives(deployment, tmp_path):
    app, url = deployment
    calibrated(tmp_path, url)
    file = fingerprint_path(tmp_path / "data", "digits")
    file.unlink()
    with running(tmp_path, [system_of(url)]) as gateway:
        watch = gateway.gateway.fingerprints["digits"]
        wait_for(lambda: "seen in traffic" in watch.status() or watch._watch is not None, 10)
        for row in split().test.inputs[:80]:
            assert post(gateway.url, "/v2/models/digits/infer", asking(row))[0] == 200
        wait_for(lambda: watch._watch is not None and watch._watch.checks > 3, 20)
        app.app = single(5)
        wait_for(lambda: watch.moved is not None, 10)
    made = load_fingerprint(file)
    assert made.steady
    with running(tmp_path, [system_of(url)]) as gateway:
        watch = gateway.gateway.fingerprints["digits"]
        wait_for(lambda: watch.moved is not None, 10)
        assert watch._watch.fingerprint.digest == made.digest
        assert watch._watch.checks > 3


def test_canaries_look_like_what_clients_send(deployment, tmp_path):
    app, url = deployment
    calibrated(tmp_path, url)
    with running(tmp_path, [system_of(url, every_s=0.2)]) as gateway:
        status, _, _ = post(
            gateway.url, "/v2/models/digits/infer", asking(split().test.inputs[0]),
            user_agent="scorer/3.1", authorization="Bearer of-a-client", x_session_id="7", accept="application/json",
        )  # fmt: skip
        assert status == 200
        after = len(app.heads)
        wait_for(lambda: len(app.heads) > after + 2, 20)
    client, *canaries = app.heads[after - 1 :]
    for head in canaries:
        assert "of-a-client" not in str(head)
        assert "x-session-id" not in head
        assert head.get("user-agent") == "scorer/3.1"
        assert head["accept"] == client["accept"]
        assert "bartizan" not in str(head).lower()
        assert set(head) == set(client) - {"authorization", "x-session-id"}
    known = {tuple(r) for r in split().calibration.inputs.tolist()}
    for sent in app.bodies[after:]:
        (tensor,) = json.loads(sent)["inputs"]
        assert tensor["shape"] == [1, 64]
        assert tuple(tensor["data"]) not in known
        assert all(value in range(17) for value in tensor["data"])


def test_an_upstream_that_is_down_is_said_and_no_alarm(tmp_path):
    with running(tmp_path, [system_of("http://127.0.0.1:9")]) as gateway:
        watch = gateway.gateway.fingerprints["digits"]
        wait_for(lambda: "not enrolled: 0 of 64" in watch.status(), 10)
        assert watch.moved is None
