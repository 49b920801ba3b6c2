"""Attacks on the two systems, recorded query by query while nobody defends.

ART's HopSkipJump, Square, SimBA and Boundary run in another interpreter (:mod:`.foreign`); SimBA, NES
and what :mod:`.adaptive` adds are own code. Extraction: Knockoff and Jacobian-based augmentation.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.monitoring.foreign import ATTACKS, Foreign, pack
from benchmarks.monitoring.systems import FloatArray, IntArray, Rng, System

Search = Generator[FloatArray, FloatArray, None]
"""Yields points of the unit cube, is sent probabilities."""

LONGEST = 1000
"""Queries of an attack on one row."""

EXTRACTION = 1000
SIZES = {"digits, network": 0.25, "breast cancer, boosted trees": 0.08}
"""Step of Square and SimBA in the unit cube."""


@dataclass(frozen=True, slots=True)
class Log:
    """One attack's queries in order.

    Attributes:
        kind: Which attack.
        start: The row whose answer is to change, shape ``(d,)``.
        label: Its class.
        rows: Shape ``(t, d)``.
        outputs: Shape ``(t, k)``.
        accounts: Which account sent each, shape ``(t,)``; accounts not in order of first use are never used.
    """

    kind: str
    start: FloatArray
    label: int
    rows: FloatArray
    outputs: FloatArray
    accounts: IntArray

    def adversarial(self) -> npt.NDArray[np.bool_]:
        """Return which queries are answered with another class."""
        return np.asarray(self.outputs.argmax(axis=1) != self.label)

    def nearest(self, system: System) -> float:
        """Return the distance of the nearest adversarial row."""
        found = self.rows[self.adversarial()]
        return float(system.distances(found, self.start).min()) if len(found) else float("inf")

    def success(self, system: System, budget: float) -> int | None:
        """Return the query that first is adversarial within a distance."""
        close = system.distances(self.rows, self.start) <= budget
        where = np.flatnonzero(self.adversarial() & close)
        return int(where[0]) if len(where) else None


def foreign_logs(system: System, python: str, n: int, seed: int) -> list[Log]:
    """Return ``n`` logs of each of ART's attacks."""
    rng = np.random.default_rng(seed)
    child = Foreign(python, system.cube(system.known[0][:150]))
    logs = []
    for name in ATTACKS:
        for target in system.targets(n, rng):
            start, label = system.held_out[0][target], int(system.held_out[1][target])
            asked: list[FloatArray] = []

            def answer(cube: FloatArray, asked: list[FloatArray] = asked) -> FloatArray | None:
                if len(asked) >= LONGEST:
                    return None
                rows = system.rows(np.nan_to_num(cube))
                asked.extend(rows)
                return system.model(rows)

            problem = child.session(
                answer,
                do="attack",
                name=name,
                rows=pack(system.cube(start)[None]),
                label=label,
                seed=int(rng.integers(2**31)),
                shape=system.shape,
                classes=system.model(start[None]).shape[1],
                size=SIZES[system.name],
            )
            if problem or not asked:
                raise RuntimeError(f"{name}: {problem or 'asked nothing'}")
            rows = np.array(asked)[:LONGEST]
            logs.append(
                Log(f"ART {name}", start, label, rows, system.model(rows), np.zeros(len(rows), np.int64))
            )
    child.close()
    return logs


def own_logs(
    system: System,
    kind: str,
    make: Callable[[FloatArray, int, Rng], Search],
    n: int,
    seed: int,
    longest: int = LONGEST,
) -> list[Log]:
    """Return ``n`` logs of one of our own attacks; they run side by side.

    Args:
        make: Takes the starting point in the unit cube, its class, and a generator of random numbers.
        longest: Queries after which an attack is cut off.
    """
    rng = np.random.default_rng([seed, sum(kind.encode())])
    targets = system.targets(n, rng)
    starts = system.held_out[0][targets]
    labels = system.held_out[1][targets]
    searches = [
        make(system.cube(s), int(y), np.random.default_rng([seed, k]))
        for k, (s, y) in enumerate(zip(starts, labels, strict=True))
    ]
    asked = drive(system, searches, longest)
    return [
        Log(kind, s, int(y), rows, outputs, accounts)
        for s, y, (rows, outputs, accounts) in zip(starts, labels, asked, strict=True)
    ]


def drive(
    system: System, searches: Sequence[Search], longest: int
) -> list[tuple[FloatArray, FloatArray, IntArray]]:
    """Run searches side by side; return each one's rows, outputs and accounts.

    A search may yield a pair of a point and an account in place of a point.
    """
    rows: list[list[FloatArray]] = [[] for _ in searches]
    outputs: list[list[FloatArray]] = [[] for _ in searches]
    accounts: list[list[int]] = [[] for _ in searches]
    pending = {k: next(s) for k, s in enumerate(searches)}
    while pending:
        numbers = list(pending)
        both = [q if isinstance(q, tuple) else (q, 0) for q in pending.values()]
        asked = system.rows(np.stack([point for point, _ in both]))
        answers = system.model(asked)
        for k, row, answer, (_, account) in zip(numbers, asked, answers, both, strict=True):
            rows[k].append(row)
            outputs[k].append(answer)
            accounts[k].append(account)
            try:
                pending[k] = searches[k].send(answer)
            except StopIteration:
                del pending[k]
            if len(rows[k]) >= longest:
                pending.pop(k, None)
    return [(np.stack(r), np.stack(o), np.array(a)) for r, o, a in zip(rows, outputs, accounts, strict=True)]


