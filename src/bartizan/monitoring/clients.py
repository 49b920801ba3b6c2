"""Benign clients of a predictive model, for calibration: what honest people do that looks like a search.

Each client is a generator: it yields a query, is sent the model's outputs, and yields the next.
The ones that explain, test and try out follow the published sampling schemes, because those
are what an operator's own users run.

References:
    LIME: Ribeiro et al., KDD 2016. KernelSHAP: Lundberg, Lee, NeurIPS 2017. Occlusion: Zeiler,
    Fergus, ECCV 2014. Individual conditional expectation: Goldstein et al., JCGS 2015.
    Counterfactuals by random edits: Mothilal et al. (DiCE), FAT* 2020.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from bartizan.errors import CalibrationError
from bartizan.types import FloatArray

IntArray = npt.NDArray[np.int64]

Query = tuple[FloatArray, int]
"""A row of shape ``(d,)``, and which of the client's accounts sends it."""

Client = Generator[Query, FloatArray, None]
Model = Callable[[FloatArray], FloatArray]
"""Rows of shape ``(n, d)`` to outputs of shape ``(n, k)``."""

LONGEST: Final = 1024
AT_ONCE: Final = 256
"""Sessions simulated side by side, so that the model answers many rows in one call."""

QUARTERS: Final = 4
MOST_SAMPLES: Final = 2000
"""LIME's own default is 5,000 a row: longer than any session."""

TRIES: Final = 200
"""A user who looks for another answer gives up after so many edits."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One client's whole session.

    Attributes:
        kind: The kind of client.
        rows: Its queries in order, shape ``(t, d)``.
        outputs: What the model answered, shape ``(t, k)``.
        accounts: Which of the client's accounts sent each query, length ``t``.
    """

    kind: str
    rows: FloatArray
    outputs: FloatArray
    accounts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class World:
    """What clients draw from: benign rows and how their columns vary.

    Attributes:
        rows: Shape ``(n, d)``.
        centre: Each column's mean, shape ``(d,)``.
        deviation: Each column's standard deviation, shape ``(d,)``.
        quarters: Mean, deviation, least and largest of each quarter of each column's values, in
            order, each of shape ``(4, d)``.
        least: Lengths that are drawn with a tail are at least this.
    """

    rows: FloatArray
    centre: FloatArray
    deviation: FloatArray
    quarters: tuple[FloatArray, FloatArray, FloatArray, FloatArray]
    least: int = 1

    @classmethod
    def of(cls, rows: FloatArray) -> World:
        """Look at rows of shape ``(n, d)``.

        Raises:
            CalibrationError: There are fewer than 2 rows.
        """
        if rows.ndim != 2 or len(rows) < 2:
            raise CalibrationError("clients need at least 2 rows", hint="give benign rows of shape (n, d)")
        filled = np.where(np.isfinite(rows), rows, np.nan)
        centre = np.nan_to_num(np.nanmean(filled, axis=0))
        deviation = np.nan_to_num(np.nanstd(filled, axis=0))
        ordered = np.array_split(np.sort(np.where(np.isnan(filled), centre, filled), axis=0), QUARTERS)
        parts = [part if len(part) else centre[None] for part in ordered]
        means, deviations, lows, highs = (
            np.stack([np.asarray(of(part, axis=0)) for part in parts])
            for of in (np.mean, np.std, np.min, np.max)
        )
        return cls(rows, centre, deviation, (means, deviations, lows, highs))

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """Return a copy of a random row."""
        return np.array(self.rows[rng.integers(len(self.rows))])


def ordinary(world: World, rng: np.random.Generator) -> Client:
    """Ask about rows as they come; few users ask much."""
    for _ in range(_length(rng, max(1, world.least), 1.1)):
        yield world.draw(rng), 0


def temporal(world: World, rng: np.random.Generator) -> Client:
    """Ask about a slowly changing thing, such as a machine with sensors."""
    here, goal = world.draw(rng), world.draw(rng)
    pace, noise = _between(rng, 0.005, 0.2), _between(rng, 0.001, 0.1)
    for _ in range(_length(rng, max(16, world.least), 1.0)):
        if rng.random() < pace:
            goal = world.draw(rng)
        here = here + pace * (goal - here)
        yield here + noise * world.deviation * rng.standard_normal(len(here)), 0


