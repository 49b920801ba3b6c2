"""The upstreams: nginx for whole answers, and a small asyncio server for streams.

Run as ``python -m benchmarks.latency.upstream PORT PACE_MS`` to serve streams.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

import uvloop

from benchmarks.latency.workload import answer_body, stream_events

_MARK = "7777777777"


def nginx_config(folder: Path, port: int, content: str) -> str:
    """Return a configuration of one nginx worker, as root or as anybody."""
    return f"""\
worker_processes 1;
error_log stderr error;
pid {folder}/nginx.pid;
daemon off;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_body_buffer_size 64k;
  keepalive_requests 100000000; keepalive_timeout 300s;
  {content.replace("@PORT@", str(port))}
}}
"""


def answering() -> str:
    """Return the nginx server that answers every request at once, each time with another text."""
    # "3-17" is the 17th request of the third connection: never the same twice.
    body = answer_body(_MARK).replace(_MARK, "$connection-$connection_requests").replace("'", "\\'")
    return f"""server {{
    listen 127.0.0.1:@PORT@;
    default_type application/json;
    location / {{ return 200 '{body}'; }}
  }}"""


def constant() -> str:
    """Return the nginx server that always answers the same."""
    return f"""server {{
    listen 127.0.0.1:@PORT@;
    default_type application/json;
    location / {{ return 200 '{answer_body(_MARK)}'; }}
  }}"""


def proxying(upstream_port: int) -> str:
    """Return the nginx server that passes everything on, over kept connections."""
    return f"""upstream behind {{ server 127.0.0.1:{upstream_port}; keepalive 128; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:@PORT@;
    location / {{
      proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}"""


class Streamer(asyncio.Protocol):
    """Answers every request with a paced event stream over HTTP/1.1, one event per segment."""

    numbers = itertools.count(1)
    pace_s = 0.0
    template: list[bytes] = []  # noqa: RUF012 - set once, before serving

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the connection."""
        self._transport = transport
        self._buffer = b""
        self._task: asyncio.Task[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop streaming to nobody."""
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer once a request is there; clients here send one at a time."""
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        lower = head.lower()
        if b"chunked" in lower:
            complete = body.endswith(b"0\r\n\r\n")
        else:
            length = lower.partition(b"content-length:")[2].split(b"\r\n")[0]
            complete = len(body) >= int(length or 0)
        if complete:
            self._buffer = b""
            self._task = asyncio.ensure_future(self._stream())

    async def _stream(self) -> None:
        number = b"%010d" % next(self.numbers)
        mark = _MARK.encode()
        write = self._transport.write  # type: ignore[attr-defined]
        write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        loop = asyncio.get_running_loop()
        due = loop.time()
        for event in self.template:
            made = event.replace(mark, number)
            write(b"%x\r\n%b\r\n" % (len(made), made))
            due += self.pace_s
            await asyncio.sleep(max(0.0, due - loop.time()))
        write(b"0\r\n\r\n")


async def main(port: int, pace_ms: float) -> None:
    """Serve until killed."""
    Streamer.pace_s = pace_ms / 1000
    Streamer.template = stream_events(_MARK)
    server = await asyncio.get_running_loop().create_server(Streamer, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2])))
