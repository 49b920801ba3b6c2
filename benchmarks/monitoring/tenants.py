"""A classifier with forty unequal tenants, and what may happen to its traffic."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator

import numpy as np
import numpy.typing as npt

from bartizan.alarms import Events
from bartizan.monitoring.sessions import SEARCHES, SESSIONS, SessionWatch, learn_sessions

FloatArray = npt.NDArray[np.float64]
Rng = np.random.Generator
Change = Callable[[FloatArray, FloatArray, FloatArray], None]

COLUMNS = 6
TENANTS = 40
CLASSES = 3
STEP = 0.15
"""SimBA's step, in standard deviations."""

STEPS = 400
ROUNDS, HALVINGS, PROBES, PROBE = 5, 8, 20, 0.05
"""HopSkipJump: rounds a row, steps of its bisections, probes round the boundary, their length in distances."""
KEY = b"tenants"


class Tenants:
    """Tenants of Zipf-like size whose rows differ a little from each other's."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        weights = 1.0 / np.arange(1, TENANTS + 1)
        self._weights = weights / weights.sum()
        self._offsets = rng.normal(size=(TENANTS, COLUMNS)) * 0.3
        self._mixing = np.eye(COLUMNS) + 0.3 * rng.normal(size=(COLUMNS, COLUMNS)) / COLUMNS
        self._centres = 1.5 * rng.normal(size=(CLASSES, COLUMNS))
        self._layers = self._train(rng)

    def rows(self, rng: Rng, who: npt.NDArray[np.int64]) -> FloatArray:
        """Return rows of some tenants, shape ``(n, 6)``."""
        base = self._centres[rng.integers(0, CLASSES, len(who))]
        return np.asarray((base + rng.normal(size=(len(who), COLUMNS))) @ self._mixing + self._offsets[who])

    def model(self, rows: FloatArray) -> FloatArray:
        """Return the classifier's probabilities, shape ``(n, 3)``."""
        (first, one), (second, two) = self._layers
        logits = np.maximum(rows @ first + one, 0.0) @ second + two
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    def events(
        self, rng: Rng, n: int, change: Change | None = None, *, trusted: float = 0.0, start: int = 0
    ) -> Events:
        """Return ordinary traffic, or, with ``change``, traffic whose rows were changed in place."""
        who = rng.choice(TENANTS, n, p=self._weights)
        rows = self.rows(rng, who)
        sure = rng.random(n) < trusted
        if change is not None:
            change(rows, who.astype(np.float64), sure.astype(np.float64))
        names = ["audit" if s else f"tenant-{w}" for w, s in zip(who.tolist(), sure.tolist(), strict=True)]
        return _events(start, rows, self.model(rows), names, sure)

    def searched(
        self,
        rng: Rng,
        n: int,
        accounts: int,
        share: float,
        *,
        boundary: bool = False,
        trusted: float = 0.0,
        start: int = 0,
    ) -> Events:
        """Return traffic of which a share is one search for adversarial rows, over some accounts."""
        who = rng.choice(TENANTS, n, p=self._weights)
        rows, sure = self.rows(rng, who), rng.random(n) < trusted
        names = ["audit" if s else f"tenant-{w}" for w, s in zip(who.tolist(), sure.tolist(), strict=True)]
        search = self._hop_skip_jump(rng) if boundary else self._simba(rng)
        row = next(search)
        for turn, at in enumerate(np.flatnonzero((rng.random(n) < share) & ~sure).tolist()):
            rows[at], names[at] = row, f"mallory-{turn % accounts}"
            row = search.send(self.model(row[None])[0])
        return _events(start, rows, self.model(rows), names, sure)

    def _simba(self, rng: Rng) -> Generator[FloatArray, FloatArray, None]:
        """SimBA (Guo et al., ICML 2019): one column at a time, up or down, kept if the score falls."""
        while True:
            row = self.rows(rng, rng.integers(0, TENANTS, 1))[0]
            answer = yield row
            label, best = int(answer.argmax()), float(answer.max())
            for k in range(STEPS):
                step = np.zeros(COLUMNS)
                step[int(rng.integers(COLUMNS)) if k >= COLUMNS else k] = STEP * rng.choice([-1.0, 1.0])
                answer = yield row + step
                if answer[label] < best:
                    row, best = row + step, float(answer[label])
                if int(answer.argmax()) != label:
                    break

    def _hop_skip_jump(self, rng: Rng) -> Generator[FloatArray, FloatArray, None]:
        """HopSkipJump (Chen et al., S&P 2020) by labels: bisect to the boundary, probe round it, step along."""
        while True:
            row, there = self.rows(rng, rng.integers(0, TENANTS, 2))
            label = int((yield row).argmax())
            if int((yield there).argmax()) == label:
                continue
            for round_ in range(1, ROUNDS + 1):
                near, far = row, there
                for _ in range(HALVINGS):
                    middle = (near + far) / 2
                    if int((yield middle).argmax()) == label:
                        near = middle
                    else:
                        far = middle
                reach = float(np.linalg.norm(far - row))
                total = np.zeros(COLUMNS)
                for _ in range(PROBES):
                    step = rng.normal(size=COLUMNS)
                    step *= PROBE * reach / np.linalg.norm(step)
                    total += step if int((yield far + step).argmax()) != label else -step
                there = far + total / max(float(np.linalg.norm(total)), 1e-9) * reach / np.sqrt(round_)
                while int((yield there).argmax()) == label:
                    there = (there + far) / 2

    def _train(self, rng: Rng) -> tuple[tuple[FloatArray, FloatArray], ...]:
        from sklearn.neural_network import MLPClassifier

        labels = rng.integers(0, CLASSES, 4_000)
        rows = (self._centres[labels] + rng.normal(size=(4_000, COLUMNS))) @ self._mixing
        network = MLPClassifier((24,), max_iter=60, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network.fit(rows, labels)
        return tuple(zip(network.coefs_, network.intercepts_, strict=True))


def session_watch(tenants: Tenants, *, quick: bool) -> Callable[[], SessionWatch]:
    """Calibrate on benign sessions, LIME and SHAP clients included; return a maker of watches."""
    rng = np.random.default_rng(7)
    rows = tenants.rows(rng, rng.integers(0, TENANTS, 4_000))
    table = learn_sessions(
        rows,
        tenants.model,
        rng,
        key=KEY,
        name="tenants",
        created=0.0,
        sessions=900 if quick else SESSIONS,
        searches=120 if quick else SEARCHES,
    )
    return lambda: SessionWatch(table, KEY)


def _events(
    start: int, rows: FloatArray, outputs: FloatArray, names: list[str], trusted: npt.NDArray[np.bool_]
) -> Events:
    return Events(
        start + np.arange(float(len(rows))),
        {f"x{i}": rows[:, i] for i in range(COLUMNS)},
        outputs,
        principals=tuple(names),
        trusted=trusted,
    )
