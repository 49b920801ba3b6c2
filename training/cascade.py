"""Put the two tiers together: choose floors and weights on training-side data, write the artefacts.

    BARTIZAN_DATA=... python training/cascade.py WORK

Reads ``WORK/encoder.onnx`` (``encoder.py export``) and the linear model. For each head the weight of the
linear score is the one with the best recall of the attacks kept from the encoder at low rates on benign
texts that no model saw; the floor lets ``PASSED`` of those benign texts be cleared by the linear model.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bartizan.detectors.text.instructions import _heads
from bartizan.features.cascade import Reader, read
from bartizan.features.encoder import ABOUT, FORMAT, GRAPH, PIECES, Encoder, Window
from bartizan.features.linear import strongest
from bartizan.features.text import canonical
from bartizan.types import Origin, Part, PartKind
from corpus import SEED, Example
from encoder_data import is_held_out, kept_benign
from mixture import examples

FOLDER = Path(__file__).parents[1] / "src/bartizan/detectors/text"
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
RATES = (0.01, 0.001)
PASSED = {"user": 0.85, "data": 0.6}
BENIGN, ATTACKS = 2_000, 600
NOTHING = -1e9


class Remembering(Encoder):
    """Reads every window once."""

    def logits(self, window: Window) -> Sequence[float]:
        known = self.__dict__.setdefault("known", {})
        if window.ids not in known:
            known[window.ids] = super().logits(window)
        return known[window.ids]


def texts(e: Example) -> tuple[str, ...]:
    found = canonical(Part(PartKind.TEXT, Origin.USER, text=e.text))
    return (found.body.text, *(v.text for v in found.views))


def recalls(benign: np.ndarray, attacks: np.ndarray) -> list[float]:
    return [round(float(np.mean(attacks > np.quantile(benign, 1 - rate))), 3) for rate in RATES]


def main() -> None:
    work = Path(sys.argv[1])
    pieces = json.loads((work / PIECES).read_text())
    pieces["padding"] = pieces["truncation"] = None
    encoder = Remembering((work / GRAPH).read_bytes(), json.dumps(pieces), {})
    r = random.Random(SEED)
    held = [e for e in examples() if is_held_out(e)]
    floor, weight, figures = {}, {}, {}
    for number, name in enumerate(("user", "data")):
        linear = _heads()[name]
        benign = [texts(e) for e in kept_benign(name, BENIGN, r)]
        mine = [e for e in held if e.channel == name]
        attacks = [texts(e) for e in r.sample(mine, min(ATTACKS, len(mine)))]
        tops = [max(strongest(t, linear).score for t in found) for found in benign]
        floor[name] = round(float(np.quantile(tops, PASSED[name])), 3)
        best = (-1.0, 0.0)
        for candidate in WEIGHTS:
            whole = Reader(linear, number, NOTHING, candidate)
            scored = [
                np.array([read(found, whole, encoder, trusting=True).score for found in group])
                for group in (benign, attacks)
            ]
            found = recalls(*scored)
            print(f"{name}: weight {candidate}: recall at {RATES}: {found}", flush=True)
            best = max(best, (float(np.mean(found)), candidate))
            figures[f"{name}@{candidate}"] = found
        weight[name] = best[1]
        gated = Reader(linear, number, floor[name], weight[name])
        cut = [np.array([read(f, gated, encoder, trusting=True).score for f in g]) for g in (benign, attacks)]
        figures[f"{name} with the floor"] = recalls(*cut)
        print(f"{name}: weight {weight[name]}, floor {floor[name]}: {recalls(*cut)}", flush=True)
    write(work, json.dumps(pieces, ensure_ascii=False), floor, weight, figures)


def write(work: Path, pieces: str, floor: dict, weight: dict, figures: dict) -> None:
    shutil.copyfile(work / GRAPH, FOLDER / GRAPH)
    (FOLDER / PIECES).write_text(pieces, encoding="utf-8")
    digests = {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in (GRAPH, PIECES)}
    about = {
        "format": FORMAT,
        "licence": "Apache-2.0",
        "base": "sentence-transformers/all-MiniLM-L6-v2, first four layers",
        "sha256": digests,
        "floor": floor,
        "weight": weight,
        "training_side_recall": figures,
    }
    (FOLDER / ABOUT).write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
