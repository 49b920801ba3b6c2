"""Cuts an inference message into its JSON head and binary tail, and both into tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bartizan.errors import ProtocolError
from bartizan.protocols.fields import Fields
from bartizan.protocols.gathered import Gathered, refuse
from bartizan.protocols.http_message import header
from bartizan.protocols.json_guard import decode_json
from bartizan.protocols.limits import Limits
from bartizan.protocols.tensors import (
    DATATYPES,
    check_types,
    flatten,
    numbers_from_binary,
    numbers_from_json,
    texts_from_binary,
)
from bartizan.types import FloatArray

HEAD_LENGTH = "inference-header-content-length"
MAX_NAME_CHARS = 256
"""A tensor's name; it becomes part of column names."""

_TENSOR = Fields.of("name shape datatype data parameters")
_LENGTH_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Tensor:
    """One decoded tensor.

    Attributes:
        index: Its position in the message.
        name: As written.
        datatype: As written.
        shape: As written.
        values: Numbers in row-major order, shape ``(size,)``; ``None`` for ``BYTES``.
        texts: Elements of a ``BYTES`` tensor in row-major order.
        nested: Whether the elements stand in nested lists on the wire.
    """

    index: int
    name: str
    datatype: str
    shape: tuple[int, ...]
    values: FloatArray | None
    texts: tuple[str | bytes, ...] = ()
    nested: bool = False

    @property
    def rows(self) -> int:
        """The batch size: the first dimension, or 1 without any."""
        return self.shape[0] if self.shape else 1

    def pointer(self, field: str, element: int) -> str:
        """Return the JSON Pointer of one element."""
        place: tuple[int, ...] = (element,)
        if self.nested:
            place = tuple(int(i) for i in np.unravel_index(element, self.shape))
        return f"/{field}/{self.index}/data/" + "/".join(map(str, place))


def split_head(headers: Mapping[str, str], body: bytes) -> tuple[bytes, bytes]:
    """Return the JSON head and the binary tail of a message.

    Raises:
        ProtocolError: ``invalid_binary``: the header's length is not one.
    """
    length = header(headers, HEAD_LENGTH)
    if length is None:
        return body, b""
    if not (length.isascii() and length.isdigit() and len(length) <= _LENGTH_DIGITS):
        refuse("Inference-Header-Content-Length is not a number", HEAD_LENGTH, code="invalid_binary")
    size = int(length)
    if size == 0:
        refuse(
            "the body has no JSON head, so nothing says what it holds",
            HEAD_LENGTH,
            code="invalid_binary",
            hint="send name, shape and datatype of each tensor; a raw binary body can't be judged",
        )
    if size > len(body):
        refuse("Inference-Header-Content-Length is larger than the body", HEAD_LENGTH, code="invalid_binary")
    return body[:size], body[size:]


def read_tree(head: bytes, limits: Limits) -> dict[str, Any]:
    """Decode a message's JSON head.

    Raises:
        ProtocolError: It is not a JSON object.
    """
    tree = decode_json(head, depth=limits.depth)
    if type(tree) is not dict:
        refuse("the body is not a JSON object")
    return tree


