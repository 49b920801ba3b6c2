"""Two readers of a text: a linear model reads all of it, an encoder what that one can't clear.

The linear model costs microseconds and scores overlapping windows of the whole text. Where none
reaches the floor, the text is cleared; where some do, the encoder reads those stretches, with a
little of what stands around them. Floors are set on training data so that hardly anything that the
encoder would call an attack is cleared (``training/README.md``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bartizan.features.encoder import Encoder, Window
from bartizan.features.linear import NOTHING_SAID, Head, Strongest, scanned

MAX_WINDOWS: Final = 24
"""Windows that the encoder reads of one part: those the linear model finds strongest."""
AROUND: Final = 160
"""Characters read before and after a stretch that was not cleared."""
CLEARED: Final = -40.0
"""Added to the score of a cleared text, so that it ranks below every text that was read."""
LOWEST_READ: Final = -25.0


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads the texts of one channel.

    Attributes:
        linear: The linear model.
        head: Which of the encoder's logits counts.
        floor: Linear score below which a window is cleared.
        weight: How much the linear score adds to the encoder's logit.
        reads: Whether there is a second tier for this channel; without one the linear score is
            the score.
    """

    linear: Head
    head: int
    floor: float
    weight: float
    reads: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """What was made of a part.

    Attributes:
        score: On the logit scale where it was read; below :data:`LOWEST_READ` where it was cleared.
        text: Index of the text that scored highest.
        start: Where its strongest window starts.
        end: Where that ends.
    """

    score: float
    text: int
    start: int
    end: int


def cleared(text: str, reader: Reader) -> Reading | None:
    """Return the reading of a text in which the linear model finds nothing, or ``None``."""
    top = max((w.score for w in scanned(text, reader.linear)), default=NOTHING_SAID)
    return Reading(CLEARED + top, 0, 0, len(text)) if top < reader.floor else None


def scanned_only(texts: Sequence[str], reader: Reader) -> Reading:
    """Return the strongest reading of a part's texts by the linear model alone."""
    best = Reading(NOTHING_SAID, 0, 0, len(texts[0]))
    for index, text in enumerate(texts):
        for window in scanned(text, reader.linear):
            best = _stronger(best, Reading(window.score, index, window.start, window.end))
    return best


def read(texts: Sequence[str], reader: Reader, encoder: Encoder, *, trusting: bool) -> Reading:
    """Return the strongest reading of a part's texts: its own and what its envelopes say.

    Args:
        texts: The canonical text first.
        reader: What reads them.
        encoder: The second tier.
        trusting: Whether the linear model may clear the first text; what was in disguise is read.

    Guarantees:
        At most ``MAX_WINDOWS`` windows are read by the encoder; otherwise linear in the texts. A
        window beyond those counts with its linear score: decoys can't push an order out of sight.
    """
    best: Reading | None = None
    wanted: list[tuple[float, int, Window]] = []
    for index, text in enumerate(texts):
        found = scanned(text, reader.linear)
        floor = reader.floor if trusting and index == 0 else NOTHING_SAID
        kept = [w for w in found if w.score >= floor]
        if not kept:
            top = max((w.score for w in found), default=NOTHING_SAID)
            best = _stronger(best, Reading(CLEARED + top, index, 0, len(text)))
        for start, end in _stretches(kept, len(text)):
            wanted += ((_linear(kept, w), index, w) for w in encoder.windows(text[start:end], start))
    wanted.sort(key=lambda w: -w[0])
    for rank, (linear, index, window) in enumerate(wanted):
        score = linear
        if rank < MAX_WINDOWS:
            score = encoder.logits(window)[reader.head] + reader.weight * linear
        score = max(LOWEST_READ, score)
        best = _stronger(best, Reading(score, index, window.start, window.end))
    return best if best is not None else Reading(CLEARED + NOTHING_SAID, 0, 0, 0)


def _stronger(one: Reading | None, other: Reading) -> Reading:
    return other if one is None or other.score > one.score else one


def _stretches(kept: Sequence[Strongest], size: int) -> list[tuple[int, int]]:
    """Return the stretches to read: windows with their surroundings, joined where they meet."""
    joined: list[tuple[int, int]] = []
    for window in kept:
        start, end = max(0, window.start - AROUND), min(size, window.end + AROUND)
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _linear(kept: Sequence[Strongest], window: Window) -> float:
    """Return the highest linear score that overlaps a window of the encoder."""
    return max((w.score for w in kept if w.start < window.end and window.start < w.end), default=NOTHING_SAID)
