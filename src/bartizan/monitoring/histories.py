"""What each principal used to send: bin counts, so that each is held against its own past."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from bartizan.monitoring.recent import Stretch

MAX_BYTES: Final = 32 * 2**20
MAX_PRINCIPALS: Final = 4096

Counts = npt.NDArray[np.uint32]


class Histories:
    """Bin counts per principal; who was heard of longest ago is forgotten first.

    Args:
        streams: Number of streams ``F``.
        bins: Largest number of bins ``K`` of any stream.
    """

    def __init__(self, streams: int, bins: int) -> None:
        self.shape = (streams, bins)
        self.capacity = max(1, min(MAX_PRINCIPALS, MAX_BYTES // (4 * streams * bins)))
        self._slots: OrderedDict[str, int] = OrderedDict()
        self._counts: Counts = np.zeros((1, streams, bins), dtype=np.uint32)

    def __len__(self) -> int:
        return len(self._slots)

    def items(self) -> Iterator[tuple[str, Counts]]:
        """Yield principals and their counts, who was heard of longest ago first."""
        for name, slot in self._slots.items():
            yield name, self._counts[slot]

    def of(self, principal: str) -> Counts | None:
        """Return a principal's bin counts, shape ``(F, K)``, or ``None``."""
        slot = self._slots.get(principal)
        return None if slot is None else self._counts[slot]

    def put(self, principal: str, counts: Counts) -> None:
        """Set a principal's bin counts, as the one heard of last."""
        slot = self._slot(principal)  # which may move the array
        self._counts[slot] = counts

    def absorb(self, events: Stretch) -> None:
        """Count events; those of nobody in particular are left out."""
        if not len(events) or events.principals[0] is None:
            return
        # In pieces with no more principals than there is room for, so that each keeps its slot.
        for start in range(0, len(events), self.capacity):
            piece = slice(start, start + self.capacity)
            slots = np.array([self._slot(name) for name in events.principals[piece].tolist()])
            bins = events.bins[piece]
            at, stream = np.nonzero(bins >= 0)
            np.add.at(self._counts, (slots[at], stream, bins[at, stream]), 1)

    def _slot(self, name: str) -> int:
        slot = self._slots.get(name)
        if slot is not None:
            self._slots.move_to_end(name)
            return slot
        if len(self._slots) >= self.capacity:
            slot = self._slots.popitem(last=False)[1]
            self._counts[slot] = 0
        else:
            slot = len(self._slots)
            if slot == len(self._counts):
                room = np.zeros((min(slot, self.capacity - slot), *self.shape), dtype=np.uint32)
                self._counts = np.concatenate([self._counts, room])
        self._slots[name] = slot
        return slot
