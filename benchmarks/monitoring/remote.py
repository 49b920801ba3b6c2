"""Finds each peer: here, in another interpreter, or nowhere.

``BARTIZAN_PEERS`` names the Python programs of other virtual environments, separated by colons.
A peer that can't be imported here is looked for there, and runs in a process of its own.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import subprocess
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.monitoring import footprint
from benchmarks.monitoring.peers import PEERS, FloatArray, IntArray, Peer, System

ENV = "BARTIZAN_PEERS"
ROOT = Path(__file__).parents[2]


class Interpreter:
    """A worker process; answers are awaited, so it never runs beside what is timed."""

    def __init__(self, python: str) -> None:
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.monitoring.worker"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, **request: Any) -> tuple[Any, float]:
        """Return the answer and the seconds that it took there.

        Raises:
            RuntimeError: What went wrong there.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the worker ended")
        reply = json.loads(line)
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply.get("value"), reply["seconds"]


class Remote(System):
    """A system in another interpreter. ``seconds``: what the last call took there."""

    def __init__(
        self, interpreter: Interpreter, name: str, reference: FloatArray, settings: Mapping[str, float]
    ) -> None:
        self._interpreter = interpreter
        self._id, self.seconds = interpreter.ask(
            do="make", name=name, reference=_pack(reference), settings=dict(settings)
        )

    def reset(self) -> None:
        self._interpreter.ask(do="reset", id=self._id)

    def update(self, x: float) -> bool:
        return self.first(np.array([x])) is not None

    def update_block(self, xs: FloatArray) -> IntArray:
        alarms, self.seconds = self._interpreter.ask(do="block", id=self._id, x=_pack(xs))
        return np.array(alarms, dtype=np.int64)

    def first(self, xs: FloatArray) -> int | None:
        index, self.seconds = self._interpreter.ask(do="first", id=self._id, x=_pack(xs))
        return index


def _pack(xs: FloatArray) -> str:
    return base64.b64encode(np.ascontiguousarray(xs, dtype=np.float64).tobytes()).decode()


@cache
def _interpreters() -> tuple[Interpreter, ...]:
    return tuple(Interpreter(p) for p in os.environ.get(ENV, "").split(":") if p)


@cache
def home(package: str) -> Interpreter | bool | None:
    """Return ``True``: importable here; an interpreter: there; ``None``: nowhere."""
    if not package or importlib.util.find_spec(package) is not None:
        return True
    return next((i for i in _interpreters() if i.ask(do="probe", package=package)[0]), None)


def present() -> tuple[list[Peer], list[str]]:
    """Return the peers that can be measured, and the names of those that can't."""
    here = [p for p in PEERS if home(p.package) is not None]
    return here, [p.name for p in PEERS if p not in here]


def make(peer: Peer, reference: FloatArray, **settings: float) -> System:
    """Set a peer up, wherever it lives."""
    place = home(peer.package)
    if isinstance(place, Interpreter):
        return Remote(place, peer.name, reference, settings)
    return peer.make(reference, settings)


def timed_block(system: System, xs: FloatArray) -> tuple[IntArray, float]:
    """Return alarms and seconds, without the way to another interpreter."""
    start = time.perf_counter()
    alarms = system.update_block(xs)
    seconds = time.perf_counter() - start
    return alarms, system.seconds if isinstance(system, Remote) else seconds


def held_bytes(peer: Peer, reference: FloatArray, xs: FloatArray) -> int:
    """Return the memory that a peer's one stream holds after ``xs``."""
    place = home(peer.package)
    if isinstance(place, Interpreter):
        made, _ = place.ask(do="make", name=peer.name, reference=_pack(reference), settings={})
        return int(place.ask(do="grow", id=made, x=_pack(xs))[0])
    return footprint.bytes_after(lambda: peer.make(reference, {}), xs)


def install(peer: Peer) -> dict[str, float]:
    """Return megabytes and distributions of a peer's package with all that it requires."""
    place = home(peer.package)
    if isinstance(place, Interpreter):
        return place.ask(do="size", package=peer.package.replace("_", "-"))[0]
    return footprint.install_mb([peer.package.replace("_", "-")])
