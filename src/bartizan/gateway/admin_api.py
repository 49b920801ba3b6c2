"""The JSON API of the admin plane: what the store and the gateway know, read-only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bartizan.errors import LedgerError
from bartizan.gateway.openapi import Endpoint, Parameter, plain, read_query
from bartizan.gateway.problem import BadParameter
from bartizan.gateway.status import CellStatus, GatewayStatus, SystemStatus
from bartizan.store import Bucket, Event, EventQuery, Proof, StoreHealth
from bartizan.types import Effect, Record

MAX_EVENTS = 500
DEFAULT_EVENTS = 50
MAX_P_VALUES = 10_000
DEFAULT_P_VALUES = 1000
MAX_TEXT = 512
MAX_TRAFFIC_SECONDS = 31 * 86_400.0
"""Longest stretch of traffic in one answer."""
DEFAULT_TRAFFIC_SECONDS = 86_400.0
_YEAR_10000 = 253_402_300_800.0
_MAX_INDEX = 2**63 - 1


class Reads(Protocol):
    """What the admin plane needs of the store."""

    def events(self, query: EventQuery) -> list[Event]:
        """Return exchanges, newest first."""
        ...

    def record(self, id: str) -> Record | None:
        """Return one exchange."""
        ...

    def traffic(self, since: float, until: float, system: str | None = None) -> list[Bucket]:
        """Return counts by minute and effect."""
        ...

    def p_values(self, system: str, cell: str, limit: int) -> list[float]:
        """Return the newest p-values of a calibration cell."""
        ...

    def prove(self, id: str) -> Proof:
        """Return the proof that an exchange is in the ledger."""
        ...

    def health(self) -> StoreHealth:
        """Return how the store is doing."""
        ...


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The gateway and its store at one moment."""

    gateway: GatewayStatus
    store: StoreHealth


@dataclass(frozen=True, slots=True)
class EventPage:
    """One page of exchanges, newest first.

    Attributes:
        events: The exchanges.
        next_before: Give this as ``before`` for the next page; ``None`` on the last.
    """

    events: tuple[Event, ...]
    next_before: int | None


@dataclass(frozen=True, slots=True)
class TrafficReport:
    """Counts by minute and effect in ``[since, until)``."""

    since: float
    until: float
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True)
class CellReport:
    """A calibration cell and the newest p-values in it, to check the promise with."""

    status: CellStatus
    p_values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """How one system keeps its promised false-alarm rate."""

    system: str
    false_alarm_rate: float
    cells: tuple[CellReport, ...]


def _text(text: str) -> str:
    if not text or len(text) > MAX_TEXT:
        raise ValueError(f"must have 1 to {MAX_TEXT} characters")
    return text


def _effect(text: str) -> Effect:
    try:
        return Effect[text.upper()]
    except KeyError:
        raise ValueError(f"must be one of {', '.join(e.name.lower() for e in Effect)}") from None


def _time(text: str) -> float:
    why = "must be seconds since the epoch, or RFC 3339 with an offset"
    try:
        value = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(why) from None
        if moment.tzinfo is None:
            raise ValueError(why) from None
        value = moment.timestamp()
    if not (math.isfinite(value) and 0 <= value < _YEAR_10000):
        raise ValueError(why)
    return value


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        # Digits are counted before they are read: reading takes quadratic time.
        short = text.isascii() and text.isdigit() and len(text) <= len(str(high))
        if not short or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


_STRING = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
_MOMENT = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "format": "date-time"}]}


def whole(name: str, low: int, high: int, description: str) -> Parameter:
    """Return a parameter that is a whole number."""
    schema = {"type": "integer", "minimum": low, "maximum": high}
    return Parameter(name, _integer(low, high), schema, description)


SYSTEM = Parameter("system", _text, _STRING, "Only this protected system.")
SINCE = Parameter("since", _time, _MOMENT, "Only at or after this time.")
UNTIL = Parameter("until", _time, _MOMENT, "Only before this time.")
EVENTS = (
    SYSTEM,
    Parameter(
        "effect",
        _effect,
        {"type": "string", "enum": [e.name.lower() for e in Effect]},
        "Only exchanges whose effect is at least this.",
    ),
    Parameter("principal", _text, _STRING, "Only this caller."),
    Parameter("session", _text, _STRING, "Only this session."),
    Parameter("detector", _text, _STRING, "Only exchanges with a finding of this detector."),
    SINCE,
    UNTIL,
    whole("before", 0, _MAX_INDEX, "Only ledger indices below this: next_before of the page before."),
    whole("limit", 1, MAX_EVENTS, f"At most this many; {DEFAULT_EVENTS} if not given."),
)
TRAFFIC = (SYSTEM, SINCE, UNTIL)
CALIBRATION = (
    whole("limit", 1, MAX_P_VALUES, f"P-values per cell, newest first; {DEFAULT_P_VALUES} if not given."),
)


