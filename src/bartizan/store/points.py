"""The history of streams, for drawing: a minute's evidence, kept in the query store alone.

It is derived from what the ledger has and from a monitor's state, so it is not in the ledger
and can't be rebuilt from it. Losing it costs pictures, never a statement.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from sqlalchemy import Connection, delete, insert

from bartizan.store.rows import SECONDS_PER_MINUTE, minute_of, row_text
from bartizan.store.tables import stream_points
from bartizan.store.views import StreamPoint

CAPACITY = 50_000
"""Points that may wait for a database that is down; the oldest minutes are given up first."""
_PURGE_MINUTES = 60

_Key = tuple[str, str, int]


class Points:
    """Points on their way to the database; a later point of the same minute replaces an earlier one.

    Args:
        keep_days: Points older than this, seen from the newest, are deleted; ``None``: never.
    """

    def __init__(self, keep_days: float | None) -> None:
        self.given_up = 0
        self._keep_s = None if keep_days is None else keep_days * 86_400.0
        self._waiting: dict[_Key, StreamPoint] = {}
        self._writing: dict[_Key, StreamPoint] = {}
        self._purged = 0
        self._lock = threading.Lock()

    @property
    def pending(self) -> bool:
        """Whether there is something to write."""
        return bool(self._waiting or self._writing)

    def put(self, points: Iterable[StreamPoint]) -> None:
        """Take points; returns at once."""
        with self._lock:
            for point in points:
                key = (point.system, point.stream, minute_of(point.minute))
                self._waiting.pop(key, None)
                self._waiting[key] = point
            while len(self._waiting) > CAPACITY:
                del self._waiting[next(iter(self._waiting))]
                self.given_up += 1

    def write(self, connection: Connection) -> None:
        """Write what waits, in the caller's transaction; nothing is forgotten until :meth:`written`."""
        with self._lock:
            self._writing = {**self._writing, **self._waiting}
            self._waiting = {}
            writing = self._writing
        if not writing:
            return
        for system, stream, minute in writing:
            connection.execute(
                delete(stream_points).where(
                    stream_points.c.system == row_text(system),
                    stream_points.c.stream == row_text(stream),
                    stream_points.c.minute == minute,
                )
            )
        connection.execute(insert(stream_points), [_row(p) for p in writing.values()])
        self._purge(connection, max(minute for _, _, minute in writing))

    def written(self) -> None:
        """Forget what was written: the transaction is through."""
        self._writing = {}

    def _purge(self, connection: Connection, newest: int) -> None:
        if self._keep_s is None or newest < self._purged + _PURGE_MINUTES * SECONDS_PER_MINUTE:
            return
        connection.execute(delete(stream_points).where(stream_points.c.minute < newest - self._keep_s))
        self._purged = newest


def _row(point: StreamPoint) -> dict[str, object]:
    return {
        "system": row_text(point.system),
        "stream": row_text(point.stream),
        "minute": minute_of(point.minute),
        "last": point.last,
        "highest": point.highest,
        "threshold": point.threshold,
        "value": point.value,
        "events": point.events,
    }
