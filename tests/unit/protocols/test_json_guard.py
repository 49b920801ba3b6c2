from __future__ import annotations

import json

import pytest

from bartizan.errors import ProtocolError
from bartizan.protocols.json_guard import decode_json, nesting

GOOD = [
    b"{}",
    b' {"a" : [1, 2.5, -0.0, 1e-400, true, null, "x"]} ',
    b'{"a:b": "c:d", "e": {"f": ":"}}',
    b'{"a\\u003ab": "\\u003a:", "b": "\\u003A"}',
    b'{"a": "\\\\", "b": "\\\\\\"", "c": "[[["}',
    '{"ключ": "значение: да", "emoji": "\U0001f600"}'.encode(),
    b'{"emoji": "\\ud83d\\ude00"}',
    b'{"n": ' + b"9" * 300 + b"}",
    b'[{"a": 1}, {"a": 1}]',
    b'{"a": {"a": {"a": 1}}}',
]

BAD = [
    (b"", "invalid_json"),
    (b"   ", "invalid_json"),
    (b'{"a": 1', "invalid_json"),
    (b'{"a": "x', "invalid_json"),
    (b'{"a": 1,}', "invalid_json"),
    (b'{"a": 1} x', "invalid_json"),
    (b'{"a": 1}{"b": 2}', "invalid_json"),
    (b"{'a': 1}", "invalid_json"),
    (b'{"a": NaN}', "invalid_json"),
    (b'{"a": Infinity}', "invalid_json"),
    (b'{"a": -Infinity}', "invalid_json"),
    (b'{"a": 1e999}', "invalid_json"),
    (b'{"a": 01}', "invalid_json"),
    (b'{"a": 1.}', "invalid_json"),
    (b'{"a": +1}', "invalid_json"),
    (b'{"a": 1} // remark', "invalid_json"),
    (b'{"a": "\x01"}', "invalid_json"),
    (b'{"a": "\xff"}', "invalid_json"),
    (b'{"a": "\xc0\x80"}', "invalid_json"),
    (b'{"a": "\xed\xa0\x80"}', "invalid_json"),
    (b'{"a": "\\ud800"}', "invalid_json"),
    (b'{"a": "\\udc00\\ud800"}', "invalid_json"),
    (b'{"a": "\\x41"}', "invalid_json"),
    (b"\xef\xbb\xbf{}", "invalid_json"),
    ('{"a": 1}'.encode("utf-16"), "invalid_json"),
    (b'{"n": ' + b"9" * 5000 + b"}", "invalid_json"),
    (b'{"a": 1, "a": 1}', "duplicate_key"),
    (b'{"a": 1, "\\u0061": 2}', "duplicate_key"),
    (b'{"x": [{"a": 1, "b": 2, "a": 3}]}', "duplicate_key"),
    (b'{"a": ":", "a": "::"}', "duplicate_key"),
    # An escaped colon that survives must not stand in for the key that doesn't.
    (b'{"a": 1, "a": "\\u003a"}', "duplicate_key"),
    (b'{"a": "\\u003a\\u003A", "b": 1, "b": 2, "c": 1, "c": 2}', "duplicate_key"),
    (b'{"a:": 1, "a\\u003a": 2, "q": "\\u003a"}', "duplicate_key"),
    (b"[" * 65 + b"]" * 65, "json_too_deep"),
    (b'{"a":' * 65 + b"1" + b"}" * 65, "json_too_deep"),
    (b'[{"a":' * 33 + b"1" + b"}]" * 33, "json_too_deep"),
    (b"[" * 1_000_000, "json_too_deep"),
    (b'{"a": "\\\\", "b": ' + b"[" * 65 + b"]" * 65 + b"}", "json_too_deep"),
]


@pytest.mark.parametrize("body", GOOD)
def test_unambiguous_json_is_read_as_the_standard_library_reads_it(body: bytes) -> None:
    assert decode_json(body, depth=64) == json.loads(body)


@pytest.mark.parametrize(("body", "code"), BAD)
def test_anything_else_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(ProtocolError) as refusal:
        decode_json(body, depth=64)
    assert (refusal.value.status, refusal.value.code, refusal.value.side) == (400, code, "client")
    assert refusal.value.hint


def test_brackets_in_strings_do_not_nest() -> None:
    body = json.dumps({"a": "[{" * 500, "b": '"[' * 500, "c": "\\" * 7 + '"' + "[" * 99}).encode()
    assert nesting(body) == 1
    assert decode_json(body, depth=64) == json.loads(body)


def test_many_brackets_side_by_side_do_not_nest() -> None:
    body = json.dumps([[{"a": [1]}]] * 500).encode()
    assert nesting(body) == 4
    assert len(decode_json(body, depth=4)) == 500
    with pytest.raises(ProtocolError):
        decode_json(body, depth=3)


def test_a_deep_limit_does_not_reach_the_decoders_own() -> None:
    with pytest.raises(ProtocolError) as refusal:
        decode_json(b"[" * 50_000 + b"]" * 50_000, depth=10**6)
    assert refusal.value.code == "json_too_deep"


def test_content_is_not_repeated() -> None:
    for body in (
        b'{"secret-word": secret-word}',
        b'{"a": "secret-word',
        b'{"secret-word":1,"secret-word":2}',
    ):
        with pytest.raises(ProtocolError) as refusal:
            decode_json(body, depth=64)
        assert "secret" not in f"{refusal.value.message}{refusal.value.hint}{refusal.value.param}"
