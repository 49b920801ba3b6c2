"""Clients that search: simulated attacks on the operator's own model, to learn what searches look like.

Sizes, bases, batches and step rules are drawn anew for every session, so that what is learned is
the search and not one tool's settings. Some sessions hide their queries among ordinary ones.

References:
    SimBA: Guo et al., ICML 2019. Square: Andriushchenko et al., ECCV 2020. NES: Ilyas et al.,
    ICML 2018. Boundary: Brendel et al., ICLR 2018. HopSkipJump: Chen et al., IEEE S&P 2020.
    Genetic search: Alzantot et al. (GenAttack), GECCO 2019. Line search: Lowd, Meek, KDD 2005.
    Knockoff: Orekondy et al., CVPR 2019. Jacobian-based augmentation: Papernot et al., ASIA CCS
    2017. Step sizes that stay far apart: Feng et al. (OARS), CCS 2023.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from bartizan.monitoring.clients import LONGEST, Client, Model, Query, Recorded, World, run_clients
from bartizan.types import FloatArray

Search = Generator[Query, FloatArray, FloatArray | None]
"""One search for another answer; returns the row it found, if it found one."""

BISECTIONS: Final = 10
SMALLEST: Final = 1e-9
PATIENCE: Final = (40, 400)
"""Least and most queries of a searching session: what it is must show early or is no use."""

PATIENCE_COPYING: Final = (100, LONGEST)
"""The same for copying, which takes many."""

HIDING: Final = 0.15
"""Share of the searching sessions that hide among ordinary queries."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a search starts from.

    Attributes:
        world: What searchers know of the data.
        low: Smallest benign value of each column.
        high: Largest.
        reach: How far a column may be moved, in its own units.
        row: The row whose answer is to change.
        grid: Whether values are rounded to whole steps, as pixels are.
    """

    world: World
    low: FloatArray
    high: FloatArray
    reach: FloatArray
    row: FloatArray
    grid: bool

    def inside(self, row: FloatArray) -> FloatArray:
        """Return the nearest row that looks like data."""
        return np.clip(np.round(row) if self.grid else row, self.low, self.high)


def coordinates(target: Target, rng: np.random.Generator) -> Search:
    """Step along one direction after the other, and keep a step after which the answer is less sure."""
    here, columns = target.row, len(target.row)
    basis = np.eye(columns)
    if rng.random() < 0.4:
        basis = np.linalg.qr(rng.standard_normal((columns, columns)))[0]
    answer = yield here, 0
    label, sure = int(answer.argmax()), float(answer.max())
    for _ in range(int(_between(rng, 1, 8))):
        for k in rng.permutation(columns):
            for sign in (1.0, -1.0):
                trial = target.inside(here + sign * target.reach * basis[k])
                answer = yield trial, 0
                if answer.argmax() != label:
                    return trial
                if answer[label] < sure:
                    here, sure = trial, float(answer[label])
                    break
    return None


def patches(target: Target, rng: np.random.Generator) -> Search:
    """Set random patches to the ends of the allowed change, ever smaller ones."""
    columns, budget = len(target.row), int(_between(rng, 100, 600))
    side = math.isqrt(columns)
    square, share = side * side == columns and side > 1, _between(rng, 0.05, 0.5)
    answer = yield target.row, 0
    label = int(answer.argmax())
    best = target.row
    if rng.random() < 0.7:
        best = target.inside(target.row + target.reach * rng.choice((-1.0, 1.0), columns))
        answer = yield best, 0
    loss = _lead(answer, label)
    for query in range(budget):
        if loss < 0.0:
            return best
        size = max(1.0, share * columns * (1.0 - query / budget))
        patch = np.zeros(columns, bool)
        if square:
            edge = min(side, max(1, round(math.sqrt(size))))
            top, left = rng.integers(0, side - edge + 1, 2)
            patch.reshape(side, side)[top : top + edge, left : left + edge] = True
        else:
            patch[rng.permutation(columns)[: math.ceil(size)]] = True
        trial = target.inside(np.where(patch, target.row + target.reach * rng.choice((-1.0, 1.0)), best))
        answer = yield trial, 0
        if _lead(answer, label) < loss:
            best, loss = trial, _lead(answer, label)
    return None


def estimated_gradient(target: Target, rng: np.random.Generator) -> Search:
    """Estimate the gradient from pairs of nearby queries, step along its sign, again and again."""
    here, columns = target.row, len(target.row)
    size, batch = _between(rng, 0.01, 1.0), int(_between(rng, 2, 50))
    pace, paired = _between(rng, 0.1, 1.0), rng.random() < 0.7
    answer = yield here, 0
    label = int(answer.argmax())
    for _ in range(max(2, 1000 // (batch * (2 if paired else 1)))):
        gradient = np.zeros(columns)
        middle = math.log(max(float(answer[label]), SMALLEST))
        for _ in range(batch):
            way = rng.standard_normal(columns)
            shift = size * target.world.deviation * way
            ahead = yield target.inside(here + shift), 0
            if ahead.argmax() != label:
                return target.inside(here + shift)
            behind = middle
            if paired:
                opposite = yield target.inside(here - shift), 0
                behind = math.log(max(float(opposite[label]), SMALLEST))
            gradient += (math.log(max(float(ahead[label]), SMALLEST)) - behind) * way
        moved = here - pace * target.reach * np.sign(gradient)
        here = target.inside(np.clip(moved, target.row - 2 * target.reach, target.row + 2 * target.reach))
        answer = yield here, 0
        if answer.argmax() != label:
            return here
    return None


def boundary_walk(target: Target, rng: np.random.Generator) -> Search:
    """From a row with another answer, walk along the boundary towards the target; labels only."""
    label, here = yield from _other(target, rng)
    if here is None:
        return None
    here = yield from _bisected(target, label, here, int(rng.integers(3, BISECTIONS + 1)))
    aside, inwards = _between(rng, 0.05, 0.5), _between(rng, 0.02, 0.3)
    for _ in range(int(_between(rng, 50, 800))):
        distance = float(np.linalg.norm(here - target.row))
        way = rng.standard_normal(len(here))
        trial = here + aside * distance * way / np.linalg.norm(way)
        trial = target.row + (trial - target.row) * distance / max(
            float(np.linalg.norm(trial - target.row)), SMALLEST
        )
        trial = target.inside(trial + inwards * (target.row - trial))
        answer = yield trial, 0
        if answer.argmax() != label:
            here, inwards = trial, min(0.5, inwards * 1.05)
        else:
            aside, inwards = max(0.01, aside * 0.99), inwards * 0.97
    return here


def hop_skip_jump(target: Target, rng: np.random.Generator) -> Search:
    """Estimate the boundary's normal from labels around a boundary point, jump, bisect back; labels only."""
    label, here = yield from _other(target, rng)
    if here is None:
        return None
    steps = int(rng.integers(5, BISECTIONS + 3))
    here = yield from _bisected(target, label, here, steps)
    first, size = int(_between(rng, 8, 100)), _between(rng, 0.01, 0.5)
    for turn in range(1, 12):
        distance = float(np.linalg.norm(here - target.row))
        ways = rng.standard_normal((int(first * math.sqrt(turn)), len(here)))
        ways /= np.linalg.norm(ways, axis=1, keepdims=True)
        signs = np.empty(len(ways))
        for k, way in enumerate(ways):
            answer = yield target.inside(here + size * distance / math.sqrt(turn) * way), 0
            signs[k] = 1.0 if answer.argmax() != label else -1.0
        normal = (signs - signs.mean() * (abs(signs.mean()) < 1.0)) @ ways
        jump = distance / math.sqrt(turn) / max(float(np.linalg.norm(normal)), SMALLEST)
        for _ in range(BISECTIONS):
            trial = target.inside(here + jump * normal)
            answer = yield trial, 0
            if answer.argmax() != label:
                here = yield from _bisected(target, label, trial, steps)
                break
            jump /= 2.0
    return here


