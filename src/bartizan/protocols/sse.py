"""Cuts a server-sent event stream into events without changing a byte.

The events are the same however the bytes were split on their way, and their raw bytes joined
are the bytes received.
"""

from __future__ import annotations

from typing import NamedTuple

from bartizan.errors import ProtocolError
from bartizan.protocols.limits import DEFAULT

_LF, _CR = 0x0A, 0x0D
_ENDS = (b"\n\n", b"\n\r", b"\r\r")
"""Where a line's end is followed by an empty line. ``CR LF CR LF`` holds the second of them."""
_BOM = b"\xef\xbb\xbf"
_SCAN_BACK = 2
"""Bytes scanned again when more arrive: an end may be split, or stop at a ``CR``."""


class Event(NamedTuple):
    """One event.

    Attributes:
        raw: Its bytes, with every line end, up to and including the empty line.
        data: Its data lines joined by ``LF``, or ``None`` if it has none (a comment, a ping).
    """

    raw: bytes
    data: bytes | None


class EventSplitter:
    """Takes bytes, gives events.

    Args:
        limit: Bytes of one event.

    Guarantees:
        Time linear in the bytes received, and at most ``limit`` bytes kept (save those of
        the latest call).

    References:
        WHATWG HTML, section 9.2.5 "Parsing an event stream".
    """

    __slots__ = ("_buffer", "_limit", "_scanned")

    def __init__(self, limit: int = DEFAULT.event_bytes) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._limit = limit

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes, return the events that are now complete.

        Raises:
            ProtocolError: ``upstream_event_too_large``: an event goes on beyond the limit.
        """
        events: list[Event] = []
        if not self._buffer and b"\r" not in data:
            data = self._take_whole(data, events)
            if not data:
                return events
        buffer = self._buffer
        buffer += data
        start, size = 0, len(buffer)
        # The next place of each kind of end; -1 says there is no more.
        ahead = [buffer.find(end, max(0, self._scanned - _SCAN_BACK)) for end in _ENDS]
        while start < size:
            end = self._event_end(start, ahead)
            if end == 0:
                break
            if buffer[end - 1] == _CR:
                if end == size:
                    break  # an LF may follow, and would belong to this line end
                if buffer[end] == _LF:
                    end += 1
            self._check(end - start)
            events.append(_event(bytes(buffer[start:end])))
            start = end
        del buffer[:start]
        self._scanned = len(buffer)
        self._check(self._scanned)
        return events

    def end_of_stream(self) -> list[Event]:
        """Return what is left as one event, complete or not."""
        raw = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        return [_event(raw)] if raw else []

    def _take_whole(self, data: bytes, events: list[Event]) -> bytes:
        """Take the complete events of bytes without a ``CR``; return the rest. The common case."""
        start = 0
        while (end := data.find(b"\n\n", start) + 2) > 1:
            if data[start] == _LF:
                end = start + 1
            self._check(end - start)
            events.append(_event(data[start:end]))
            start = end
        return data[start:]

    def _event_end(self, start: int, ahead: list[int]) -> int:
        """Return where the event's empty line ends, a following ``LF`` left out; 0: not yet."""
        buffer = self._buffer
        if buffer[start] in (_LF, _CR):
            return start + 1
        nearest = -1
        for kind, end in enumerate(_ENDS):
            if 0 <= ahead[kind] < start:
                ahead[kind] = buffer.find(end, start)
            if ahead[kind] >= 0 and (nearest < 0 or ahead[kind] < nearest):
                nearest = ahead[kind]
        return nearest + 2 if nearest >= 0 else 0

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise ProtocolError(
                f"the upstream sent an event of more than {self._limit} bytes",
                status=502,
                code="upstream_event_too_large",
                side="upstream",
                hint="check that the upstream answers with an event stream",
            )


def data_line(line: bytes) -> bytes | None:
    """Return the value if a line is a data field.

    >>> data_line(b"data: x"), data_line(b"data:  x"), data_line(b"data"), data_line(b"datas: x")
    (b'x', b' x', b'', None)
    """
    name, _, value = line.partition(b":")
    if name != b"data":
        return None
    return value[1:] if value.startswith(b" ") else value


def lines(raw: bytes) -> list[bytes]:
    """Return an event's lines without their ends; ends are ``LF``, ``CR`` and ``CR LF``."""
    return raw.removeprefix(_BOM).splitlines()


def taken_apart(raw: bytes) -> tuple[bytes, bytes]:
    r"""Return an event's other lines, each with its end, and its data.

    >>> taken_apart(b"event: x\r\ndata: a\r\ndata: b\r\n\r\n")
    (b'event: x\n', b'a\nb')
    """
    others, data = [], []
    for line in lines(raw):
        value = data_line(line)
        if value is not None:
            data.append(value)
        elif line:
            others.append(line + b"\n")
    return b"".join(others), b"\n".join(data)


def _event(raw: bytes) -> Event:
    # Nearly every event is one data line, ended by LF.
    if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2 and b"\r" not in raw:
        return Event(raw, raw[6:-2])
    found = [value for line in lines(raw) if (value := data_line(line)) is not None]
    return Event(raw, b"\n".join(found) if found else None)
