"""Learns from passing traffic how ordinary requests look, so that Bartizan's own look alike."""

from __future__ import annotations

from collections import deque
from contextlib import AbstractAsyncContextManager
from typing import Final

from bartizan.gateway.upstream import Answer, Headers, Upstream

_COPIED: Final = ("content-type", "accept", "accept-language", "user-agent")
"""What may be copied from a client's request: nothing that says who it is."""

_MOST_CHARS: Final = 256
KEPT_BODIES: Final = 256
KEPT_BYTES: Final = 65_536
"""Requests kept while listening, and the largest that is: 16 MiB in all."""

_DEFAULT: Final = (("content-type", "application/json"), ("accept", "*/*"))
_JSON: Final = "application/json"


class Overheard:
    """An upstream that remembers the manners of the last inference request in JSON.

    Args:
        upstream: Where requests go.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._heard: Headers = _DEFAULT
        self._model = ""
        self._bodies: deque[bytes] = deque(maxlen=KEPT_BODIES)

    def listen(self, model: str) -> None:
        """Keep the newest inference requests in JSON for one model, in memory alone.

        Args:
            model: The model's path.
        """
        self._model = model

    def bodies(self) -> tuple[bytes, ...]:
        """Return what was kept since :meth:`listen`."""
        return tuple(self._bodies)

    def forget(self) -> None:
        """Keep nothing any more, and drop what was kept."""
        self._model = ""
        self._bodies.clear()

    def send(
        self, method: str, path: str, headers: Headers, body: bytes
    ) -> AbstractAsyncContextManager[Answer]:
        """Send a client's request. See :class:`bartizan.gateway.upstream.Upstream`."""
        if method == "POST" and path.partition("?")[0].endswith("/infer"):
            kept = tuple((k, v) for k, v in headers if k in _COPIED and len(v) <= _MOST_CHARS)
            if any(k == "content-type" and v.startswith(_JSON) for k, v in kept):
                self._heard = kept
                if self._model and path.startswith(self._model) and len(body) <= KEPT_BYTES:
                    self._bodies.append(body)
        return self._upstream.send(method, path, headers, body)

    def send_alike(
        self, method: str, path: str, token: str | None, body: bytes
    ) -> AbstractAsyncContextManager[Answer]:
        """Send a request of Bartizan's own as clients send theirs."""
        headers = [(k, v) for k, v in self._heard if body or k != "content-type"]
        if token is not None:
            headers.append(("authorization", f"Bearer {token}"))
        headers.append(("accept-encoding", "identity"))
        return self._upstream.send(method, path, headers, body)

    async def close(self) -> None:
        """Close all connections."""
        await self._upstream.close()
