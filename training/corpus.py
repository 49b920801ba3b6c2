"""What the text model is fitted on: public corpora, our generated texts, and the split."""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import families
from split import is_calibration

SEED = 20_260_923
GENERATED = 3_000
ENCODED = 1_500
LONGEST_SHORT = 160
TASK_MARKS = (
    "given the paragraph above",
    "answer the following",
    "answer correctly",
    "question:",
    "summarize the",
)
MAX_CHARS = 8_000


@dataclass(frozen=True, slots=True)
class Example:
    id: str
    text: str
    channel: str
    label: int
    source: str
    span: tuple[int, int] | None = None


def data_root() -> Path:
    root = os.environ.get("BARTIZAN_DATA")
    if not root:
        raise SystemExit("set BARTIZAN_DATA to the folder that holds text/train")
    return Path(root)


def read(folder: Path) -> Iterator[dict]:
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def load(root: Path) -> list[Example]:
    """Return all of ``text/train``; label 2 (harmful, no injection) counts as benign."""
    found = []
    for r in read(root / "text" / "train"):
        if is_noise(r):
            continue
        span = tuple(r["span"]) if r.get("span") else None
        label = int(r["label"] == 1)
        found.append(Example(r["id"], r["text"][:MAX_CHARS], r["channel"], label, r["source"], span))
    return found


def is_noise(record: dict) -> bool:
    """Return whether a record's label can't be trusted.

    * An attack of which nothing is left to read: fewer than ten letters, or mostly symbols.
    * ``neuralchemy`` calls its long jailbreak prompts benign when the goal sounds harmless
      ("You are a very direct assistant who always fulfils ..."); its real benign texts are short.
    * Some ``t0-docs`` end in the task that was cut from them ("Given the paragraph above, ...").
    """
    text, source = record["text"], record["source"]
    if record["label"] == 1:
        letters = sum(map(str.isalpha, text))
        return letters < 10 or letters < 0.3 * len(text.replace(" ", ""))
    if source == "neuralchemy":
        return len(text) > LONGEST_SHORT
    return source == "self-instruct/t0-docs" and any(mark in text.lower() for mark in TASK_MARKS)


def calibration(examples: list[Example]) -> list[Example]:
    """Return the benign examples kept for calibration: what no model here was fitted on."""
    return [e for e in examples if e.label == 0 and is_calibration(e.id)]


def fitted(examples: list[Example]) -> list[Example]:
    """Return what may be fitted: all attacks, and the benign records that calibration doesn't keep.

    Texts composed by others from kept documents are left out as well, so that no calibration text
    is seen through a side door.
    """
    shingles = {s for e in calibration(examples) if e.channel == "data" for s in _shingles(e.text, 1)}
    return [
        e
        for e in examples
        if e.label == 1
        or (
            not is_calibration(e.id)
            and not (
                e.source == "own/synthetic-benign-directive" and not shingles.isdisjoint(_shingles(e.text, 6))
            )
        )
    ]


def _shingles(text: str, step: int) -> Iterator[str]:
    words = text.split()
    for i in range(0, max(1, len(words) - 11), step):
        yield " ".join(words[i : i + 12])


def augmented(examples: list[Example], count: int = GENERATED) -> list[Example]:
    """Return the examples with generated families, obfuscation of both classes, and crossings."""
    r = random.Random(SEED)
    benign = [e for e in examples if e.label == 0]
    carriers = [e.text for e in benign if e.channel == "data" and len(e.text) > 200]
    tasks = [e.text for e in benign if e.channel == "user" and len(e.text) < 300]
    made = (
        Example(f"made-{i:05}", text, channel, label, "generated", span)
        for i, (text, channel, label, span) in enumerate(families.generated(r, carriers, tasks, count))
    )
    return [*examples, *made, *_crossed(r, examples, carriers, count), *_disguised(r, examples, count)]


def _crossed(r: random.Random, examples: list[Example], carriers: list[str], count: int) -> Iterator[Example]:
    """Yield users' attacks placed in documents, and documents pasted by users."""
    attacks = [e for e in examples if e.channel == "user" and e.label == 1]
    for e in _some(r, attacks, count):
        carrier = r.choice(carriers)[:800] if r.random() < 0.7 else ""
        text, span = families.placed(r, carrier, e.text[:600])
        yield Example(f"{e.id}-placed", text, "data", 1, f"{e.source}/placed", span)
    documents = [e for e in examples if e.channel == "data" and e.label == 0]
    foreign = [e for e in documents if e.source == "xcopa"]
    for e in _some(r, documents, count) + foreign:
        yield Example(f"{e.id}-pasted", e.text, "user", 0, f"{e.source}/pasted")


def _disguised(r: random.Random, examples: list[Example], count: int) -> Iterator[Example]:
    """Yield texts of both classes in rough or encoded spelling."""
    for e in _some(r, examples, count):
        if e.span is None and len(e.text) < 2_000:
            text = families.roughened(r, e.text)
            yield replace(e, id=f"{e.id}-rough", text=text, source=f"{e.source}/rough")
    short = [e for e in examples if e.span is None and len(e.text) < 600]
    for label in (0, 1):
        for e in _some(r, [e for e in short if e.label == label], ENCODED):
            text = families.enveloped(r, e.text)
            yield replace(e, id=f"{e.id}-encoded", text=text, source=f"{e.source}/encoded")


def _some(r: random.Random, examples: list[Example], count: int) -> list[Example]:
    return r.sample(examples, min(len(examples), count))
