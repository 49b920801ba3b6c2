from __future__ import annotations

import pytest

from bartizan.errors import ProtocolError
from bartizan.protocols.sse import Event, EventSplitter


def events(*pieces: bytes) -> list[Event]:
    splitter = EventSplitter()
    found = [event for piece in pieces for event in splitter.receive_data(piece)]
    return found + splitter.end_of_stream()


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\r\ndata: b\n\r\n", [b"a", b"b"]),
        (b"data: a\n\rdata: b\n\n", [b"a", b"b"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data:a\n\ndata:  a\n\ndata\n\n", [b"a", b" a", b""]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b": remark\n\ndata: a\n\n", [None, b"a"]),
        (b"event: x\nid: 1\nretry: 5\ndata: a\n\n", [b"a"]),
        (b"datas: a\n\nDATA: a\n\n data: a\n\n", [None, None, None]),
        (b"\n\n\ndata: a\n\n\n", [None, None, None, b"a", None]),
        (b"data: a: b\n\n", [b"a: b"]),
        ("data: é\u2028\x85ü\n\n".encode(), ["é\u2028\x85ü".encode()]),
        (b"data: a\n\ndata: unfinished", [b"a", b"unfinished"]),
        (b"data: a\n", [b"a"]),
        (b"data: a\r\n\r", [b"a"]),
    ],
)
def test_events(stream: bytes, data: list[bytes | None]) -> None:
    for split in range(len(stream)):
        found = events(stream[:split], stream[split:])
        assert [event.data for event in found] == data
        assert b"".join(event.raw for event in found) == stream
    assert events(*(bytes([byte]) for byte in stream)) == events(stream)


def test_an_event_is_released_when_its_empty_line_is_there() -> None:
    splitter = EventSplitter()
    assert splitter.receive_data(b"data: a\n") == []
    assert [event.data for event in splitter.receive_data(b"\ndata")] == [b"a"]
    assert splitter.receive_data(b": b\r\n\r") == []
    assert [event.data for event in splitter.receive_data(b"\n")] == [b"b"]
    assert splitter.end_of_stream() == []


@pytest.mark.parametrize("end", [b"", b"\n\n", b"\r\n\r\n"])
def test_an_event_without_end_is_not_collected_for_ever(end: bytes) -> None:
    splitter = EventSplitter(limit=100)
    with pytest.raises(ProtocolError) as refusal:
        splitter.receive_data(b"data: " + b"x" * 100 + end)
    assert (refusal.value.side, refusal.value.status) == ("upstream", 502)
    assert refusal.value.code == "upstream_event_too_large"


def test_many_small_events_may_come_at_once() -> None:
    splitter = EventSplitter(limit=100)
    assert len(splitter.receive_data(b"data: x\r\n\r\n" * 50_000)) == 50_000
    assert len(splitter.receive_data(b"data: x\n\n" * 50_000)) == 50_000


def test_a_large_event_in_small_pieces_takes_linear_time() -> None:
    splitter = EventSplitter(limit=2**20)
    for _ in range(2**16):  # seconds, if every piece looked at the whole again
        assert splitter.receive_data(b"x" * 15) == []
    assert len(splitter.end_of_stream()[0].raw) == 15 * 2**16
