"""Coarsens the numbers in an inference answer: same form, same first class, less to learn from.

Scores are rounded *down* to a grid. Rounding to nearest would move a score across a threshold
that a client compares it with; rounding down to a grid keeps every comparison with a point of
the grid, so that 0.46 does not become the 0.5 that a client acts on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bartizan.errors import ProtocolError
from bartizan.protocols.http_message import header
from bartizan.protocols.inference_message import HEAD_LENGTH, split_head
from bartizan.protocols.json_guard import encode_json
from bartizan.protocols.tensors import (
    DATATYPES,
    flatten,
    numbers_from_binary,
    texts_from_binary,
    texts_to_binary,
)
from bartizan.types import FloatArray

_ALMOST = 1e-4
"""A value this close below a point of the grid, in steps, counts as on it: 0.7 in single precision."""


def coarsened(values: FloatArray, digits: int, *, top_only: bool = False, single: bool = False) -> FloatArray:
    """Return scores on a coarse grid.

    Args:
        values: Shape ``(n, k)``: a row is the answer to one input. NaN and infinities stay.
        digits: The grid has ``10 ** digits`` steps from 0 to the power of ten at or above the
            largest magnitude, which is 1 for probabilities.
        top_only: Rows of several columns become 1 in their first maximum, and 0 elsewhere.
        single: There is one row in a batch of unknown form: columns are not compared.

    Returns:
        The same shape.

    Guarantees:
        The first maximum of a finite row is a strict maximum afterwards, at the same place; and
        ``x >= t`` is unchanged for every other ``x`` and every ``t`` on the grid, up to
        one ten-thousandth of a step.

    >>> coarsened(np.array([[0.46, 0.54], [0.494, 0.506], [0.013, 0.987]]), 1).tolist()
    [[0.4, 0.5], [0.4, 0.5], [0.0, 0.9]]
    >>> coarsened(np.array([[0.41, 0.44, 0.15]]), 1).tolist()
    [[0.4, 0.5, 0.1]]
    >>> coarsened(np.array([[1234.5], [17.0]]), 2).tolist()
    [[1200.0], [0.0]]
    """
    finite = np.isfinite(values)
    known = np.where(finite, values, 0.0)
    largest = float(np.abs(known).max(initial=0.0))
    exponent = max(0, math.ceil(math.log10(largest) - 1e-12)) if largest > 1.0 else 0
    step = 10.0 ** (exponent - digits)
    steps = np.floor(known / step + _ALMOST)
    if values.shape[1] > 1 and not single:
        rows = np.arange(len(values))
        top = known.argmax(axis=1)
        if top_only:
            steps = np.zeros_like(known)
            steps[rows, top] = 1.0
            step, exponent, digits = 1.0, 0, 0
        else:
            others = steps.copy()
            others[rows, top] = -np.inf
            tied = others.max(axis=1) >= steps[rows, top]
            steps[rows[tied], top[tied]] += 1.0
    rounded = np.round(steps * step, max(0, digits - exponent))
    return np.where(finite, rounded, values)


def coarsen(body: bytes, headers: Mapping[str, str], digits: int, *, top_only: bool = False) -> bytes:
    """Return an answer with its floating-point outputs coarsened, as JSON and as binary tensors.

    Whole-number outputs stay: they are labels as a rule, and a coarser label is another label.
    Texts of the classification extension (``score:index:label``) have their score coarsened.

    Args:
        body: An answer that has been parsed.
        headers: Its headers.
        digits: As for :func:`coarsened`.
        top_only: As for :func:`coarsened`.

    Raises:
        ProtocolError: ``not_rewritable``: the new JSON head would be longer than the old one.
    """
    head, tail = split_head(headers, body)
    tree = json.loads(head)
    out: list[bytes] = []
    at = 0
    for tensor in tree.get("outputs") or ():
        size = (tensor.get("parameters") or {}).get("binary_data_size")
        if size is None:
            _coarsen_json(tensor, digits, top_only=top_only)
            continue
        section = _binary(tensor, tail[at : at + size], digits, top_only=top_only)
        tensor["parameters"]["binary_data_size"] = len(section)
        out.append(section)
        at += size
    new = encode_json(tree)
    if header(headers, HEAD_LENGTH) is None:
        return new
    if len(new) > len(head):
        raise ProtocolError("the answer can't be rewritten at its length", code="not_rewritable")
    return new.ljust(len(head)) + b"".join(out)


def _coarsen_json(tensor: dict[str, Any], digits: int, *, top_only: bool) -> None:
    form, shape = DATATYPES[tensor["datatype"]].form, tuple(tensor["shape"])
    if form not in ("float", "bytes"):
        return
    flat, _ = flatten(tensor["data"], shape, "data")
    if form == "bytes":
        new: list[Any] = [_label(text, digits, top_only=top_only) for text in flat]
    else:
        values = _in_rows(np.array(flat, dtype=np.float64), shape, digits, top_only=top_only)
        # A number that was written without a point stays so: the head may not grow.
        pairs = zip(flat, values.tolist(), strict=True)
        new = [int(v) if type(o) is int and v.is_integer() else v for o, v in pairs]
    _fill(tensor["data"], iter(new))


def _binary(tensor: dict[str, Any], section: bytes, digits: int, *, top_only: bool) -> bytes:
    datatype, shape = DATATYPES[tensor["datatype"]], tuple(tensor["shape"])
    if datatype.form == "bytes":
        texts = texts_from_binary(section, math.prod(shape), "data")
        return texts_to_binary([_label(text, digits, top_only=top_only) for text in texts])
    if datatype.form != "float":
        return section
    values = numbers_from_binary(section, datatype, "data", name=tensor["datatype"])
    new = _in_rows(values, shape, digits, top_only=top_only)
    if tensor["datatype"] == "BF16":
        return (new.astype(np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
    return new.astype(datatype.dtype).tobytes()


def _in_rows(values: FloatArray, shape: tuple[int, ...], digits: int, *, top_only: bool) -> FloatArray:
    """Coarsen a tensor row by row; without a batch dimension nothing says what a row is."""
    if not values.size:
        return values
    rows = shape[0] if len(shape) > 1 else 1
    matrix = values.reshape(rows, -1)
    return coarsened(matrix, digits, top_only=top_only, single=len(shape) < 2).reshape(-1)


def _label(text: Any, digits: int, *, top_only: bool) -> Any:
    """Coarsen the score of a ``score:index:label`` text; return any other text as it is."""
    raw = text.encode() if isinstance(text, str) else text
    score, colon, rest = raw.partition(b":")
    index, _, _ = rest.partition(b":")
    if not colon or not index.isdigit():
        return text
    try:
        value = np.array([[float(score)]])
    except ValueError:
        return text
    shown = "1" if top_only else f"{coarsened(value, digits)[0, 0]:g}"
    new = shown.encode() + colon + rest
    return new.decode() if isinstance(text, str) else new


def _fill(data: list[Any], new: Iterator[Any]) -> None:
    """Write elements into nested lists, in row-major order. Parsing limited the depth."""
    for i, element in enumerate(data):
        if type(element) is list:
            _fill(element, new)
        else:
            data[i] = next(new)
