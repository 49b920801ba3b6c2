from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.e2e.running import Running, running, served
from tests.e2e.scripted import CHAT, Scripted, whole

from bartizan.cli.__main__ import main
from bartizan.cli.demo import chat_server, model_server
from bartizan.cli.demo.digits import split, train

PREDICT_RATE = 0.02


@pytest.fixture(scope="session")
def model_url() -> Iterator[str]:
    """The digits classifier behind the Open Inference Protocol."""
    with served(model_server.create_app(train())) as url:
        yield url


@pytest.fixture(scope="session")
def chat_url() -> Iterator[str]:
    """The rule-based stand-in behind Chat Completions."""
    with served(chat_server.create_app()) as url:
        yield url


@pytest.fixture(scope="session")
def table(model_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibration of the digits classifier, made by ``bartizan calibrate``."""
    folder = tmp_path_factory.mktemp("calibration")
    benign, config, out = folder / "benign.jsonl", folder / "bartizan.yaml", folder / "digits.msgpack"
    rows = split().calibration.inputs
    benign.write_text(
        "".join(json.dumps({"id": str(i), "row": r.tolist()}) + "\n" for i, r in enumerate(rows))
    )
    system = {"name": "digits", "kind": "predict", "upstream": {"url": model_url}}
    settings = {
        "false_alarm_rate": PREDICT_RATE,
        "systems": [system],
        "store": {"path": str(folder / "data")},
    }
    config.write_text(json.dumps(settings))
    arguments = ["calibrate", str(benign), "-c", str(config), "--model", "digits", "-o", str(out), "--json"]
    assert main(arguments) == 0
    return out


def systems(chat: str, predict: str, table: Path, mode: str, **more: object) -> list[dict[str, object]]:
    digits = {
        "name": "digits",
        "kind": "predict",
        "mode": mode,
        "upstream": {"url": predict, "timeout_s": 2},
        "calibration": {"file": str(table)},
        "false_alarm_rate": PREDICT_RATE,
    }
    talk = {"name": "assistant", "kind": "chat", "mode": mode, "upstream": {"url": chat, "timeout_s": 2}}
    return [talk | more, digits]


@pytest.fixture(scope="session", params=["observe", "enforce"])
def either(
    request: pytest.FixtureRequest,
    chat_url: str,
    model_url: str,
    table: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    """A gateway before the demo upstreams, once in each mode."""
    path = tmp_path_factory.mktemp(request.param)
    with running(path, systems(chat_url, model_url, table, request.param)) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def enforcing(
    chat_url: str, model_url: str, table: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    with running(
        tmp_path_factory.mktemp("enforcing"), systems(chat_url, model_url, table, "enforce")
    ) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def _upstream() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.close()


@pytest.fixture
def upstream(_upstream: Scripted) -> Scripted:
    """The scripted upstream, forgetful and polite at the start of every test."""
    _upstream.asked.clear()
    _upstream.play = whole(CHAT)
    return _upstream


@pytest.fixture(scope="session", params=["observe", "enforce"])
def before(
    request: pytest.FixtureRequest,
    _upstream: Scripted,
    table: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    """A gateway before the scripted upstream, once in each mode."""
    path = tmp_path_factory.mktemp(f"before-{request.param}")
    with running(path, systems(_upstream.url, _upstream.url, table, request.param)) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def guarding(_upstream: Scripted, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway that enforces before the scripted upstream, with short limits."""
    limits = {"body_bytes": 1_000_000, "body_timeout_s": 1, "idle_s": 1, "header_bytes": 8192, "headers": 50}
    both = systems(
        _upstream.url, _upstream.url, table, "enforce", passthrough=["/v1/files", "/v1/embeddings"]
    )
    both[0]["upstream"] = {"url": _upstream.url, "timeout_s": 1, "max_response_bytes": 300_000}
    with running(tmp_path_factory.mktemp("guarding"), both, limits=limits) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def clean_rows() -> np.ndarray:
    return split().test.inputs[:8]
