"""Asks an Open Inference Protocol server what its model answers to rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType

import numpy as np
from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import PyreqwestError

from bartizan.config import System, Upstream, secret
from bartizan.errors import CalibrationError, ProtocolError
from bartizan.features.variants import Model
from bartizan.protocols.inference_ask import Outputs, infer_body, model_path, read_inputs, read_outputs
from bartizan.types import FloatArray, Rows

_BATCH = 256


@contextmanager
def asking(system: System, model: str) -> Iterator[Model]:
    """Yield what asks the model of this name at a system's upstream about rows, shape ``(n, d)``.

    Args:
        system: Its upstream, and the name of its embedding if it has one.
        model: The model's name there; it must take numeric tensors.

    Raises:
        CalibrationError: The server can't be reached, or (when asked) gives no usable answer.
    """
    with Endpoint(system.upstream, model) as endpoint:

        def ask(inputs: FloatArray) -> Rows:
            starts = range(0, len(inputs), _BATCH)
            found = [endpoint.ask(inputs[s : s + _BATCH], system.embedding_output) for s in starts]
            if not all(f.scores for f in found):
                raise CalibrationError(f"model {model!r} gives no numeric output", hint="leave --model out")
            embedded = [f.embedding for f in found if f.embedding is not None]
            return Rows(
                inputs,
                np.concatenate([f.values[:, : f.scores] for f in found]),
                embedding=np.concatenate(embedded) if len(embedded) == len(found) else None,
            )

        yield ask


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

    def ask(self, rows: FloatArray, embedding: str | None = None) -> Outputs:
        """Return everything numeric that the model answers to rows, shape ``(n, d)``.

        Args:
            rows: What it is asked about.
            embedding: Name of the output that holds the rows' embedding, if there is one.

        Raises:
            CalibrationError: The server can't be reached or gives no usable answer.
        """
        try:
            answer = self._call("POST", f"{self._url}/infer", infer_body(self._inputs, rows))
            return read_outputs(answer.headers, answer.body, len(rows), embedding=embedding)
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
