"""Searches through queries against honest clients that look alike: who is signalled, when, and what was won by then.

Two systems (digits, a table), ART's attacks and our own, attackers who know everything but the key,
two ways to copy a model; against them ordinary, retrying, load-testing and trying-out clients and
those that explain, ours and the packages ``lime`` and ``shap``, all on rows and seeds that
calibration never saw. Beside: Blacklight and PRADA, written again, always alarming, and alarming at random.

An attack has succeeded when a row within the *budget* is answered with another class; the budget
is the median distance that undefended attacks reach. It counts as defended when the first
alarm on any of the attacker's accounts comes before. ``10 accounts``: only accounts that a signal
names are contained, and the attacker goes on from the next one until ten are.

``BARTIZAN_PEERS`` names an interpreter with ``requirements-art.txt``; ``BARTIZAN_BENCH_CACHE`` a
folder for calibration tables.

Run with ``python -m benchmarks.monitoring queries [--quick] [--json FILE]``.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import bartizan
from bartizan.alarms import Events
from bartizan.calibration.session_file import decode, encode
from bartizan.calibration.sessions import SessionTable
from bartizan.monitoring.baseline import Baseline
from bartizan.monitoring.clients import KINDS, Recorded, World, run_clients, simulate_benign
from bartizan.monitoring.learning import learn
from bartizan.monitoring.localisation import stands_out
from bartizan.monitoring.recent import Stretch, stretch_of
from bartizan.monitoring.sessions import SEARCHES, SESSIONS, SessionWatch, learn_sessions
from bartizan.stats.intervals import clopper_pearson
from benchmarks.monitoring import adaptive
from benchmarks.monitoring.attacks import SIZES, Log, drive, foreign_logs, nes, own_logs, simba, thefts
from benchmarks.monitoring.figures import console, grid
from benchmarks.monitoring.foreign import Foreign, interpreters, pack
from benchmarks.monitoring.stateful import PEERS, Course
from benchmarks.monitoring.systems import FloatArray, Rng, System, digits_system, table_system

CACHE = "BARTIZAN_BENCH_CACHE"
RATE = 1e-3
ACCOUNTS = 10
MOST = 4000
"""Queries of an attack with all that hides it."""

LOOK_ALIKE = ("lime", "kernel shap", "lime package", "shap package")
BLOCK = 100
"""Honest sessions that share one watch, so that they may be taken for one another's."""

LOCAL = 10
"""Attacks of each kind whose first signal is also held against ordinary traffic, which takes long."""

ORDINARY, TENANTS = 1000, 50
CALIBRATION_KEY = b"calibration"


def run(*, quick: bool = False) -> dict[str, Any]:
    """Return all figures, by system."""
    pythons = interpreters()
    if not pythons:
        print("queries: no interpreter has ART, lime and shap; own attacks only", file=sys.stderr)
    systems = (digits_system(), table_system())
    return {s.name: _System(s, pythons[0] if pythons else None, quick=quick).figures() for s in systems}


