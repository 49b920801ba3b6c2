"""Sets the demo up: upstreams and gateway as processes of their own, and takes it all down again."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from bartizan.cli.demo import digits
from bartizan.errors import BartizanError

START_S = 60.0
STOP_S = 30.0
ROWS_RATE = 0.01
TEXT_RATE = 0.001
MODEL = "digits"


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything is while the demo runs.

    Attributes:
        folder: Configuration, records, logs.
        gateway: Base URL of the data plane.
        admin: Base URL of the admin plane.
        token: The admin token.
        chat_model: The chat model's name.
        stand_in: Whether the chat upstream is the rule-based stand-in.
        commands: What was run, as a reader would type it.
    """

    folder: Path
    gateway: str
    admin: str
    token: str
    chat_model: str
    stand_in: bool
    commands: tuple[str, ...]

    @property
    def store(self) -> Path:
        """The data directory."""
        return self.folder / "bartizan-data"


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Start everything; stop it on the way out, in order, so that all records are written.

    Raises:
        BartizanError: A process did not come up; says where its log is.
    """
    with ExitStack() as stack:
        model_url = _upstream(stack, folder, "model_server")
        base = os.environ.get("OPENAI_BASE_URL", "")
        chat_url = base.removesuffix("/").removesuffix("/v1") or _upstream(stack, folder, "chat_server")
        data_port, admin_port = _free_port(), _free_port()
        config = folder / "bartizan.yaml"
        config.write_text(
            yaml.safe_dump(_config(model_url, chat_url, data_port, admin_port), sort_keys=False)
        )
        _wait(model_url + "/v2/health/ready", folder / "model_server.log")
        token = secrets.token_urlsafe(18)
        part = digits.split()
        np.save(folder / "training-rows.npy", part.train.inputs)
        np.save(folder / "benign-rows.npy", part.calibration.inputs)
        calibrate = ["calibrate", "-c", str(config), "--system", MODEL, "--model", MODEL]
        calibrate += ["--fit", str(folder / "training-rows.npy"), str(folder / "benign-rows.npy")]
        _bartizan(folder, calibrate)
        serve = ["serve", "-c", str(config)]
        environment = os.environ | {"BARTIZAN_ADMIN_TOKEN": token}
        _process(stack, folder, "gateway", [sys.executable, "-m", "bartizan.cli", *serve], environment)
        admin = f"http://127.0.0.1:{admin_port}"
        _wait(admin + "/readyz", folder / "gateway.log")
        yield Stage(
            folder=folder,
            gateway=f"http://127.0.0.1:{data_port}",
            admin=admin,
            token=token,
            chat_model=os.environ.get("OPENAI_MODEL", "stand-in-1" if not base else "gpt-4o-mini"),
            stand_in=not base,
            commands=tuple("bartizan " + " ".join(c) for c in (calibrate, serve)),
        )


def _config(model_url: str, chat_url: str, data_port: int, admin_port: int) -> dict[str, object]:
    return {
        "version": 1,
        "false_alarm_rate": TEXT_RATE,
        "data": {"port": data_port},
        "admin": {"port": admin_port},
        # The texts are the demo's own: the console may show what it highlights.
        "store": {"path": "bartizan-data", "keep_content": True},
        "systems": [
            {"name": "assistant", "kind": "chat", "mode": "enforce", "upstream": {"url": chat_url}},
            {
                "name": MODEL,
                "kind": "predict",
                "mode": "enforce",
                "false_alarm_rate": ROWS_RATE,
                "upstream": {"url": model_url},
            },
        ],
    }


def _upstream(stack: ExitStack, folder: Path, module: str) -> str:
    """Start a demo upstream and return the address it prints."""
    command = [sys.executable, "-m", f"bartizan.cli.demo.{module}"]
    process = _process(stack, folder, module, command, None, read=True)
    line = process.stdout.readline().decode() if process.stdout is not None else ""
    address = line.rpartition(" ")[2].strip()
    if not address.startswith("http"):
        raise BartizanError(f"the demo's {module} did not start", hint=f"see {folder / (module + '.log')}")
    return address


def _process(
    stack: ExitStack,
    folder: Path,
    name: str,
    command: list[str],
    environment: dict[str, str] | None,
    *,
    read: bool = False,
) -> subprocess.Popen[bytes]:
    log = stack.enter_context((folder / f"{name}.log").open("wb"))
    process = subprocess.Popen(  # noqa: S603 - our own modules, by absolute interpreter
        command, stdout=subprocess.PIPE if read else log, stderr=log, env=environment
    )
    stack.callback(_stop, process)
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _bartizan(folder: Path, arguments: list[str]) -> None:
    done = subprocess.run(  # noqa: S603 - our own command line, by absolute interpreter
        [sys.executable, "-m", "bartizan.cli", *arguments], capture_output=True, check=False
    )
    (folder / f"{arguments[0]}.log").write_bytes(done.stdout + done.stderr)
    if done.returncode:
        raise BartizanError(
            f"`bartizan {arguments[0]}` failed: {done.stderr.decode(errors='replace').strip()[-500:]}",
            hint=f"see {folder / (arguments[0] + '.log')}",
        )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait(url: str, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - a loopback http address made above
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise BartizanError(f"{url} did not answer within {START_S:g} s", hint=f"see {log}")


def status(stage: Stage) -> dict[str, object]:
    """Return what the gateway says of itself."""
    request = urllib.request.Request(  # noqa: S310 - as above
        stage.admin + "/api/v1/status", headers={"Authorization": f"Bearer {stage.token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
        body: dict[str, object] = json.loads(answer.read())
        return body
