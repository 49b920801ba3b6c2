"""What each principal used to send: bin counts, so that each is held against its own past."""

from __future__ import annotations

from collections import OrderedDict
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
        self.counts: OrderedDict[str, Counts] = OrderedDict()

    def of(self, principal: str) -> Counts | None:
        """Return a principal's bin counts, shape ``(F, K)``, or ``None``."""
        return self.counts.get(principal)

    def absorb(self, events: Stretch) -> None:
        """Count events; those of nobody in particular are left out."""
        if not len(events) or events.principals[0] is None:
            return
        last = {name: i for i, name in enumerate(events.principals.tolist())}
        for name in sorted(last, key=last.__getitem__):
            mine = events.bins[events.principals == name]
            counts = self.counts.get(name)
            if counts is None:
                counts = self.counts[name] = np.zeros(self.shape, dtype=np.uint32)
            self.counts.move_to_end(name)
            for f in range(self.shape[0]):
                seen = mine[:, f][mine[:, f] >= 0]
                counts[f] += np.bincount(seen, minlength=self.shape[1]).astype(np.uint32)
        while len(self.counts) > self.capacity:
            self.counts.popitem(last=False)