class _System:
    """Everything about one system."""

    def __init__(self, system: System, python: str | None, *, quick: bool) -> None:
        self.system, self.python, self.quick = system, python, quick
        self.attacks = 8 if quick else 100
        self.adaptive = 6 if quick else 60
        self.routed = 2 if quick else 15
        self.honest = 8 if quick else 150
        self.explaining = 10 if quick else 300
        self.thefts = 2 if quick else 20
        self.table = _table(system, quick=quick)
        self.local = _Local(system)
        self.ordinary = system.model(system.held_out[0])
        self.budget = np.inf

    def figures(self) -> dict[str, Any]:
        """Return every table of this system."""
        with _timed(f"{self.system.name}: attacks"):
            logs = self._logs()
        near = [d for log in logs if np.isfinite(d := log.nearest(self.system))]
        self.budget = float(np.median(near))
        known = adaptive.Knowledge(self.system, self.table.scale, self.budget)
        with _timed(f"{self.system.name}: adaptive attacks"):
            searches = self._adaptive(known, adaptive.SEARCHES)
            others = self._adaptive(known, adaptive.NOT_SEARCHES)
        with _timed(f"{self.system.name}: replays"):
            plain = self._cells(logs, adaptive.plain, local=LOCAL)
            adapted = self._cells(searches, adaptive.plain, local=LOCAL)
            beyond = self._cells(others, adaptive.plain, local=LOCAL)
            few = _first(logs, self.routed)
            routed = {name: self._cells(few, route, joint=True) for name, route in self._routes().items()}
        with _timed(f"{self.system.name}: honest clients"):
            benign = list(self._benign())
            honest = self._honest(benign)
        with _timed(f"{self.system.name}: extraction"):
            stolen = self._stolen()
        with _timed(f"{self.system.name}: peers"):
            peers = self._peers(logs + searches, benign)
        level = self.table.level(RATE)
        return {
            "attacks": plain,
            "adaptive": {**adapted, **{f"route: {k}": v["all"] for k, v in routed.items()}},
            "routes": routed,
            "beyond": beyond,
            "honest": honest,
            "extraction": stolen,
            "peers": peers,
            "pairs": self._pairs(),
            "budget": self.budget,
            "rate": level.rate,
            "kind_rates": dict(level.kind_rates),
            "sessions": self.table.statistics.n,
            "near": self.table.scale.near * self.table.scale.unit,
        }

    # --- attacks ---------------------------------------------------------------------------------

    def _logs(self) -> list[Log]:
        size = SIZES[self.system.name]
        logs = [] if self.python is None else foreign_logs(self.system, self.python, self.attacks, 1)
        logs += own_logs(self.system, "SimBA", simba(size), self.attacks, 2)
        return logs + own_logs(self.system, "NES", nes(size), self.attacks, 3)

    def _adaptive(
        self, known: adaptive.Knowledge, makers: dict[str, Callable[[adaptive.Knowledge], adaptive.Make]]
    ) -> list[Log]:
        return [
            log
            for name, make in makers.items()
            for log in own_logs(self.system, name, make(known), self.adaptive, 4)
        ]

    def _routes(self) -> dict[str, adaptive.Route]:
        return {
            f"{ACCOUNTS} accounts in turn": adaptive.over(ACCOUNTS),
            "a new account every 7 queries": adaptive.blocks(7),
            "hidden among 50% ordinary": adaptive.hidden(0.5),
            "hidden among 80% ordinary": adaptive.hidden(0.8),
            "hidden among 95% ordinary": adaptive.hidden(0.95),
            "a pause every 40 queries": adaptive.paused(40),
            "a pause every 7 queries": adaptive.paused(7),
            "new account before own copy signals": adaptive.budgeted(self.table),
        }

    def _cells(
        self, logs: Sequence[Log], route: adaptive.Route, *, local: int = 0, joint: bool = False
    ) -> dict[str, Any]:
        """Return figures by kind of attack, and, with ``joint``, over all."""
        by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for number, log in enumerate(logs):
            rng = np.random.default_rng([9, number])
            found = self._replay(log, route, rng, local=len(by_kind[log.kind]) < local)
            by_kind[log.kind].append(found)
        cells = {kind: _attack_cell(found) for kind, found in by_kind.items()}
        if joint:
            cells["all"] = _attack_cell([f for found in by_kind.values() for f in found])
        return cells

    def _replay(self, log: Log, route: adaptive.Route, rng: Rng, *, local: bool) -> dict[str, Any]:
        watch = SessionWatch(self.table, rng.bytes(16))
        success, far = (log.success(self.system, d) for d in (self.budget, np.inf))
        rows = self.system.held_out[0]
        first: int | None = None
        held: set[str] = set()
        k, now, asked, won, called, sent = 0, 0.0, 0, False, None, []
        for k, sending in enumerate(route(log, rng)):
            name = _free(sending.account, held)
            queries = [(rows[i], self.ordinary[i]) for i in rng.integers(len(rows), size=sending.hidden)]
            for row, outputs in [*queries, (log.rows[k], log.outputs[k])]:
                now += sending.pause if not queries else 1.0
                asked += 1
                sent.append((name, row, outputs))
                signal = watch.observe(name, now, row, outputs)
                if signal is None:
                    continue
                held |= {signal.principal, *signal.accounts}
                if first is None:
                    first = k
                    called = self.local.stands_out(sent, signal.principal, rng) if local else None
            if k == success:
                won = True
            if len(held) >= ACCOUNTS or asked > MOST or (first is not None and (won or success is None)):
                break
        return {
            "undefended": success,
            "alarm": first,
            "before": success is not None and (won if first is None else success <= first),
            "far": far is not None and far <= (k if first is None else first),
            "ten": won,
            "called": called,
        }

    # --- honest clients --------------------------------------------------------------------------

    def _benign(self) -> Iterator[Recorded]:
        rows = self.system.held_out[0]
        world = World.of(rows)
        for name, (_, client) in KINDS.items():
            rng = np.random.default_rng([10, sum(name.encode())])
            n = self.explaining if name in LOOK_ALIKE else self.honest
            yield from run_clients(iter([(name, client(world, rng)) for _ in range(n)]), self.system.model)
        if self.python is None:
            return
        child = Foreign(self.python, self.system.known[0][:150])
        for do in ("lime", "shap"):
            rng = np.random.default_rng([11, len(do)])
            for number in range(self.explaining):
                yield self._explained(child, do, number, rng)
        child.close()

    def _explained(self, child: Foreign, do: str, number: int, rng: Rng) -> Recorded:
        rows, asked = self.system.held_out[0], []

        def answer(points: FloatArray) -> FloatArray:
            asked.extend(points)
            return self.system.model(points)

        chosen = rows[rng.integers(len(rows), size=int(rng.integers(1, 4)))]
        square = self.system.shape[0] == self.system.shape[1]
        problem = child.session(answer, do=do, seed=number, rows=pack(chosen), image=square)
        if problem:
            raise RuntimeError(f"{do}: {problem}")
        found = np.array(asked)
        return Recorded(f"{do} package", found, self.system.model(found), (0,) * len(found))

    def _honest(self, sessions: Sequence[Recorded]) -> dict[str, Any]:
        rng = np.random.default_rng(12)
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for begin in range(0, len(sessions), BLOCK):
            watch, now = SessionWatch(self.table, rng.bytes(16)), 0.0
            for number, session in enumerate(sessions[begin : begin + BLOCK]):
                cell = counts[session.kind]
                signalled, called, sent = False, False, []
                for row, outputs, account in zip(
                    session.rows, session.outputs, session.accounts, strict=True
                ):
                    now += 1.0
                    name = f"{number}/{account}"
                    sent.append((name, row, outputs))
                    signal = watch.observe(name, now, row, outputs)
                    if signal is not None:
                        signalled = True
                        called |= bool(self.local.stands_out(sent, signal.principal, rng))
                cell[0] += 1
                cell[1] += signalled
                cell[2] += called
        counts["all"] = [sum(c[i] for c in counts.values()) for i in range(3)]
        counts["LIME and SHAP, ours and packages"] = [
            sum(counts[k][i] for k in LOOK_ALIKE if k in counts) for i in range(3)
        ]
        return {
            kind: {
                "n": n,
                "signalled": signalled,
                "called": called,
                "signalled_interval": clopper_pearson(signalled, n),
                "called_interval": clopper_pearson(called, n),
            }
            for kind, (n, signalled, called) in counts.items()
        }

    # --- copies, peers, pairs --------------------------------------------------------------------

    def _stolen(self) -> dict[str, Any]:
        cells: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for number, theft in enumerate(thefts(self.system, self.thefts)):
            log = theft.log
            watch = SessionWatch(self.table, np.random.default_rng([13, number]).bytes(16))
            pairs = zip(log.rows, log.outputs, strict=True)
            signals = (watch.observe("0", float(k), row, outputs) for k, (row, outputs) in enumerate(pairs))
            first = next((k for k, signal in enumerate(signals) if signal is not None), None)
            cells[log.kind].append(
                {
                    "queries": len(log.rows),
                    "alarm": first,
                    "agreement": theft.agreement(len(log.rows)),
                    "before": theft.agreement(len(log.rows) if first is None else first + 1),
                }
            )
        return {
            kind: {
                "n": len(found),
                "queries": found[0]["queries"],
                "alarmed": sum(f["alarm"] is not None for f in found),
                "alarm": _median(f["alarm"] for f in found),
                "agreement": float(np.mean([f["agreement"] for f in found])),
                "before": float(np.mean([f["before"] for f in found])),
            }
            for kind, found in cells.items()
        }

    def _peers(self, logs: Sequence[Log], benign: Sequence[Recorded]) -> dict[str, Any]:
        rng = np.random.default_rng(14)
        n = 40 if self.quick else 1000
        calibration = list(simulate_benign(self.system.calibration, self.system.model, n, rng))
        logs = _first(logs, 3 if self.quick else 40)
        found: dict[str, Any] = {}
        for peer in PEERS:
            defence = peer(self.system)
            tuned = max(defence.course(s.rows, s.outputs).largest for s in calibration)
            attacked = [(log, defence.course(log.rows, log.outputs)) for log in logs]
            honest = [(s.kind, defence.course(s.rows, s.outputs)) for s in benign]
            settings = {**defence.defaults, f"{defence.name}, 1 in {n + 1:,}": tuned}
            for name, threshold in settings.items():
                found[name] = self._peer_cell(attacked, honest, threshold)
        found["always"] = self._chance(logs, benign, 1.0)
        mean = float(np.mean([len(s.rows) for s in calibration]))
        found[f"random, 1 in {1 / RATE:,.0f}"] = self._chance(logs, benign, RATE / mean)
        return found

    def _peer_cell(
        self, attacked: Sequence[tuple[Log, Course]], honest: Sequence[tuple[str, Course]], threshold: float
    ) -> dict[str, Any]:
        attacks = []
        for log, course in attacked:
            first, success = course.first(threshold), log.success(self.system, self.budget)
            attacks.append((first, success is not None and (first is None or success <= first)))
        signalled = defaultdict(list)
        for kind, course in honest:
            signalled[kind].append(course.largest > threshold)
        return {
            "alarmed": float(np.mean([first is not None for first, _ in attacks])),
            "alarm": _median(first for first, _ in attacks),
            "before": float(np.mean([before for _, before in attacks])),
            "honest": float(np.mean([s for kind in signalled.values() for s in kind])),
            "alike": float(np.mean([s for kind in LOOK_ALIKE for s in signalled.get(kind, [])])),
        }

    def _chance(self, logs: Sequence[Log], benign: Sequence[Recorded], rate: float) -> dict[str, Any]:
        """Alarm at each query with one probability: exact expectations."""
        never = 1.0 - rate
        won = [
            never ** log.success(self.system, self.budget)
            if log.success(self.system, self.budget) is not None
            else 0.0
            for log in logs
        ]
        sessions = [(s.kind, 1.0 - never ** len(s.rows)) for s in benign]
        return {
            "alarmed": float(np.mean([1.0 - never ** len(log.rows) for log in logs])),
            "alarm": 1.0 if rate == 1.0 else None,
            "before": float(np.mean(won)) if rate < 1.0 else 0.0,
            "honest": float(np.mean([p for _, p in sessions])),
            "alike": float(np.mean([p for kind, p in sessions if kind in LOOK_ALIKE])),
        }

    def _pairs(self) -> dict[str, Any]:
        """An attack by SimBA, and a tester who asks how far the nearest other answer is: same seed, two programs."""
        n = 10 if self.quick else 60
        size = SIZES[self.system.name]
        targets = self.system.targets(n, np.random.default_rng(15))
        starts, labels = self.system.held_out[0][targets], self.system.held_out[1][targets]

        def asked(make: Callable[[FloatArray, int, Rng], Any]) -> list[Any]:
            cubes = self.system.cube(starts)
            made = [
                make(c, int(y), np.random.default_rng([16, k]))
                for k, (c, y) in enumerate(zip(cubes, labels, strict=True))
            ]
            return drive(self.system, made, 1000)

        attack, probe = asked(simba(size)), asked(boundary_probe(size))
        same = sum(a[0].tobytes() == p[0].tobytes() for a, p in zip(attack, probe, strict=True))
        alarms = [
            sum(self._signals(rows, outputs, k) for k, (rows, outputs, _) in enumerate(sessions))
            for sessions in (attack, probe)
        ]
        return {"n": n, "identical": same, "attack": alarms[0], "probe": alarms[1]}

    def _signals(self, rows: FloatArray, outputs: FloatArray, seed: int) -> bool:
        watch = SessionWatch(self.table, np.random.default_rng([17, seed]).bytes(16))
        pairs = zip(rows, outputs, strict=True)
        return any(watch.observe("0", float(k), r, o) is not None for k, (r, o) in enumerate(pairs))


