"""Alarms, streams and contained principals in the JSON API; the one place there that changes something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bartizan.alarms import Alarm, Cause
from bartizan.errors import LedgerError
from bartizan.gateway.admin_api import MAX_TEXT, SINCE, SYSTEM, UNTIL, find_system, json_answer, span, whole
from bartizan.gateway.openapi import Endpoint, Parameter, read_query
from bartizan.gateway.status import ContainedStatus, GatewayStatus, WatchStatus
from bartizan.policy.containment import EVERYBODY, principal_of
from bartizan.store import Event, EventQuery, Proof, StreamPoint

MAX_ALARMS = 500
DEFAULT_ALARMS = 50
MAX_PRINCIPAL = 4096
_FORM = "application/x-www-form-urlencoded"

Release = Callable[[str, str | None], Sequence[str]]
"""Lets a principal go in one system, or in all, and returns in which ones it was contained."""


class ReadsAlarms(Protocol):
    """What the alarm API needs of the store."""

    def alarms(
        self,
        system: str | None = None,
        cause: Cause | None = None,
        principal: str | None = None,
        since: float | None = None,
        limit: int = DEFAULT_ALARMS,
    ) -> list[Alarm]:
        """Return alarms as they were told last, newest first."""
        ...

    def alarm_tellings(self, id: str, limit: int = DEFAULT_ALARMS) -> list[Alarm]:
        """Return an alarm each time it was told, the last time first."""
        ...

    def stream_points(self, system: str, since: float, until: float) -> list[StreamPoint]:
        """Return the minutes of a system's streams."""
        ...

    def events(self, query: EventQuery) -> list[Event]:
        """Return exchanges, newest first."""
        ...

    def prove(self, id: str) -> Proof:
        """Return the proof that an alarm is in the ledger."""
        ...


@dataclass(frozen=True, slots=True)
class AlarmList:
    """Alarms as they were told last, newest first."""

    alarms: tuple[Alarm, ...]


@dataclass(frozen=True, slots=True)
class AlarmReport:
    """One alarm as it was told last, and how it was told before, newest first."""

    alarm: Alarm
    earlier: tuple[Alarm, ...]


@dataclass(frozen=True, slots=True)
class StreamReport:
    """How one system is watched now, and the minutes of its streams in ``[since, until)``."""

    system: str
    watch: WatchStatus
    since: float
    until: float
    points: tuple[StreamPoint, ...]


@dataclass(frozen=True, slots=True)
class Containment:
    """How a principal is contained in one system."""

    system: str
    enforcing: bool
    contained: ContainedStatus