@dataclass(frozen=True, slots=True)
class Api:
    """The handlers.

    Attributes:
        store: What happened.
        status: What the gateway is doing.
        clock: Seconds since the epoch.
    """

    store: Reads
    status: Callable[[], GatewayStatus]
    clock: Callable[[], float]

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the table that routes and description are made from."""
        root = "/api/v1"
        one = (404,)
        return (
            Endpoint(f"{root}/status", self.get_status, "The gateway and its store now.", StatusReport),
            Endpoint(f"{root}/events", self.get_events, "Exchanges, newest first.", EventPage, EVENTS),
            Endpoint(f"{root}/events/{{id}}", self.get_event, "One exchange in full.", Record, errors=one),
            Endpoint(
                f"{root}/events/{{id}}/proof",
                self.get_proof,
                "The proof that an exchange is in the ledger.",
                Proof,
                errors=one,
            ),
            Endpoint(
                f"{root}/traffic", self.get_traffic, "Counts by minute and effect.", TrafficReport, TRAFFIC
            ),
            Endpoint(
                f"{root}/calibration/{{system}}",
                self.get_calibration,
                "How one system keeps its promised false-alarm rate.",
                CalibrationReport,
                CALIBRATION,
                one,
            ),
        )

    def get_status(self, request: Request) -> Response:
        """Answer with :class:`StatusReport`."""
        read_query(request.query_params, ())
        return json_answer(StatusReport(self.status(), self.store.health()))

    def get_events(self, request: Request) -> Response:
        """Answer with :class:`EventPage`."""
        given = read_query(request.query_params, EVENTS)
        limit = given.get("limit", DEFAULT_EVENTS)
        # One more than asked for tells whether there is another page.
        found = self.store.events(_query(given, limit + 1))
        page = tuple(found[:limit])
        return json_answer(EventPage(page, page[-1].index if len(found) > limit else None))

    def get_event(self, request: Request) -> Response:
        """Answer with :class:`~bartizan.types.Record`."""
        read_query(request.query_params, ())
        return json_answer(self._record(request))

    def get_proof(self, request: Request) -> Response:
        """Answer with :class:`~bartizan.store.Proof`."""
        read_query(request.query_params, ())
        record = self._record(request)
        try:
            return json_answer(self.store.prove(record.id))
        except LedgerError as e:
            raise HTTPException(404, f"There is no proof: {e.message}") from e

    def get_traffic(self, request: Request) -> Response:
        """Answer with :class:`TrafficReport`."""
        given = read_query(request.query_params, TRAFFIC)
        since, until = span(given, self.clock())
        buckets = self.store.traffic(since, until, given.get("system"))
        return json_answer(TrafficReport(since, until, tuple(buckets)))

    def get_calibration(self, request: Request) -> Response:
        """Answer with :class:`CalibrationReport`."""
        given = read_query(request.query_params, CALIBRATION)
        limit = given.get("limit", DEFAULT_P_VALUES)
        system = find_system(self.status().systems, request.path_params["system"])
        cells = tuple(
            CellReport(cell, tuple(self.store.p_values(system.name, cell.cell, limit)))
            for cell in system.cells
        )
        return json_answer(CalibrationReport(system.name, system.false_alarm_rate, cells))

    def _record(self, request: Request) -> Record:
        name = request.path_params["id"]
        record = self.store.record(name) if len(name) <= MAX_TEXT else None
        if record is None:
            raise HTTPException(404, "There is no exchange with this id.")
        return record


def span(given: Mapping[str, Any], now: float) -> tuple[float, float]:
    """Return the stretch of time that ``since`` and ``until`` ask for.

    Raises:
        BadParameter: It is too long, or ends before it begins.
    """
    until: float = given.get("until", now)
    since: float = given.get("since", until - DEFAULT_TRAFFIC_SECONDS)
    if not 0 <= until - since <= MAX_TRAFFIC_SECONDS:
        days = int(MAX_TRAFFIC_SECONDS / 86_400)
        raise BadParameter("since", f"must be at most {days} days before until, and not after it")
    return since, until


def _query(given: Mapping[str, Any], limit: int) -> EventQuery:
    return EventQuery(
        system=given.get("system"),
        effect_at_least=given.get("effect"),
        principal=given.get("principal"),
        session=given.get("session"),
        detector=given.get("detector"),
        since=given.get("since"),
        until=given.get("until"),
        before_index=given.get("before"),
        limit=limit,
    )


def find_system(systems: Iterable[SystemStatus], name: str) -> SystemStatus:
    """Return the named system.

    Raises:
        HTTPException: 404.
    """
    for system in systems:
        if system.name == name:
            return system
    raise HTTPException(404, "There is no system with this name.")


def json_answer(value: Any) -> Response:
    """Return a value as JSON."""
    return Response(msgspec.json.encode(plain(value)), media_type="application/json")
