"""Runs every peer under every load, and works out the figures."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.latency import load
from benchmarks.latency.load import Load
from benchmarks.latency.peers import DIRECT, Peer, start_streams, start_upstream
from benchmarks.latency.process import Missing, Process
from benchmarks.latency.workload import write_script

CONNECTIONS = (1, 16, 64)
STREAMS = 16
PACE_MS = 5.0
"""Between two chunks of a stream, as a fast model would send them."""
WARM_S = 1.0
NUMBERS = 1_000_000
"""Running numbers set aside for each load."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Cell:
    """One peer under one load.

    Attributes:
        peer: Its name.
        kind: ``whole`` or ``stream``.
        connections: How many at once.
        load: What the load generator saw.
        cpu_us: CPU microseconds per answer, of the peer and its children, work put off included;
            ``None`` where there is no proxy.
        dropped: Records that could not be kept.
        memory_mb: Resident afterwards.
    """

    peer: str
    kind: str
    connections: int
    load: Load
    cpu_us: float | None
    dropped: int
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that was measured, and what could not be."""

    cells: tuple[Cell, ...]
    missing: tuple[tuple[str, str], ...]

    def cell(self, peer: str, kind: str, connections: int) -> Cell | None:
        """Return one measurement, if it was made."""
        for c in self.cells:
            if (c.peer, c.kind, c.connections) == (peer, kind, connections):
                return c
        return None


def measure(peers: Sequence[Peer], seconds: float, connections: Sequence[int], say: Say) -> Results:
    """Measure all peers, one after the other."""
    cells: list[Cell] = []
    missing: list[tuple[str, str]] = []
    for number, peer in enumerate(peers, 1):
        say(f"{peer.name}: {peer.what}")
        with tempfile.TemporaryDirectory(prefix="bartizan-latency-") as name:
            folder = Path(name)
            try:
                cells += _whole(peer, folder, seconds, connections, number)
                if not peer.repeats:
                    cells += _streams(peer, folder, seconds, number)
            except Missing as why:
                missing.append((peer.name, str(why)))
                say(f"  not measured: {why}")
    return Results(tuple(cells), tuple(missing))


def _whole(peer: Peer, folder: Path, seconds: float, connections: Sequence[int], number: int) -> list[Cell]:
    script = folder / "ask.lua"
    write_script(script, repeat=peer.repeats)
    cells = []
    with start_upstream(_made(folder / "upstream"), repeats=peer.repeats) as upstream:
        if peer.start is None:
            for place, count in enumerate(connections):
                got = load.whole(upstream.port, count, seconds, script, _first(number, place))
                cells.append(Cell(peer.name, "whole", count, got, None, 0, 0.0))
            return cells
        with peer.start(_made(folder / "whole"), upstream.port) as proxy:
            load.whole(proxy.port, connections[-1], WARM_S, script, _first(number, 90))
            for place, count in enumerate(connections):
                cells.append(
                    _cell(
                        peer.name, "whole", count, proxy,
                        lambda c=count, p=place: load.whole(proxy.port, c, seconds, script, _first(number, p)),
                    )
                )  # fmt: skip
    return cells


def _streams(peer: Peer, folder: Path, seconds: float, number: int) -> list[Cell]:
    with start_streams(folder, PACE_MS) as upstream:
        if peer.start is None:
            got = load.streams(upstream.port, STREAMS, seconds, _first(number, 50))
            return [Cell(peer.name, "stream", STREAMS, got, None, 0, 0.0)]
        with peer.start(_made(folder / "stream"), upstream.port) as proxy:
            load.streams(proxy.port, STREAMS, WARM_S, _first(number, 91))
            return [
                _cell(
                    peer.name,
                    "stream",
                    STREAMS,
                    proxy,
                    lambda: load.streams(proxy.port, STREAMS, seconds, _first(number, 50)),
                )
            ]


def _cell(name: str, kind: str, connections: int, proxy: Process, run: Callable[[], Load]) -> Cell:
    proxy.settle()
    cpu, dropped = proxy.cpu_s(), proxy.metric("bartizan_events_dropped_total")
    got = run()
    proxy.settle()
    spent = (proxy.cpu_s() - cpu) * 1e6 / max(got.done, 1)
    lost = int(proxy.metric("bartizan_events_dropped_total") - dropped)
    return Cell(name, kind, connections, got, spent, lost, proxy.memory_mb())


def _first(number: int, place: int) -> int:
    return (number * 100 + place) * NUMBERS  # at most ten digits


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def added(results: Results, cell: Cell) -> tuple[float, float] | None:
    """Return the median and the 99th percentile beyond the direct call's, in microseconds."""
    direct = results.cell(DIRECT, cell.kind, cell.connections)
    if direct is None:
        return None
    return cell.load.p50_us - direct.load.p50_us, cell.load.p99_us - direct.load.p99_us


def ratio(results: Results, cell: Cell, other: str) -> float | None:
    """Return how many answers a core gives against another peer's, by CPU time.

    CPU time, because on a shared machine requests per second measure the neighbours as well.
    """
    base = results.cell(other, cell.kind, cell.connections)
    if base is None or not base.cpu_us or not cell.cpu_us:
        return None
    return base.cpu_us / cell.cpu_us
