from __future__ import annotations

import pytest

from bartizan.errors import ProtocolError
from bartizan.protocols.http_message import check_encoding, error_reply, header, segments


def test_headers_are_found_whatever_their_case() -> None:
    assert header({"X-Thing": "1"}, "x-thing") == "1"
    assert header({"x-thing": "2"}, "x-thing") == "2"
    assert header({"x-other": "2"}, "x-thing") is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/json"},
        {"content-type": "application/json; charset=utf-8"},
        {"Content-Type": 'application/json; charset="UTF-8"'},
        {"content-encoding": "identity"},
    ],
)
def test_plain_utf8_passes(headers: dict[str, str]) -> None:
    check_encoding(headers)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"content-encoding": "gzip"}, "unsupported_encoding"),
        ({"Content-Encoding": "identity, br"}, "unsupported_encoding"),
        ({"content-type": "application/json; charset=utf-7"}, "unsupported_charset"),
        ({"Content-Type": "application/json;x=y; Charset = utf-16le"}, "unsupported_charset"),
        ({"content-type": "application/json; charset=utf-8; charset=utf-7"}, "unsupported_charset"),
    ],
)
def test_bodies_that_the_upstream_would_decode_first_are_refused(headers: dict[str, str], code: str) -> None:
    with pytest.raises(ProtocolError) as refusal:
        check_encoding(headers)
    assert (refusal.value.status, refusal.value.code) == (415, code)


@pytest.mark.parametrize(
    "path",
    ["", "x", "/", "//a", "/a//b", "/a/", "/a/../b", "/a/./b", "/a/%2e%2e/b", "/a%2fb", "/a%5cb", "/a\\b",
     "/a%252e", "/a;b", "/a?b", "/a#b", "/a%00"],
)  # fmt: skip
def test_paths_that_servers_read_differently_have_no_segments(path: str) -> None:
    assert segments(path) is None


def test_header_values_can_not_be_split() -> None:
    reply = error_reply(400, "a\r\nb", {}, "id\r\nset-cookie: x")
    assert all(b"\r" not in value and b"\n" not in value for _, value in reply.headers)
