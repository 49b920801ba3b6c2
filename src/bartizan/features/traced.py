"""Text that remembers where each of its characters came from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Offsets = npt.NDArray[np.int64]
Edit = tuple[int, int, str]
"""``(start, end, replacement)`` in the text being edited."""


@dataclass(frozen=True, slots=True)
class Traced:
    """A text made from another one.

    Attributes:
        text: The text.
        offsets: ``offsets[i]`` is the position in the source of the character that
            ``text[i]`` came from, never falling; ``None`` where every position is its own.
        size: Number of characters in the source.
    """

    text: str
    offsets: Offsets | None
    size: int

    def source_span(self, start: int, end: int) -> tuple[int, int]:
        """Return the source span of ``text[start:end]``; inside ``[0, size]``, never reversed."""
        if start >= end:
            return (0, 0)
        if self.offsets is None:
            return (start, min(end, self.size))
        last = self.offsets[end - 1]
        after = int(np.searchsorted(self.offsets, last, side="right"))
        stop = int(self.offsets[after]) if after < len(self.offsets) else self.size
        return (int(self.offsets[start]), stop)

    def splice(self, edits: Iterable[Edit]) -> Traced:
        """Return the text with edits applied; they must be in order and must not overlap."""
        pieces: list[str] = []
        sources: list[Offsets] = []
        own = np.arange(len(self.text)) if self.offsets is None else self.offsets
        at = 0
        for start, end, new in edits:
            pieces += (self.text[at:start], new)
            sources += (own[at:start], np.full(len(new), own[start] if start < len(own) else self.size))
            at = end
        if not pieces:
            return self
        pieces.append(self.text[at:])
        sources.append(own[at:])
        return Traced("".join(pieces), np.concatenate(sources), self.size)

    def mapped(self, pieces: Sequence[str]) -> Traced:
        """Return the text with character ``i`` replaced by ``pieces[i]`` (any length)."""
        text = "".join(pieces)
        widths = np.fromiter(map(len, pieces), np.int64, len(pieces))
        if len(text) == len(pieces) and bool((widths == 1).all()):
            return Traced(text, self.offsets, self.size)
        own = np.arange(len(pieces)) if self.offsets is None else self.offsets
        return Traced(text, np.repeat(own, widths), self.size)
