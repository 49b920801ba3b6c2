"""The promise and what came of it: false-alarm rates realised on unseen benign data, and detection.

Two bodies of data, the whole pipeline on each, calibrated as an operator would on part of the
benign data and tried on the rest, over several random partitions:

* rows: scikit-learn's digits behind the demo's classifier, with its attacks;
* texts: the ``dev`` part of the corpora under ``BARTIZAN_DATA`` (nothing is trained on it), once
  calibrated on half of its benign texts and once with the shipped table, which promises nothing
  about them.

A rate that a calibration can't certify is refused: the rate in force is printed instead.
"""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from bartizan import registry
from bartizan.assembly import EMPTY, generic_table, usual_detectors
from bartizan.calibration.build import REFERENCE_SHARE, build_table
from bartizan.calibration.table import Table
from bartizan.cli.demo import digits
from bartizan.cli.demo.attacks import adversarial_attacks, foreign_rows
from bartizan.cli.row_calibration import Learnt, learnt, parted
from bartizan.config import from_mapping
from bartizan.features.digest import digest_text
from bartizan.features.variants import Model, rows_at
from bartizan.pipeline import Pipeline
from bartizan.policy.decide import Policy
from bartizan.stats.conformal import points_needed
from bartizan.stats.intervals import clopper_pearson
from bartizan.types import Interaction, Measured, Origin, Part, PartKind, Principal, Rows, Step

RATES = (0.01, 0.001)
NOBODY = Principal("benchmark", "address")
WAYS = {
    "usual": {"detectors": list(usual_detectors("predict"))},
    "chosen": {},
    "chosen, extra calls": {"extra_calls": True},
}
"""How the detectors of digits come about, as configuration of the system."""


@dataclass(slots=True)
class Outcome:
    """What one calibration recipe gave at one promised rate.

    Attributes:
        body: The data and how it was calibrated.
        cell: The calibration cell.
        promised: The rate asked for.
        in_force: The largest certified rate in force over the partitions.
        n: Calibration points that rank whole messages.
        rates: Realised false-alarm rate of each partition.
        flagged: Benign messages flagged, over all partitions.
        total: Benign messages tried, over all partitions.
        detected: Per attack family, flagged and sent, over all partitions.
        chosen: The detectors that were on, per partition, where that can differ.
    """

    body: str
    cell: str
    promised: float
    in_force: float = 0.0
    n: int = 0
    rates: list[float] = field(default_factory=list)
    flagged: int = 0
    total: int = 0
    detected: dict[str, list[int]] = field(default_factory=dict)
    chosen: list[list[str]] = field(default_factory=list)

    @property
    def refused(self) -> bool:
        """Whether the promised rate could not be certified."""
        return self.in_force > self.promised

    def as_dict(self) -> dict:
        # One partition's worth of trials: partitions share texts, so pooling would flatter.
        per = max(1, len(self.rates))
        low, high = clopper_pearson(round(self.flagged / per), round(self.total / per))
        return asdict(self) | {"refused": self.refused, "low": low, "high": high, "partitions": per}


def run(*, partitions: int = 20, quick: bool = False) -> list[dict]:
    """Measure everything that the machine has data for."""
    outcomes = rows(4 if quick else 10)
    root = os.environ.get("BARTIZAN_DATA")
    if root:
        outcomes += texts(Path(root), partitions)
    return [o.as_dict() for o in outcomes]


def rows(seeds: int) -> list[Outcome]:
    """Digits: fit on training rows, calibrate on 600, try 400.

    Three ways on the same splits: the usual detectors, those that calibration chose by measured
    power, and the same with those among the candidates that cost an extra model call.
    """
    outcomes = {(way, rate): Outcome(f"digits, {way}", "exchange", rate) for way in WAYS for rate in RATES}
    for seed in range(seeds):
        part, model, rng = digits.split(seed), digits.train(seed), np.random.default_rng(seed)
        attacks = [
            *adversarial_attacks(model, part.test, part.train.inputs, rng),
            *foreign_rows(model, part.test, rng),
        ]
        for way, more in WAYS.items():
            rng = np.random.default_rng(seed)
            first, rest = parted(asked(model)(part.calibration.inputs), rng, REFERENCE_SHARE)
            pipeline, found = learnt_pipeline(part.train.inputs, first, model, more, len(rest.inputs), rng)
            points, early = (measure_rows(pipeline, model, found, r.inputs) for r in (rest, first))
            table = table_of(pipeline, points, rng, found.states, early)
            clean = measure_rows(pipeline, model, found, part.test.inputs)
            hostile = [(a.family, m) for a in attacks for m in measure_rows(pipeline, model, found, a.inputs)]
            for rate in RATES:
                tally(outcomes[way, rate], table, clean, hostile)
                outcomes[way, rate].chosen.append(sorted(found.names))
    return list(outcomes.values())


def learnt_pipeline(
    inputs: np.ndarray,
    first: Rows,
    model: digits.Classifier,
    more: dict,
    ranked: int,
    rng: np.random.Generator,
) -> tuple[Pipeline, Learnt]:
    system = {"name": "digits", "kind": "predict", "upstream": {"url": "http://localhost"}, **more}
    config = from_mapping({"systems": [system]}, base=Path())
    found = learnt(
        config.systems[0], asked(model)(inputs), first, asked(model), rate=RATES[0], ranked=ranked, rng=rng
    )
    detectors = [registry.detector(name) for name in found.names]
    return Pipeline(detectors, Policy(), Table("fitting", 0.0, {}, found.states), rate=0.5), found


