"""A peer in another interpreter: one JSON object a line in, one out.

Requests: ``{"do": "probe", "package"}``, ``{"do": "make", "name", "reference", "settings"}``,
``{"do": "reset"}``, ``{"do": "block", "x"}``, ``{"do": "first", "x"}``, ``{"do": "grow", "x"}``,
``{"do": "size", "package"}``. Arrays travel as base64 of float64. Answers carry ``value``,
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
from typing import Any

import numpy as np

from benchmarks.monitoring import footprint
from benchmarks.monitoring.peers import FloatArray, System, peer


def unpack(text: str) -> FloatArray:
    return np.frombuffer(base64.b64decode(text), dtype=np.float64)


class Worker:
    """Holds one system at a time."""

    def __init__(self) -> None:
        self._system: System | None = None
        self._make = lambda: None

    def answer(self, request: dict[str, Any]) -> Any:
        match request["do"]:
            case "probe":
                return importlib.util.find_spec(request["package"]) is not None
            case "make":
                maker, reference = peer(request["name"]), unpack(request["reference"])
                self._make = lambda: maker.make(reference, request["settings"])
                self._system = self._make()
            case "reset":
                self._system.reset()
            case "block":
                return self._system.update_block(unpack(request["x"])).tolist()
            case "first":
                return self._system.first(unpack(request["x"]))
            case "grow":
                return footprint.bytes_after(self._make, unpack(request["x"]))
            case "size":
                return footprint.install_mb([request["package"]])
        return None


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
