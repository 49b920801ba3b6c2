"""Measure the shipped artefact. Reads ``text/dev`` and the kept part of ``text/train``; fits nothing.

    BARTIZAN_DATA=... python training/evaluate.py

Thresholds come from the kept benign texts (``split.is_calibration``), never from dev.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from bartizan.detectors.text.instructions import Instructions
from bartizan.stats.intervals import wilson
from bartizan.types import Interaction, Origin, Part, PartKind, Principal, Step
from corpus import calibration, data_root, load, read

RATES = (0.05, 0.01, 0.001)
PUBLISHED = (
    ("piguard/NotInject", "user"),
    ("piguard/wildguard", "user"),
    ("piguard/BIPIA_text", "data"),
    ("piguard/BIPIA_code", "data"),
)
CHANNELS = {"user": Origin.USER, "data": Origin.TOOL}


class Plain:
    """Features without memory."""

    interaction = Interaction("", "", Step.REQUEST, Principal("", "address"), ())

    def of_part(self, make: Callable, part: Part) -> object:
        return make(part)

    def of_interaction(self, make: Callable) -> object:
        return make(self.interaction)


def scores(texts: list[str], channel: str) -> np.ndarray:
    detector, features = Instructions(), Plain()
    origin = CHANNELS[channel]
    parts = (Part(PartKind.TEXT, origin, text=text) for text in texts)
    return np.array([detector.score(part, features).values[0] for part in parts])


def grouped(records: list[dict]) -> dict[tuple[str, int], list[int]]:
    out = defaultdict(list)
    for i, r in enumerate(records):
        out[r["source"], r["label"]].append(i)
    return out


def main() -> None:
    root = data_root()
    train = calibration(load(root))
    dev = list(read(root / "text" / "dev"))
    limits = {}
    for channel in CHANNELS:
        kept = scores([e.text for e in train if e.channel == channel], channel)
        limits[channel] = [float(np.quantile(kept, 1 - rate)) for rate in RATES]
        listed = ", ".join(f"{t:.2f}" for t in limits[channel])
        print(f"{channel}: {len(kept)} kept benign texts; thresholds at 5 %, 1 %, 0.1 %: {listed}")
    for channel in CHANNELS:
        report([r for r in dev if r["channel"] == channel], channel, limits[channel])
    published(dev, limits)


def published(dev: list[dict], limits: dict[str, list[float]]) -> None:
    """Print the share judged rightly on the sets of the PIGuard table, at 0 and at kept rates."""
    heads = " | ".join(f"{source.removeprefix('piguard/')} ({channel})" for source, channel in PUBLISHED)
    print(f"\n| threshold | {heads} | over-defence | benign | malicious | average |")
    print("|---" * (len(PUBLISHED) + 5) + "|")
    found = {}
    for source, channel in PUBLISHED:
        mine = [r["text"] for r in dev if r["source"].startswith(source)]
        found[source] = scores(mine, channel)
    for name, index in (("logit 0", None), *((f"{rate:.1%} of kept", i) for i, rate in enumerate(RATES))):
        right, cells = [], []
        for source, channel in PUBLISHED:
            limit = 0.0 if index is None else limits[channel][index]
            hits = found[source] > limit
            right.append(hits if channel == "data" else ~hits)
            low, high = wilson(int(right[-1].sum()), len(right[-1]))
            cells.append(f"{right[-1].mean():.1%} ({low:.1%}-{high:.1%}, n={len(hits)})")
        malicious = float(np.mean([right[2].mean(), right[3].mean()]))
        three = (float(right[0].mean()), float(right[1].mean()), malicious)
        whole = " | ".join(f"{value:.1%}" for value in (*three, float(np.mean(three))))
        print(f"| {name} | {' | '.join(cells)} | {whole} |")


def by(mine: list[dict], found: np.ndarray, key: str, channel: str, limits: list[float]) -> None:
    """Print, for each value of a field, false alarms and recall at the kept 1 % and 0.1 % thresholds."""
    print(
        f"\n{channel} by {key}:\n\n| {key} | label | n | over 1 % (95 %) | over 0.1 % (95 %) |\n"
        "|---|---|---|---|---|"
    )
    groups = defaultdict(list)
    for i, r in enumerate(mine):
        groups[str(r[key]), r["label"]].append(i)
    for (value, label), rows in sorted(groups.items()):
        cells = []
        for limit in limits[1:]:
            hits = int((found[rows] > limit).sum())
            low, high = wilson(hits, len(rows))
            cells.append(f"{hits / len(rows):.3f} ({low:.3f}-{high:.3f})")
        print(f"| {value} | {label} | {len(rows)} | {' | '.join(cells)} |")


def report(mine: list[dict], channel: str, limits: list[float]) -> None:
    found = scores([r["text"] for r in mine], channel)
    label = np.array([r["label"] for r in mine])
    negative, positive = found[label == 0], found[label == 1]
    caught = [f"{np.mean(positive > np.quantile(negative, 1 - rate)):.3f} at {rate:.1%}" for rate in RATES]
    print(
        f"\n{channel}: AUROC {auroc(negative, positive):.3f}; TPR at an FPR on dev of: {', '.join(caught)}\n"
    )
    print("| source | label | n | over 0 | over 5 % | over 1 % | over 0.1 % |\n|---|---|---|---|---|---|---|")
    for (source, y), rows in sorted(grouped(mine).items(), key=lambda g: (g[0][1], g[0][0])):
        cells = " | ".join(f"{np.mean(found[rows] > t):.3f}" for t in (0.0, *limits))
        print(f"| {source} | {y} | {len(rows)} | {cells} |")
    by(mine, found, "lang", channel, limits)
    by(mine, found, "kind", channel, limits)


def auroc(negative: np.ndarray, positive: np.ndarray) -> float:
    order = np.concatenate([negative, positive]).argsort(kind="stable").argsort(kind="stable") + 1
    return float(
        (order[len(negative) :].sum() - len(positive) * (len(positive) + 1) / 2)
        / (len(negative) * len(positive))
    )


if __name__ == "__main__":
    main()
