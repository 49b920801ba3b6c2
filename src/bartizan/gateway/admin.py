"""The admin plane: health, metrics, the JSON API, the console, and who may see them.

It listens on its own port. Apart from logging in and out, and from letting contained principals
go, nothing here changes anything.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from bartizan.errors import LedgerError
from bartizan.gateway.admin_api import Api, Reads
from bartizan.gateway.alarm_api import AlarmApi, ReadsAlarms, Release
from bartizan.gateway.auth import Failures, Sessions, Token
from bartizan.gateway.gate import METRICS, Gate
from bartizan.gateway.login import Login
from bartizan.gateway.openapi import Endpoint, document
from bartizan.gateway.problem import BadParameter, problem
from bartizan.gateway.status import GatewayStatus

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Store(Reads, ReadsAlarms, Protocol):
    """What the admin plane needs of the store."""


def build_admin(
    *,
    store: Store,
    status: Callable[[], GatewayStatus],
    token: str | None,
    metrics: Callable[[], bytes],
    clock: Callable[[], float],
    console: Sequence[BaseRoute] = (),
    hosts: Sequence[str] = LOCAL_HOSTS,
    metrics_open: bool = False,
    new_session_id: Callable[[], str] = secrets.token_urlsafe,
    release: Release | None = None,
) -> Starlette:
    """Put the admin plane together.

    Args:
        store: What happened.
        status: Returns what the gateway is doing; called for every answer that shows it,
            from worker threads.
        token: The admin token. ``None`` lets everybody in, which is for tests.
        metrics: Returns the Prometheus text exposition.
        clock: Seconds since the epoch.
        console: Routes of the web page, each below ``/console/``.
        hosts: Host names, without port, under which this plane answers; ``*`` for any.
        metrics_open: Whether ``/metrics`` may be read without a token.
        new_session_id: Makes unguessable names of browser sessions.
        release: Lets contained principals go; left out, nobody is contained.

    Raises:
        ConfigError: The token is too short to resist guessing.
    """
    key = Token(token)
    sessions = Sessions(clock, new_session_id)
    health = _Health(status, metrics, metrics_open)
    alarms = AlarmApi(store, status, clock, release or _nobody)
    described = (*health.endpoints(), *Api(store, status, clock).endpoints(), *alarms.endpoints())
    endpoints = _described(described, status)
    routes: list[BaseRoute] = [Route(e.path, e.handler, methods=[e.method]) for e in endpoints]
    routes += Login(key, sessions, Failures(clock)).routes()
    routes += console
    if console:
        routes.append(Route("/", _to_console, methods=["GET"]))
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(
                Gate,
                token=key,
                sessions=sessions,
                hosts=frozenset(name.lower() for name in hosts),
                metrics_open=metrics_open,
            )
        ],
        exception_handlers={
            HTTPException: _refused,
            BadParameter: _bad,
            LedgerError: _unreadable,
            Exception: _broken,
        },
    )


@dataclass(frozen=True, slots=True)
class _Health:
    """Probes, metrics, and the description of it all."""

    status: Callable[[], GatewayStatus]
    metrics: Callable[[], bytes]
    metrics_open: bool

    def endpoints(self) -> tuple[Endpoint, ...]:
        text = "text/plain"
        ready = "Whether traffic may be sent here; with ?verbose, for known callers, why."
        return (
            Endpoint(
                "/livez", self.get_livez, "Whether the process answers.", str, open=True, media_type=text
            ),
            Endpoint("/readyz", self.get_readyz, ready, str, errors=(503,), open=True, media_type=text),
            Endpoint("/healthz", self.get_healthz, ready, str, errors=(503,), open=True, media_type=text),
            Endpoint(
                METRICS,
                self.get_metrics,
                "Metrics in the Prometheus text format.",
                str,
                open=self.metrics_open,
                media_type=text,
            ),
        )

    async def get_livez(self, _: Request) -> Response:
        # On the event loop: busy worker threads don't make the process dead.
        return PlainTextResponse("ok")

    def get_readyz(self, request: Request) -> Response:
        now = self.status()
        lines = []
        if request.state.known and "verbose" in request.query_params:
            lines = [
                f"[{'+' if state == 'ok' else '-'}] {name}: {state}" for name, state in now.checks.items()
            ]
        lines.append("ok" if now.ready else "not ready")
        return PlainTextResponse("\n".join(lines), 200 if now.ready else 503)

    def get_healthz(self, request: Request) -> Response:
        return self.get_readyz(request)

    def get_metrics(self, _: Request) -> Response:
        return Response(self.metrics(), headers={"content-type": _PROMETHEUS})


def _described(endpoints: tuple[Endpoint, ...], status: Callable[[], GatewayStatus]) -> tuple[Endpoint, ...]:
    """Add the route that describes all routes, itself included."""

    def get_openapi(_: Request) -> Response:
        described = document(table, status().version)
        return Response(msgspec.json.encode(described), media_type="application/json")

    table = (*endpoints, Endpoint("/openapi.json", get_openapi, "This description.", dict[str, Any]))
    return table


def _nobody(_: str, __: str | None) -> tuple[str, ...]:
    return ()


async def _to_console(_: Request) -> Response:
    return RedirectResponse("/console/", 307)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - how it is registered
    return problem(error.status_code, error.detail, headers=error.headers)


async def _bad(_: Request, error: Exception) -> Response:
    assert isinstance(error, BadParameter)  # noqa: S101 - how it is registered
    return problem(400, str(error), parameter=error.name)


async def _unreadable(_: Request, error: Exception) -> Response:
    assert isinstance(error, LedgerError)  # noqa: S101 - how it is registered
    return problem(503, f"The store can't be read: {error.message}")


async def _broken(_: Request, error: Exception) -> Response:
    """Say nothing about it; the server logs the traceback, because the error goes on to it."""
    return problem(500, "Something broke on our side; the log says what.")
