"""Makes an inference request like another one about other rows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from bartizan.errors import ProtocolError
from bartizan.protocols.inference_message import HEAD_LENGTH, split_head
from bartizan.protocols.json_guard import encode_json
from bartizan.protocols.tensors import DATATYPES, Datatype, texts_from_binary, texts_to_binary
from bartizan.types import FloatArray

STATEFUL = ("sequence_id", "sequence_start", "sequence_end")
"""Parameters of a request that a model remembers: asking again would change later answers."""


def repeated(body: bytes, headers: Mapping[str, str], inputs: FloatArray) -> tuple[bytes, Mapping[str, str]]:
    """Return the body of a request about changed copies of rows, and its further headers.

    Names, datatypes, shapes beyond the first dimension, and the form on the wire (JSON or binary)
    are those of the request; texts beside the numbers are repeated for each copy. Values are
    rounded and bounded to what the datatype holds.

    Args:
        body: A request that has been parsed.
        headers: Its headers.
        inputs: Shape ``(n, v, d)``: ``v`` copies of each of its ``n`` rows, columns in the order
            of :func:`bartizan.protocols.inference_rows.input_parts`.

    Raises:
        ProtocolError: ``not_repeatable``: the tensors are not one batch of ``n`` rows of ``d``
            columns, or the model remembers what it is asked.
    """
    head, tail = split_head(headers, body)
    tree = json.loads(head)
    _check(tree, inputs)
    # The answer is not the client's, so it carries no id of theirs.
    tree.pop("id", None)
    columns = _columns(tree["inputs"])
    sections: list[bytes] = []
    at = 0
    for tensor in tree["inputs"]:
        size = (tensor.get("parameters") or {}).get("binary_data_size")
        section = None if size is None else tail[at : at + size]
        at += size or 0
        if tensor["datatype"] == "BYTES":
            _repeat_texts(tensor, section, inputs.shape[1], sections)
        else:
            _put(tensor, section, inputs[:, :, columns[tensor["name"]]], sections)
        tensor["shape"] = [inputs.shape[0] * inputs.shape[1], *tensor["shape"][1:]]
    new = encode_json(tree)
    if not sections:
        return new, {}
    return new + b"".join(sections), {HEAD_LENGTH: str(len(new))}


def _check(tree: dict[str, Any], inputs: FloatArray) -> None:
    parameters = tree.get("parameters")
    if isinstance(parameters, dict) and any(name in parameters for name in STATEFUL):
        _refuse("the model remembers the requests of a sequence")
    if any(not t["shape"] or t["shape"][0] != len(inputs) for t in tree["inputs"]):
        _refuse("its tensors are not one batch of rows")
    if sum(math.prod(t["shape"][1:]) for t in tree["inputs"] if t["datatype"] != "BYTES") != inputs.shape[2]:
        _refuse("its tensors do not have the columns of its rows")


def _columns(tensors: list[dict[str, Any]]) -> dict[str, slice]:
    """Return where each numeric tensor's columns stand in a row: in the order of their names."""
    places: dict[str, slice] = {}
    at = 0
    for tensor in sorted((t for t in tensors if t["datatype"] != "BYTES"), key=lambda t: str(t["name"])):
        width = math.prod(tensor["shape"][1:])
        places[tensor["name"]] = slice(at, at + width)
        at += width
    return places


def _put(tensor: dict[str, Any], section: bytes | None, values: FloatArray, sections: list[bytes]) -> None:
    kind = DATATYPES[tensor["datatype"]]
    kept = np.clip(values.reshape(-1), float(kind.low), float(kind.high))
    if kind.form != "float":
        kept = np.round(kept)
    if section is not None:
        sections.append(_encoded(kept, kind, tensor["datatype"]))
        tensor["parameters"]["binary_data_size"] = len(sections[-1])
    elif kind.form == "bool":
        tensor["data"] = (kept > 0.0).tolist()
    elif kind.form == "int":
        # Beyond 2**53 the nearest double may lie outside of the datatype.
        tensor["data"] = [min(max(int(v), int(kind.low)), int(kind.high)) for v in kept.tolist()]
    else:
        tensor["data"] = kept.tolist()


def _encoded(values: FloatArray, kind: Datatype, name: str) -> bytes:
    if name == "BF16":
        bits = values.astype(np.float32).view(np.uint32)
        # Round to nearest, ties to even, as hardware does.
        return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(kind.dtype).tobytes()
    if kind.form == "int":
        # The largest double below the datatype's end: its end itself may have no double.
        values = np.minimum(values, np.nextafter(float(kind.high) + 1.0, 0.0))
    return values.astype(kind.dtype).tobytes()


def _repeat_texts(tensor: dict[str, Any], section: bytes | None, copies: int, sections: list[bytes]) -> None:
    rows, size = tensor["shape"][0], math.prod(tensor["shape"])
    width = size // rows if rows else 0
    if section is None:
        flat = tensor["data"]
        while flat and isinstance(flat[0], list):
            flat = [element for inner in flat for element in inner]
        tensor["data"] = [t for r in range(rows) for t in flat[r * width : (r + 1) * width] * copies]
        return
    texts = texts_from_binary(section, size, "inputs")
    sections.append(
        texts_to_binary([t for r in range(rows) for t in texts[r * width : (r + 1) * width] * copies])
    )
    tensor["parameters"]["binary_data_size"] = len(sections[-1])


def _refuse(why: str) -> NoReturn:
    raise ProtocolError(f"the request can't be asked again: {why}", code="not_repeatable")