def simba(size: float) -> Callable[[FloatArray, int, Rng], Search]:
    """SimBA in pixels (Guo et al., ICML 2019): ends when the class changes."""

    def search(start: FloatArray, label: int, rng: Rng) -> Search:
        here = start
        best = (yield here)[label]
        while True:
            for column in rng.permutation(len(start)):
                for sign in (1.0, -1.0):
                    trial = here.copy()
                    trial[column] = np.clip(trial[column] + sign * size, 0.0, 1.0)
                    answer = yield trial
                    if answer.argmax() != label:
                        return
                    if answer[label] < best:
                        here, best = trial, answer[label]
                        break

    return search


def nes(size: float, *, samples: int = 10, spread: float = 0.02) -> Callable[[FloatArray, int, Rng], Search]:
    """NES with signed steps (Ilyas et al., ICML 2018)."""

    def search(start: FloatArray, label: int, rng: Rng) -> Search:
        here = start
        while True:
            gradient = np.zeros(len(start))
            for _ in range(samples):
                way = rng.standard_normal(len(start))
                up = yield np.clip(here + spread * way, 0.0, 1.0)
                down = yield np.clip(here - spread * way, 0.0, 1.0)
                gradient += (np.log(up[label] + 1e-9) - np.log(down[label] + 1e-9)) * way
            here = np.clip(here - 0.25 * size * np.sign(gradient), start - size, start + size).clip(0.0, 1.0)
            if (yield here).argmax() != label:
                return

    return search


# --- extraction ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Theft:
    """An extraction: its queries, and how well a copy does that was trained on the first of them."""

    log: Log
    agreement: Callable[[int], float]


def knockoff(system: System, seed: int, *, natural: bool) -> Theft:
    """Label a transfer set (Orekondy et al., CVPR 2019): rows of the same kind, or columns drawn apart."""
    rng = np.random.default_rng([7, seed])
    rows = system.known[0]
    n = min(EXTRACTION, len(rows)) if natural else EXTRACTION
    if natural:
        asked = rows[rng.permutation(len(rows))[:n]]
    else:
        asked = rows[rng.integers(len(rows), size=(n, rows.shape[1])), np.arange(rows.shape[1])]
    return _theft(system, "Knockoff, natural rows" if natural else "Knockoff, mixed columns", asked, seed)


def jacobian(system: System, seed: int, *, seeds: int = 60, size: float = 0.1) -> Theft:
    """Jacobian-based augmentation (Papernot et al. 2017, as in PRADA): the set doubles each round."""
    rng = np.random.default_rng([8, seed])
    rows = system.known[0]
    points = system.cube(rows[rng.permutation(len(rows))[:seeds]])
    while len(points) < EXTRACTION:
        labels = system.model(system.rows(points)).argmax(axis=1)
        gradient = _copy(points, labels, seed)[1]
        points = np.vstack([points, np.clip(points + size * np.sign(gradient(points, labels)), 0.0, 1.0)])
    return _theft(system, "JBDA", system.rows(points[:EXTRACTION]), seed)


def _theft(system: System, kind: str, rows: FloatArray, seed: int) -> Theft:
    outputs = system.model(rows)
    labels = outputs.argmax(axis=1)
    log = Log(kind, rows[0], int(labels[0]), rows, outputs, np.zeros(len(rows), np.int64))
    test = system.held_out[0]

    def agreement(queries: int) -> float:
        copy, _ = _copy(system.cube(rows[:queries]), labels[:queries], seed)
        return float((copy(system.cube(test)) == system.model(test).argmax(axis=1)).mean())

    return Theft(log, agreement)


def _copy(points: FloatArray, labels: IntArray, seed: int):
    """Train a network; return what it predicts, and the gradient of its loss by the inputs."""
    import warnings

    from sklearn.neural_network import MLPClassifier

    if len(points) == 0 or len(np.unique(labels)) < 2:
        only = int(labels[0]) if len(labels) else 0
        return (lambda x: np.full(len(x), only)), (lambda x, y: np.zeros_like(x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = MLPClassifier((32,), max_iter=80, learning_rate_init=5e-3, random_state=seed).fit(
            points, labels
        )
    (first, second), (one, two) = net.coefs_, net.intercepts_
    # For two classes scikit-learn has one output: its negative makes the other class.
    if second.shape[1] == 1:
        second, two = np.hstack([-second, second]) / 2.0, np.concatenate([-two, two]) / 2.0
    place = {int(c): k for k, c in enumerate(net.classes_)}

    def gradient(x: FloatArray, y: IntArray) -> FloatArray:
        hidden = x @ first + one
        logits = np.maximum(hidden, 0.0) @ second + two
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        known = np.array([place.get(int(label), 0) for label in y])
        odds[np.arange(len(x)), known] -= 1.0
        return np.asarray((odds @ second.T * (hidden > 0.0)) @ first.T)

    return net.predict, gradient


def surrogate(system: System, seed: int):
    """Return a copy trained on natural rows that the system labelled: its predictions and its gradient."""
    rows = system.known[0]
    return _copy(system.cube(rows), system.model(rows).argmax(axis=1), seed)


def thefts(system: System, n: int) -> Iterator[Theft]:
    """Yield ``n`` extractions of each kind."""
    for seed in range(n):
        yield knockoff(system, seed, natural=True)
        yield knockoff(system, seed, natural=False)
        yield jacobian(system, seed)
