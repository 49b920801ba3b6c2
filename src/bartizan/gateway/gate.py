"""What stands before every route of the admin plane.

In this order: the ``Host`` must be one of ours (against DNS rebinding), the caller must be
known, a request that changes something must come from our own pages (against forged
requests); and every answer carries the security headers.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bartizan.gateway.auth import Sessions, Token
from bartizan.gateway.login import COOKIE
from bartizan.gateway.problem import SECURITY_HEADERS, problem

PROBES = frozenset({"/livez", "/readyz", "/healthz"})
"""Reachable under any host name, because an orchestrator calls by address, and without a
token, because they say nothing but yes or no."""
METRICS = "/metrics"
ANY_HOST = "*"
_PUBLIC_PREFIX = "/console/static/"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({"same-origin", "none"})


class Gate:
    """ASGI middleware that lets known callers through.

    Args:
        app: What is behind.
        token: The admin token.
        sessions: Open browser sessions.
        hosts: Host names, without port, under which the admin plane answers; ``*`` for any.
        metrics_open: Whether ``/metrics`` may be read without a token.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: Token,
        sessions: Sessions,
        hosts: frozenset[str],
        metrics_open: bool,
    ) -> None:
        self._app = app
        self._token = token
        self._sessions = sessions
        self._hosts = hosts
        self._open = frozenset({"/login"} | PROBES | ({METRICS} if metrics_open else set()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing here speaks WebSocket
            await send({"type": "websocket.close", "code": 1008})
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        request = Request(scope)
        refusal = self._refusal(request)
        await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, request: Request) -> Response | None:
        """Return what to answer instead of the route, if anything; notes who is calling."""
        path = request.scope["path"]
        if path not in PROBES and not self._host_known(request.headers):
            return problem(421, "This host name is not served here.")
        by_cookie = self._sessions.valid(request.cookies.get(COOKIE, ""))
        known = (
            by_cookie
            or not self._token.required
            or self._token.authorizes(request.headers.get("authorization", ""))
        )
        request.state.known, request.state.by_cookie = known, by_cookie
        if not known and path not in self._open and not path.startswith(_PUBLIC_PREFIX):
            return _unknown_caller(request)
        if request.method not in _SAFE_METHODS and not _own_page(request.headers):
            return problem(403, "This request does not come from one of our own pages.")
        return None

    def _host_known(self, headers: Headers) -> bool:
        given = headers.getlist("host")
        return ANY_HOST in self._hosts or (len(given) == 1 and host_name(given[0]) in self._hosts)


def host_name(host: str) -> str:
    """Return the name in a ``Host`` header, without port and in lower case.

    >>> host_name("Admin.Example.com:9090"), host_name("[::1]:9090"), host_name("::1")
    ('admin.example.com', '[::1]', '')
    """
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower().rstrip(".")


def _own_page(headers: Headers) -> bool:
    """Whether a request was sent by our own pages, or by no browser at all."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in _OWN_SITE
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    except ValueError:
        return False


def _unknown_caller(request: Request) -> Response:
    wants_page = "text/html" in request.headers.get("accept", "")
    path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
    if wants_page and request.method == "GET" and (path == "/" or path.startswith("/console/")):
        target = f"{path}?{query}" if query else path
        return RedirectResponse(f"/login?next={quote(target, safe='')}", 303)
    return problem(
        401,
        "Send the admin token as a bearer token, or sign in at /login.",
        headers={"www-authenticate": 'Bearer realm="bartizan"'},
    )
