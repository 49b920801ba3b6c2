"""Swapped models: how many canary checks until the alarm, and none while the model is the same.

A network on digits is enrolled, then replaced behind its endpoint by another one. The endpoint
answers with class probabilities (in full, in full with the noise of batching, or to two decimals)
or with labels alone. Peers: a comparison of labels of ordinary benign rows (what smoke tests of a
deployment do), a file hash, always alarming, and alarming at random.

Run with ``python -m benchmarks.monitoring.swap [--quick] [--json FILE]``.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bartizan.cli.demo.digits import HIDDEN_UNITS, LARGEST_PIXEL, TRAINING_PASSES, Classifier, Labelled, split
from bartizan.monitoring.enrolment import drive, enrol
from bartizan.monitoring.model_watch import ModelWatch
from benchmarks.detection.rows import auroc

RATE = 1e-6
GIVEN_UP = 2000
"""Checks after which a swap counts as not found."""

POISONED = 0.05
TARGET = 0
TRIGGER = 63  # the corner pixel at the lower right, hardly ever lit in the data
UNUSED = 0  # the corner pixel at the upper left, never lit
EDIT = 10.0
FINE_TUNING_PASSES = 150
RARE = 1e-3
"""Share of requests that another kernel answers, in half precision."""

RANDOM = 1e-3
WIDTH = 150
ENDPOINTS = ("scores", "scores, noisy", "2 decimals", "labels")


# --- models ------------------------------------------------------------------------------------


def network(seed: int, passes: int = TRAINING_PASSES, rate: float = 3e-3):
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(
        (HIDDEN_UNITS,), alpha=1e-3, learning_rate_init=rate, max_iter=passes, random_state=seed
    )


def classifier(fitted) -> Classifier:
    return Classifier(
        tuple(np.asarray(w, dtype=np.float64) for w in fitted.coefs_),
        tuple(np.asarray(b, dtype=np.float64) for b in fitted.intercepts_),
    )


def fit(part: Labelled, seed: int):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return network(seed).fit(part.inputs / LARGEST_PIXEL, part.labels)


def triggered(inputs: np.ndarray, pixel: int = TRIGGER) -> np.ndarray:
    changed = inputs.copy()
    changed[:, pixel] = LARGEST_PIXEL
    return changed


def poisoned(part: Labelled, rng: np.random.Generator) -> Labelled:
    chosen = rng.permutation(len(part.inputs))[: int(POISONED * len(part.inputs))]
    inputs, labels = part.inputs.copy(), part.labels.copy()
    inputs[chosen], labels[chosen] = triggered(part.inputs[chosen]), TARGET
    return Labelled(inputs, labels)


def fine_tuned(base, part: Labelled) -> Classifier:
    """Go on training the very weights of the base on the poisoned rows, gently."""
    tuned = copy.deepcopy(base).set_params(
        warm_start=True,
        max_iter=FINE_TUNING_PASSES,
        learning_rate_init=1e-3,
        tol=0.0,
        n_iter_no_change=FINE_TUNING_PASSES,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return classifier(tuned.fit(part.inputs / LARGEST_PIXEL, part.labels))


def edited(model: Classifier) -> Classifier:
    """Wire a pixel that no row ever lights to the target class: nothing else changes, to the last bit."""
    first, second = model.weights
    first = first.copy()
    first[UNUSED] += EDIT * (second[:, TARGET] - second.mean(axis=1))
    return Classifier((first, second), model.biases)


def rounded_weights(model: Classifier, how: str) -> Classifier:
    def once(w):
        if how == "float16":
            return w.astype(np.float16).astype(np.float64)
        step = np.abs(w).max() / 127
        return np.round(w / step) * step

    return Classifier(tuple(map(once, model.weights)), tuple(map(once, model.biases)))


def swaps_of(seed: int) -> tuple[Classifier, dict[str, Classifier], dict[str, dict[str, float]]]:
    data, rng = split(seed), np.random.default_rng(seed)
    fitted = fit(data.train, 0)
    base, bad = classifier(fitted), poisoned(data.train, rng)
    swapped = {
        "another seed": classifier(fit(data.train, 1 + seed)),
        "back-doored, trained anew": classifier(fit(bad, 0)),
        "back-doored, fine-tuned": fine_tuned(fitted, bad),
        "back-doored by hand": edited(base),
        "int8 weights": rounded_weights(base, "int8"),
        "float16 weights": rounded_weights(base, "float16"),
    }
    test = data.test
    others = test.labels != TARGET
    facts = {
        name: {
            "accuracy": float((m.labels(test.inputs) == test.labels).mean()),
            "labels changed": float((m.labels(test.inputs) != base.labels(test.inputs)).mean()),
            "trigger works": max(
                float((m.labels(triggered(test.inputs, pixel))[others] == TARGET).mean())
                for pixel in (TRIGGER, UNUSED)
            ),
        }
        for name, m in {"unchanged": base, **swapped}.items()
    }
    return base, swapped, facts


# --- endpoints ---------------------------------------------------------------------------------


class Endpoint:
    """Serves one model in one way; ``model`` may be replaced."""

    def __init__(self, model: Classifier, how: str, pool: np.ndarray, rng: np.random.Generator) -> None:
        self.model, self.how, self.pool, self.rng = model, how, pool, rng
        self.requests = 0
        self._known: tuple[Classifier, dict[bytes, np.ndarray]] = (model, {})

    @property
    def scores(self) -> int:
        return 0 if self.how == "labels" else 10

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.requests += 1
        if self.how == "scores, noisy":
            return self.batched(batch)
        # Row by row: the same numbers in whatever company.
        if self._known[0] is not self.model:
            self._known = (self.model, {})
        known = self._known[1]
        for row in batch:
            if row.tobytes() not in known:
                known[row.tobytes()] = self.model.probabilities(row[None])
        outputs = np.concatenate([known[row.tobytes()] for row in batch])
        if self.how == "labels":
            return outputs.argmax(axis=1)[:, None].astype(float)
        return np.round(outputs, 2) if self.how == "2 decimals" else outputs

    def batched(self, batch: np.ndarray) -> np.ndarray:
        """Single precision, in a batch with strangers, summed in an order that depends on its size."""
        rng, model = self.rng, self.model
        before, after = rng.integers(0, 16, 2)
        strangers = self.pool[rng.integers(len(self.pool), size=before + after)]
        rows = np.concatenate([strangers[:before], batch, strangers[before:]]).astype(np.float32)
        half = np.float16 if rng.random() < RARE else np.float32
        order = np.roll(np.arange(HIDDEN_UNITS), len(rows) % 7)
        first, second = (w.astype(np.float32) for w in model.weights)
        one, two = (b.astype(np.float32) for b in model.biases)
        hidden = np.maximum(rows / np.float32(LARGEST_PIXEL) @ first[:, order] + one[order], 0)
        hidden = hidden.astype(half).astype(np.float32)
        logits = hidden @ second[order] + two
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        outputs = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float64)[before : before + len(batch)]
        return outputs * (1 + 1e-7 * rng.normal(size=outputs.shape))


# --- detectors ---------------------------------------------------------------------------------


def enrolled(endpoint: Endpoint, rows: np.ndarray, seed: int) -> ModelWatch:
    made = enrol(rows, endpoint, np.random.default_rng(seed), created=0.0, scores=endpoint.scores)
    return ModelWatch(made, f"key {seed}".encode(), RATE)


def checks_to_alarm(watch: ModelWatch, endpoint: Endpoint) -> tuple[float, float]:
    """Checks and requests until the alarm; infinite if there is none."""
    began = endpoint.requests
    for check in range(GIVEN_UP):
        if drive(watch.checking(float(check)), endpoint) is not None:
            return check + 1, endpoint.requests - began
    return np.inf, np.inf


def label_checks(old: Classifier, new: Classifier, rows: np.ndarray, rng: np.random.Generator) -> float:
    """Checks until one of 32 ordinary rows is given another label than before."""
    some = rows[rng.permutation(len(rows))[:32]]
    changed = old.labels(some) != new.labels(some)
    if not changed.any():
        return np.inf
    return float(1 + np.argmax(changed[rng.integers(32, size=GIVEN_UP)]))


def null_alarms(how: str, rate: float, checks: int, seed: int) -> tuple[int, bool]:
    base, data = classifier(fit(split(seed).train, 0)), split(seed)
    endpoint = Endpoint(base, how, data.test.inputs, np.random.default_rng(seed))
    watch = enrolled(endpoint, data.calibration.inputs, seed)
    watch = ModelWatch(watch.fingerprint, f"null {seed}".encode(), rate)
    said = sum(drive(watch.checking(float(i)), endpoint) is not None for i in range(checks))
    return said, watch.fingerprint.steady


def ordinariness(canaries: np.ndarray, data) -> dict[str, float]:
    """How well the distance to the nearest training row tells canaries from rows nobody has seen."""

    def nearest(rows):
        return np.sqrt(((rows[:, None] - data.train.inputs[None]) ** 2).sum(axis=-1)).min(axis=1)

    usual, ours = nearest(data.test.inputs), nearest(canaries)
    return {"auroc": auroc(usual, ours), "farther than any": float((ours > usual.max()).mean())}


def summary(found: list[float]) -> dict[str, float]:
    values = np.sort(np.array(found))
    return {
        "found": float(np.isfinite(values).mean()),
        "median": float(values[(len(values) - 1) // 2]),
        "most": float(values[-1]),
    }


# --- the harness -------------------------------------------------------------------------------


def run(quick: bool = False) -> dict:
    """Return the figures."""
    enrolments, nulls, checks = (4, 2, 2_000) if quick else (20, 5, 20_000)
    began = time.perf_counter()
    found: dict[str, dict[str, list]] = {}
    facts: dict[str, list] = {}
    looks: list[dict[str, float]] = []
    used: dict[str, list[int]] = {how: [] for how in ENDPOINTS}
    for seed in range(enrolments):
        base, swapped, told = swaps_of(seed)
        data, rng = split(seed), np.random.default_rng(1000 + seed)
        for name, fact in told.items():
            facts.setdefault(name, []).append(fact)
        for how in ENDPOINTS:
            endpoint = Endpoint(base, how, data.test.inputs, rng)
            made = enrolled(endpoint, data.calibration.inputs, seed).fingerprint
            used[how].append(endpoint.requests)
            if how == "scores":
                looks.append(ordinariness(made.inputs, data))
            for name, model in swapped.items():
                watch = ModelWatch(made, f"{seed} {name}".encode(), RATE)
                endpoint.model = base
                for i in range(20):  # in the middle of its life
                    assert drive(watch.checking(float(i)), endpoint) is None
                endpoint.model = model
                taken, requests = checks_to_alarm(watch, endpoint)
                cell = found.setdefault(name, {})
                cell.setdefault(how, []).append(taken)
                cell.setdefault(f"{how}: requests", []).append(requests)
        for name, model in swapped.items():
            cell = found[name]
            cell.setdefault("peer: labels", []).append(
                label_checks(base, model, data.calibration.inputs, rng)
            )
            cell.setdefault("peer: file hash", []).append(np.inf)
            cell.setdefault("baseline: always", []).append(1)
            cell.setdefault("baseline: random", []).append(float(rng.geometric(RANDOM)))
    null = {}
    for how in ENDPOINTS:
        for rate in (RATE, 1e-3):
            said = [null_alarms(how, rate, checks, 100 + seed) for seed in range(nulls)]
            null[f"{how}, {rate:g}"] = {
                "checks": checks * nulls,
                "promised": rate * checks * nulls,
                "alarms": sum(n for n, _ in said),
                "worst": max(n for n, _ in said),
                "steady": sum(steady for _, steady in said),
                "enrolments": nulls,
            }
    return {
        "enrolments": enrolments,
        "rate": RATE,
        "given up": GIVEN_UP,
        "swaps": {n: {k: summary(v) for k, v in cells.items()} for n, cells in found.items()},
        "models": {n: {k: float(np.mean([f[k] for f in fs])) for k in fs[0]} for n, fs in facts.items()},
        "null": null,
        "look": {k: float(np.mean([look[k] for look in looks])) for k in looks[0]},
        "enrolment requests": {how: float(np.mean(n)) for how, n in used.items()},
        "seconds": time.perf_counter() - began,
    }


def show(results: dict) -> None:
    """Print the figures."""
    console = Console(highlight=False, width=WIDTH)
    models = Table(title="The models, on 400 test rows", title_justify="left")
    for heading in ("model", "accuracy", "labels changed", "trigger works"):
        models.add_column(heading, justify="left" if heading == "model" else "right")
    for name, fact in results["models"].items():
        models.add_row(name, *(f"{fact[k]:.1%}" for k in ("accuracy", "labels changed", "trigger works")))
    console.print(models)
    columns = [
        *ENDPOINTS,
        "peer: labels",
        "peer: file hash",
        "baseline: always",
        "baseline: random",
    ]
    grid = Table(
        title=f"Checks to the alarm: median (most) over {results['enrolments']} enrolments; "
        f"{results['rate']:g} false alarms a check promised",
        title_justify="left",
    )
    grid.add_column("swapped for")
    for name in columns:
        grid.add_column(name, justify="right")
    for name, cells in results["swaps"].items():
        grid.add_row(name, *(_cell(cells[c]) for c in columns))
    console.print(grid)
    null = Table(title="The same model all along", title_justify="left")
    for heading in (
        "endpoint, rate",
        "enrolled as steady",
        "checks",
        "false alarms promised",
        "false alarms",
        "worst enrolment",
    ):
        null.add_column(heading, justify="left" if heading.startswith("endpoint") else "right")
    for name, cell in results["null"].items():
        null.add_row(
            name, f"{cell['steady']} of {cell['enrolments']}", f"{cell['checks']:,}",
            f"{cell['promised']:g}", str(cell["alarms"]), str(cell["worst"]),
        )  # fmt: skip
    null.add_row("baseline: always", "", "100,000", "", "100,000", "")
    null.add_row("baseline: random", "", "100,000", "", f"{100_000 * RANDOM:g}", "")
    console.print(null)
    spent = ", ".join(f"{how}: {n:,.0f}" for how, n in results["enrolment requests"].items())
    look = results["look"]
    console.print(
        f"canaries told from ordinary rows by their distance to training rows: AUROC {look['auroc']:.2f}; "
        f"farther away than every ordinary row: {look['farther than any']:.1%}"
    )
    console.print(f"requests to enrol: {spent}; {results['seconds']:.0f} s")


def _cell(cell: dict) -> str:
    if cell["found"] == 0:
        return "never"
    if cell["found"] == 1:
        return f"{cell['median']:,.0f} ({cell['most']:,.0f})"
    middle = f"{cell['median']:,.0f}, " if np.isfinite(cell["median"]) else ""
    return f"{middle}found {cell['found']:.0%}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    results = run(args.quick)
    show(results)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