def line_search(target: Target, rng: np.random.Generator) -> Search:
    """Bisect for the boundary along many lines, as extraction of linear models does."""
    label, here = yield from _other(target, rng)
    for _ in range(int(rng.integers(3, 40))):
        if here is None:
            return None
        here = yield from _bisected(target, label, here, int(rng.integers(5, BISECTIONS + 3)))
        column = rng.integers(len(here))
        here = here.copy()
        here[column] += rng.choice((-1.0, 1.0)) * target.reach[column]
        answer = yield target.inside(here), 0
        if answer.argmax() == label:
            label, here = yield from _other(target, rng)
    return here


def genetic(target: Target, rng: np.random.Generator) -> Search:
    """Cross and mutate a population of changed rows, the least sure ones most often."""
    columns, members = len(target.row), int(rng.integers(4, 13))
    rate = _between(rng, 0.02, 0.5)
    answer = yield target.row, 0
    label = int(answer.argmax())
    people = [rng.uniform(-1.0, 1.0, columns) * (rng.random(columns) < 0.5) for _ in range(members)]
    for _ in range(int(_between(rng, 5, 60))):
        fitness = np.empty(members)
        for k, change in enumerate(people):
            trial = target.inside(target.row + target.reach * change)
            answer = yield trial, 0
            fitness[k] = -math.log(max(float(answer[label]), SMALLEST))
            if answer.argmax() != label:
                return trial
        chances = np.exp(fitness - fitness.max())
        chances /= chances.sum()
        parents = rng.choice(members, (members, 2), p=chances)
        best = people[int(fitness.argmax())]
        people = [np.where(rng.random(columns) < 0.5, people[a], people[b]) for a, b in parents]
        people = [
            np.clip(p + (rng.random(columns) < rate) * rng.uniform(-1.0, 1.0, columns), -1.0, 1.0)
            for p in people
        ]
        people[0] = best
    return None