@dataclass(frozen=True, slots=True)
class PrincipalReport:
    """What is known of one caller.

    Attributes:
        principal: Its name.
        contained: Where it is contained.
        alarms: Alarms that concern it, newest first.
        events: Its newest exchanges.
    """

    principal: str
    contained: tuple[Containment, ...]
    alarms: tuple[Alarm, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """Who was let go, and in which systems it had been contained; nobody's name means everybody."""

    principal: str
    systems: tuple[str, ...]


def _cause(text: str) -> Cause:
    try:
        return Cause(text)
    except ValueError:
        raise ValueError(f"must be one of {', '.join(Cause)}") from None


_LIMIT = whole("limit", 1, MAX_ALARMS, f"At most this many; {DEFAULT_ALARMS} if not given.")
ALARMS = (
    SYSTEM,
    Parameter("cause", _cause, {"type": "string", "enum": list(Cause)}, "Only alarms taken for this."),
    Parameter(
        "principal",
        SYSTEM.parse,
        {"type": "string", "minLength": 1, "maxLength": MAX_TEXT},
        "Only alarms that concern this caller.",
    ),
    SINCE,
    _LIMIT,
)
STREAMS = (SINCE, UNTIL)


@dataclass(frozen=True, slots=True)
class AlarmApi:
    """The handlers.

    Attributes:
        store: What happened.
        status: What the gateway is doing.
        clock: Seconds since the epoch.
        release: Lets principals go.
    """

    store: ReadsAlarms
    status: Callable[[], GatewayStatus]
    clock: Callable[[], float]
    release: Release

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the table that routes and description are made from."""
        root = "/api/v1"
        one = (404,)
        changing = (403, 404)
        return (
            Endpoint(f"{root}/alarms", self.get_alarms, "Alarms, newest first.", AlarmList, ALARMS),
            Endpoint(f"{root}/alarms/{{id}}", self.get_alarm, "One alarm in full.", AlarmReport, errors=one),
            Endpoint(
                f"{root}/alarms/{{id}}/proof",
                self.get_alarm_proof,
                "The proof that an alarm is in the ledger.",
                Proof,
                errors=one,
            ),
            Endpoint(
                f"{root}/streams/{{system}}",
                self.get_streams,
                "One system's watched streams by the minute.",
                StreamReport,
                STREAMS,
                one,
            ),
            Endpoint(
                f"{root}/principals/{{id:path}}/release",
                self.post_release,
                "Let a contained principal go, in one system or in all.",
                ReleaseReport,
                (SYSTEM,),
                changing,
                method="POST",
            ),
            Endpoint(
                f"{root}/systems/{{system}}/release",
                self.post_release_system,
                "End the hold that a changed model put on a whole system.",
                ReleaseReport,
                errors=changing,
                method="POST",
            ),
            Endpoint(
                f"{root}/principals/{{id:path}}",
                self.get_principal,
                "One caller: its containment, alarms and newest exchanges.",
                PrincipalReport,
                (_LIMIT,),
                one,
            ),
        )

    def get_alarms(self, request: Request) -> Response:
        """Answer with :class:`AlarmList`."""
        given = read_query(request.query_params, ALARMS)
        found = self.store.alarms(
            given.get("system"),
            given.get("cause"),
            given.get("principal"),
            given.get("since"),
            given.get("limit", DEFAULT_ALARMS),
        )
        return json_answer(AlarmList(tuple(found)))

    def get_alarm(self, request: Request) -> Response:
        """Answer with :class:`AlarmReport`."""
        read_query(request.query_params, ())
        told = self._told(request)
        return json_answer(AlarmReport(told[0], tuple(told[1:])))

    def get_alarm_proof(self, request: Request) -> Response:
        """Answer with :class:`~bartizan.store.Proof`."""
        read_query(request.query_params, ())
        alarm = self._told(request)[0]
        try:
            return json_answer(self.store.prove(alarm.id))
        except LedgerError as e:
            raise HTTPException(404, f"There is no proof: {e.message}") from e

    def get_streams(self, request: Request) -> Response:
        """Answer with :class:`StreamReport`."""
        since, until = span(read_query(request.query_params, STREAMS), self.clock())
        system = find_system(self.status().systems, request.path_params["system"])
        points = tuple(self.store.stream_points(system.name, since, until))
        return json_answer(StreamReport(system.name, system.watch or WatchStatus(), since, until, points))

    def get_principal(self, request: Request) -> Response:
        """Answer with :class:`PrincipalReport`."""
        limit = read_query(request.query_params, (_LIMIT,)).get("limit", DEFAULT_ALARMS)
        name = _principal(request)
        contained = tuple(
            Containment(system.name, system.watch.enforcing, entry)
            for system in self.status().systems
            if system.watch is not None
            for entry in system.watch.contained
            if principal_of(entry.principal) == name or entry.principal == name
        )
        alarms = tuple(self.store.alarms(None, None, name, None, limit))
        events = tuple(self.store.events(EventQuery(principal=name, limit=limit)))
        if not contained and not alarms and not events:
            raise HTTPException(404, "Nothing is known of this principal.")
        return json_answer(PrincipalReport(name, contained, alarms, events))

    def post_release(self, request: Request) -> Response:
        """Let a principal go; answer with :class:`ReleaseReport`, or lead a form back to its page."""
        system = read_query(request.query_params, (SYSTEM,)).get("system")
        name = _principal(request)
        if system is not None:
            find_system(self.status().systems, system)
        systems = tuple(self.release(name, system))
        return _released(request, name, systems, f"/console/principals/{quote(name, safe='')}")

    def post_release_system(self, request: Request) -> Response:
        """End a system's hold; answer with :class:`ReleaseReport`, or lead a form back to its page."""
        read_query(request.query_params, ())
        system = find_system(self.status().systems, request.path_params["system"])
        systems = tuple(self.release(EVERYBODY, system.name))
        return _released(request, EVERYBODY, systems, f"/console/streams/{quote(system.name, safe='')}")

    def _told(self, request: Request) -> list[Alarm]:
        name = request.path_params["id"]
        told = self.store.alarm_tellings(name) if len(name) <= MAX_TEXT else []
        if not told:
            raise HTTPException(404, "There is no alarm with this id.")
        return told


def _principal(request: Request) -> str:
    name: str = request.path_params["id"]
    if not 0 < len(name) <= MAX_PRINCIPAL:
        raise HTTPException(404, "Nothing is known of this principal.")
    return name


def _released(request: Request, name: str, systems: tuple[str, ...], page: str) -> Response:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
        return RedirectResponse(page, 303)
    if not systems:
        raise HTTPException(404, "Nobody of this name is contained.")
    return json_answer(ReleaseReport(name, systems))
