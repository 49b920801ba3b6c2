"""Calibration on a domain the model was not made for: what is promised and what comes of it.

    BARTIZAN_DATA=... python -m benchmarks.text.shifted [--json] [--partitions 50]

The domain is the documentation inside installed Python packages (docstrings of the standard library, of
cryptography, scikit-learn, scipy, SQLAlchemy and others): 2,000 of them as tool results calibrate, the
others are tried, over random partitions. Beside it, the usual practice: flag at a fixed probability of
0.9. Recall is that of the ``dev`` attacks on the data channel.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bartizan import registry
from bartizan.assembly import EMPTY
from bartizan.features.digest import digest_text
from bartizan.pipeline import Pipeline
from bartizan.policy.decide import Policy
from bartizan.stats.intervals import clopper_pearson
from bartizan.types import Interaction, Measured, Origin, Part, PartKind, Step
from benchmarks.detection.promise import NOBODY, measure_texts, table_of

RATE = 0.01
LEARNT = 2_000
MOST = 4_500
PACKAGES = (
    "cryptography",
    "sqlalchemy",
    "sklearn",
    "scipy",
    "starlette",
    "pydantic",
    "rich",
    "anyio",
    "uvicorn",
)
FIXED = float(np.log(0.9 / 0.1))
KEY = "text.instructions@data"


def docstrings() -> list[str]:
    """Return distinct docstrings of 80 to 4,000 characters, in a fixed random order."""
    paths = sysconfig.get_paths()
    files = sorted(Path(paths["stdlib"]).glob("*.py"))
    for package in PACKAGES:
        files += sorted((Path(paths["purelib"]) / package).rglob("*.py"))
    found = sorted({text for file in files if "test" not in str(file) for text in _of(file)})
    return [found[i] for i in np.random.default_rng(0).permutation(len(found))[:MOST]]


def _of(file: Path) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and 80 <= len(text) <= 4_000:
                yield text


def measured(pipeline: Pipeline, text: str) -> Measured | None:
    kind, origin = PartKind.TOOL_RESULT, Origin.TOOL
    part = Part(kind, origin, text=text, digest=digest_text(kind, origin, "", text))
    return pipeline.judge(Interaction("", "", Step.REQUEST, NOBODY, (part,))).measured


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--partitions", type=int, default=50)
    arguments = parser.parse_args()
    detectors = [registry.detector(name) for name in registry.detectors_for("chat")]
    pipeline = Pipeline(detectors, Policy(), EMPTY, rate=0.5, deadline_ms=1e9)
    benign = [m for text in docstrings() if (m := measured(pipeline, text)) is not None]
    attacks = [
        m
        for label, _, m in measure_texts(pipeline, Path(os.environ["BARTIZAN_DATA"]))
        if label == 1 and m is not None and m.cell == "request.data"
    ]
    rates, recalls, force = [], [], 0.0
    for seed in range(arguments.partitions):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(benign))
        table = table_of(pipeline, [benign[i] for i in order[:LEARNT]], rng, {})
        cell, level = table.cells["request.data"], table.level("request.data", RATE)
        force = max(force, level.rate)

        def alarmed(m: Measured, cell=cell, level=level) -> bool:
            return cell.statistics.p_value(cell.statistic(m)) <= level.threshold

        rates.append(float(np.mean([alarmed(benign[i]) for i in order[LEARNT:]])))
        recalls.append(float(np.mean([alarmed(m) for m in attacks])))
    fixed = [m.maxima.get(KEY, -np.inf) > FIXED for m in benign]
    found = {
        "benign": len(benign),
        "attacks": len(attacks),
        "promised": RATE,
        "certified, in force": force,
        "realised, mean": float(np.mean(rates)),
        "realised, worst partition": max(rates),
        "95 % of one partition's trials": clopper_pearson(
            round(float(np.mean(rates)) * (len(benign) - LEARNT)), len(benign) - LEARNT
        ),
        "share of partitions above the promise": float(np.mean([r > RATE for r in rates])),
        "recall, calibrated": float(np.mean(recalls)),
        "false alarms at 0.9": float(np.mean(fixed)),
        "recall at 0.9": float(np.mean([m.maxima.get(KEY, -np.inf) > FIXED for m in attacks])),
    }
    if arguments.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
