"""Who is measured: how each peer is started, and what it is."""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import bartizan
from benchmarks.latency.process import LOAD_CORE, PROXY_CORE, Missing, Process, free_port
from benchmarks.latency.upstream import answering, constant, nginx_config, proxying

ROOT = Path(__file__).parents[2]
DIRECT = "direct"
NGINX = "nginx"
FLOOR = "floor"
LITELLM = "litellm"
CHEAP = ("text.hidden", "text.secrets", "text.exfiltration", "text.leak")
"""Every text detector that is not learned."""
LITELLM_ENV = "BARTIZAN_LITELLM"
LITELLM_DEFAULT = "/tmp/litellm/bin/litellm"

Start = Callable[[Path, int], Process]
"""Makes a peer's process, given a folder of its own and the upstream's port."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Something between the client and the upstream.

    Attributes:
        name: As in the table.
        what: What it does.
        start: Starts it; ``None`` for no proxy at all.
        repeats: Asked the same text over and over, answered the same.
        inspects: Held against the goals of an inspected request.
    """

    name: str
    what: str
    start: Start | None
    repeats: bool = False
    inspects: bool = False


def peers(python: str = sys.executable) -> tuple[Peer, ...]:
    """Return the peers, in the order of the table.

    Args:
        python: The interpreter that runs the gateway and the floor.
    """

    def gateway(**options: Any) -> Start:
        return _gateway(python, **options)

    return (
        Peer(DIRECT, "no proxy", None),
        Peer(NGINX, "reverse proxy, 1 worker, kept connections", _nginx),
        Peer(FLOOR, "bare ASGI + pyreqwest: what the gateway's libraries cost", partial(_floor, python)),
        Peer("passthrough", "gateway; path let through unjudged", gateway(passthrough=True)),
        Peer("no detectors", "gateway; parsed, decided, recorded; nothing scores", gateway(detectors=())),
        Peer(
            "cheap, observe",
            "gateway; all but the learned detectors",
            gateway(detectors=CHEAP),
            inspects=True,
        ),
        Peer(
            "cheap, enforce",
            "the same, carried out",
            gateway(detectors=CHEAP, mode="enforce"),
            inspects=True,
        ),
        Peer("all, observe", "gateway; with the learned detector", gateway()),
        Peer("all, enforce", "the same, carried out", gateway(mode="enforce")),
        Peer(
            "all, remembered", "the same text every time: judged once", gateway(mode="enforce"), repeats=True
        ),
        Peer(LITELLM, "its proxy, 1 worker, defaults, no guardrail", _litellm),
    )


def start_upstream(folder: Path, *, repeats: bool) -> Process:
    """Start the server of whole answers."""
    return _run_nginx(folder, constant() if repeats else answering(), LOAD_CORE)


def start_streams(folder: Path, pace_ms: float) -> Process:
    """Start the server of streams."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.latency.upstream", str(port), str(pace_ms)]
    return Process(command, port, LOAD_CORE, folder / "streams.log", _libraries())


def tools_missing() -> list[str]:
    """Return what is needed and not installed."""
    return [name for name in ("wrk", "nginx", "taskset") if shutil.which(name) is None]


def _run_nginx(folder: Path, content: str, core: int) -> Process:
    if shutil.which("nginx") is None:
        raise Missing("nginx is not installed (Debian: apt-get install nginx)")
    port = free_port()
    path = folder / "nginx.conf"
    path.write_text(nginx_config(folder, port, content))
    return Process(["nginx", "-c", str(path), "-p", str(folder)], port, core, folder / "nginx.log")


def _nginx(folder: Path, upstream: int) -> Process:
    return _run_nginx(folder, proxying(upstream), PROXY_CORE)


def _floor(python: str, folder: Path, upstream: int) -> Process:
    port = free_port()
    command = [python, "-m", "benchmarks.latency.floor", str(port), f"http://127.0.0.1:{upstream}"]
    return Process(command, port, PROXY_CORE, folder / "floor.log", _libraries())


def _libraries() -> dict[str, str]:
    """Return what lets another interpreter of the same version use the libraries of this one."""
    source = Path(bartizan.__file__).parents[1]
    return {"PYTHONPATH": os.pathsep.join((str(ROOT), str(source), sysconfig.get_path("purelib")))}


def _gateway(
    python: str,
    *,
    detectors: tuple[str, ...] | None = None,
    mode: str = "observe",
    passthrough: bool = False,
) -> Start:
    def start(folder: Path, upstream: int) -> Process:
        port, admin = free_port(), free_port()
        system: dict[str, object] = {
            "name": "bench",
            "kind": "chat",
            "upstream": {"url": f"http://127.0.0.1:{upstream}"},
            "mode": mode,
        }
        if detectors is not None:
            system["detectors"] = list(detectors)
        path = folder / "bartizan.yaml"
        if passthrough:
            # Chat paths are always judged, so a system of another kind lets this one through.
            system |= {"kind": "predict", "passthrough": ["/v1"]}
        config = {
            "data": {"port": port},
            "admin": {"port": admin, "metrics_open": True},
            "store": {"path": str(folder / "data")},
            "systems": [system],
        }
        path.write_text(json.dumps(config))  # JSON is YAML
        command = [python, "-m", "bartizan.cli.__main__", "serve", "-c", str(path)]
        return Process(command, port, PROXY_CORE, folder / "gateway.log", _libraries(), admin)

    return start


def _litellm(folder: Path, upstream: int) -> Process:
    program = os.environ.get(LITELLM_ENV, LITELLM_DEFAULT)
    if shutil.which(program) is None:
        raise Missing(
            f"LiteLLM is not at {program}: python -m venv /tmp/litellm; "
            f"/tmp/litellm/bin/pip install 'litellm[proxy]'; or set {LITELLM_ENV} to its program"
        )
    port = free_port()
    path = folder / "litellm.yaml"
    config = {
        "model_list": [
            {
                "model_name": "bench-model",
                "litellm_params": {
                    "model": "openai/bench-model",
                    "api_base": f"http://127.0.0.1:{upstream}/v1",
                    "api_key": "sk-bench",
                },
            }
        ],
        "general_settings": {"master_key": "sk-bench"},
    }
    path.write_text(json.dumps(config))
    command = [
        program,
        "--config",
        str(path),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--num_workers",
        "1",
    ]
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}
    return Process(command, port, PROXY_CORE, folder / "litellm.log", env)