def asked(model: digits.Classifier) -> Model:
    return lambda inputs: Rows(inputs, model.probabilities(inputs))


def measure_rows(
    pipeline: Pipeline, model: digits.Classifier, learnt: Learnt, inputs: np.ndarray
) -> list[Measured]:
    rows = learnt.asked(asked(model)(inputs), asked(model))
    measured = []
    for i in range(len(inputs)):
        part = Part(PartKind.ROWS, Origin.USER, rows=rows_at(rows, np.array([i])))
        verdict = pipeline.judge(Interaction("", "", Step.EXCHANGE, NOBODY, (part,)))
        measured.append(verdict.measured)
    return measured


def texts(root: Path, partitions: int) -> list[Outcome]:
    """Dev texts: score once, then calibrate on half of the benign ones and try the rest."""
    detectors = [registry.detector(name) for name in registry.detectors_for("chat")]
    pipeline = Pipeline(detectors, Policy(), EMPTY, rate=0.5, deadline_ms=1e9)
    scored = list(measure_texts(pipeline, root))
    generic = generic_table()
    outcomes = []
    for cell in ("request.user", "request.data"):
        benign = [m for label, _, m in scored if label == 0 and m.cell == cell]
        hostile = [(source, m) for label, source, m in scored if label == 1 and m.cell == cell]
        for rate in RATES:
            shipped = Outcome("dev, shipped table", cell, rate)
            tally(shipped, generic, benign, hostile)
            own = Outcome("dev, own half", cell, rate)
            for seed in range(partitions):
                rng = np.random.default_rng(seed)
                order = rng.permutation(len(benign))
                half = len(order) // 2
                table = table_of(pipeline, [benign[i] for i in order[:half]], rng, {})
                tally(own, table, [benign[i] for i in order[half:]], hostile)
            outcomes += [shipped, own]
    return outcomes


def measure_texts(pipeline: Pipeline, root: Path) -> Iterator[tuple[int, str, Measured]]:
    for path in sorted((root / "text" / "dev").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                user = record["channel"] == "user"
                kind, origin = (PartKind.TEXT, Origin.USER) if user else (PartKind.TOOL_RESULT, Origin.TOOL)
                text = record["text"]
                part = Part(kind, origin, text=text, digest=digest_text(kind, origin, "", text))
                verdict = pipeline.judge(Interaction("", "", Step.REQUEST, NOBODY, (part,)))
                yield record["label"], record["source"], verdict.measured


def table_of(
    pipeline: Pipeline,
    points: Sequence[Measured],
    rng: np.random.Generator,
    states: dict,
    first: Sequence[Measured] | None = None,
) -> Table:
    return build_table(
        points,
        name="benchmark",
        source="operator",
        created=0.0,
        units={d.spec.name: d.spec.unit for d in pipeline.detectors},
        versions={},
        rng=rng,
        fitted=states,
        first=first,
    )


def tally(
    outcome: Outcome, table: Table, benign: Iterable[Measured], hostile: Iterable[tuple[str, Measured]]
) -> None:
    cell = table.cells[outcome.cell]
    level = table.level(outcome.cell, outcome.promised)
    outcome.in_force = max(outcome.in_force, level.rate)
    outcome.n = cell.statistics.n

    def alarmed(measured: Measured) -> bool:
        return cell.statistics.p_value(cell.statistic(measured)) <= level.threshold

    hits = [alarmed(m) for m in benign]
    outcome.rates.append(sum(hits) / len(hits))
    outcome.flagged += sum(hits)
    outcome.total += len(hits)
    for family, measured in hostile:
        count = outcome.detected.setdefault(family, [0, 0])
        count[0] += alarmed(measured)
        count[1] += 1


def show(results: Sequence[dict]) -> None:
    from rich.console import Console
    from rich.table import Table as Grid

    console = Console(width=140)
    grid = Grid(title="false alarms: promised and realised", title_justify="left")
    for heading in (
        "data",
        "cell",
        "promised",
        "n",
        "certified, in force",
        "realised",
        "95%",
        "worst partition",
    ):
        grid.add_column(heading)
    for r in results:
        force = f"1 in {1 / r['in_force']:,.0f}"
        if r["refused"]:
            force += f" (refused: needs {points_needed(r['promised']):,})"
        grid.add_row(
            r["body"],
            r["cell"],
            f"1 in {1 / r['promised']:,.0f}",
            f"{r['n']:,}",
            force,
            f"{r['flagged'] / r['total']:.3%}",
            f"{r['low']:.2%} to {r['high']:.2%}",
            f"{max(r['rates']):.2%}",
        )
    console.print(grid)
    console.print("realised: mean over partitions; 95%: Clopper-Pearson for the trials of one partition\n")
    for r in results:
        found = Grid(
            title=f"detected: {r['body']}, {r['cell']}, at 1 in {1 / r['in_force']:,.0f}",
            title_justify="left",
        )
        for heading in ("family", "detected", "n"):
            found.add_column(heading)
        for family, (hits, sent) in sorted(r["detected"].items()):
            found.add_row(family, f"{hits / sent:.1%}", f"{sent // r['partitions']:,}")
        console.print(found)
        if r["chosen"]:
            counts = Counter(name for names in r["chosen"] for name in names)
            console.print("on: " + ", ".join(f"{n} ({c})" for n, c in counts.most_common()) + "\n")
