"""Attackers who know the defence: every feature, the table, how thresholds are drawn; all but the key.

Two ways to adapt. *Searches* choose other queries: steps so large that queries are no near
copies, proposals drawn again until the attacker's own copy of the defence sees nothing near (OARS, Feng
et al., CCS 2023), random rows without feedback, and two that do not search at all: a cloud as
explainers send it and then one step, and rows computed on a copy. *Routes* send the same queries otherwise: over
accounts, among ordinary queries, with pauses, or until the attacker's own copy nears its threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bartizan.calibration.sessions import SessionTable
from bartizan.features.principals import IDLE_SECONDS
from bartizan.features.sessions import RING
from bartizan.features.sketch import Scale
from bartizan.monitoring.sessions import SessionWatch
from benchmarks.monitoring.attacks import Log, Search, surrogate
from benchmarks.monitoring.systems import FloatArray, Rng, System

TRIES = 10
"""Proposals drawn until one is far enough from what was sent."""

MARGIN = 1.3
"""Sketches keep distances within about a fifth; attackers stay this much farther apart than near."""

SMALLEST = 1e-9
BUDGET_MARGIN = 1.0
"""Natural-log units below the lowest threshold at which an attacker changes accounts."""

Make = Callable[[FloatArray, int, Rng], Search]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What an attacker knows of the defence, and how near its row has to be.

    Attributes:
        system: Who is attacked.
        scale: In which units the defence measures.
        budget: Largest distance of a success.
    """

    system: System
    scale: Scale
    budget: float

    def seen(self, point: FloatArray) -> FloatArray:
        """Return a point in units of near, as the defence sees it before it projects."""
        unit = self.scale.unit * self.scale.near
        return np.asarray(point * self.system.width / (self.scale.spread * unit))

    def within(self, start: FloatArray, point: FloatArray, share: float = 1.0) -> FloatArray:
        """Return a point moved into the ball of a share of the budget."""
        step = (point - start) * self.system.weight
        length = float(np.linalg.norm(step))
        limit = share * self.budget
        moved = point if length <= limit else start + (point - start) * limit / length
        return np.asarray(np.clip(moved, 0.0, 1.0))

    def way(self, rng: Rng, size: float = 1.0) -> FloatArray:
        """Return a random step of a length that is a share of the budget."""
        step = rng.standard_normal(len(self.system.weight)) / self.system.weight
        return np.asarray(size * self.budget * step / np.linalg.norm(step * self.system.weight))


class Sent:
    """What an attacker has sent: it draws proposals until one is no near copy."""

    def __init__(self, known: Knowledge) -> None:
        self._known = known
        self._sent = np.empty((RING, len(known.system.width)))
        self._count = 0

    def choose(self, propose: Callable[[], FloatArray]) -> FloatArray:
        """Return the first proposal that is far from everything sent, or the farthest of them all."""
        best, farthest = propose(), -1.0
        sent = self._sent[: min(self._count, RING)]
        for _ in range(TRIES if len(sent) else 0):
            point = propose()
            gap = float(np.linalg.norm(sent - self._known.seen(point), axis=1).min())
            if gap > farthest:
                best, farthest = point, gap
            if gap >= MARGIN:
                break
        self._sent[self._count % RING] = self._known.seen(best)
        self._count += 1
        return best


# --- searches ------------------------------------------------------------------------------------


def oars_simba(known: Knowledge) -> Make:
    """Random large steps from the best point, drawn again while near to what was sent."""

    def search(start: FloatArray, label: int, rng: Rng) -> Search:
        sent, here = Sent(known), start
        best = (yield sent.choose(lambda: start))[label]
        while True:
            size = rng.uniform(0.4, 1.2)
            trial = sent.choose(lambda here=here, size=size: known.within(start, here + known.way(rng, size)))
            answer = yield trial
            if answer.argmax() != label:
                return
            if answer[label] < best:
                here, best = trial, answer[label]

    return search


def oars_nes(known: Knowledge) -> Make:
    """Gradient estimates from few, wide samples; steps of a third of the budget."""

    def search(start: FloatArray, label: int, rng: Rng) -> Search:
        sent, here = Sent(known), start
        while True:
            points, losses = [], []
            for _ in range(8):
                point = sent.choose(
                    lambda here=here: np.clip(here + known.way(rng, rng.uniform(0.5, 1.0)), 0.0, 1.0)
                )
                answer = yield point
                if answer.argmax() != label:
                    return
                points.append(point - here)
                losses.append(np.log(answer[label] + SMALLEST))
            gradient = (np.array(losses) - np.mean(losses)) @ np.array(points)
            step = -gradient / known.system.weight**2
            length = float(np.linalg.norm(step * known.system.weight)) + SMALLEST
            here = known.within(start, here + step * known.budget / (3.0 * length))

    return search


