"""The pages. Every handler reads, and none changes anything: a form that does is the API's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from bartizan.console import present, words
from bartizan.console.alarms import principal_link
from bartizan.console.charts import BINS, Count, histogram, traffic
from bartizan.console.filters import PAGE, read_filters
from bartizan.console.live import Live
from bartizan.console.shapes import Gateway, Reads, System
from bartizan.console.tail import tail
from bartizan.console.text import visible
from bartizan.console.watch_pages import WatchPages
from bartizan.errors import LedgerError
from bartizan.store import EventQuery
from bartizan.store.merkle import leaf_hash
from bartizan.types import Effect, Record

RANGES = {"1h": 3600.0, "6h": 21_600.0, "24h": 86_400.0, "7d": 604_800.0}
DEFAULT_RANGE = "24h"
LATENCIES = 2000
P_VALUES = 20_000
"""Newest p-values drawn per cell."""
LIVE_ROWS = 50
MAX_ID = 512


def routes(store: Reads, status: Callable[[], Gateway], clock: Callable[[], float]) -> list[BaseRoute]:
    """Return the routes of the web page, each below ``/console/``.

    They carry no authentication: mount them behind the admin plane.

    Args:
        store: What happened.
        status: Returns what the gateway is doing; called from worker threads.
        clock: Seconds since the epoch.
    """
    pages = Pages(store, status, clock, _environment())
    watch = WatchPages(store, status, clock, pages.page)
    return [
        Route("/console/", pages.overview),
        Route("/console/live", pages.live),
        Route("/console/live/events", Live(store, clock).answer),
        Route("/console/events", pages.events),
        Route("/console/events/{id}", pages.exchange),
        Route("/console/streams", watch.streams),
        Route("/console/streams/{system}", watch.streams),
        Route("/console/alarms", watch.alarms),
        Route("/console/alarms/{id}", watch.alarm),
        Route("/console/principals/{id:path}", watch.principal),
        Route("/console/calibration", pages.calibration),
        Route("/console/calibration/{system}", pages.calibration),
        Mount("/console/static", StaticFiles(packages=[("bartizan.console", "static")])),
    ]


def _environment() -> Environment:
    """Return an environment in which no value can become markup or hide characters."""
    environment = Environment(
        loader=PackageLoader("bartizan.console"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clock": words.clock,
        "stamp": words.stamp,
        "rate": words.rate,
        "one_in": words.one_in,
        "duration": words.duration,
        "span_of_time": words.span,
    }
    return environment


def _shown(value: Any) -> Any:
    """Make hidden characters of every printed value visible; markup is our own templates'."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@dataclass(frozen=True, slots=True)
