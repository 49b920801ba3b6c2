"""Prometheus metrics of the data plane. Never labelled by principal, session or content."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bartizan import __version__
from bartizan.types import Effect, Verdict

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
_TIMINGS_KEPT = 2048


class Metrics:
    """Counts what the data plane does."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=self.registry)

        self._requests = counter("bartizan_requests", "Exchanges.", "system", "protocol", "action")
        self._refused = counter("bartizan_refused", "Requests refused before judgement.", "system", "code")
        self._findings = counter("bartizan_findings", "Findings.", "system", "detector", "effect")
        self._faults = counter(
            "bartizan_faults", "Detectors that could not answer.", "system", "detector", "reason"
        )
        self._upstream = counter("bartizan_upstream_errors", "Upstream failures.", "system", "reason")
        self._extra = counter(
            "bartizan_extra_calls", "Calls of the model about changed copies of rows.", "system", "outcome"
        )
        self._dropped = counter("bartizan_events_dropped", "Records that could not be written.", "sink")
        self._alarms = counter(
            "bartizan_alarms", "Alarms, counted again when their cause changes.", "system", "cause"
        )
        self._unwatched = counter(
            "bartizan_monitor_dropped", "Exchanges that no monitor saw.", "system", "reason"
        )
        self._contained = Gauge(
            "bartizan_contained_principals", "Contained principals.", ("system",), registry=self.registry
        )
        self._waiting = Gauge(
            "bartizan_monitor_queued",
            "Exchanges that wait for the monitor.",
            ("system",),
            registry=self.registry,
        )
        self._added = Histogram(
            "bartizan_added_latency_seconds",
            "Bartizan's own share of an exchange.",
            ("system",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._duration = Histogram(
            "bartizan_request_duration_seconds",
            "Whole exchanges.",
            ("system",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge("bartizan_in_flight", "Exchanges being served.", registry=self.registry)
        Gauge("bartizan_build_info", "Version.", ("version",), registry=self.registry).labels(
            __version__
        ).set(1)
        self._timings: dict[str, deque[int]] = defaultdict(lambda: deque(maxlen=_TIMINGS_KEPT))
        self._fault_totals: dict[tuple[str, str], int] = defaultdict(int)
        # Looking a label up costs more than counting; exchanges use these over and over.
        self._by_labels: dict[tuple[str, str, str], Counter] = {}
        self._by_system: dict[str, tuple[Histogram, Histogram]] = {}

    def exchange(self, system: str, protocol: str, action: str, added_us: int, total_us: int) -> None:
        """Count one finished exchange; ``action`` is what was carried out."""
        key = (system, protocol, action)
        child = self._by_labels.get(key)
        if child is None:
            child = self._by_labels[key] = self._requests.labels(*key)
        child.inc()
        pair = self._by_system.get(system)
        if pair is None:
            pair = self._by_system[system] = (self._added.labels(system), self._duration.labels(system))
        pair[0].observe(added_us / 1e6)
        pair[1].observe(total_us / 1e6)

    def verdict(self, system: str, verdict: Verdict) -> None:
        """Count a verdict's findings and faults."""
        for finding in verdict.findings:
            self._findings.labels(system, finding.detector, finding.effect.name.lower()).inc()
        for fault in verdict.faults:
            self._faults.labels(system, fault.detector, fault.reason.value).inc()
            self._fault_totals[system, fault.detector] += 1

    def refused(self, system: str, code: str) -> None:
        """Count a request refused before judgement."""
        self._refused.labels(system, code).inc()

    def upstream_error(self, system: str, reason: str) -> None:
        """Count an upstream failure."""
        self._upstream.labels(system, reason).inc()

    def dropped(self, sink: str = "ledger") -> None:
        """Count a record or an alarm that could not be written."""
        self._dropped.labels(sink).inc()

    def alarm(self, system: str, cause: str) -> None:
        """Count an alarm."""
        self._alarms.labels(system, cause).inc()

    def unwatched(self, system: str, reason: str) -> None:
        """Count an exchange that the monitor did not see."""
        self._unwatched.labels(system, reason).inc()

    def watched(self, system: str, contained: Callable[[], float], queued: Callable[[], float]) -> None:
        """Show how many principals are contained, and how many exchanges wait for the monitor."""
        self._contained.labels(system).set_function(contained)
        self._waiting.labels(system).set_function(queued)
        for reason in ("queue full", "unfit"):
            self._unwatched.labels(system, reason)

    def extra_call(self, system: str, outcome: str) -> None:
        """Count a call of the model about changed copies of rows."""
        self._extra.labels(system, outcome).inc()

    def detector_time(self, detector: str, nanoseconds: int) -> None:
        """Note how long one detector run took."""
        self._timings[detector].append(nanoseconds)

    def detector_cost_us(self, detector: str) -> tuple[int, int]:
        """Return median and 99th percentile of a detector's recent runs, in microseconds."""
        recent = sorted(self._timings.get(detector, ()))
        if not recent:
            return 0, 0
        return recent[len(recent) // 2] // 1000, recent[int(len(recent) * 0.99)] // 1000

    def fault_count(self, system: str, detector: str) -> int:
        """Return how often a detector could not answer since start-up."""
        return self._fault_totals.get((system, detector), 0)

    def exposition(self) -> bytes:
        """Return the Prometheus text format."""
        return generate_latest(self.registry)


def action_of(effect: Effect) -> str:
    """Return the metric label of a carried-out effect."""
    return effect.name.lower()
