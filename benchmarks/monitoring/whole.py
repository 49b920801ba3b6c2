"""The whole monitor on real rows in which nothing changes: every stream, every kind of evidence.

The rows are scikit-learn's digits with the answers of a classifier, resampled, so that they are
independent; asked for by 50 principals of unequal traffic. An alarm counts where its ``global``
ground says yes: that is what the promise is about.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from bartizan.alarms import Alarm, Answer, Events
from bartizan.monitoring.baseline import Settings
from bartizan.monitoring.learning import learn
from bartizan.monitoring.monitor import Monitor
from benchmarks.monitoring import figures
from benchmarks.monitoring.peers import FloatArray

CALIBRATION = 20_000
THRESHOLDS = (1e3, 1e4)
PRINCIPALS = 50
CHUNK = 10_000
PIXELS = tuple(range(2, 64, 4))


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    rows, answers = _digits()
    sets, events = (2, 50_000) if quick else (10, 200_000)
    return [_row(rows, answers, a, sets, events) for a in THRESHOLDS]


def _digits() -> tuple[FloatArray, FloatArray]:
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    data = load_digits()
    half = len(data.target) // 2
    model = LogisticRegression(C=0.1, max_iter=2000).fit(data.data[:half] / 16.0, data.target[:half])
    return data.data[half:], model.predict_proba(data.data[half:] / 16.0)


def _row(rows: FloatArray, answers: FloatArray, a: float, sets: int, events: int) -> dict[str, Any]:
    counts, causes, refused = [], Counter[str](), 0
    for seed in range(sets):
        rng = np.random.default_rng([61, seed])
        baseline = learn(
            _events(rows, answers, rng, CALIBRATION, 0),
            name="digits",
            created=0.0,
            rng=rng,
            settings=Settings(a),
        )
        if not baseline.promise:
            refused += 1
            continue
        monitor = Monitor(baseline, system="digits", key=bytes([seed]))
        alarms: dict[str, Alarm] = {}
        for start in range(0, events, CHUNK):
            for alarm in monitor.feed(_events(rows, answers, rng, CHUNK, start)):
                alarms[alarm.id] = alarm  # told again: as it was told last
        changed = [
            x
            for x in alarms.values()
            if any(g.kind == "global" and g.answer is Answer.YES for g in x.grounds)
        ]
        counts.append(len(changed))
        causes.update(str(x.cause) for x in alarms.values())
    return {
        "threshold": a,
        "promise": figures.MILLION / a,
        "streams": len(baseline.streams),
        "refused": refused,
        "sets": sets,
        "mean": figures.rate(sum(counts), events * len(counts)) if counts else None,
        "worst": figures.rate(max(counts), events) if counts else None,
        "causes": dict(causes),
    }


def _events(rows: FloatArray, answers: FloatArray, rng: np.random.Generator, n: int, start: int) -> Events:
    picked = rng.integers(0, len(rows), n)
    share = 1.0 / np.arange(1, PRINCIPALS + 1)
    who = rng.choice(PRINCIPALS, size=n, p=share / share.sum())
    return Events(
        np.arange(start, start + n, dtype=np.float64),
        {f"pixel {k}": rows[picked, k] for k in PIXELS},
        answers[picked],
        tuple(f"principal {w}" for w in who.tolist()),
    )


def show(results: list[dict[str, Any]]) -> None:
    out = figures.console()
    table = figures.grid(
        "the whole monitor on resampled digits: false alarms per million events [95% Poisson]",
        "promise",
        "streams",
        "calibration sets",
        "refused",
        "mean",
        "worst set",
        "causes given",
    )
    for r in results:
        causes = ", ".join(f"{name} {count}" for name, count in sorted(r["causes"].items())) or "-"
        table.add_row(
            f"≤{r['promise']:,.0f}",
            str(r["streams"]),
            str(r["sets"]),
            str(r["refused"]),
            figures.per_million(r["mean"]),
            figures.per_million(r["worst"]),
            causes,
        )
    out.print(table)
