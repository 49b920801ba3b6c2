"""Recall per way of hiding an attack, as the detector reads it and with the normalisation taken out.

    BARTIZAN_DATA=... python -m benchmarks.text.obfuscation [--attacks N] [--benign N] [--level 0.01]

Attacks and benign texts are drawn from ``text/dev`` by a fixed seed, short ones, each written in every
encoding. The threshold is fixed on the plain benign texts at the given level and never moved. Without
the normalisation a text is judged as it was written, lower case only. Benign texts are written the
same ways, so that what the encoding itself earns shows as false alarms.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import string
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bartizan.errors import BartizanError
from bartizan.features.text import CanonicalText, canonical
from bartizan.features.traced import Traced
from bartizan.registry import detector
from bartizan.stats.intervals import clopper_pearson
from bartizan.types import Origin, Part, PartKind
from benchmarks.text.encodings import BYTES, WORDS

SEED = 0
LONGEST = 400
KEPT = frozenset(string.ascii_letters + " ")

Encoder = Callable[[str], str]


class Reading:
    """Features of one part, read as told."""

    def __init__(self, read: Callable[[Part], CanonicalText]) -> None:
        self._read = read

    def of_part(self, make: Callable[[Part], Any], part: Part) -> Any:
        return self._read(part) if make is canonical else make(part)


def raw(part: Part) -> CanonicalText:
    """Return a part as it was written."""
    return CanonicalText(Traced(part.text.lower(), None, len(part.text)), judged=len(part.text))


def texts(label: int) -> Iterator[str]:
    """Yield the short English texts of one label, plain ones only."""
    for path in sorted((Path(os.environ["BARTIZAN_DATA"]) / "text" / "dev").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                plain = record["label"] == label and not record["kind"].startswith("obfuscated")
                if plain and record["text"].isascii() and 40 <= len(record["text"]) <= LONGEST:
                    yield " ".join("".join(c if c in KEPT else " " for c in record["text"]).split())


def sample(label: int, n: int) -> list[str]:
    found = sorted(set(texts(label)))
    return random.Random(SEED).sample(found, min(n, len(found)))


def scores(written: list[str], reading: Reading) -> np.ndarray:
    judge = detector("text.instructions")
    parts = (Part(PartKind.TEXT, Origin.USER, text=text) for text in written)
    return np.array([max(judge.score(part, reading).values) for part in parts])


def share(values: np.ndarray, threshold: float) -> str:
    hits = int((values > threshold).sum())
    low, high = clopper_pearson(hits, len(values))
    return f"{hits / len(values):.2f} [{low:.2f}, {high:.2f}]"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--attacks", type=int, default=60)
    parser.add_argument("--benign", type=int, default=60)
    parser.add_argument("--level", type=float, default=0.01)
    args = parser.parse_args()
    if "BARTIZAN_DATA" not in os.environ:
        print("set BARTIZAN_DATA to the folder that holds text/dev", file=sys.stderr)
        return 2
    undone, written = Reading(canonical), Reading(raw)
    attacks, benign = sample(1, args.attacks), sample(0, args.benign)
    everything = sample(0, 10_000)
    threshold = float(np.quantile(scores(everything, undone), 1 - args.level))
    print(
        f"{len(attacks)} attacks, {len(benign)} benign; threshold {threshold:.3f}: level {args.level:g}",
        end="",
    )
    print(f" on {len(everything)} plain benign texts. 95 % Clopper-Pearson intervals.")
    print(f"{'':28}{'attacks, undone':>21}{'as written':>21}{'benign, undone':>21}{'as written':>21}")
    encoders: dict[str, Encoder] = {"plain": str, **BYTES, **WORDS}
    for name, encode in encoders.items():
        cells = [
            share(scores([encode(t) for t in chosen], reading), threshold)
            for chosen in (attacks, benign)
            for reading in (undone, written)
        ]
        print(f"{name:28}" + "".join(f"{cell:>21}" for cell in cells))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BartizanError as error:
        sys.exit(str(error))