def boundary_probe(size: float) -> Callable[[FloatArray, int, Rng], Any]:
    """Test how robust an answer is: one value at a time up or down, keep what makes the model less sure."""

    def client(row: FloatArray, label: int, rng: Rng) -> Any:
        answers = [(yield row)]
        kept = row
        while True:
            for value in rng.permutation(len(row)):
                for edit in (size, -size):
                    edited = kept.copy()
                    edited[value] = min(max(edited[value] + edit, 0.0), 1.0)
                    answers.append((yield edited))
                    if int(answers[-1].argmax()) != label:
                        return  # the tester notes down how many values it took
                    if answers[-1][label] < answers[0][label]:
                        kept, answers[0] = edited, answers[-1]
                        break

    return client


class _Local:
    """The second kind of evidence: does a principal stand out among ordinary traffic?"""

    def __init__(self, system: System) -> None:
        rng = np.random.default_rng(18)
        rows = system.calibration[rng.integers(len(system.calibration), size=4000)]
        self._rng = rng
        self._baseline: Baseline = learn(
            _events(rows, system.model(rows), [f"{k % TENANTS}" for k in range(len(rows))]),
            name=system.name,
            created=0.0,
            rng=rng,
        )
        chosen = rng.integers(len(system.held_out[0]), size=ORDINARY)
        self._rows = system.held_out[0][chosen]
        self._outputs = system.model(self._rows)
        self._names = [f"tenant {k % TENANTS}" for k in range(ORDINARY)]

    def stands_out(self, sent: Sequence[tuple[str, FloatArray, FloatArray]], who: str, rng: Rng) -> bool:
        """Return whether a principal's queries among ordinary ones follow another law."""
        rows = np.vstack([self._rows, [row for _, row, _ in sent]])
        outputs = np.vstack([self._outputs, [answer for _, _, answer in sent]])
        events = _events(rows, outputs, self._names + [name for name, _, _ in sent])
        return stands_out(self._stretch(events), who, rng, 1).answer == "yes"

    def _stretch(self, events: Events) -> Stretch:
        n = len(events)
        bins = self._baseline.bins(events, self._rng.random((n, len(self._baseline.streams))))
        return stretch_of(events, np.arange(n), bins, np.ones(n, np.bool_))


