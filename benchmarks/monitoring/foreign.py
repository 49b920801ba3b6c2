"""Attacks and explainers that others wrote, in an interpreter of their own; the model is asked through a pipe.

The child reads one JSON object a line (``do``, ``seed``, arrays in base64) and sends frames: a letter and a
length, then bytes. ``Q``: rows in float64 whose answers it awaits in the same form; no answer at
all means that it has asked enough. ``E``: the session has ended. ``X``: it has failed.

Run by :class:`Foreign`; ``BARTIZAN_PEERS`` names interpreters that have ``requirements-art.txt``.
"""

from __future__ import annotations

import base64
import json
import os
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ENV = "BARTIZAN_PEERS"
ROOT = Path(__file__).parents[2]
HEADER = struct.Struct("<cI")


class EnoughError(Exception):
    """Nobody answers any more."""


def pack(values: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=np.float64).tobytes()).decode()


def unpack(text: str, columns: int) -> Any:
    return np.frombuffer(base64.b64decode(text), dtype=np.float64).reshape(-1, columns)


class Foreign:
    """A child process that runs one session at a time.

    Args:
        python: Its interpreter.
        background: Rows that its explainers learn from.
    """

    def __init__(self, python: str, background: Any) -> None:
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.monitoring.foreign"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._columns = background.shape[1]
        self._say({"do": "background", "rows": pack(background), "columns": self._columns})
        self._frame()

    def session(self, answer: Callable[[Any], Any | None], **request: Any) -> str:
        """Run a session; return what went wrong, if anything did.

        Args:
            answer: Rows to outputs; ``None`` ends the session.
            request: What to run.
        """
        self._say(request)
        pipe = self._process.stdin
        while True:
            letter, data = self._frame()
            if letter != b"Q":
                return data.decode() if letter == b"X" else ""
            rows = np.frombuffer(data, dtype=np.float64).reshape(-1, self._columns)
            outputs = answer(rows)
            reply = b"" if outputs is None else np.ascontiguousarray(outputs, dtype=np.float64).tobytes()
            pipe.write(HEADER.pack(b"A", len(reply)) + reply)
            pipe.flush()

    def close(self) -> None:
        """End the child."""
        self._process.stdin.close()
        self._process.wait()

    def _say(self, request: dict[str, Any]) -> None:
        self._process.stdin.write((json.dumps(request) + "\n").encode())
        self._process.stdin.flush()

    def _frame(self) -> tuple[bytes, bytes]:
        head = self._process.stdout.read(HEADER.size)
        if len(head) < HEADER.size:
            raise RuntimeError("the interpreter of others' attacks ended")
        letter, length = HEADER.unpack(head)
        return letter, self._process.stdout.read(length)


def interpreters() -> tuple[str, ...]:
    """Return the interpreters that have the packages."""
    found = []
    for python in (*os.environ.get(ENV, "").split(":"), sys.executable):
        command = [
            python,
            "-c",
            "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ('art', 'lime', 'shap'))))",
        ]
        if python and subprocess.run(command, check=False, capture_output=True).returncode == 0:
            found.append(python)
    return tuple(found)


# --- the child -----------------------------------------------------------------------------------