class Pages:
    """The handlers.

    Attributes:
        store: What happened.
        status: What the gateway is doing.
        clock: Seconds since the epoch.
        templates: How it looks.
    """

    store: Reads
    status: Callable[[], Gateway]
    clock: Callable[[], float]
    templates: Environment

    def overview(self, request: Request) -> Response:
        """Show every system, the traffic and the state of the ledger."""
        name = request.query_params.get("range", DEFAULT_RANGE)
        name = name if name in RANGES else DEFAULT_RANGE
        now, gateway = self.clock(), self.status()
        buckets = self.store.traffic(now - RANGES[name], now)
        counts = [Count(float(b.minute), b.effect, b.count) for b in buckets]
        chart = traffic(counts, now - RANGES[name], now)
        stopped = sum(c.count for c in counts if c.effect > Effect.ALLOW)
        return self.page(
            request,
            "overview.html",
            section="Overview",
            gateway=gateway,
            uptime=words.span(now - gateway.started_at),
            health=self.store.health(),
            chart=chart,
            chart_words=f"Traffic of the last {name}: {chart.total} exchanges, {stopped} not allowed.",
            stopped=stopped,
            ranges=tuple(RANGES),
            range=name,
            latency=_percentiles(self.store.latency(LATENCIES)),
            systems=[present.system_card(s) for s in gateway.systems],
        )

    def live(self, request: Request) -> Response:
        """Show the newest exchanges; the page's own module keeps them coming."""
        events = self.store.events(EventQuery(limit=LIVE_ROWS))
        return self.page(
            request,
            "live.html",
            section="Live",
            rows=[present.row(e) for e in events],
            after=events[0].index if events else -1,
        )

    def events(self, request: Request) -> Response:
        """List exchanges; the address says which, so it can be passed on."""
        filters = read_filters(request.query_params)
        found = self.store.events(filters.query)
        gateway = self.status()
        return self.page(
            request,
            "events.html",
            status=400 if filters.problems else 200,
            section="Events",
            filters=filters,
            rows=[present.row(e) for e in found[:PAGE]],
            older=filters.older(found[PAGE - 1].index) if len(found) > PAGE else None,
            systems=[s.name for s in gateway.systems],
            detectors=sorted({d.name for s in gateway.systems for d in s.detectors}),
            effects=[e.name.lower() for e in Effect],
        )

    def exchange(self, request: Request) -> Response:
        """Show one exchange in full."""
        name = request.path_params["id"]
        record = self.store.record(name) if len(name) <= MAX_ID else None
        if record is None:
            return self._missing(request, "Events", "There is no exchange with this id.")
        return self.page(
            request,
            "exchange.html",
            section="Events",
            record=record,
            principal=principal_link(record.principal.id),
            effect=record.effect.name.lower(),
            enforced=words.enforced(record.effect, record.enforced),
            unusual=words.one_in(record.p_value),
            steps=present.steps(record),
            ledger=self._ledger_entry(record),
            api=f"/api/v1/events/{quote(record.id, safe='')}",
        )

    def calibration(self, request: Request) -> Response:
        """Show one system's p-values against what they would be on benign traffic."""
        systems = self.status().systems
        name = request.path_params.get("system", systems[0].name if systems else None)
        system = next((s for s in systems if s.name == name), None)
        if system is None and name is not None:
            return self._missing(request, "Calibration", "There is no system with this name.")
        return self.page(
            request,
            "calibration.html",
            section="Calibration",
            cards=[present.system_card(s) for s in systems],
            card=present.system_card(system) if system else None,
            pictures=self._pictures(system) if system else [],
            bins=BINS,
        )

    def _pictures(self, system: System) -> list[dict[str, Any]]:
        pictures = []
        for cell in system.cells:
            p_values = self.store.p_values(system.name, cell.cell, P_VALUES)
            card = present.cell_card(cell, system.kind)
            levels = (cell.certified, cell.promised)
            pictures.append(
                {
                    "card": card,
                    "histogram": histogram(p_values, cell.n) if p_values else None,
                    "tail": tail(p_values, cell.n, levels),
                }
            )
        return pictures

    def _ledger_entry(self, record: Record) -> dict[str, Any]:
        try:
            proof = self.store.prove(record.id)
        except LedgerError as e:
            return {"problem": e.message}
        leaf = leaf_hash(proof.record.encode()).hex()
        return {"problem": "", "index": proof.index, "size": proof.size, "leaf": leaf}

    def _missing(self, request: Request, section: str, words: str) -> Response:
        return self.page(request, "missing.html", status=404, section=section, words=words)

    def page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
        """Render a template."""
        signed_in = getattr(request.state, "by_cookie", False)
        text = self.templates.get_template(template).render(signed_in=signed_in, **values)
        return HTMLResponse(text, status)


def _percentiles(latencies: Sequence[int]) -> dict[str, str]:
    """Return the median and the 99th percentile, by nearest rank."""
    if not latencies:
        return {"p50": "–", "p99": "–", "n": "0"}
    ordered = sorted(latencies)
    n = len(ordered)
    return {
        "p50": words.duration(ordered[(n - 1) // 2]),
        "p99": words.duration(ordered[min(n - 1, -(-99 * n // 100) - 1)]),
        "n": f"{n:,}",
    }