def _events(rows: FloatArray, outputs: FloatArray, names: Sequence[str]) -> Events:
    columns = {f"{k}": column for k, column in enumerate(rows.T)}
    return Events(np.arange(len(rows), dtype=np.float64), columns, outputs, tuple(names))


def _table(system: System, *, quick: bool) -> SessionTable:
    """Return the calibration table, from the cache if nothing that it depends on has changed."""
    sessions, searches = (600, 180) if quick else (SESSIONS, SEARCHES)
    root = Path(bartizan.__file__).parent
    digest = hashlib.sha256(f"{system.name} {sessions} {searches}".encode())
    for folder in ("features", "detectors/sequence", "calibration", "stats", "monitoring"):
        for path in sorted((root / folder).glob("*.py")):
            if folder != "monitoring" or path.name in ("clients.py", "searchers.py", "sessions.py"):
                digest.update(path.read_bytes())
    folder = os.environ.get(CACHE)
    place = Path(folder) / f"sessions-{digest.hexdigest()[:16]}.table" if folder else None
    if place is not None and place.exists():
        return decode(place.read_bytes())
    with _timed(f"{system.name}: calibration"):
        table = learn_sessions(
            system.calibration,
            system.model,
            np.random.default_rng(11),
            key=CALIBRATION_KEY,
            name=system.name,
            created=0.0,
            sessions=sessions,
            searches=searches,
        )
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(encode(table))
    return table