class Child:
    """Runs what it is asked to, in the unit cube or in rows, as the request says."""

    def __init__(self) -> None:
        # Libraries print; only frames may reach the pipe.
        self._out = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self._in = sys.stdin.buffer
        self.background: Any = None

    def ask(self, rows: Any) -> Any:
        data = np.ascontiguousarray(np.asarray(rows, dtype=np.float64).reshape(len(rows), -1))
        self.send(b"Q", data.tobytes())
        _, length = HEADER.unpack(self._in.read(HEADER.size))
        if not length:
            raise EnoughError
        return np.frombuffer(self._in.read(length), dtype=np.float64).reshape(len(data), -1)

    def send(self, letter: bytes, data: bytes = b"") -> None:
        self._out.write(HEADER.pack(letter, len(data)) + data)
        self._out.flush()

    def serve(self) -> None:
        for line in self._in:
            request = json.loads(line)
            try:
                self._run(request)
                self.send(b"E")
            except EnoughError:
                self.send(b"E")
            except Exception as error:
                self.send(b"X", f"{type(error).__name__}: {error}".encode())

    def _run(self, request: dict[str, Any]) -> None:
        if request["do"] == "background":
            self.background = unpack(request["rows"], request["columns"])
            return
        np.random.seed(request["seed"])  # the packages draw from the global generator
        rng = np.random.default_rng(request["seed"])
        rows = unpack(request["rows"], self.background.shape[1])
        match request["do"]:
            case "attack":
                self._attack(request, rows)
            case "lime":
                self._lime(rows, rng, request["image"])
            case "shap":
                self._shap(rows, rng)

    def _attack(self, request: dict[str, Any], rows: Any) -> None:
        from art.estimators.classification import BlackBoxClassifierNeuralNetwork

        shape, classes = tuple(request["shape"]), request["classes"]
        estimator = BlackBoxClassifierNeuralNetwork(
            self.ask, shape, classes, channels_first=False, clip_values=(0.0, 1.0)
        )
        attack = ATTACKS[request["name"]](estimator, request["size"])
        start = rows.reshape(1, *shape).astype(np.float32)
        attack.generate(start, y=np.eye(classes)[[request["label"]]])

    def _lime(self, rows: Any, rng: Any, image: bool) -> None:
        classes = self.ask(rows[:1]).shape[1]
        samples = int(np.exp(rng.uniform(np.log(50), np.log(1000))))
        if image and rng.random() < 0.5:
            self._lime_image(rows, samples, rng)
            return
        from lime.lime_tabular import LimeTabularExplainer

        explainer = LimeTabularExplainer(
            self.background,
            discretize_continuous=bool(rng.random() < 0.5),
            sample_around_instance=bool(rng.random() < 0.5),
            random_state=int(rng.integers(2**31)),
        )
        for row in rows:
            explainer.explain_instance(row, self.ask, num_samples=samples, top_labels=min(classes, 2))

    def _lime_image(self, rows: Any, samples: int, rng: Any) -> None:
        from lime.lime_image import LimeImageExplainer

        side, block = int(rows.shape[1] ** 0.5), int(rng.choice((1, 2, 4)))
        down, right = np.divmod(np.arange(side * side), side)
        segments = ((down // block) * (side // block) + right // block).reshape(side, side)
        explainer = LimeImageExplainer(random_state=int(rng.integers(2**31)), verbose=False)
        for row in rows:
            explainer.explain_instance(
                np.repeat(row.reshape(side, side, 1), 3, axis=2),
                lambda images: self.ask(np.asarray(images)[..., 0]),
                num_samples=samples,
                top_labels=2,
                hide_color=0 if rng.random() < 0.5 else None,
                segmentation_fn=lambda _: segments,
            )

    def _shap(self, rows: Any, rng: Any) -> None:
        import shap

        many = int(rng.choice((1, 1, 5, 10)))
        background = self.background[rng.permutation(len(self.background))[:many]]
        samples = int(np.exp(rng.uniform(np.log(50), np.log(400))))
        way = rng.random()
        if way < 0.6:
            explainer = shap.KernelExplainer(self.ask, background)
            for row in rows:
                explainer.shap_values(row[None], nsamples=samples, silent=True)
        elif way < 0.8:
            explainer = shap.SamplingExplainer(self.ask, background)
            for row in rows:
                explainer.shap_values(row[None], nsamples=2 * samples)
        else:
            masker = shap.maskers.Independent(background, max_samples=many)
            explainer = shap.PermutationExplainer(self.ask, masker, seed=int(rng.integers(2**31)))
            for row in rows:
                explainer(row[None], max_evals=2 * rows.shape[1] + 1, silent=True)


def _hop_skip_jump(estimator: Any, size: float) -> Any:
    from art.attacks.evasion import HopSkipJump

    return HopSkipJump(estimator, max_iter=30, max_eval=200, init_eval=30, init_size=100, verbose=False)


def _square(estimator: Any, size: float) -> Any:
    from art.attacks.evasion import SquareAttack

    return SquareAttack(estimator, norm=np.inf, eps=size, max_iter=1000, p_init=0.3, verbose=False)


def _simba(estimator: Any, size: float) -> Any:
    from art.attacks.evasion import SimBA

    return SimBA(estimator, attack="px", epsilon=size, max_iter=1000, order="random", verbose=False)


def _boundary(estimator: Any, size: float) -> Any:
    from art.attacks.evasion import BoundaryAttack

    return BoundaryAttack(
        estimator, targeted=False, max_iter=300, num_trial=10, sample_size=10, init_size=100, verbose=False
    )


ATTACKS: dict[str, Callable[[Any, float], Any]] = {
    "HopSkipJump": _hop_skip_jump,
    "Square": _square,
    "SimBA": _simba,
    "Boundary": _boundary,
}
"""ART's attacks, with settings for rows of a few dozen values. ``size``: a step in the unit cube. Square in L2
is left out: ART's divides by zero on images this small."""


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    Child().serve()
