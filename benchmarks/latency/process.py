"""Processes pinned to a core, and what they and their children have cost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.request import urlopen

PROXY_CORE = 0
LOAD_CORE = 1
TICKS = os.sysconf("SC_CLK_TCK")
START_S = 90.0
IDLE_S = 0.4
SETTLE_S = 10.0


class Missing(Exception):  # noqa: N818 - says what is missing
    """A peer can't be measured on this machine."""


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """Return a command that runs on one core, or anywhere if the machine has only one."""
    count = os.cpu_count() or 1
    return ["taskset", "-c", str(core % count), *command]


class Process:
    """A running server and all its children.

    Args:
        command: What to run.
        port: The port it will listen on.
        core: Where it runs.
        log: File for what it says.
        env: Environment variables to add.
        metrics_port: Where its Prometheus metrics are, if it has any.
    """

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        core: int,
        log: Path,
        env: Mapping[str, str] | None = None,
        metrics_port: int | None = None,
    ) -> None:
        self.port = port
        self._metrics_port = metrics_port
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                pinned(core, command),
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", self.port), 0.2):
                    return self
            except OSError:
                time.sleep(0.05)
        self._stop()
        last = self._log.read_text(errors="replace").strip().splitlines()[-3:]
        raise Missing("did not start: " + " / ".join(last))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def cpu_s(self) -> float:
        """Return the user and system seconds of the process and its children so far."""
        return sum(_ticks(pid) for pid in _tree(self._process.pid)) / TICKS

    def settle(self) -> None:
        """Wait until it is idle: work put off until after the answer is part of the price."""
        end = time.monotonic() + SETTLE_S
        before = self.cpu_s()
        while time.monotonic() < end:
            time.sleep(IDLE_S)
            after = self.cpu_s()
            if after - before < 0.05 * IDLE_S:
                return
            before = after

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels; 0 where there are no metrics."""
        if self._metrics_port is None:
            return 0.0
        with urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(x.rpartition(" ")[2]) for x in lines if x.startswith((name + "{", name + " ")))

    def memory_mb(self) -> float:
        """Return the resident megabytes of the process and its children."""
        return sum(_resident(pid) for pid in _tree(self._process.pid)) / 2**20


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _ticks(pid: int) -> int:
    fields = _stat(pid)
    # Of the process, then of its children that have ended.
    return sum(map(int, fields[11:15])) if fields else 0


def _resident(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") if fields else 0


def _tree(root: int) -> list[int]:
    found = [root]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found.extend(map(int, task.read_text().split()))
            except OSError:
                continue
    return found
