"""A gateway in a thread, or as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.applications import Starlette

from bartizan.config import from_mapping
from bartizan.gateway.server import Gateway

TOKEN = "a-token-for-tests-only-0123456789"


@dataclass
class Running:
    """A gateway that serves in this process."""

    gateway: Gateway
    data: int
    admin: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.data}"

    def admin_get(self, path: str) -> tuple[int, bytes]:
        return get(self.admin, path, token=self.gateway.token)

    def records(self) -> list[Any]:
        """Every record so far; waits until the ledger has written what is queued."""
        for _ in range(200):
            if self.gateway.plane.in_flight == 0:
                break
            time.sleep(0.02)
        self.gateway.store.flush()
        return list(self.gateway.store.records(limit=1000))

    def requests(self) -> float:
        """How many requests the data plane has answered with a record."""
        found = re.findall(r"^bartizan_requests_total\{[^}]*\} (\S+)$", self.metrics(), re.MULTILINE)
        return sum(map(float, found))

    def metrics(self) -> str:
        return self.gateway.metrics.exposition().decode()


@contextlib.contextmanager
def running(path: Path, systems: list[dict[str, Any]], **settings: Any) -> Iterator[Running]:
    """Serve these systems on free ports until the end of the block."""
    config = from_mapping(configuration(path, systems, **settings), base=path)
    started: list[tuple[int, int]] = []
    failed: list[BaseException] = []
    up = threading.Event()
    loop = uvloop.new_event_loop()
    gateway = Gateway(config)

    async def serve() -> None:
        stops.append(asyncio.Event())
        await gateway.serve(stops[0], lambda data, admin: (started.append((data, admin)), up.set()))

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            failed.append(error)
        finally:
            up.set()
            loop.close()

    stops: list[asyncio.Event] = []
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert up.wait(30)
    if failed:
        raise failed[0]
    try:
        yield Running(gateway, *started[0])
    finally:
        loop.call_soon_threadsafe(stops[0].set)
        thread.join(30)
        assert not thread.is_alive()
        assert not failed


def configuration(path: Path, systems: list[dict[str, Any]], **settings: Any) -> dict[str, Any]:
    return {
        "data": {"port": 0},
        "admin": {"port": 0},
        "store": {"path": str(path / "data"), **settings.pop("store", {})},
        "drain_s": 3,
        "systems": systems,
        **settings,
    }


@dataclass
class Child:
    """A gateway that serves in a child process."""

    process: subprocess.Popen[bytes]
    data: int
    admin: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.data}"

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextlib.contextmanager
def child(path: Path, systems: list[dict[str, Any]], env: dict[str, str], **settings: Any) -> Iterator[Child]:
    """Run ``bartizan serve``; whatever it prints goes to ``serve.log`` in the folder."""
    data, admin = free_port(), free_port()
    config = configuration(path, systems, **settings) | {"data": {"port": data}, "admin": {"port": admin}}
    file = path / "bartizan.yaml"
    file.write_text(json.dumps(config))  # JSON is YAML
    command = [sys.executable, "-m", "bartizan.cli.__main__", "serve", "-c", str(file)]
    with (path / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **env, "BARTIZAN_ADMIN_TOKEN": TOKEN}, stdout=log, stderr=log
        )
        try:
            wait_for(lambda: answers(admin), 30)
            yield Child(process, data, admin)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(10)


@contextlib.contextmanager
def served(app: Starlette) -> Iterator[str]:
    """Serve an application in a thread; yields its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    wait_for(lambda: server.started, 20)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(condition: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def answers(port: int) -> bool:
    try:
        return get(port, "/livez")[0] == 200
    except OSError:
        return False


def get(port: int, path: str, token: str = "") -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if token:
        request.add_header("authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as found:
            return found.status, found.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def post(url: str, path: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Send one request with the standard library and return status, headers and raw body."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    try:
        connection.request("POST", path, body, {"content-type": "application/json", **named})
        found = connection.getresponse()
        return found.status, {k.lower(): v for k, v in found.getheaders()}, found.read()
    finally:
        connection.close()
