"""Strict JSON: what two parsers could read differently is refused.

A gateway judges what *it* read; the upstream acts on what *it* reads. Wherever RFC 8259
leaves room for parsers to differ (duplicate keys, invalid UTF-8, ``NaN``, bytes after the
value), an attacker could show each of them something else. So none of it passes.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np

from bartizan.errors import ProtocolError

_ALL_BYTES = bytes(range(256))
_NOT_COUNTED = _ALL_BYTES.translate(None, b"[{:")
_NOT_STRUCTURE = _ALL_BYTES.translate(None, b'"[]{}:')
_ESCAPED_COLON = b"\\u003"  # \u003a and \u003A; its neighbours only cost the slower count
_STEP = bytes(1 if b in b"[{" else 255 if b in b"]}" else 0 for b in range(256))  # 255 is -1 in int8

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


def decode_json(body: bytes, *, depth: int) -> Any:
    """Decode a JSON text that every parser reads the same way.

    Args:
        body: The bytes, all of them.
        depth: How deeply arrays and objects may nest.

    Returns:
        Plain Python values; integers of up to 4,300 digits are exact.

    Raises:
        ProtocolError: 400 with code ``invalid_json``, ``json_too_deep`` or ``duplicate_key``.

    Guarantees:
        Time linear in the size of the body. Nesting is counted before anything recursive runs.

    References:
        RFC 8259 sections 4 (duplicate names), 8.1 (UTF-8, no byte order mark) and 6 (numbers).
    """
    # Most bodies hold fewer brackets than the limit; only others need an exact count.
    counted = body.translate(None, _NOT_COUNTED)
    colons = counted.count(b":")
    if len(counted) - colons > depth and nesting(body) > depth:
        raise _too_deep()
    try:
        tree = _decoder.decode(body)
        again = _encoder.encode(tree)
    except UnicodeDecodeError:
        raise ProtocolError(
            "the body is not valid UTF-8", code="invalid_json", hint="encode the body as UTF-8"
        ) from None
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, OverflowError, ValueError) as error:
        # The decoder names positions and never repeats content.
        raise ProtocolError(
            f"the body is not valid JSON: {error}",
            code="invalid_json",
            hint="send one JSON object, complete, with finite numbers and no byte order mark",
        ) from None
    if _lost_key(body, colons, again):
        raise ProtocolError(
            "an object in the body has the same key twice",
            code="duplicate_key",
            hint="send each key once: parsers disagree about which one counts",
        )
    return tree


def encode_json(tree: Any) -> bytes:
    """Encode plain values as compact UTF-8 JSON."""
    return _encoder.encode(tree)


def is_json(text: str) -> bool:
    """Whether a text is JSON by itself.

    >>> is_json('{"a": 1}'), is_json("a: 1")
    (True, False)
    """
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def nesting(body: bytes) -> int:
    r"""Return how deeply a JSON text nests, as far as it is valid.

    >>> nesting(b'{"a": [1, {"b": "[[[\\"[[["}]}')
    3
    """
    steps = np.frombuffer(_structure(body).translate(_STEP), dtype=np.int8)
    return int(steps.cumsum(dtype=np.int64).max()) if len(steps) else 0


def _structure(body: bytes) -> bytes:
    """Return the brackets and colons of a JSON text that stand outside of its strings."""
    if b"\\" in body:
        # Escaped backslashes first: what then stands before a quote escapes it.
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Two quotes in a row enter and leave a string, or the other way round: neither matters.
    bare = body.translate(None, _NOT_STRUCTURE).replace(b'""', b"")
    return b"".join(bare.split(b'"')[::2]) if b'"' in bare else bare


def _lost_key(body: bytes, colons: int, again: bytes) -> bool:
    """Whether a body lost a key when it was decoded and encoded again.

    A key that occurs twice takes its colon with it. Nothing else adds or removes a colon,
    save a colon written as an escape; with those, colons outside of strings are counted.
    """
    if b"\\" in body and _ESCAPED_COLON in body:
        return _structure(body).count(b":") != _structure(again).count(b":")
    return colons != again.count(b":")


def _too_deep() -> ProtocolError:
    return ProtocolError(
        "the body nests too deeply", code="json_too_deep", hint="flatten the message; nesting is limited"
    )
