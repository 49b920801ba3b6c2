"""Lines of bytes from a file, a growing file or standard input, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from bartizan.cli.recorded.problems import RecordingError, UnreadableError

MAX_LINE_BYTES = 16 * 2**20
CHUNK_BYTES = 2**18
_BOM = b"\xef\xbb\xbf"


class Stream(Protocol):
    """What is read from: a buffered binary file."""

    def read1(self, size: int, /) -> bytes:
        """Return what is there, at most ``size`` bytes; nothing at the end."""


class Lines:
    """An iterator over the lines of a stream; goes on after a line that can't be read.

    Args:
        stream: Where bytes come from.
        live: Whether bytes arrive while we read, so that waiting for more delays what is there.
        wait: At the end of a file that may grow: sleeps; ``None`` where the end is the end.

    Attributes:
        number: Number of the line read last, from 1.
        consumed: Bytes read so far.
        live: As given.
    """

    def __init__(self, stream: Stream, *, live: bool = False, wait: Callable[[], None] | None = None) -> None:
        self.number = 0
        self.consumed = 0
        self.live = live
        self._stream, self._wait = stream, wait
        self._ready: deque[bytes] = deque()
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._ended = False

    def __iter__(self) -> Lines:
        return self

    @property
    def idle(self) -> bool:
        """Whether the next line may have to be waited for."""
        return self.live and not self._ready

    def __next__(self) -> str:
        """Return the next line, without its end.

        Raises:
            UnreadableError: The line is too long or not UTF-8.
            RecordingError: The file is not text at all.
        """
        while not self._ready and not self._ended:
            self._read()
        if not self._ready:
            raise StopIteration
        raw = self._ready.popleft()
        self.number += 1
        if len(raw) > MAX_LINE_BYTES:
            raise UnreadableError(f"line {self.number}", f"is longer than {MAX_LINE_BYTES:,} bytes")
        if self.number == 1:
            raw = raw.removeprefix(_BOM)
            if raw.startswith((b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b", b"PK\x03\x04", b"PAR1")):
                raise RecordingError("the file is not UTF-8 text", hint="give plain UTF-8 text, uncompressed")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UnreadableError(
                f"line {self.number}",
                f"is not valid UTF-8 at byte {error.start + 1}",
                hint="save the file as UTF-8",
            ) from None

    def _read(self) -> None:
        chunk = self._stream.read1(CHUNK_BYTES)
        if not chunk:
            if self._wait is not None:
                self._wait()
                return
            self._ended = True
            if self._rest:
                self._finish()
            return
        self.consumed += len(chunk)
        first, *others = chunk.split(b"\n")
        self._keep(first)
        for piece in others:
            self._finish()
            self._keep(piece)

    def _keep(self, piece: bytes) -> None:
        # What goes beyond the limit is dropped at once, save one byte that tells it was there.
        room = MAX_LINE_BYTES + 1 - self._rest_bytes
        if piece and room > 0:
            self._rest.append(piece[:room])
            self._rest_bytes += min(len(piece), room)

    def _finish(self) -> None:
        line = b"".join(self._rest)
        self._rest.clear()
        self._rest_bytes = 0
        self._ready.append(line.removesuffix(b"\r"))
