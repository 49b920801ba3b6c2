"""Asks a model of the Open Inference Protocol about rows: writes the request, reads every answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np

from bartizan.errors import ProtocolError
from bartizan.protocols.gathered import Gathered, upstream_error
from bartizan.protocols.inference_message import MAX_NAME_CHARS, TensorReader, read_tree, split_head
from bartizan.protocols.inference_rows import choose_answer, matrix_of
from bartizan.protocols.json_guard import encode_json
from bartizan.protocols.limits import DEFAULT, Limits
from bartizan.protocols.tensors import DATATYPES
from bartizan.types import FloatArray


@dataclass(frozen=True, slots=True)
class Input:
    """One numeric tensor that a model takes.

    Attributes:
        name: As the model calls it.
        datatype: Of the protocol.
        shape: Of one row; empty where the model does not say.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Everything numeric that a model answered.

    Attributes:
        values: Shape ``(n, k)``: the answer that detectors judge first, then all other tensors
            in the order of their names.
        scores: How many columns that answer has; 0 where the model gives labels only.
        embedding: Shape ``(n, e)``: the tensor that was named as the rows' embedding.
    """

    values: FloatArray
    scores: int
    embedding: FloatArray | None = None


def model_path(model: str, version: str = "") -> str:
    """Return the path of a model.

    >>> model_path("digits"), model_path("a model", "2")
    ('/v2/models/digits', '/v2/models/a%20model/versions/2')
    """
    path = f"/v2/models/{quote(model, safe='')}"
    return f"{path}/versions/{quote(version, safe='')}" if version else path


def read_inputs(body: bytes, limits: Limits = DEFAULT) -> tuple[Input, ...]:
    """Return what a model takes, from its metadata; in the order in which rows join tensors.

    Raises:
        ProtocolError: ``side="upstream"``: no metadata, or an input that is no tensor of numbers.
    """
    try:
        entries = read_tree(body, limits).get("inputs")
    except ProtocolError as error:
        raise upstream_error(error) from None
    if type(entries) is not list or not 0 < len(entries) <= limits.tensors:
        raise _unusable("the model's metadata names no inputs")
    return tuple(sorted((_input(entry) for entry in entries), key=lambda i: i.name))


def infer_body(inputs: tuple[Input, ...], rows: FloatArray) -> bytes:
    """Return a request that asks about rows.

    Args:
        inputs: From :func:`read_inputs`.
        rows: Shape ``(n, d)``.

    Raises:
        ProtocolError: The rows do not have the width that the inputs need.
    """
    widths = [math.prod(i.shape) if i.shape and min(i.shape) > 0 else -1 for i in inputs]
    if len(inputs) == 1 and widths[0] != rows.shape[1]:
        # A model that does not say its shape, or says one that rows of today don't have, is
        # asked with plain rows.
        inputs, widths = (Input(inputs[0].name, inputs[0].datatype, ()),), [rows.shape[1]]
    if min(widths) < 0 or sum(widths) != rows.shape[1]:
        raise _unusable(f"rows of {rows.shape[1]} columns don't fit the model's inputs")
    tensors: list[dict[str, Any]] = []
    for wanted, columns in zip(inputs, np.split(rows, np.cumsum(widths)[:-1], axis=1), strict=True):
        shape = wanted.shape or (rows.shape[1],)
        whole = DATATYPES[wanted.datatype].form == "int"
        values = np.rint(columns).astype(np.int64) if whole else columns
        tensors.append(
            {
                "name": wanted.name,
                "shape": [len(rows), *shape],
                "datatype": wanted.datatype,
                "data": values.reshape(-1).tolist(),
            }
        )
    return encode_json({"inputs": tensors})


def read_outputs(
    headers: Mapping[str, str], body: bytes, n: int, limits: Limits = DEFAULT, *, embedding: str | None = None
) -> Outputs:
    """Return what a model answered to ``n`` rows; ``embedding`` names a tensor that is no answer.

    Raises:
        ProtocolError: ``side="upstream"``: no answer of the protocol, or nothing numeric in it.
    """
    gathered = Gathered(limits)
    try:
        head, tail = split_head(headers, body)
        tree = read_tree(head, limits)
        tensors = TensorReader(gathered, limits, "outputs", tail, finite=False).read(tree.get("outputs"))
    except ProtocolError as error:
        raise upstream_error(error) from None
    answer = choose_answer([t for t in tensors if t.name != embedding], n)
    others = [
        t.values.reshape(n, -1)
        for t in sorted(tensors, key=lambda t: t.name)
        if t.values is not None and t.values.size and t.rows == n
    ]
    found = [] if answer is None else [answer]
    found += [o for o in others if answer is None or not np.shares_memory(o, answer)]
    if not found:
        raise _unusable("the model gives no numeric output")
    embedded = next((matrix_of(t) for t in tensors if t.name == embedding and t.rows == n), None)
    scores = 0 if answer is None else answer.shape[1]
    return Outputs(np.concatenate(found, axis=1), scores, embedded)


def _input(entry: Any) -> Input:
    fields = entry if type(entry) is dict else {}
    name, datatype, shape = fields.get("name"), fields.get("datatype"), fields.get("shape")
    if type(name) is not str or not 0 < len(name) <= MAX_NAME_CHARS:
        raise _unusable("an input of the model has no name")
    kind = DATATYPES.get(datatype) if type(datatype) is str else None
    if kind is None or kind.form not in ("int", "float"):
        raise _unusable("the model takes something other than numbers")
    sides = shape[1:] if type(shape) is list and all(type(side) is int for side in shape) else []
    return Input(name, str(datatype), tuple(sides))


def _unusable(message: str) -> ProtocolError:
    return ProtocolError(message, status=502, code="upstream_invalid_response", side="upstream")
