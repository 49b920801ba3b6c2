"""The pages about streams, alarms and principals. They read; letting go is a form for the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from bartizan.alarms import Alarm, Cause
from bartizan.console import present
from bartizan.console.alarms import alarm_row, alarm_view, contained_views, streams_link
from bartizan.console.curves import Curve, Raised, curve
from bartizan.console.shapes import Gateway, Reads, System
from bartizan.errors import LedgerError
from bartizan.policy.containment import principal_of
from bartizan.store import EventQuery, StreamPoint

RANGES = {"1h": 3600.0, "6h": 21_600.0, "24h": 86_400.0, "7d": 604_800.0}
DEFAULT_RANGE = "6h"
DRAWN = 8
"""Streams drawn beside the detector's own evidence: those with the largest; the table has all."""
ALL = "all streams"
MAX_ALARMS = 200
MARKED = 30
"""Newest alarms marked in the pictures; the list below them has all."""
MAX_ID = 512
MAX_PRINCIPAL = 4096
MAX_TEXT = 512
PRINCIPAL_EVENTS = 30
AROUND_S = 1800.0
"""Time shown on an alarm's page before its onset and after it was raised."""


class Page(Protocol):
    """Renders a template."""

    def __call__(self, request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
        """Return the page."""
        ...


@dataclass(frozen=True, slots=True)
class WatchPages:
    """The handlers.

    Attributes:
        store: What happened.
        status: What the gateway is doing.
        clock: Seconds since the epoch.
        page: Renders a template.
    """

    store: Reads
    status: Callable[[], Gateway]
    clock: Callable[[], float]
    page: Page

    def streams(self, request: Request) -> Response:
        """Show the evidence of one system's streams over time, with its alarms."""
        systems = [s for s in self.status().systems if s.watch is not None]
        name = request.path_params.get("system", systems[0].name if systems else None)
        system = next((s for s in systems if s.name == name), None)
        if system is None and name is not None:
            return self._missing(request, "Streams", "There is no watched system with this name.")
        given = request.query_params.get("range", DEFAULT_RANGE)
        chosen = given if given in RANGES else DEFAULT_RANGE
        asked = request.query_params.get("stream", "")[:MAX_TEXT]
        return self.page(
            request,
            "streams.html",
            section="Streams",
            systems=[(s.name, streams_link(s.name)) for s in systems],
            system=system,
            ranges=[
                (r, f"?{urlencode({'range': r, **({'stream': asked} if asked else {})})}") for r in RANGES
            ],
            range=chosen,
            contained=contained_views([system] if system else []),
            **(self._pictures(system, RANGES[chosen], chosen, asked) if system else {}),
        )

    def alarms(self, request: Request) -> Response:
        """List alarms; the address says which, so it can be passed on."""
        names = ("system", "cause", "principal")
        given = {name: request.query_params.get(name, "").strip()[:MAX_TEXT] for name in names}
        problem = "" if given["cause"] in ("", *Cause) else "The cause must be one of those in the list."
        found = self.store.alarms(
            given["system"] or None,
            Cause(given["cause"]) if given["cause"] and not problem else None,
            given["principal"] or None,
            None,
            MAX_ALARMS + 1,
        )
        systems = self.status().systems
        return self.page(
            request,
            "alarms.html",
            status=400 if problem else 200,
            section="Alarms",
            given=given,
            problem=problem,
            rows=[alarm_row(a) for a in found[:MAX_ALARMS]],
            more=len(found) > MAX_ALARMS,
            systems=[s.name for s in systems if s.watch is not None],
            causes=list(Cause),
            contained=contained_views(systems),
        )

    def alarm(self, request: Request) -> Response:
        """Show one alarm: its triage, its streams, whom it concerns."""
        name = request.path_params["id"]
        told = self.store.alarm_tellings(name) if len(name) <= MAX_ID else []
        if not told:
            return self._missing(request, "Alarms", "There is no alarm with this id.")
        alarm, first = told[0], told[-1]
        since, until = min(alarm.onset, first.time) - AROUND_S, first.time + AROUND_S
        points = [p for p in self.store.stream_points(alarm.system, since, until) if p.stream == ALL]
        concerned = set(alarm.principals) | ({""} if alarm.cause is Cause.MODEL_CHANGED else set())
        return self.page(
            request,
            "alarm.html",
            section="Alarms",
            view=alarm_view(told),
            picture=curve(ALL, points, [_raised(told)], since, until) if points else None,
            contained=[
                c
                for c in contained_views(s for s in self.status().systems if s.name == alarm.system)
                if principal_of(c.contained.principal) in concerned
            ],
            streams=streams_link(alarm.system),
            api=f"/api/v1/alarms/{quote(alarm.id, safe='')}",
            ledger=self._place(alarm.id),
        )

    def principal(self, request: Request) -> Response:
        """Show one caller: its containment, its alarms, its newest exchanges."""
        name = request.path_params["id"]
        known = 0 < len(name) <= MAX_PRINCIPAL
        alarms = self.store.alarms(None, None, name, None, MAX_ALARMS) if known else []
        events = self.store.events(EventQuery(principal=name, limit=PRINCIPAL_EVENTS)) if known else []
        contained = contained_views(self.status().systems, name) if known else ()
        if not alarms and not events and not contained:
            return self._missing(request, "Alarms", "Nothing is known of this principal.")
        return self.page(
            request,
            "principal.html",
            section="Alarms",
            name=name,
            contained=contained,
            alarms=[alarm_row(a) for a in alarms],
            rows=[present.row(e) for e in events],
            events="/console/events?" + urlencode({"principal": name}),
            api=f"/api/v1/principals/{quote(name, safe='')}",
        )

    def _pictures(self, system: System, span_s: float, chosen: str, asked: str) -> dict[str, Any]:
        until = self.clock()
        since = until - span_s
        by_stream: dict[str, list[StreamPoint]] = {}
        for point in self.store.stream_points(system.name, since, until):
            by_stream.setdefault(point.stream, []).append(point)
        alarms = self.store.alarms(system.name, None, None, since, MAX_ALARMS)
        marks = [(a, _raised(self.store.alarm_tellings(a.id) or [a])) for a in alarms[:MARKED]]
        curves = {
            name: curve(name, points, [m for a, m in marks if _about(a, name)], since, until)
            for name, points in by_stream.items()
        }
        drawn = _drawn(curves, asked)
        return {
            "curves": [curves[name] for name in drawn],
            "all": [curves[name] for name in sorted(curves, key=lambda n: _rank(curves, n))],
            "links": {name: "?" + urlencode({"range": chosen, "stream": name}) for name in curves},
            "alarms": [alarm_row(a) for a in alarms],
        }

    def _place(self, alarm: str) -> str:
        try:
            proof = self.store.prove(alarm)
        except LedgerError as e:
            return f"No proof yet: {e.message}."
        return f"Entry {proof.index:,} of {proof.size:,} under the last signed checkpoint."

    def _missing(self, request: Request, section: str, words: str) -> Response:
        return self.page(request, "missing.html", status=404, section=section, words=words)


def _about(alarm: Alarm, stream: str) -> bool:
    """Whether an alarm is drawn on a stream; alarms of sessions and canaries are about no stream."""
    return bool(alarm.streams) if stream == ALL else any(s.name == stream for s in alarm.streams)


def _raised(told: Sequence[Alarm]) -> Raised:
    """Return an alarm as it is drawn: raised when it was told first, taken for what it was told last."""
    return Raised(told[0].id, told[0].cause.value, told[0].onset, told[-1].time)


def _rank(curves: Mapping[str, Curve], name: str) -> tuple[bool, float, str]:
    return name != ALL, -curves[name].highest, name


def _drawn(curves: Mapping[str, Curve], asked: str) -> Sequence[str]:
    ranked = sorted(curves, key=lambda name: _rank(curves, name))[: DRAWN + 1]
    return ranked if asked in ranked or asked not in curves else [*ranked[:1], asked, *ranked[1:-1]]
