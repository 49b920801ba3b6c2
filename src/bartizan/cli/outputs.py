"""Asks an Open Inference Protocol server what its model answers to rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import PyreqwestError

from bartizan import registry
from bartizan.config import Upstream, secret
from bartizan.errors import CalibrationError
from bartizan.types import FloatArray, PartKind

_BATCH = 256


def ask_model(upstream: Upstream, model: str, inputs: FloatArray) -> FloatArray:
    """Return the model's outputs, shape ``(n, k)``.

    Args:
        upstream: Where the server is.
        model: The model's name there; it must take one numeric tensor.
        inputs: Shape ``(n, d)``.

    Raises:
        CalibrationError: The server can't be reached or gives no usable answer.
    """
    protocol = registry.protocol("open-inference")
    client = SyncClientBuilder().no_proxy().timeout(timedelta(seconds=upstream.timeout_s)).build()
    token = secret(upstream.api_key_env)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    path = f"/v2/models/{model}"
    with client:
        wanted = _call(client, "GET", upstream.url + path, headers, b"")["inputs"][0]
        answers = []
        for start in range(0, len(inputs), _BATCH):
            batch = inputs[start : start + _BATCH]
            shape = [len(batch), *(int(s) for s in wanted["shape"][1:])]
            if -1 in shape or int(np.prod(shape)) != batch.size:
                shape = list(batch.shape)
            whole = wanted["datatype"].startswith(("INT", "UINT"))
            values = batch.astype(np.int64) if whole else batch
            tensor = {"name": wanted["name"], "shape": shape, "datatype": wanted["datatype"]}
            tensor["data"] = values.reshape(-1).tolist()
            body = msgspec.json.encode({"inputs": [tensor]})
            request = protocol.parse_request(f"{path}/infer", {}, body)
            raw = _call(client, "POST", f"{upstream.url}{path}/infer", headers, body)
            parsed = protocol.parse_response(request, {}, msgspec.json.encode(raw))
            rows = next((p.rows for p in parsed.parts if p.kind is PartKind.ROWS), None)
            if rows is None or rows.outputs is None:
                raise CalibrationError(f"model {model!r} gives no numeric output", hint="leave --model out")
            answers.append(rows.outputs)
    return np.concatenate(answers)


def _call(client: SyncClient, method: str, url: str, headers: dict[str, str], body: bytes) -> Any:
    try:
        request = client.request(method, url).headers(headers)
        if body:
            request = request.body_bytes(body)
        response = request.build().send()
        answer = bytes(response.bytes())
    except PyreqwestError as error:
        raise CalibrationError(f"can't ask {url}: {error}", hint="is the upstream running?") from error
    if response.status != 200:
        raise CalibrationError(
            f"{url} answered {response.status}", hint="check --model and the upstream's log"
        )
    return msgspec.json.decode(answer)
