"""Put the two tiers together: floors, the weight of the linear score, and the artefacts.

    BARTIZAN_DATA=... python training/cascade.py WORK

Reads ``WORK/encoder.onnx`` (``encoder.py export``), ``WORK/tokenizer.json`` and the linear model. For each
head the floor lets ``PASSED`` of the benign texts that no model saw be cleared by the linear model. The
weight is set, not fitted: the attacks kept from the encoder are not kept from the linear model, so that a fit
to them would trust the linear score too much.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sys
from pathlib import Path

import numpy as np

from bartizan.detectors.text.instructions import _heads
from bartizan.features.cascade import LOWEST_READ, Reader, read
from bartizan.features.encoder import ABOUT, FORMAT, GRAPH, PIECES, Encoder
from bartizan.features.linear import strongest
from bartizan.features.text import canonical
from bartizan.types import Origin, Part, PartKind
from corpus import SEED, Example
from encoder_data import is_held_out, kept_benign
from mixture import examples

FOLDER = Path(__file__).parents[1] / "src/bartizan/detectors/text"
WEIGHT = 0.5
READS = ["data"]
"""Channels with a second tier. The encoder's user head takes long requests in languages other than
English for attacks (README), so it is not used."""
RATES = (0.01, 0.001)
PASSED = {"user": 0.85, "data": 0.6}
BENIGN, ATTACKS = 2_000, 400


def texts(e: Example) -> tuple[str, ...]:
    found = canonical(Part(PartKind.TEXT, Origin.USER, text=e.text))
    return (found.body.text, *(v.text for v in found.views))


def recalls(benign: np.ndarray, attacks: np.ndarray) -> list[float]:
    return [round(float(np.mean(attacks > np.quantile(benign, 1 - rate))), 3) for rate in RATES]


def main() -> None:
    work = Path(sys.argv[1])
    pieces = json.loads((work / PIECES).read_text())
    pieces["padding"] = pieces["truncation"] = None
    encoder = Encoder((work / GRAPH).read_bytes(), json.dumps(pieces), {})
    r = random.Random(SEED)
    held = [e for e in examples() if is_held_out(e)]
    floor, figures = {}, {}
    for number, name in enumerate(("user", "data")):
        linear = _heads()[name]
        benign = [texts(e) for e in kept_benign(name, BENIGN, r)]
        mine = [e for e in held if e.channel == name]
        attacks = [texts(e) for e in r.sample(mine, min(ATTACKS, len(mine)))]
        tops = [max(strongest(t, linear).score for t in found) for found in benign]
        floor[name] = round(float(np.quantile(tops, PASSED[name])), 3)
        reader = Reader(linear, number, floor[name], WEIGHT)
        scored = [
            np.array([read(t, reader, encoder, trusting=True).score for t in g]) for g in (benign, attacks)
        ]
        passed = float(np.mean(scored[1] < LOWEST_READ))
        figures[name] = {
            **dict(zip(map(str, RATES), recalls(*scored), strict=True)),
            "cleared": round(passed, 4),
        }
        print(f"{name}: floor {floor[name]}: {figures[name]}", flush=True)
    write(work, json.dumps(pieces, ensure_ascii=False), floor, figures)


def write(work: Path, pieces: str, floor: dict, figures: dict) -> None:
    shutil.copyfile(work / GRAPH, FOLDER / GRAPH)
    (FOLDER / PIECES).write_text(pieces, encoding="utf-8")
    digests = {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in (GRAPH, PIECES)}
    about = {
        "format": FORMAT,
        "licence": "Apache-2.0",
        "base": "sentence-transformers/all-MiniLM-L6-v2, first four layers",
        "sha256": digests,
        "floor": floor,
        "reads": READS,
        "weight": dict.fromkeys(floor, WEIGHT),
        "training_side_recall": figures,
    }
    (FOLDER / ABOUT).write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
