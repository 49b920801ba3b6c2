"""Makes the shipped calibration table: scores of benign texts that no model was fitted on.

    BARTIZAN_DATA=... .venv/bin/python training/generic_table.py

Requests are benign training texts of the calibration split (``split.py``): what users type in
cell ``request.user``, documents and tool outputs in ``request.data``. Answers are the model
answers among them, judged as a model's answer to an empty conversation. The table makes Bartizan
useful in the first minute; it promises nothing about anybody's own traffic.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from bartizan import registry
from bartizan.assembly import EMPTY
from bartizan.calibration.build import build_table
from bartizan.calibration.table import encode
from bartizan.features.digest import digest_text
from bartizan.pipeline import Pipeline
from bartizan.policy.decide import Policy
from bartizan.types import Interaction, Measured, Origin, Part, PartKind, Principal, Step
from corpus import data_root, load
from split import is_calibration

SEED = 20_261_123
# A fixed date, so that the same data gives the same bytes.
CREATED = 1_795_392_000.0
OUT = Path(__file__).parents[1] / "src" / "bartizan" / "calibration" / "generic.msgpack"
NOT_ANSWERS = (
    "docs/",
    "bfcl/",
    "own/synthetic",
    "own/benign-entities",
    "giskard/enron",
)
NOBODY = Principal("nobody", "address")


def interaction(text: str, kind: PartKind, origin: Origin, step: Step) -> Interaction:
    part = Part(kind, origin, text=text, digest=digest_text(kind, origin, "", text))
    return Interaction("", "", step, NOBODY, (part,))


def benign() -> list[Interaction]:
    made = []
    for example in load(data_root()):
        if example.label:
            continue
        if example.channel == "data" and not example.source.startswith(NOT_ANSWERS):
            made.append(interaction(example.text, PartKind.TEXT, Origin.MODEL, Step.RESPONSE))
        if not is_calibration(example.id):
            continue
        kind, origin = (
            (PartKind.TEXT, Origin.USER) if example.channel == "user" else (PartKind.TOOL_RESULT, Origin.TOOL)
        )
        made.append(interaction(example.text, kind, origin, Step.REQUEST))
    return made


def main() -> int:
    detectors = [registry.detector(name) for name in registry.detectors_for("chat")]
    pipeline = Pipeline(detectors, Policy(), EMPTY, rate=0.5, deadline_ms=1e9)
    measured: list[Measured] = []
    todo = benign()
    for done, one in enumerate(todo):
        if done % 2_000 == 0:
            print(f"{done:,} of {len(todo):,}", file=sys.stderr)
        verdict = pipeline.judge(one)
        if verdict.measured is not None:
            measured.append(verdict.measured)
    table = build_table(
        measured,
        name="shipped: benign public texts",
        source="generic",
        created=CREATED,
        units={d.spec.name: d.spec.unit for d in detectors},
        versions={d.spec.name: d.spec.version for d in detectors},
        rng=np.random.default_rng(SEED),
    )
    OUT.write_bytes(encode(table))
    for name, cell in table.cells.items():
        print(name, cell.statistics.n, {k: r.tail for k, r in cell.references.items()})
    print(OUT.stat().st_size, "bytes, sha256", table.digest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
