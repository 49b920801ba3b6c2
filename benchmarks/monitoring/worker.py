"""A peer in another interpreter: one JSON object a line in, one out.

Requests: ``probe`` and ``size`` (of a ``package``); ``make`` (``name``, ``reference``, ``settings``),
whose answer is a number; ``reset``, ``block``, ``first``, ``grow`` with that number as ``id``. Arrays travel as base64 of float64. Answers carry ``value``,
``seconds`` and, where it went wrong, ``error``.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.monitoring import footprint
from benchmarks.monitoring.peers import FloatArray, Peer, System, peer


def unpack(text: str) -> FloatArray:
    return np.frombuffer(base64.b64decode(text), dtype=np.float64)


class Worker:
    """Holds the systems that were made."""

    def __init__(self) -> None:
        self._systems: list[System] = []
        self._makers: list[Callable[[], System]] = []

    def answer(self, request: dict[str, Any]) -> Any:
        match request["do"]:
            case "probe":
                return importlib.util.find_spec(request["package"]) is not None
            case "size":
                return footprint.install_mb([request["package"]])
            case "make":
                return self._made(peer(request["name"]), unpack(request["reference"]), request["settings"])
            case "grow":
                return footprint.bytes_after(self._makers[request["id"]], unpack(request["x"]))
        system = self._systems[request["id"]]
        match request["do"]:
            case "reset":
                system.reset()
            case "block":
                return system.update_block(unpack(request["x"])).tolist()
            case "first":
                return system.first(unpack(request["x"]))
        return None

    def _made(self, maker: Peer, reference: FloatArray, settings: dict[str, float]) -> int:
        self._makers.append(lambda: maker.make(reference, settings))
        self._systems.append(self._makers[-1]())
        return len(self._systems) - 1


def main() -> None:
    # Libraries print; only answers may reach the pipe.
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    worker = Worker()
    for line in sys.stdin:
        reply: dict[str, Any] = {}
        start = time.perf_counter()
        try:
            reply["value"] = worker.answer(json.loads(line))
        except Exception as error:
            reply["error"] = f"{type(error).__name__}: {error}"
        reply["seconds"] = time.perf_counter() - start
        print(json.dumps(reply), file=pipe, flush=True)


if __name__ == "__main__":
    main()
