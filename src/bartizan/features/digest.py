"""Digests of content: the scan-once key of a part, and what the record keeps instead of content."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from bartizan.types import FloatArray, Origin, PartKind, Rows

DIGEST_BYTES = 16
"""BLAKE2b-128: collisions take about 2**64 tries, which nobody makes to be judged once too little."""

_encoder = msgspec.msgpack.Encoder()
_DIGITS = tuple(str(int(origin)) for origin in Origin)


def digest_text(kind: PartKind, origin: Origin, name: str, text: str) -> str:
    """Return the digest of a textual part, in hex.

    The fields are framed by the name's length, so that no two different parts give the same
    bytes to hash.

    >>> digest_text(PartKind.TEXT, Origin.USER, "", "hello")
    'ff7ffaea49029c5c1bd56fb705953584'

    References:
        RFC 7693, The BLAKE2 Cryptographic Hash.
    """
    framed = "|".join((kind, _DIGITS[origin], str(len(name)) if name else "0", name, text))
    # Text given in process may hold lone surrogates, which have no UTF-8 form of their own.
    return blake2b(framed.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).hexdigest()


def digest_rows(rows: Rows) -> str:
    """Return the digest of rows, in hex: columns, shapes and values of inputs and outputs."""
    # The lengths of the names come first, so no two lists of names look alike.
    state = blake2b(PartKind.ROWS.encode() + b"|" + _names(rows.columns), digest_size=DIGEST_BYTES)
    for matrix in (rows.inputs, rows.outputs):
        state.update(_framed(matrix))
    return state.hexdigest()


def _names(columns: tuple[str, ...]) -> bytes:
    lengths = _encoder.encode(list(map(len, columns)))
    return lengths + "".join(columns).encode("utf-8", "surrogatepass")


def _framed(matrix: FloatArray | None) -> bytes:
    if matrix is None:
        return b"-|"
    return f"{matrix.shape}|".encode() + matrix.tobytes()
