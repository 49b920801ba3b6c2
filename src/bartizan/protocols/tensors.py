"""Decodes the tensors of an inference message, from JSON and from the binary section.

Values become what the model will see: a JSON number in a single-precision tensor is rounded
to single precision. ``INT64`` and ``UINT64`` beyond 2**53 are rounded to double precision,
which is what rows hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from bartizan.errors import ProtocolError
from bartizan.protocols.gathered import refuse
from bartizan.types import FloatArray


@dataclass(frozen=True, slots=True)
class Datatype:
    """One datatype of the protocol.

    Attributes:
        form: ``bool``, ``int``, ``float`` or ``bytes``.
        dtype: The little-endian NumPy type of one element, which for ``BF16`` is its bits.
        low: The least value.
        high: The greatest finite value.
    """

    form: str
    dtype: np.dtype[Any]
    low: float = 0
    high: float = 0


def _integer(code: str) -> Datatype:
    limits = np.iinfo(code)
    return Datatype("int", np.dtype(code), int(limits.min), int(limits.max))


def _floating(code: str) -> Datatype:
    high = float(np.finfo(code).max)
    return Datatype("float", np.dtype(code), -high, high)


_BF16_MAX = 255 * 2.0**120
DATATYPES = {
    "BOOL": Datatype("bool", np.dtype("u1"), 0, 1),
    **{f"UINT{8 * n}": _integer(f"<u{n}") for n in (1, 2, 4, 8)},
    **{f"INT{8 * n}": _integer(f"<i{n}") for n in (1, 2, 4, 8)},
    **{f"FP{8 * n}": _floating(f"<f{n}") for n in (2, 4, 8)},
    "BF16": Datatype("float", np.dtype("<u2"), -_BF16_MAX, _BF16_MAX),
    "BYTES": Datatype("bytes", np.dtype("u1")),
}
"""Every datatype of Open Inference Protocol 2.0, and ``BF16``, which Triton adds."""

_JSON_TYPES = {
    "bool": frozenset({bool}),
    "int": frozenset({int}),
    "float": frozenset({int, float}),
    "bytes": frozenset({str}),
}
_LENGTH_BYTES = 4
"""Each element of a binary ``BYTES`` tensor follows its length."""


def flatten(data: Any, shape: tuple[int, ...], where: str) -> tuple[list[Any], bool]:
    """Return the elements in row-major order, and whether they were nested.

    Raises:
        ProtocolError: ``shape_mismatch``: neither flat nor nested as the shape says.
    """
    if type(data) is not list:
        refuse("the data of a tensor is not a list", where, code="invalid_tensor")
    if list not in map(type, data):
        return data, False
    level, sizes = [data], list(shape)
    for depth, size in enumerate(sizes):
        if set(map(type, level)) - {list} or set(map(len, level)) - {size}:
            refuse("nested data does not have the tensor's shape", where, code="shape_mismatch")
        level = level[0] if depth == 0 else list(chain.from_iterable(level))
    return level, True


def numbers_from_json(flat: list[Any], datatype: Datatype, where: str, *, name: str) -> FloatArray:
    """Return JSON numbers as the model will see them, shape ``(size,)``.

    Raises:
        ProtocolError: ``invalid_tensor`` (wrong JSON type) or ``out_of_range``.
    """
    check_types(flat, datatype, where, name=name)
    try:
        values = np.array(flat, dtype=np.float64)
    except OverflowError:
        raise _out_of_range(where, name) from None
    if flat and datatype.form == "int":
        # Python's integers are compared, not their rounded images.
        if not (datatype.low <= min(flat) and max(flat) <= datatype.high):
            raise _out_of_range(where, name)
    elif datatype.form == "float":
        if flat and float(np.abs(values).max()) > datatype.high:
            raise _out_of_range(where, name)
        values = _rounded(values, datatype, name)
    return values


def check_types(flat: list[Any], datatype: Datatype, where: str, *, name: str) -> None:
    """Refuse elements whose JSON type is not the datatype's.

    Raises:
        ProtocolError: ``invalid_tensor``.
    """
    if not set(map(type, flat)) <= _JSON_TYPES[datatype.form]:
        refuse(f"the data of a {name} tensor holds an element of another type", where, code="invalid_tensor")


def numbers_from_binary(section: bytes, datatype: Datatype, where: str, *, name: str) -> FloatArray:
    """Return little-endian binary numbers, shape ``(size,)``; may hold NaN and infinities.

    Raises:
        ProtocolError: ``out_of_range``: a truth value is neither 0 nor 1.
    """
    raw = np.frombuffer(section, dtype=datatype.dtype)
    if name == "BF16":
        return _widened(raw)
    if datatype.form == "bool" and raw.size and raw.max() > 1:
        raise _out_of_range(where, name)
    return raw.astype(np.float64)


def texts_from_binary(section: bytes, count: int, where: str) -> list[bytes]:
    """Return the elements of a binary ``BYTES`` tensor.

    Raises:
        ProtocolError: ``invalid_binary``: lengths and section disagree.
    """
    texts: list[bytes] = []
    at = 0
    while at < len(section) and len(texts) < count:
        begin = at + _LENGTH_BYTES
        at = begin + int.from_bytes(section[at:begin], "little")
        texts.append(section[begin:at])
    if at != len(section) or len(texts) != count:
        refuse("the lengths in a BYTES tensor do not add up to its size", where, code="invalid_binary")
    return texts


def texts_to_binary(texts: list[bytes]) -> bytes:
    """Return the binary form of a ``BYTES`` tensor."""
    return b"".join(len(t).to_bytes(_LENGTH_BYTES, "little") + t for t in texts)


def _rounded(values: FloatArray, datatype: Datatype, name: str) -> FloatArray:
    if name == "BF16":
        bits = values.astype(np.float32).view(np.uint32)
        # Round to nearest, ties to even, as hardware does.
        return _widened(((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16))
    if name == "FP64":
        return values
    return values.astype(datatype.dtype).astype(np.float64)


def _widened(halves: npt.NDArray[np.uint16]) -> FloatArray:
    single: npt.NDArray[np.float32] = (halves.astype(np.uint32) << 16).view(np.float32)
    return single.astype(np.float64)


def _out_of_range(where: str, name: str) -> ProtocolError:
    return ProtocolError(
        f"the data of a {name} tensor holds a value outside of its range",
        code="out_of_range",
        param=where,
        hint="declare the datatype that the values have",
    )
