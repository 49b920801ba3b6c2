"""An upstream that does exactly what a test says, down to the byte, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

MAX_HEAD = 1 << 20


@dataclass
class Asked:
    """One request as it arrived."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k == name), None)


Play = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Scripted:
    """Serves on a free port in a thread of its own; ``play`` may be replaced at any time."""

    play: Play = field(default_factory=lambda: whole(CHAT))
    asked: list[Asked] = field(default_factory=list)
    port: int = 0
    open: int = 0

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=MAX_HEAD)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stop.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            asked = await _read(reader)
            self.asked.append(asked)
            await self.play(asked, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            with contextlib.suppress(OSError, RuntimeError):
                writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head.rstrip("\r\n").split("\r\n")
    headers = [(k.lower(), v.strip()) for k, _, v in (one.partition(":") for one in rest)]
    asked = Asked(line, headers)
    length = asked.header("content-length")
    if length is not None:
        asked.body = await reader.readexactly(int(length))
    elif asked.header("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            asked.body += (await reader.readexactly(size + 2))[:-2]
    return asked


def head(status: int = 200, **headers: Any) -> bytes:
    lines = [f"HTTP/1.1 {status} Fine", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def raw(*pieces: bytes, delay_s: float = 0.0) -> Play:
    """Write these bytes, each piece on its own, and close."""

    async def play(_: Asked, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(delay_s)

    return play


def whole(document: Any, status: int = 200, content_type: str = "application/json") -> Play:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return raw(head(status, content_type=content_type, content_length=len(body)) + body)


def chunked(pieces: Iterable[bytes], delay_s: float = 0.0, *, ending: bytes = b"0\r\n\r\n") -> Play:
    """Answer with an event stream, one HTTP chunk and one write per piece."""
    framed = [b"%x\r\n%b\r\n" % (len(p), p) for p in pieces]
    start = head(content_type="text/event-stream", transfer_encoding="chunked")
    return raw(start, *framed, ending, delay_s=delay_s)


def silent(seconds: float) -> Play:
    async def play(_: Asked, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)

    return play


def endless(start: bytes, piece: bytes) -> Play:
    async def play(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return play


def event(choices: list[dict[str, Any]], **more: Any) -> bytes:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**chunk, "choices": choices, **more}).encode() + b"\n\n"


def said(text: str, index: int = 0, **delta: Any) -> bytes:
    return event([{"index": index, "delta": {"content": text, **delta}, "finish_reason": None}])


def finished(index: int = 0, reason: str = "stop") -> bytes:
    return event([{"index": index, "delta": {}, "finish_reason": reason}])


DONE = b"data: [DONE]\n\n"


def answer(text: str, **message: Any) -> dict[str, Any]:
    told = {"role": "assistant", "content": text, **message}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": told, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


CHAT = answer("A plain answer about gardens.")


def stream_of(text: str, cuts: Iterable[int] = ()) -> list[bytes]:
    """Return the events of an answer, its text cut at these places."""
    places = [0, *sorted(cuts), len(text)]
    pieces = [text[a:b] for a, b in zip(places, places[1:], strict=False)]
    role = event([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
    return [role, *(said(p) for p in pieces if p), finished(), DONE]