def oars_boundary(known: Knowledge) -> Make:
    """Boundary walk from an ordinary row of another class; few and large steps."""

    def search(start: FloatArray, label: int, rng: Rng) -> Search:
        sent, pool = Sent(known), known.system.cube(known.system.known[0])
        here = start
        for _ in range(50):
            here = sent.choose(lambda: pool[rng.integers(len(pool))])
            if (yield here).argmax() != label:
                break
        inwards = 0.3
        while True:

            def propose(here: FloatArray = here, inwards: float = inwards) -> FloatArray:
                away = here - start
                step = rng.standard_normal(len(start)) * np.linalg.norm(away) / np.sqrt(len(start))
                return np.clip(start + (away + 0.5 * step) * (1.0 - inwards), 0.0, 1.0)

            trial = sent.choose(propose)
            if (yield trial).argmax() != label:
                here, inwards = trial, min(0.5, inwards * 1.2)
            else:
                inwards *= 0.9

    return search


def oars_hop_skip_jump(known: Knowledge) -> Make:
    """HopSkipJump with probes too wide to be near copies, and searches of three halvings."""

    def search(start: FloatArray, label: int, rng: Rng) -> Search:
        sent, pool = Sent(known), known.system.cube(known.system.known[0])
        here = start
        for _ in range(50):
            here = sent.choose(lambda: pool[rng.integers(len(pool))])
            if (yield here).argmax() != label:
                break
        while True:
            near, far, other = 0.0, 1.0, here
            for _ in range(3):
                middle = (near + far) / 2.0
                answer = yield start + middle * (other - start)
                near, far = (near, middle) if answer.argmax() != label else (middle, far)
            here = start + far * (other - start)
            ways, signs = [], []
            for _ in range(20):
                point = sent.choose(lambda here=here: np.clip(here + known.way(rng), 0.0, 1.0))
                answer = yield point
                ways.append(point - here)
                signs.append(1.0 if answer.argmax() != label else -1.0)
            normal = (np.array(signs) - np.mean(signs) * (abs(np.mean(signs)) < 1.0)) @ np.array(ways)
            jump = normal / (np.linalg.norm(normal) + SMALLEST) * np.linalg.norm(here - start)
            trial = np.clip(here + 0.5 * jump, 0.0, 1.0)
            if (yield trial).argmax() != label:
                here = trial

    return search


def ball(known: Knowledge) -> Make:
    """Random rows at the largest distance, no feedback: a check of robustness sends the same."""

    def search(start: FloatArray, label: int, rng: Rng) -> Search:
        while True:
            yield known.within(start, start + known.way(rng))

    return search


def restarts(known: Knowledge) -> Make:
    """SimBA in wide steps that starts anew from an account of its own every 30 queries."""

    def search(start: FloatArray, label: int, rng: Rng) -> Search:
        for account in range(1000):
            inner = oars_simba(known)(known.within(start, start + known.way(rng, 0.3)), label, rng)
            point = next(inner)
            for _ in range(30):
                answer = yield known.within(start, point), account
                try:
                    point = inner.send(answer)
                except StopIteration:
                    return

    return search


def explain_then_step(known: Knowledge, samples: int = 150) -> Make:
    """Send a cloud as LIME does, fit a line to the answers, then ask about one row, twice if need be."""

    def search(start: FloatArray, label: int, rng: Rng) -> Search:
        deviation = known.system.cube(known.system.known[0]).std(axis=0)
        while True:
            points, answers = [start], [(yield start)]
            for _ in range(samples):
                point = np.clip(start + 0.5 * deviation * rng.standard_normal(len(start)), 0.0, 1.0)
                answers.append((yield point))
                points.append(point)
            logs = np.log(np.array(answers) + SMALLEST)
            moved = (np.array(points) - start) / (deviation + SMALLEST) * (deviation > 0)
            gram = moved.T @ moved + 5.0 * np.eye(len(start))
            slopes = np.linalg.solve(gram, moved.T @ (logs - logs.mean(axis=0)))
            slopes = slopes * (deviation > 0)[:, None] / (deviation + SMALLEST)[:, None]
            leads = slopes - slopes[:, [label]]
            rival = int(np.argsort(logs[0])[-2] if logs[0].argmax() == label else logs[0].argmax())
            for other in dict.fromkeys((rival, int(np.linalg.norm(leads, axis=0).argmax()))):
                yield _step(known, start, leads[:, other])

    return search


