"""How well the row detectors tell attacks on a real classifier from honest rows.

For each seed the digits are split anew: the classifier and the detectors are fitted on 797 rows,
each detector's threshold is the conformal one for a false-alarm rate of 1 in 100 on 600 other
rows, and attacks are computed from the correctly classified ones of the last 400. A cell reads
``AUROC / detection rate``, averaged over seeds; the row ``clean`` shows the realised false-alarm
rate instead. ``any`` alarms when one of the detectors does at a quarter of the rate each, so
that its promise is the same.

Run with ``python benchmarks/detection/rows.py [--seeds N] [--json]``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict

import numpy as np

from bartizan.cli.demo.digits import Classifier, split, train
from bartizan.cli.demo.row_attacks import adversarial_attacks, foreign_rows
from bartizan.detectors.rows.energy import Energy
from bartizan.detectors.rows.margin import Margin
from bartizan.detectors.rows.neighbours import Neighbours
from bartizan.detectors.rows.range import Range
from bartizan.features.once import OncePerInteraction
from bartizan.types import FloatArray, Interaction, Origin, Part, PartKind, Principal, Rows, Step

RATE = 0.01
CLEAN = "clean"


def scores_of(detectors, model: Classifier, inputs: FloatArray) -> dict[str, FloatArray]:
    part = Part(PartKind.ROWS, Origin.USER, rows=Rows(inputs, model.probabilities(inputs)))
    nobody = Principal("benchmark", "address")
    features = OncePerInteraction(Interaction("", "digits", Step.EXCHANGE, nobody, (part,)))
    return {d.spec.name: np.array(d.score(part, features).values) for d in detectors}


def auroc(benign: FloatArray, attack: FloatArray) -> float:
    """Probability that an attack scores above a benign row; ties count a half."""
    ordered = np.sort(benign)
    below = np.searchsorted(ordered, attack, side="left")
    level = np.searchsorted(ordered, attack, side="right")
    return float((below + level).mean() / (2 * len(benign)))


def p_values(calibration: FloatArray, scores: FloatArray) -> FloatArray:
    """Split-conformal p-values, conservative with ties."""
    at_least = len(calibration) - np.searchsorted(np.sort(calibration), scores, side="left")
    return (1 + at_least) / (len(calibration) + 1)


def one_split(seed: int) -> tuple[dict, dict]:
    data, model = split(seed), train(seed)
    reference = data.train.inputs
    outputs = model.probabilities(reference)
    fitted = [detector.with_state(detector.fit(reference, outputs)) for detector in (Range(), Neighbours())]
    detectors = [*fitted, Margin(), Energy()]
    calibration = scores_of(detectors, model, data.calibration.inputs)
    clean = scores_of(detectors, model, data.test.inputs)

    rng = np.random.default_rng(seed)
    attacks = adversarial_attacks(model, data.test, reference, rng) + foreign_rows(model, data.test, rng)
    families = {CLEAN: clean} | {a.family: scores_of(detectors, model, a.inputs) for a in attacks}
    results = {}
    for family, scores in families.items():
        ranked = {name: p_values(calibration[name], values) for name, values in scores.items()}
        cells = {name: (auroc(clean[name], scores[name]), np.mean(ranked[name] <= RATE)) for name in scores}
        smallest = np.min(list(ranked.values()), axis=0)
        cells["any"] = (float("nan"), np.mean(smallest <= RATE / len(ranked)))
        results[family] = cells
    facts = {CLEAN: float((model.labels(data.test.inputs) == data.test.labels).mean())}
    return results, facts | {a.family: a.success_rate for a in attacks}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    began = time.perf_counter()
    cells, facts = defaultdict(list), defaultdict(list)
    for seed in range(arguments.seeds):
        results, rates = one_split(seed)
        for family, row in results.items():
            facts[family].append(rates[family])
            for name, cell in row.items():
                cells[family, name].append(cell)
    names = list(row)
    table = {
        family: {"flipped": float(np.mean(facts[family]))}
        | {
            n: dict(zip(("auroc", "rate"), np.mean(cells[family, n], axis=0).tolist(), strict=True))
            for n in names
        }
        for family in facts
    }
    seconds = time.perf_counter() - began
    if arguments.json:
        for row in table.values():
            row["any"].pop("auroc")
        json.dump(
            {"seeds": arguments.seeds, "false_alarm_rate": RATE, "families": table}, sys.stdout, indent=2
        )
        print()
        return
    print(f"{arguments.seeds} splits, {seconds:.0f} s. Promised false-alarm rate {RATE}.")
    print("`label` is the share of labels flipped; for clean rows, the model's accuracy.\n")
    print(f"{'family':<14}{'label':>7}" + "".join(f"{name:>17}" for name in names))
    for family, row in table.items():
        shown = (f"{row[n]['auroc']:.2f} / {row[n]['rate']:.3f}" for n in names[:-1])
        line = "".join(f"{cell:>17}" for cell in shown) + f"{row['any']['rate']:>17.3f}"
        print(f"{family:<14}{row['flipped']:>7.2f}{line}")


if __name__ == "__main__":
    main()