def _attack_cell(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    alarmed = sum(f["alarm"] is not None for f in found)
    before = sum(f["before"] for f in found)
    called = [f["called"] for f in found if f["called"] is not None]
    wins = [f["undefended"] + 1 for f in found if f["undefended"] is not None]
    return {
        "n": len(found),
        "undefended": len(wins),
        "wins": [float(q) for q in np.quantile(wins, (0.1, 0.5))] if wins else None,
        "alarmed": alarmed,
        "alarmed_interval": clopper_pearson(alarmed, len(found)),
        "alarm": _median(f["alarm"] for f in found),
        "before": before,
        "before_interval": clopper_pearson(before, len(found)),
        "far": sum(f["far"] for f in found),
        "ten": sum(f["ten"] for f in found),
        "called": float(np.mean(called)) if called else None,
    }


def _free(account: int, held: set[str]) -> str:
    """Return the account, or the next one of the same attacker that is not contained."""
    while f"{account}" in held:
        account += 1000
    return f"{account}"


def _first(logs: Iterable[Log], n: int) -> list[Log]:
    """Return the first ``n`` logs of each kind."""
    seen: dict[str, int] = defaultdict(int)
    kept = []
    for log in logs:
        seen[log.kind] += 1
        if seen[log.kind] <= n:
            kept.append(log)
    return kept


def _median(found: Iterable[int | None]) -> float | None:
    """Return the median number of queries to an alarm over those that were alarmed."""
    known = [f + 1 for f in found if f is not None]
    return float(np.median(known)) if known else None


class _timed:  # noqa: N801
    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        print(f"{self._what}: {time.perf_counter() - self._start:,.0f} s", file=sys.stderr, flush=True)


# --- tables --------------------------------------------------------------------------------------


def show(results: dict[str, Any]) -> None:
    """Print every table."""
    out = console()
    for name, r in results.items():
        heading = (
            f"{name}; at most 1 in {1 / r['rate']:,.0f} benign sessions signals ({r['sessions']:,} ranked); "
            f"budget {r['budget']:.2f}, near copies within {r['near']:.2f} spreads"
        )
        out.print(_attack_table(heading, r["attacks"]))
        out.print(_attack_table("attackers who know all but the key", r["adaptive"]))
        out.print(_route_table(r["routes"]))
        out.print(_attack_table("no search: honest queries, then one row", r["beyond"]))
        out.print(_honest_table(r["honest"]))
        out.print(_stolen_table(r["extraction"]))
        out.print(_peer_table(r["peers"]))
        p = r["pairs"]
        out.print(
            f"SimBA and a robustness tester, same seed: {p['identical']} of {p['n']} sessions identical to the byte up to "
            f"the flip; signalled {p['attack']} and {p['probe']}. Nothing in the queries can tell them apart."
        )
        out.print(_bar(r))


def _attack_table(title: str, cells: dict[str, Any]) -> Any:
    table = grid(
        title, "attack", "n", "undefended", "queries to win: 10%, 50%", "alarmed (95%)", "queries to alarm", "won before alarm (95%)",
        "any distance", "10 accounts", "called attack",
    )  # fmt: skip
    for kind, c in cells.items():
        n = c["n"]
        table.add_row(
            kind,
            f"{n}",
            f"{c['undefended'] / n:.0%}",
            "-" if c["wins"] is None else f"{c['wins'][0]:,.0f}, {c['wins'][1]:,.0f}",
            f"{c['alarmed'] / n:.0%} {_between(c['alarmed_interval'])}",
            _number(c["alarm"]),
            f"{c['before'] / n:.1%} {_between(c['before_interval'])}",
            f"{c['far'] / n:.0%}",
            f"{c['ten'] / n:.0%}",
            "-" if c["called"] is None else f"{c['called']:.0%}",
        )
    return table


def _route_table(routes: dict[str, Any]) -> Any:
    kinds = [k for k in next(iter(routes.values())) if k != "all"]
    table = grid("won before any alarm, by route and attack (in brackets: with 10 accounts)", "route", *kinds)
    for name, cells in routes.items():
        table.add_row(
            name,
            *(
                f"{cells[k]['before'] / cells[k]['n']:.0%} ({cells[k]['ten'] / cells[k]['n']:.0%})"
                for k in kinds
            ),
        )
    return table


def _honest_table(cells: dict[str, Any]) -> Any:
    table = grid(
        "honest clients, held-out rows", "client", "sessions", "signalled (95%)", "called attack (95%)"
    )
    for kind, c in cells.items():
        n = c["n"]
        table.add_row(
            kind,
            f"{n:,}",
            f"{c['signalled'] / n:.2%} {_between(c['signalled_interval'])}",
            f"{c['called'] / n:.2%} {_between(c['called_interval'])}",
        )
    return table


def _stolen_table(cells: dict[str, Any]) -> Any:
    table = grid(
        "copies: agreement with the model on held-out rows", "extraction", "n", "queries", "alarmed",
        "queries to alarm", "agreement undefended", "at the alarm",
    )  # fmt: skip
    for kind, c in cells.items():
        table.add_row(
            kind, f"{c['n']}", f"{c['queries']:,}", f"{c['alarmed'] / c['n']:.0%}", _number(c["alarm"]),
            f"{c['agreement']:.1%}", f"{c['before']:.1%}",
        )  # fmt: skip
    return table


def _peer_table(cells: dict[str, Any]) -> Any:
    table = grid(
        "peers, same sessions (attacks plain and adaptive)", "defence", "attacks alarmed", "queries to alarm",
        "won before alarm", "honest sessions alarmed", "LIME and SHAP alarmed",
    )  # fmt: skip
    for name, c in cells.items():
        table.add_row(
            name,
            f"{c['alarmed']:.0%}",
            _number(c["alarm"]),
            f"{c['before']:.1%}",
            f"{c['honest']:.2%}",
            f"{c['alike']:.2%}",
        )
    return table


def _bar(r: dict[str, Any]) -> str:
    missed = [
        f"{kind} {c['before'] / c['n']:.0%}"
        for kind, c in {**r["attacks"], **r["adaptive"]}.items()
        if c["before"] > 0.1 * c["n"]
    ]
    alike = r["honest"]["LIME and SHAP, ours and packages"]
    good = alike["called"] <= 0.01 * alike["n"]
    return (
        f"Bar: at most 10% won before the alarm: {'held' if not missed else 'missed by ' + ', '.join(missed)}; at most 1% of "
        f"LIME and SHAP sessions called attack: {'held' if good else 'missed'} ({alike['called']} of {alike['n']:,}).\n"
    )


def _between(interval: Sequence[float]) -> str:
    low, high = interval
    return f"[{low:.1%}, {high:.1%}]" if high < 0.1 else f"[{low:.0%}, {high:.0%}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