class TensorReader:
    """Reads the tensors of one message in order.

    Args:
        gathered: Takes what nobody can judge.
        limits: How much there may be.
        field: ``inputs`` or ``outputs``.
        tail: The binary section.
        finite: Whether NaN and infinities are refused.
    """

    def __init__(self, gathered: Gathered, limits: Limits, field: str, tail: bytes, *, finite: bool) -> None:
        self._gathered = gathered
        self._limits = limits
        self._field = field
        self._tail = tail
        self._finite = finite
        self._at = 0
        self._left = limits.elements

    def read(self, entries: Any) -> list[Tensor]:
        """Return every tensor.

        Raises:
            ProtocolError: One is malformed, or the binary section does not fit them.
        """
        if type(entries) is not list:
            refuse(f"{self._field} is missing or not a list", self._field)
        if len(entries) > self._limits.tensors:
            raise ProtocolError(
                f"there are more than {self._limits.tensors} tensors",
                status=413,
                code="too_many_tensors",
                param=self._field,
                hint="join tensors, or send fewer",
            )
        tensors = [self._tensor(entry, index) for index, entry in enumerate(entries)]
        if len({t.name for t in tensors}) != len(tensors):
            refuse("two tensors have the same name", self._field, code="invalid_tensor")
        if self._at != len(self._tail):
            refuse("the body goes on after its last tensor", self._field, code="invalid_binary")
        return tensors

    def _tensor(self, entry: Any, index: int) -> Tensor:
        where = f"/{self._field}/{index}"
        if type(entry) is not dict:
            refuse("a tensor is not an object", where, code="invalid_tensor")
        self._gathered.fields(entry, _TENSOR, where)
        name, datatype = entry.get("name"), entry.get("datatype")
        if type(name) is not str or not 0 < len(name) <= MAX_NAME_CHARS:
            refuse("a tensor has no name, or a very long one", f"{where}/name", code="invalid_tensor")
        if type(datatype) is not str or datatype not in DATATYPES:
            hint = "use one of: " + ", ".join(DATATYPES)
            refuse("the datatype is unknown", f"{where}/datatype", code="unknown_datatype", hint=hint)
        shape, size = self._shape(entry.get("shape"), f"{where}/shape")
        parameters = entry.get("parameters") or {}
        if type(parameters) is not dict:
            refuse("parameters is not an object", f"{where}/parameters")
        self._parameters(parameters, where, datatype)
        if "binary_data_size" in parameters:
            if entry.get("data") is not None:
                refuse("a tensor has both JSON data and binary data", where, code="invalid_tensor")
            return self._binary(parameters["binary_data_size"], index, name, datatype, shape, size)
        return self._json(entry.get("data"), index, name, datatype, shape, size)

    def _shape(self, shape: Any, where: str) -> tuple[tuple[int, ...], int]:
        if type(shape) is not list or len(shape) > self._limits.dimensions:
            refuse("the shape is not a short list of numbers", where, code="invalid_tensor")
        size = 1
        for side in shape:
            if type(side) is not int or side < 0:
                refuse("a dimension is not a whole number from 0", where, code="invalid_tensor")
            size *= side
            if max(side, size) > self._left:
                raise ProtocolError(
                    f"the tensors have more than {self._limits.elements} elements",
                    status=413,
                    code="too_many_elements",
                    param=where,
                    hint="send smaller batches",
                )
        self._left -= size
        return tuple(shape), size

    def _parameters(self, parameters: dict[str, Any], where: str, datatype: str) -> None:
        if "shared_memory_region" in parameters:
            refuse_shared_memory(where)
        coding = parameters.get("content_type")
        if datatype == "BYTES" and coding not in (None, "str", "np", "pd", "raw"):
            self._gathered.skip(where, "text that the upstream decodes first")

    def _json(
        self, data: Any, index: int, name: str, datatype: str, shape: tuple[int, ...], size: int
    ) -> Tensor:
        where = f"/{self._field}/{index}/data"
        kind = DATATYPES[datatype]
        flat, nested = flatten(data, shape, where)
        if len(flat) != size:
            refuse("the number of elements is not the product of the shape", where, code="shape_mismatch")
        if kind.form != "bytes":
            values = numbers_from_json(flat, kind, where, name=datatype)
            return Tensor(index, name, datatype, shape, values)
        check_types(flat, kind, where, name=datatype)
        self._gathered.spend(size, where)
        return Tensor(index, name, datatype, shape, None, tuple(flat), nested)

    def _binary(
        self, length: Any, index: int, name: str, datatype: str, shape: tuple[int, ...], size: int
    ) -> Tensor:
        where = f"/{self._field}/{index}"
        kind = DATATYPES[datatype]
        if type(length) is not int or not 0 <= length <= len(self._tail) - self._at:
            refuse(
                "binary_data_size does not fit the body",
                f"{where}/parameters/binary_data_size",
                code="invalid_binary",
                hint="send Inference-Header-Content-Length, and every tensor's bytes after the JSON",
            )
        section = self._tail[self._at : self._at + length]
        self._at += length
        if kind.form == "bytes":
            self._gathered.spend(size, where)
            texts = texts_from_binary(section, size, where)
            return Tensor(index, name, datatype, shape, None, tuple(texts))
        if length != size * kind.dtype.itemsize:
            refuse("binary_data_size is not what the shape asks for", where, code="shape_mismatch")
        values = numbers_from_binary(section, kind, where, name=datatype)
        if self._finite and kind.form == "float" and not np.isfinite(values).all():
            refuse("a tensor holds NaN or an infinity", where, code="non_finite", hint="send finite numbers")
        return Tensor(index, name, datatype, shape, values)


def refuse_shared_memory(where: str) -> None:
    """Raise the error for content that travels beside the message."""
    refuse(
        "shared memory is not in the message, so nobody can judge it",
        where,
        code="shared_memory",
        hint="send tensors in the body",
    )
