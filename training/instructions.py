"""Fit the ``text.instructions`` model and write its artefact.

    BARTIZAN_DATA=... python training/instructions.py            fit, write artefact and manifest
    BARTIZAN_DATA=... python training/instructions.py --folds    leave-source-out figures only

Only ``text/train`` and generated texts are read. Seeded; one core; under a minute (``--folds``: two).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.linear_model import SGDClassifier

from corpus import SEED, Example, data_root, load
from matrix import Rows, rows
from mixture import examples as mixture

BITS = 18
EPOCHS = 6
TELLING_WINDOWS = 2
RATIO_FLOOR = 0.2
ALPHA = {"user": 5e-6, "data": 3e-6}
MAX_NEGATIVE_WINDOWS = {"user": 4, "data": 8}
MAX_POSITIVE_WINDOWS = 4
ARTEFACT = Path(__file__).parents[1] / "src/bartizan/detectors/text/instructions.npz"
MANIFEST = Path(__file__).with_name("manifest.json")


def chosen(made: Rows, labels: np.ndarray, mine: np.ndarray, channel: str) -> np.ndarray:
    """Return the rows to fit on: of each example a few windows; of attacks those that hit."""
    rng = np.random.default_rng(SEED)
    row = np.flatnonzero(mine[made.example] & (made.hit | (labels[made.example] == 0)))
    row = rng.permutation(row)
    row = row[np.argsort(made.example[row], kind="stable")]
    example = made.example[row]
    first = np.r_[True, example[1:] != example[:-1]]
    place = np.arange(len(row))
    rank = place - np.maximum.accumulate(np.where(first, place, 0))
    return row[rank < np.where(labels[example] == 1, MAX_POSITIVE_WINDOWS, MAX_NEGATIVE_WINDOWS[channel])]


def fit(made: Rows, labels: np.ndarray, mine: np.ndarray, channel: str) -> tuple[np.ndarray, float]:
    """Return weights and intercept.

    Fitted twice: the second time only the windows of an attack that the first model finds most
    telling are taken for attacks, because most of a long jailbreak is ordinary prose.
    """
    row = chosen(made, labels, mine, channel)
    weights, _ = regression(made, labels, row, channel)
    score = made.x[row] @ weights
    example = made.example[row]
    order = np.lexsort((-score, example))
    first = np.r_[True, np.diff(example[order]) != 0]
    place = np.arange(len(row))
    rank = np.empty(len(row), int)
    rank[order] = place - np.maximum.accumulate(np.where(first, place, 0))
    kept = row[(labels[example] == 0) | (rank < TELLING_WINDOWS)]
    return regression(made, labels, kept, channel)


def regression(made: Rows, labels: np.ndarray, row: np.ndarray, channel: str) -> tuple[np.ndarray, float]:
    """Return the mean of two logistic regressions, which is again a linear model.

    One sees the columns as they are, the other scaled by how unevenly the classes use them; the
    mean does better at low false-positive rates than either (``--folds``).

    References:
        Wang & Manning (2012), Baselines and bigrams: the naive-Bayes log-count ratio as a feature.
    """
    y, x = labels[made.example[row]], made.x[row]
    windows = np.bincount(made.example[row], minlength=len(labels))[made.example[row]]
    weight = np.where(y == 1, 1 / np.sqrt(windows), 1.0)
    plain = logistic(x, y, weight, channel)
    ratio = unevenness(x, y)
    x.data = x.data * ratio[x.indices]
    scaled = logistic(x, y, weight, channel)
    weights = (plain.coef_[0] + scaled.coef_[0] * ratio) / 2
    return weights, float(plain.intercept_[0] + scaled.intercept_[0]) / 2


def logistic(x: sparse.csr_matrix, y: np.ndarray, weight: np.ndarray, channel: str) -> SGDClassifier:
    model = SGDClassifier(
        loss="log_loss", alpha=ALPHA[channel], average=True, max_iter=EPOCHS, tol=None, random_state=SEED
    )
    return model.fit(x, y, sample_weight=weight)


def unevenness(x: sparse.csr_matrix, y: np.ndarray) -> np.ndarray:
    """Return the size of the log ratio of how often each class has each column, plus a floor."""
    present = sparse.csr_matrix((np.ones_like(x.data), x.indices, x.indptr), x.shape)
    attack = np.asarray(present[y == 1].sum(0)).ravel() + 1
    benign = np.asarray(present[y == 0].sum(0)).ravel() + 1
    ratio = np.abs(np.log((attack / attack.sum()) / (benign / benign.sum())))
    return (RATIO_FLOOR + ratio).astype(np.float32)


def manifest(examples: list[Example], used: list[Example]) -> dict:
    """Say what was fitted on: a digest over ids and texts, and counts by source."""
    digest = hashlib.blake2b(digest_size=16)
    for e in used:
        digest.update(f"{e.id}\0{e.channel}\0{e.label}\0{e.text}\0".encode(errors="replace"))
    counts = Counter((e.source, e.channel, e.label) for e in used)
    return {
        "digest": digest.hexdigest(),
        "seed": SEED,
        "records": len(examples),
        "fitted": len(used),
        "by_source": [
            {"source": s, "channel": c, "label": y, "texts": n} for (s, c, y), n in sorted(counts.items())
        ],
    }


def write(heads: dict[str, tuple[np.ndarray, float]], about: dict) -> int:
    meta = {
        "format": 1,
        "version": "1",
        "bits": BITS,
        "intercept": {name: intercept for name, (_, intercept) in heads.items()},
        "manifest": about["digest"],
        "licence": "Apache-2.0",
    }
    arrays = {name: weights.astype(np.float16) for name, (weights, _) in heads.items()}
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, meta=np.frombuffer(json.dumps(meta, sort_keys=True).encode(), np.uint8), **arrays
    )
    fresh = ARTEFACT.with_suffix(".new")
    fresh.write_bytes(buffer.getvalue())
    fresh.replace(ARTEFACT)  # nobody ever reads half an artefact
    MANIFEST.write_text(json.dumps(about, indent=1) + "\n")
    return len(buffer.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folds", action="store_true", help="leave-source-out figures, nothing is written")
    arguments = parser.parse_args()
    examples = load(data_root())
    used = mixture()
    made = rows(used, BITS)
    labels = np.array([e.label for e in used])
    channels = np.array([e.channel for e in used])
    print(f"{len(examples)} records, {len(used)} fitted, {made.x.shape[0]} windows, {made.x.nnz} values")
    if arguments.folds:
        from folds import report

        report(used, made, labels, channels, fit)
        return
    heads = {channel: fit(made, labels, channels == channel, channel) for channel in ("user", "data")}
    print(f"{write(heads, manifest(examples, used))} bytes -> {ARTEFACT}")


if __name__ == "__main__":
    main()
