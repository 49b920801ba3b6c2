"""What both tiers are fitted on: public, generated and written texts, no source drowning the others."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import families
import written
from corpus import SEED, Example, augmented, data_root, fitted, load

COPIES = 4
"""Fillings of every written line."""
BARE_TASKS = 6_000
CAPS = {
    "own/synthetic-indirect": 5_000,
    "own/synthetic-benign-directive": 1_800,
    "own/adversarial-benign": 2_000,
    "self-instruct/t0-prompts": 3_500,
    "generated": 16_000,
}
TASK_SOURCES = (
    "gpteacher/codegen",
    "llamafactory/alpaca_en_demo",
    "llamafactory/dpo_en_demo",
    "llamafactory/kto_en_demo",
    "self-instruct/seed",
    "gpteacher/toolformer",
)


def examples() -> list[Example]:
    """Return public, generated and written texts, capped so that no source drowns the others."""
    r = random.Random(SEED + 1)
    public = fitted(load(data_root()))
    made = [*augmented(public), *_tasks(r, public), *_written(r)]
    r.shuffle(made)
    seen: Counter[str] = Counter()
    kept = []
    for e in made:
        seen[e.source] += 1
        if seen[e.source] <= CAPS.get(e.source, len(made)):
            kept.append(e)
    return kept


def _tasks(r: random.Random, public: list[Example]) -> Iterator[Example]:
    """Yield users' ordinary requests as they would stand in data, where they are orders to the reader."""
    tasks = [e for e in public if e.label == 0 and e.source in TASK_SOURCES and len(e.text) < 500]
    carriers = [e.text for e in public if e.label == 0 and e.channel == "data" and len(e.text) > 200]
    for e in r.sample(tasks, min(BARE_TASKS, len(tasks))):
        if r.random() < 0.45:
            yield Example(f"{e.id}-bare", e.text, "data", 1, "bare-tasks")
        else:
            text, span = families.placed(r, r.choice(carriers)[:900], e.text[:400])
            yield Example(f"{e.id}-task", text, "data", 1, "bare-tasks/placed", span)


def _written(r: random.Random) -> Iterator[Example]:
    for i, (line, text, span) in enumerate(written.filled(r, COPIES)):
        yield Example(f"{line.number}-{i}", text, line.channel, line.label, "written", span)
