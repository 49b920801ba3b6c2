"""What was judged before: scores by content, and effects by conversation. Bounded, in process.

A chat client replays its whole history on every turn. Scores are kept by content hash, so a
turn costs what its new parts cost; effects are kept per conversation, so that a part that was
stopped once stays out without blocking the conversation for ever.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar

from bartizan.types import Effect, Principal

K = TypeVar("K")
V = TypeVar("V")


class Lru(Generic[K, V]):
    """A bounded mapping that forgets what was used longest ago. Safe across threads."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: OrderedDict[K, V] = OrderedDict()
        self._lock = Lock()

    def get(self, key: K) -> V | None:
        """Return the value, or ``None``."""
        with self._lock:
            value = self._items.get(key)
            if value is not None:
                self._items.move_to_end(key)
            return value

    def put(self, key: K, value: V) -> None:
        """Keep a value, forgetting the oldest if full."""
        with self._lock:
            self._items[key] = value
            self._items.move_to_end(key)
            if len(self._items) > self._capacity:
                self._items.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._items.clear()

    def __len__(self) -> int:
        return len(self._items)


class Memory:
    """Implements the scan-once rule.

    Args:
        capacity: Parts remembered; the oldest are judged again when they come back.
    """

    def __init__(self, capacity: int = 65_536) -> None:
        self._scores: Lru[tuple[str, str], tuple[float, ...]] = Lru(capacity)
        self._effects: Lru[tuple[str, str, str], Effect] = Lru(capacity)

    def scores(self, detector: str, digest: str) -> tuple[float, ...] | None:
        """Return a context-free detector's scores for content it has seen."""
        return self._scores.get((detector, digest))

    def keep_scores(self, detector: str, digest: str, values: tuple[float, ...]) -> None:
        """Keep a context-free detector's scores."""
        self._scores.put((detector, digest), values)

    def forget_scores(self) -> None:
        """Forget all scores, when fitted detectors change."""
        self._scores.clear()

    def effect(self, principal: Principal, digest: str) -> Effect | None:
        """Return what was decided about this content earlier in the conversation."""
        return self._effects.get((principal.id, principal.session, digest))

    def keep_effect(self, principal: Principal, digest: str, effect: Effect) -> None:
        """Keep what was decided about a part."""
        self._effects.put((principal.id, principal.session, digest), effect)
