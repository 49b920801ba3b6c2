"""What the protocols share about HTTP: header look-up, path segments, error replies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from bartizan.errors import ProtocolError
from bartizan.ports import Reply
from bartizan.protocols.json_guard import encode_json

_UTF8_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_FORBIDDEN_IN_SEGMENT = frozenset("/\\%;\x00")


def header(headers: Mapping[str, str], name: str) -> str | None:
    """Return a header's value, whatever the case of its name; ``name`` is lower-case."""
    value = headers.get(name)
    if value is None:
        for key in headers:
            if len(key) == len(name) and key.lower() == name:
                return headers[key]
    return value


def check_encoding(headers: Mapping[str, str]) -> None:
    """Refuse bodies that the upstream would decode into something else than what is read here.

    Raises:
        ProtocolError: 415 ``unsupported_encoding`` or ``unsupported_charset``.
    """
    coding = header(headers, "content-encoding")
    if coding and coding.strip().lower() != "identity":
        raise ProtocolError(
            "the body is compressed",
            status=415,
            code="unsupported_encoding",
            hint="send the body without a content coding",
        )
    content_type = header(headers, "content-type")
    if content_type is None or ";" not in content_type:
        return
    for parameter in content_type.split(";")[1:]:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset" and value.strip().strip('"').lower() not in _UTF8_CHARSETS:
            raise ProtocolError(
                "the body's charset is not UTF-8",
                status=415,
                code="unsupported_charset",
                hint="send JSON as UTF-8; it needs no charset parameter",
            )


def segments(path: str) -> list[str] | None:
    """Return the decoded segments of a path, or ``None`` if it has any that could mislead.

    Empty and dot segments, encoded separators and double encodings are read differently by
    different servers.

    >>> segments("/v2/models/m%20x/infer"), segments("/v2/models/../health"), segments("/a%2fb")
    (['v2', 'models', 'm x', 'infer'], None, None)
    """
    if not path.startswith("/") or "?" in path or "#" in path:
        return None
    found = path[1:].split("/")
    if "%" in path:
        found = [unquote(s, errors="replace") for s in found]
    for segment in found:
        if segment in {"", ".", ".."} or not _FORBIDDEN_IN_SEGMENT.isdisjoint(segment):
            return None
    return found


def error_reply(status: int, code: str, body: Any, record_id: str) -> Reply:
    """Return an error reply with the headers that every protocol's errors carry.

    Refusals say ``x-should-retry: false``: a client that tries again gets the same answer.
    """
    headers = [
        (b"content-type", b"application/json"),
        (b"x-request-id", _header_value(record_id)),
        (b"x-bartizan-record", _header_value(record_id)),
        (b"x-bartizan-code", _header_value(code)),
    ]
    if 400 <= status < 500:
        headers.append((b"x-should-retry", b"false"))
    return Reply(status, tuple(headers), encode_json(body))


def _header_value(value: str) -> bytes:
    return bytes(byte for byte in value.encode("ascii", "replace") if 0x20 <= byte < 0x7F)