def transfer(known: Knowledge, seed: int = 0) -> Make:
    """Compute a row on a copy that was trained on natural rows; ask once, and once more at half the way."""
    _, gradient = surrogate(known.system, seed)

    def search(start: FloatArray, label: int, rng: Rng) -> Search:
        for share in (1.0, 0.7):
            here = start
            for _ in range(20):
                way = gradient(here[None], np.array([label]))[0] / known.system.weight**2
                length = float(np.linalg.norm(way * known.system.weight)) + SMALLEST
                here = known.within(start, here + 0.2 * known.budget * way / length, share)
            yield here

    return search


def _step(known: Knowledge, start: FloatArray, slope: FloatArray) -> FloatArray:
    way = slope / known.system.weight**2
    length = float(np.linalg.norm(way * known.system.weight)) + SMALLEST
    return known.within(start, start + way * known.budget / length)


SEARCHES: dict[str, Callable[[Knowledge], Make]] = {
    "OARS SimBA": oars_simba,
    "OARS NES": oars_nes,
    "OARS Boundary": oars_boundary,
    "OARS HopSkipJump": oars_hop_skip_jump,
    "random restarts, new accounts": restarts,
    "random rows, no feedback": ball,
}
"""Searches that adapt their queries."""

NOT_SEARCHES: dict[str, Callable[[Knowledge], Make]] = {
    "LIME's cloud, then one step": explain_then_step,
    "row of a copy (transfer)": transfer,
}
"""What no watch over searches can see: their queries are those of honest clients, up to the last."""


# --- routes --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sending:
    """How one query is sent.

    Attributes:
        account: From which account.
        hidden: Ordinary queries of the same account before it.
        pause: Seconds before it.
    """

    account: int
    hidden: int = 0
    pause: float = 1.0


Route = Callable[[Log, Rng], Iterator[Sending]]


def plain(log: Log, rng: Rng) -> Iterator[Sending]:
    """Send as the search does."""
    for account in log.accounts:
        yield Sending(int(account))


def over(accounts: int) -> Route:
    """Send from accounts in turn."""

    def route(log: Log, rng: Rng) -> Iterator[Sending]:
        for k in range(len(log.rows)):
            yield Sending(k % accounts)

    return route


def blocks(queries: int) -> Route:
    """Send so many queries from each account, as many accounts as it takes."""

    def route(log: Log, rng: Rng) -> Iterator[Sending]:
        for k in range(len(log.rows)):
            yield Sending(k // queries)

    return route


def hidden(share: float) -> Route:
    """Hide among ordinary queries that make up a share of all."""

    def route(log: Log, rng: Rng) -> Iterator[Sending]:
        for _ in log.rows:
            yield Sending(0, int(rng.geometric(1.0 - share)) - 1)

    return route


def paused(queries: int) -> Route:
    """Let the session end after so many queries."""

    def route(log: Log, rng: Rng) -> Iterator[Sending]:
        for k in range(len(log.rows)):
            yield Sending(0, 0, IDLE_SECONDS + 60.0 if k and k % queries == 0 else 1.0)

    return route


def budgeted(table: SessionTable) -> Route:
    """Ask one's own copy of the defence, with another key, and change accounts before it would signal."""

    def route(log: Log, rng: Rng) -> Iterator[Sending]:
        copy = SessionWatch(table, rng.bytes(16))
        limit = copy.level.threshold - BUDGET_MARGIN
        account = 0
        for k, (row, outputs) in enumerate(zip(log.rows, log.outputs, strict=True)):
            yield Sending(account)
            name = f"{account}"
            copy.observe(name, float(k), row, outputs)
            mine = copy.tracker.tiers.get(name)
            live = None if mine is None else copy.tracker.live.get(mine.session)
            linked = None if mine is None else copy.tracker.live.get(mine.linked)
            if max((s.statistic for s in (live, linked) if s is not None), default=0.0) > limit:
                account += 1

    return route
