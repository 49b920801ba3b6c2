"""A small Open Inference Protocol v2 server in front of the digits classifier.

Run with ``python -m bartizan.cli.demo.model_server --port P``. JSON and binary tensors.

References:
    Open Inference Protocol, REST, version 2; Triton's binary tensor data extension.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bartizan.cli.demo.digits import CLASSES, COLUMNS, Classifier, split, train
from bartizan.cli.demo.serving import arguments, bounded_body, serve
from bartizan.types import FloatArray

__all__ = ["MODEL", "create_app", "main", "split", "train"]

MODEL: Final = "digits"
INPUT: Final = "pixels"
MAX_BODY_BYTES: Final = 16 << 20
MAX_ROWS: Final = 4096
HEADER_LENGTH: Final = "inference-header-content-length"
DATATYPES: Final[Mapping[str, str]] = {
    "FP64": "<f8",
    "FP32": "<f4",
    "FP16": "<f2",
    "INT64": "<i8",
    "INT32": "<i4",
    "INT16": "<i2",
    "INT8": "<i1",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
}


class _RequestError(Exception):
    """A request that the protocol does not allow; its text goes to the client."""


def create_app(classifier: Classifier) -> Starlette:
    """Return the application that serves one classifier under the name ``digits``."""

    async def live(_: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(_: Request) -> Response:
        return JSONResponse({"ready": True})

    async def server(_: Request) -> Response:
        return JSONResponse({"name": "bartizan-demo", "version": "1", "extensions": ["binary_tensor_data"]})

    async def metadata(_: Request) -> Response:
        return JSONResponse(_metadata())

    async def model_ready(_: Request) -> Response:
        return JSONResponse({"name": MODEL, "ready": True})

    async def infer(request: Request) -> Response:
        body = await bounded_body(request, MAX_BODY_BYTES)
        if body is None:
            return JSONResponse({"error": "the request is too large"}, 413)
        try:
            document, tail = _split_body(body, request.headers)
            rows = _rows(document, tail)
            return _answer(classifier, rows, document)
        except _RequestError as error:
            return JSONResponse({"error": str(error)}, 400)

    routes = [
        Route("/v2", server),
        Route("/v2/health/live", live),
        Route("/v2/health/ready", ready),
    ]
    for base in (f"/v2/models/{MODEL}", f"/v2/models/{MODEL}/versions/1"):
        routes.append(Route(base, metadata))
        routes.append(Route(f"{base}/ready", model_ready))
        routes.append(Route(f"{base}/infer", infer, methods=["POST"]))
    return Starlette(routes=routes)


def _metadata() -> dict[str, Any]:
    return {
        "name": MODEL,
        "versions": ["1"],
        "platform": "numpy",
        "inputs": [{"name": INPUT, "datatype": "FP64", "shape": [-1, COLUMNS]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP64", "shape": [-1, CLASSES]},
            {"name": "label", "datatype": "INT64", "shape": [-1, 1]},
        ],
    }


def _split_body(body: bytes, headers: Mapping[str, str]) -> tuple[dict[str, Any], bytes]:
    """Return the JSON part and the binary tensors after it."""
    length = headers.get(HEADER_LENGTH, str(len(body)))
    if not length.isascii() or not length.isdigit() or int(length) > len(body):
        raise _RequestError("Inference-Header-Content-Length is not a length of this body")
    try:
        document = json.loads(body[: int(length)])
    except (ValueError, RecursionError) as error:
        raise _RequestError("the request is not JSON") from error
    if not isinstance(document, dict):
        raise _RequestError("the request is not a JSON object")
    return document, body[int(length) :]


def _rows(document: Mapping[str, Any], tail: bytes) -> FloatArray:
    """Return the one input tensor as rows of shape ``(n, 64)``."""
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise _RequestError("exactly one input tensor is needed")
    tensor = inputs[0]
    shape, datatype = tensor.get("shape"), tensor.get("datatype")
    if tensor.get("name") != INPUT:
        raise _RequestError(f"the input tensor is called {INPUT!r}")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise _RequestError("the datatype is not supported")
    if not (isinstance(shape, list) and len(shape) == 2 and all(type(size) is int for size in shape)):
        raise _RequestError("the shape is not [n, 64]")
    if shape[1] != COLUMNS or not 0 < shape[0] <= MAX_ROWS:
        raise _RequestError(f"the shape is not [n, {COLUMNS}] with n from 1 to {MAX_ROWS}")
    values = _values(tensor, np.dtype(DATATYPES[datatype]), tail)
    if values.size != math.prod(shape):
        raise _RequestError("the tensor does not hold as many values as its shape says")
    return values.reshape(shape)


def _values(tensor: Mapping[str, Any], dtype: np.dtype[Any], tail: bytes) -> FloatArray:
    parameters = tensor.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    try:
        if size is None:
            # Nested or flat, both are allowed on the wire.
            return np.asarray(tensor.get("data"), dtype=np.float64).reshape(-1)
        if size != len(tail):
            raise _RequestError("binary_data_size is not the size of the binary data")
        return np.frombuffer(tail, dtype=dtype).astype(np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise _RequestError("the tensor's data can't be read") from error


def _wanted(document: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Return which outputs the client wants, and whether as binary."""
    parameters = document.get("parameters")
    everything = isinstance(parameters, dict) and parameters.get("binary_data_output") is True
    asked = document.get("outputs")
    if asked is None:
        return [("probabilities", everything), ("label", everything)]
    outputs = []
    for output in asked if isinstance(asked, list) else [None]:
        if not isinstance(output, dict) or output.get("name") not in ("probabilities", "label"):
            raise _RequestError("there is no such output")
        own = output.get("parameters")
        binary = own.get("binary_data", everything) if isinstance(own, dict) else everything
        outputs.append((output["name"], binary is True))
    return outputs


def _answer(classifier: Classifier, rows: FloatArray, document: Mapping[str, Any]) -> Response:
    probabilities = classifier.probabilities(rows)
    tensors = {
        "probabilities": ("FP64", probabilities),
        "label": ("INT64", probabilities.argmax(axis=1).astype(np.int64)[:, None]),
    }
    outputs, blobs = [], []
    for name, binary in _wanted(document):
        datatype, tensor = tensors[name]
        output: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(tensor.shape)}
        if binary:
            blobs.append(tensor.astype(DATATYPES[datatype]).tobytes())
            output["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            output["data"] = tensor.reshape(-1).tolist()
        outputs.append(output)
    answer: dict[str, Any] = {"model_name": MODEL, "model_version": "1", "outputs": outputs}
    if isinstance(document.get("id"), str):
        answer["id"] = document["id"]
    try:
        head = json.dumps(answer, allow_nan=False).encode()
    except ValueError as error:
        raise _RequestError("the inputs are not finite numbers") from error
    if not blobs:
        return Response(head, media_type="application/json")
    headers = {HEADER_LENGTH: str(len(head))}
    return Response(b"".join([head, *blobs]), headers=headers, media_type="application/octet-stream")


def main() -> None:
    """Train the classifier and serve it."""
    options = arguments("The digits classifier behind the Open Inference Protocol.").parse_args()
    serve(lambda: create_app(train()), options.host, options.port)


if __name__ == "__main__":
    main()
