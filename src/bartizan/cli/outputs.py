"""Asks an Open Inference Protocol server what its model answers to rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType

import numpy as np
from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import PyreqwestError

from bartizan.config import Upstream, secret
from bartizan.errors import CalibrationError, ProtocolError
from bartizan.protocols.inference_ask import Outputs, infer_body, model_path, read_inputs, read_outputs
from bartizan.types import FloatArray

_BATCH = 256


def ask_model(upstream: Upstream, model: str, inputs: FloatArray) -> FloatArray:
    """Return the model's outputs, shape ``(n, k)``.

    Args:
        upstream: Where the server is.
        model: The model's name there; it must take numeric tensors.
        inputs: Shape ``(n, d)``.

    Raises:
        CalibrationError: The server can't be reached or gives no usable answer.
    """
    answers = []
    with Endpoint(upstream, model) as endpoint:
        for start in range(0, len(inputs), _BATCH):
            outputs = endpoint.ask(inputs[start : start + _BATCH])
            if not outputs.scores:
                raise CalibrationError(f"model {model!r} gives no numeric output", hint="leave --model out")
            answers.append(outputs.values[:, : outputs.scores])
    return np.concatenate(answers)


@dataclass(frozen=True, slots=True)
class _Answered:
    headers: dict[str, str]
    body: bytes


class Endpoint:
    """A model behind the Open Inference Protocol; a context manager.

    Args:
        upstream: Where the server is.
        model: The model's name there.
        version: Its version; empty: the server chooses.

    Raises:
        CalibrationError: The server can't be reached, or takes no rows of numbers.
    """

    def __init__(self, upstream: Upstream, model: str, version: str = "") -> None:
        self._url = upstream.url + model_path(model, version)
        self._model = model
        token = secret(upstream.api_key_env)
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        builder = SyncClientBuilder().no_proxy().timeout(timedelta(seconds=upstream.timeout_s))
        if upstream.ca_file is not None:
            builder = builder.add_root_certificate_pem(upstream.ca_file.read_bytes())
        self._client: SyncClient = builder.build()

    def __enter__(self) -> Endpoint:
        self._client.__enter__()
        try:
            self._inputs = read_inputs(self._call("GET", self._url, b"").body)
        except ProtocolError as error:
            self._client.__exit__(None, None, None)
            raise CalibrationError(f"model {self._model!r}: {error.message}") from error
        except BaseException:
            self._client.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.__exit__(kind, error, trace)

    def ask(self, rows: FloatArray) -> Outputs:
        """Return everything numeric that the model answers to rows, shape ``(n, d)``.

        Raises:
            CalibrationError: The server can't be reached or gives no usable answer.
        """
        try:
            answer = self._call("POST", f"{self._url}/infer", infer_body(self._inputs, rows))
            return read_outputs(answer.headers, answer.body, len(rows))
        except ProtocolError as error:
            raise CalibrationError(f"model {self._model!r}: {error.message}", hint=error.hint) from error

    def _call(self, method: str, url: str, body: bytes) -> _Answered:
        try:
            request = self._client.request(method, url).headers(self._headers)
            if body:
                request = request.header("content-type", "application/json").body_bytes(body)
            response = request.build().send()
            answer = _Answered({k.lower(): v for k, v in response.headers.items()}, bytes(response.bytes()))
        except PyreqwestError as error:
            raise CalibrationError(f"can't ask {url}: {error}", hint="is the upstream running?") from error
        if response.status != 200:
            raise CalibrationError(
                f"{url} answered {response.status}", hint="check --model and the upstream's log"
            )
        return answer
