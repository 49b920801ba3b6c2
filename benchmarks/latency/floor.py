"""The cheapest proxy on the gateway's own stack: raw ASGI on uvicorn, pyreqwest to the upstream.

It judges, limits and records nothing, so what it costs is what the libraries cost and the
gateway can't go below. Run as ``python -m benchmarks.latency.floor PORT UPSTREAM_URL``.
"""

from __future__ import annotations

import sys

import uvicorn
import uvloop
from pyreqwest.client import Client, ClientBuilder

DROPPED = frozenset(("host", "content-length", "connection", "transfer-encoding"))


def application(client: Client, base: str):
    """Return an ASGI application that sends every request on and streams every answer back."""

    async def serve(scope, receive, send) -> None:
        chunks = []
        more = True
        while more:
            message = await receive()
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
        headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in scope["headers"]]
        kept = [(k, v) for k, v in headers if k not in DROPPED]
        request = client.request(scope["method"], base + scope["path"]).headers(kept)
        # By default pyreqwest waits for 64 KB of an answer before it gives its head.
        request = request.body_bytes(b"".join(chunks)).streamed_read_buffer_limit(0)
        async with request.build_streamed() as answer:
            head = [(k.encode(), v.encode()) for k, v in answer.headers.items() if k not in DROPPED]
            length = answer.headers.get("content-length")
            if length:
                head.append((b"content-length", length.encode()))
            await send({"type": "http.response.start", "status": answer.status, "headers": head})
            reader = answer.body_reader
            while (chunk := await reader.read_chunk()) is not None:
                await send({"type": "http.response.body", "body": bytes(chunk), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return serve


async def main(port: int, base: str) -> None:
    """Serve until killed."""
    client = ClientBuilder().no_proxy().follow_redirects(False).error_for_status(False).build()
    config = uvicorn.Config(
        application(client, base),
        port=port,
        http="httptools",
        loop="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