def copying(target: Target, rng: np.random.Generator) -> Search:
    """Label a transfer set, to train a copy: noise, shuffled, mixed or foreign rows."""
    world, columns = target.world, len(target.row)
    way = int(rng.integers(4))
    for _ in range(int(_between(rng, 60, LONGEST))):
        if way == 0:
            row = rng.uniform(target.low, target.high)
        elif way == 1:
            row = world.rows[rng.integers(len(world.rows), size=columns), np.arange(columns)]
        elif way == 2:
            share = rng.random()
            row = share * world.draw(rng) + (1.0 - share) * world.draw(rng)
        else:
            row = np.roll(world.draw(rng), int(rng.integers(1, columns))) if columns > 1 else world.draw(rng)
        yield target.inside(row), 0
    return None


def augmenting(target: Target, rng: np.random.Generator) -> Search:
    """Grow a few seed rows by steps along the copy's gradient signs, doubling the set each time."""
    rows = [target.world.draw(rng) for _ in range(int(_between(rng, 5, 60)))]
    for row in rows:
        yield row, 0
    # Rows of one class share most of a gradient's signs, and that is what shows.
    ways: dict[int, FloatArray] = {}
    budget = int(_between(rng, 60, LONGEST))
    while budget > 0:
        grown = []
        for row in rows:
            way = ways.setdefault(int(rng.integers(10)), rng.choice((-1.0, 1.0), len(row)))
            mixed = np.where(rng.random(len(row)) < 0.2, -way, way)
            grown.append(target.inside(row + target.reach * mixed))
            yield grown[-1], 0
            budget -= 1
            if budget <= 0:
                break
        rows += grown
    return None


KINDS: Final[dict[str, Callable[[Target, np.random.Generator], Search]]] = {
    "coordinates": coordinates,
    "patches": patches,
    "estimated gradient": estimated_gradient,
    "boundary walk": boundary_walk,
    "hop-skip-jump": hop_skip_jump,
    "line search": line_search,
    "genetic": genetic,
    "copying": copying,
    "augmenting": augmenting,
}


COPYING: Final = frozenset({"copying", "augmenting"})
"""Kinds that want the model, not another answer."""


def searching(kind: str, world: World, rng: np.random.Generator) -> Client:
    """Run searches of one kind, one target after the other, perhaps hidden among ordinary queries."""
    hiding = _between(rng, 0.05, 0.4) if rng.random() < HIDING else 0.0
    numbers = np.nan_to_num(world.rows)
    low, high = numbers.min(axis=0), numbers.max(axis=0)
    whole = bool((numbers == np.round(numbers)).all())
    size, budget = (
        _between(rng, 0.03, 0.6),
        int(_between(rng, *(PATIENCE_COPYING if kind in COPYING else PATIENCE))),
    )
    for _ in range(int(rng.integers(1, 4))):
        reach = np.maximum(size * (high - low), 1.0 if whole else 0.0)
        target = Target(world, low, high, reach, world.draw(rng), whole and rng.random() < 0.5)
        search = KINDS[kind](target, rng)
        try:
            query = next(search)
            while budget > 0:
                budget -= 1
                if rng.random() < hiding:
                    yield world.draw(rng), 0
                answer = yield query
                query = search.send(answer)
        except StopIteration:
            pass


def simulate_searches(
    rows: FloatArray,
    model: Model,
    n: int,
    rng: np.random.Generator,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Recorded]:
    """Yield ``n`` searching sessions, equally many of each kind.

    Args:
        rows: Benign rows, shape ``(m, d)``: where searches start, and how far columns range.
        model: What is searched.
        n: How many sessions.
        rng: Where all choices come from.
        progress: Told how many sessions are done, and of how many.

    Raises:
        CalibrationError: There are too few rows.
    """
    world = World.of(np.asarray(rows, dtype=np.float64))
    names = list(KINDS)
    waiting = ((names[k % len(names)], searching(names[k % len(names)], world, rng)) for k in range(n))
    for done, recorded in enumerate(run_clients(waiting, model), 1):
        if progress is not None:
            progress(done, n)
        yield recorded


def _lead(answer: FloatArray, label: int) -> float:
    others = np.delete(answer, label)
    return float(answer[label] - others.max())


def _other(
    target: Target, rng: np.random.Generator
) -> Generator[Query, FloatArray, tuple[int, FloatArray | None]]:
    """Ask about the target, then about other rows until one is answered differently."""
    answer = yield target.row, 0
    label = int(answer.argmax())
    noise = rng.random() < 0.3
    for _ in range(20):
        row = rng.uniform(target.low, target.high) if noise else target.world.draw(rng)
        answer = yield row, 0
        if answer.argmax() != label:
            return label, row
    return label, None


def _bisected(
    target: Target, label: int, other: FloatArray, steps: int
) -> Generator[Query, FloatArray, FloatArray]:
    """Halve the line between the target and a row with another answer; return the last such row."""
    near, far = 0.0, 1.0
    for _ in range(steps):
        middle = (near + far) / 2.0
        answer = yield target.inside(target.row + middle * (other - target.row)), 0
        near, far = (near, middle) if answer.argmax() != label else (middle, far)
    return target.inside(target.row + far * (other - target.row))


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))
