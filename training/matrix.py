"""Examples to sparse rows: one row per window, with the same features that the detector reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from bartizan.features.ngrams import Grams, grams, windows
from bartizan.features.text import canonical
from bartizan.types import Origin, Part, PartKind
from corpus import Example

MIN_HIT = 0.6
"""Share of an injected instruction, or of the window, that has to overlap for a window to be one."""


@dataclass(frozen=True, slots=True)
class Rows:
    """``x``: (n, 2**bits) rows; ``example``: which example a row is of; ``hit``: may be its attack."""

    x: sparse.csr_matrix
    example: np.ndarray
    hit: np.ndarray


def rows(examples: list[Example], bits: int) -> Rows:
    data, columns, sizes, of, hits = [], [], [0], [], []
    for number, example in enumerate(examples):
        for found, start, end, hit in _windows(example, bits):
            kept = found.window(start, end)
            order = np.argsort(found.buckets[kept])
            values = found.values[kept][order]
            columns.append(found.buckets[kept][order].astype(np.int32))
            data.append(values / np.sqrt(max(1.0, values.sum())))
            sizes.append(len(kept))
            of.append(number)
            hits.append(hit)
    x = sparse.csr_matrix(
        (np.concatenate(data), np.concatenate(columns), np.cumsum(sizes)), (len(of), 1 << bits)
    )
    return Rows(x, np.array(of), np.array(hits))


def _windows(example: Example, bits: int) -> Iterator[tuple[Grams, int, int, bool]]:
    read = canonical(Part(PartKind.TEXT, Origin.USER, text=example.text))
    span = example.span
    if span is not None and read.body.offsets is not None:
        span = tuple(int(i) for i in np.searchsorted(read.body.offsets, span))
    for text in (read.body.text, *(v.text for v in read.views)):
        found = grams(text, bits)
        # What an envelope says may be an attack; that something was enveloped never is.
        bare = bool(read.views) and text is read.body.text and span is None
        for start, end in windows(found.size):
            yield found, start, end, not bare and (span is None or _overlap(span, start, end) >= MIN_HIT)


def _overlap(span: tuple[int, int], start: int, end: int) -> float:
    shared = min(end, span[1]) - max(start, span[0])
    return shared / max(1, min(end - start, span[1] - span[0]))
