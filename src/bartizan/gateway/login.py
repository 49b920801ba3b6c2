"""The login form of the admin plane, and its two state-changing routes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from bartizan.gateway.auth import SESSION_SECONDS, Failures, Sessions, Token

COOKIE = "bartizan_session"
MAX_FORM_BYTES = 4096
_MAX_FIELDS = 4

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sign in · Bartizan</title>
<link rel="stylesheet" href="/console/static/console.css">
</head>
<body class="login">
<main>
<h1>Bartizan</h1>
{message}
<form method="post" action="/login">
<input type="hidden" name="next" value="{next}">
<label for="token">Admin token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button type="submit">Sign in</button>
</form>
</main>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Login:
    """Shows the form, opens and closes sessions.

    Attributes:
        token: What has to be shown.
        sessions: Where sessions are kept.
        failures: Who failed to log in lately.
    """

    token: Token
    sessions: Sessions
    failures: Failures

    def routes(self) -> list[BaseRoute]:
        """Return the routes to mount."""
        return [
            Route("/login", self.show, methods=["GET"]),
            Route("/login", self.enter, methods=["POST"]),
            Route("/logout", self.leave, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Answer with the form."""
        return _page(200, "", _local(request.query_params.get("next", "")))

    async def enter(self, request: Request) -> Response:
        """Open a session for whoever shows the token."""
        address = request.client.host if request.client else ""
        form = await _form(request)
        if form is None:
            return _page(400, "That is not a login form.", _local(""))
        target = _local(form("next"))
        if wait_s := self.failures.wait_s(address):
            late = _page(429, f"Too many failed attempts. Try again in {wait_s} seconds.", target)
            late.headers["retry-after"] = str(wait_s)
            return late
        if not self.token.matches(form("token")):
            self.failures.add(address)
            return _page(401, "That is not the admin token.", target)
        answer = RedirectResponse(target, 303)
        answer.set_cookie(
            COOKIE,
            self.sessions.open(),
            max_age=int(SESSION_SECONDS),
            secure=request.scope["scheme"] == "https",
            httponly=True,
            samesite="strict",
        )
        return answer

    async def leave(self, request: Request) -> Response:
        """Close the session."""
        self.sessions.close(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer


async def _form(request: Request) -> Callable[[str], str] | None:
    """Read a small form; ``None`` if it is something else, or too large."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        return None
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM_BYTES:
            return None
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=_MAX_FIELDS)
    except ValueError:
        return None
    return lambda name: fields.get(name, [""])[0]


def _local(target: str) -> str:
    """Return where to go after login: a page of the console, whatever was asked for."""
    plain = target.isascii() and target.isprintable() and "\\" not in target and "//" not in target
    return target if plain and target.startswith("/console/") else "/console/"


def _page(status: int, message: str, target: str) -> HTMLResponse:
    note = f'<p class="notice" role="alert">{escape(message)}</p>' if message else ""
    return HTMLResponse(_PAGE.format(message=note, next=escape(target, quote=True)), status)