def retrying(world: World, rng: np.random.Generator) -> Client:
    """Ask again when an answer was late."""
    for _ in range(_length(rng, max(2, world.least // 3), 1.1)):
        row = world.draw(rng)
        for _ in range(1 + rng.geometric(0.5)):
            yield row, 0


def load_test(world: World, rng: np.random.Generator) -> Client:
    """Send the same few rows again and again, from one account or in turn from two."""
    rows = [world.draw(rng) for _ in range(_length(rng, 1, 0.8, 64))]
    accounts, jitter = int(rng.integers(1, 3)), rng.random() < 0.3
    for k in range(_length(rng, max(32, world.least), 0.7)):
        row = rows[(k // accounts) % len(rows)]
        if jitter:
            row = row + 0.01 * world.deviation * rng.standard_normal(len(row))
        yield row, k % accounts


def lime(world: World, rng: np.random.Generator) -> Client:
    """Perturb a row at random and fit a line, as the tabular, text and image explainers of LIME do.

    Columns get normal noise (around the row or around the mean), or are drawn anew each by itself from
    the quarter of its values that was drawn (LIME's "discretised" columns, its default); or groups of
    columns, blocks of pixels among them, are switched off.
    """
    for _ in range(int(rng.integers(1, 4))):
        row, columns = world.draw(rng), world.rows.shape[1]
        way, around = rng.integers(3), rng.random() < 0.5
        groups = _segments(columns, rng)
        hidden = _hidden(row, groups, world, rng)
        yield row, 0
        for _ in range(int(_between(rng, 30, MOST_SAMPLES))):
            if way == 0:
                noise = world.deviation * rng.standard_normal(columns)
                yield (row if around else world.centre) + noise, 0
            elif way == 1:
                yield _discretised(world, rng), 0
            else:
                kept = rng.random(int(groups.max()) + 1) < 0.5
                yield np.where(kept[groups], row, hidden), 0


def _segments(columns: int, rng: np.random.Generator) -> IntArray:
    """Return the group of each column: at random, stretches of neighbours, or blocks of a square image."""
    size, side, way = int(rng.integers(1, 9)), math.isqrt(columns), rng.integers(3)
    if way == 0:
        return np.asarray(rng.integers(0, max(2, columns // size), columns))
    if way == 1 or side * side != columns:
        return np.arange(columns) // size
    down, right = np.divmod(np.arange(columns), side)
    block = int(rng.choice((1, 2, 4)))
    return np.asarray(down // block * (side // block + 1) + right // block)


def _hidden(row: FloatArray, groups: IntArray, world: World, rng: np.random.Generator) -> FloatArray:
    """Return what stands for a column that is switched off: nothing, the usual, its group's own mean."""
    way = rng.integers(3)
    if way == 0:
        return np.zeros(len(row))
    if way == 1:
        return world.centre
    sizes = np.bincount(groups)
    return np.asarray(np.bincount(groups, row)[groups] / np.maximum(sizes, 1)[groups])


def _discretised(world: World, rng: np.random.Generator) -> FloatArray:
    """Return a row whose columns were each drawn by itself: a quarter of its values, and normal within."""
    columns = world.rows.shape[1]
    quarter = rng.integers(0, QUARTERS, columns), np.arange(columns)
    mean, deviation, low, high = (of[quarter] for of in world.quarters)
    return np.asarray(np.clip(mean + deviation * rng.standard_normal(columns), low, high))


def kernel_shap(world: World, rng: np.random.Generator) -> Client:
    """Replace coalitions of columns by background rows, sizes by the Shapley kernel, in pairs."""
    columns = world.rows.shape[1]
    sizes = np.arange(1, max(2, columns))
    weights = (columns - 1.0) / (sizes * np.maximum(columns - sizes, 1.0))
    chances = weights / weights.sum()
    background = [world.draw(rng) for _ in range(int(rng.choice((1, 1, 2, 5, 10))))]
    if rng.random() < 0.5:
        background = [world.centre]
    for other in background:
        yield other, 0
    for _ in range(int(rng.integers(1, 4))):
        row = world.draw(rng)
        yield row, 0
        for _ in range(max(4, _samples(rng) // (2 * len(background)))):
            coalition = np.zeros(columns, bool)
            coalition[rng.permutation(columns)[: int(rng.choice(sizes, p=chances))]] = True
            for inside in (coalition, ~coalition):
                for other in background:
                    yield np.where(inside, row, other), 0


def occlusion(world: World, rng: np.random.Generator) -> Client:
    """Cover one column, or one patch of an image, after the other."""
    columns = world.rows.shape[1]
    side = math.isqrt(columns)
    square, patch = side * side == columns and rng.random() < 0.7, int(rng.integers(1, 4))
    baseline = world.centre if rng.random() < 0.5 else np.zeros(columns)
    for _ in range(int(rng.integers(1, 4))):
        row = world.draw(rng)
        yield row, 0
        for start in range(columns):
            covered = np.zeros(columns, bool)
            if square:
                covered.reshape(side, side)[
                    start // side : start // side + patch, start % side : start % side + patch
                ] = True
            else:
                covered[start : start + patch] = True
            yield np.where(covered, baseline, row), 0


def counterfactual(world: World, rng: np.random.Generator) -> Client:
    """Edit random columns to values that others have, until the answer changes; then edit less."""
    columns = world.rows.shape[1]
    for _ in range(int(rng.integers(1, 5))):
        row = world.draw(rng)
        first = yield row, 0
        edited = 1
        for _ in range(_length(rng, 20, 1.0, TRIES)):
            changed = rng.permutation(columns)[:edited]
            trial = row.copy()
            trial[changed] = world.draw(rng)[changed]
            answer = yield trial, 0
            if answer.argmax() != first.argmax():
                edited = max(1, edited // 2)
                if rng.random() < 0.5:
                    break
            elif rng.random() < 0.3:
                edited = min(columns, edited + 1)


def what_if(world: World, rng: np.random.Generator) -> Client:
    """Move one column over its range while the others stay: sliders, and conditional expectation."""
    columns = world.rows.shape[1]
    row = world.draw(rng)
    yield row, 0
    for _ in range(_length(rng, 2, 0.9, 12)):
        column, steps = int(rng.integers(columns)), int(rng.integers(5, 21))
        other = world.draw(rng)[column]
        low, high = (world.centre + s * 2.0 * world.deviation for s in (-1.0, 1.0))
        for value in np.linspace(low[column], high[column], steps):
            trial = row.copy()
            trial[column] = value
            yield trial, 0
        if rng.random() < 0.5:
            row = row.copy()
            row[column] = other


def noise_test(world: World, rng: np.random.Generator) -> Client:
    """Check that answers stay the same under a little noise."""
    for _ in range(_length(rng, 1, 1.0, 20)):
        row, size = world.draw(rng), _between(rng, 0.01, 0.5)
        yield row, 0
        for _ in range(int(rng.integers(5, 40))):
            yield row + size * world.deviation * rng.standard_normal(len(row)), 0


KINDS: Final[dict[str, tuple[float, Callable[[World, np.random.Generator], Client]]]] = {
    "ordinary": (0.24, ordinary),
    "temporal": (0.09, temporal),
    "retry": (0.07, retrying),
    "load test": (0.09, load_test),
    "lime": (0.12, lime),
    "kernel shap": (0.12, kernel_shap),
    "occlusion": (0.09, occlusion),
    "counterfactual": (0.09, counterfactual),
    "what-if": (0.05, what_if),
    "noise test": (0.04, noise_test),
}
"""Share of the simulated sessions, and the client. Explainers are over-represented on purpose: a
rate over all sessions then bounds theirs closely."""


def simulate_benign(
    rows: FloatArray,
    model: Model,
    n: int,
    rng: np.random.Generator,
    *,
    patient: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Recorded]:
    """Yield ``n`` benign sessions, in the order in which they end.

    Args:
        rows: Benign rows, shape ``(m, d)``.
        model: Asked with many rows at once.
        n: How many sessions.
        rng: Where all choices come from.
        patient: Whether users go on for unusually long: not for calibration, but to learn from.
        progress: Told how many sessions are done, and of how many.

    Raises:
        CalibrationError: There are too few rows.
    """
    world = World.of(np.asarray(rows, dtype=np.float64))
    names = list(KINDS)
    shares = np.array([KINDS[name][0] for name in names])
    chosen = rng.choice(len(names), n, p=shares / shares.sum())

    def worlds() -> Iterator[World]:
        while True:
            yield replace(world, least=int(_between(rng, 8, 400))) if patient else world

    waiting = ((names[k], KINDS[names[k]][1](each, rng)) for k, each in zip(chosen, worlds(), strict=False))
    for done, recorded in enumerate(run_clients(waiting, model), 1):
        if progress is not None:
            progress(done, n)
        yield recorded


def run_clients(clients: Iterator[tuple[str, Client]], model: Model) -> Iterator[Recorded]:
    """Run clients side by side against a model and yield each one's session when it ends."""
    live: list[_Running] = []
    while True:
        while len(live) < AT_ONCE and (found := next(clients, None)) is not None:
            live.append(_Running(*found))
        if not live:
            return
        outputs = np.asarray(model(np.stack([client.pending[0] for client in live])), dtype=np.float64)
        ended = [c for c, answer in zip(live, outputs, strict=True) if not c.take(answer)]
        live = [client for client in live if not client.over]
        yield from (client.recorded() for client in ended)


class _Running:
    """A client in the middle of its session."""

    def __init__(self, kind: str, client: Client) -> None:
        self.kind = kind
        self.client = client
        self.over = False
        self.queries: list[Query] = []
        self.outputs: list[FloatArray] = []
        self.pending = next(client)

    def take(self, answer: FloatArray) -> bool:
        """Give the client its answer; return whether it goes on."""
        self.queries.append(self.pending)
        self.outputs.append(answer)
        try:
            self.pending = self.client.send(answer)
        except StopIteration:
            self.over = True
        if len(self.queries) >= LONGEST:
            self.over = True
        return not self.over

    def recorded(self) -> Recorded:
        """Return the whole session."""
        return Recorded(
            self.kind,
            np.stack([row for row, _ in self.queries]),
            np.stack(self.outputs),
            tuple(account for _, account in self.queries),
        )


def _length(rng: np.random.Generator, least: int, tail: float, most: int = LONGEST) -> int:
    """Return a length with a Pareto tail: most are short, a few are very long."""
    return min(most, int(least * (1.0 - rng.random()) ** (-1.0 / tail)))


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a number between two positive ones, uniform on the scale of logarithms."""
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))


def _samples(rng: np.random.Generator) -> int:
    return int(_between(rng, 30, 400))
