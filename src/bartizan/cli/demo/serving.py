"""Runs a demo upstream as a process of its own."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request


def arguments(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that all demo upstreams have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    return parser


def serve(make_app: Callable[[], Starlette], host: str, port: int) -> None:
    """Serve until interrupted.

    The socket is bound and its address printed before the application is made, so that a
    parent process can read the port at once; requests wait until the application is there.
    """
    listener = socket.create_server((host, port))
    print(f"listening on http://{host}:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(make_app(), log_level="warning", lifespan="off", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


async def bounded_body(request: Request, limit_bytes: int) -> bytes | None:
    """Return a request's body, or ``None`` once it is longer than the limit."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit_bytes:
            return None
    return bytes(body)
