"""Questions to the query store. Reads only; needs no ledger and takes no lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, and_, func, select, true
from sqlalchemy.exc import SQLAlchemyError

from bartizan.alarms import Alarm, Cause
from bartizan.errors import LedgerError
from bartizan.store.database import explain
from bartizan.store.records import decode_alarm, decode_record
from bartizan.store.rows import SECONDS_PER_MINUTE, packed_name, row_text, unpack_names
from bartizan.store.tables import alarms, concerned, exchanges, measured, minutes, stream_points
from bartizan.store.views import Bucket, Event, EventQuery, MeasuredRow, StreamPoint
from bartizan.types import Effect, Record

FETCH_ROWS = 1_000
MAX_LIMIT = 100_000
_maxima = msgspec.json.Decoder(dict[str, float | None])
_EVENT_COLUMNS = [column for column in exchanges.columns if column.name != "body"]


class Queries:
    """Answers from the projection.

    Args:
        engine: The query store.

    Every method raises :class:`bartizan.errors.LedgerError` while the database is down.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    def events(self, query: EventQuery) -> list[Event]:
        """Return exchanges as narrow rows, newest in the ledger first."""
        statement = (
            select(*_EVENT_COLUMNS)
            .where(_condition(query))
            .order_by(exchanges.c.position.desc())
            .limit(min(query.limit, MAX_LIMIT))
        )
        with self._connection() as connection:
            return [_event(row) for row in connection.execute(statement).mappings()]

    def position(self, record_id: str) -> int | None:
        """Return where in the ledger a record is (the first one, should an id occur twice), or an alarm
        (as it was told last).
        """
        with self._connection() as connection:
            for first_or_last in (
                select(func.min(exchanges.c.position)).where(exchanges.c.id == record_id),
                select(func.max(alarms.c.position)).where(alarms.c.id == record_id),
            ):
                found: int | None = connection.execute(first_or_last).scalar()
                if found is not None:
                    return found
        return None

    def record(self, record_id: str) -> Record | None:
        """Return a whole record; the first one, should an id occur twice."""
        statement = (
            select(exchanges.c.body)
            .where(exchanges.c.id == record_id)
            .order_by(exchanges.c.position)
            .limit(1)
        )
        with self._connection() as connection:
            body = connection.execute(statement).scalar()
        return None if body is None else decode_record(bytes(body))

    def records(self, limit: int) -> list[Record]:
        """Return whole records, newest first."""
        statement = (
            select(exchanges.c.body).order_by(exchanges.c.position.desc()).limit(min(limit, MAX_LIMIT))
        )
        with self._connection() as connection:
            return [decode_record(bytes(body)) for body in connection.execute(statement).scalars()]

    def walk(self, query: EventQuery) -> Iterator[Record]:
        """Yield whole records oldest first, a page at a time: the newest ``query.limit`` of them."""
        where, position = _condition(query), exchanges.c.position
        first = select(position).where(where).order_by(position.desc()).offset(query.limit - 1).limit(1)
        with self._connection() as connection:
            last = (connection.execute(first).scalar() or 0) - 1
        while True:
            page = (
                select(position, exchanges.c.body)
                .where(where, position > last)
                .order_by(position)
                .limit(FETCH_ROWS)
            )
            with self._connection() as connection:
                rows = connection.execute(page).all()
            if not rows:
                return
            for last, body in rows:  # noqa: B007 - the next page begins after the last one
                yield decode_record(bytes(body))

    def count(self, query: EventQuery) -> int:
        """Return how many exchanges there are, its limit aside."""
        statement = select(func.count()).select_from(exchanges).where(_condition(query))
        with self._connection() as connection:
            return int(connection.execute(statement).scalar_one())

    def alarms(
        self,
        system: str | None,
        cause: Cause | None,
        principal: str | None,
        since: float | None,
        limit: int,
    ) -> list[Alarm]:
        """Return alarms as they were told last, newest in the ledger first.

        An alarm is told again when its cause becomes clearer; conditions are on the last telling.
        """
        where: ColumnElement[bool] = _told_last()
        if system is not None:
            where &= alarms.c.system == system
        if cause is not None:
            where &= alarms.c.cause == cause.value
        if since is not None:
            where &= alarms.c.time >= since
        if principal is not None:
            named = select(concerned.c.position).where(concerned.c.principal == row_text(principal))
            where &= alarms.c.position.in_(named)
        statement = (
            select(alarms.c.body).where(where).order_by(alarms.c.position.desc()).limit(min(limit, MAX_LIMIT))
        )
        with self._connection() as connection:
            return [decode_alarm(bytes(body)) for body in connection.execute(statement).scalars()]

    def alarm(self, alarm_id: str) -> Alarm | None:
        """Return one alarm as it was told last."""
        told = self.alarm_tellings(alarm_id, 1)
        return told[0] if told else None

    def alarm_tellings(self, alarm_id: str, limit: int) -> list[Alarm]:
        """Return an alarm each time it was told, the last time first."""
        statement = (
            select(alarms.c.body)
            .where(alarms.c.id == alarm_id)
            .order_by(alarms.c.position.desc())
            .limit(min(limit, MAX_LIMIT))
        )
        with self._connection() as connection:
            return [decode_alarm(bytes(body)) for body in connection.execute(statement).scalars()]

    def stream_points(self, system: str, since: float, until: float) -> list[StreamPoint]:
        """Return the minutes of a system's streams that touch a span of time, oldest first."""
        columns = stream_points.c
        statement = (
            select(stream_points)
            .where(columns.system == system)
            .where(columns.minute > since - SECONDS_PER_MINUTE, columns.minute < until)
            .order_by(columns.minute.desc(), columns.stream)
            .limit(MAX_LIMIT)
        )
        with self._connection() as connection:
            rows = connection.execute(statement).mappings()
            return [StreamPoint(**row) for row in rows][::-1]

    def traffic(self, since: float, until: float, system: str | None) -> list[Bucket]:
        """Return the minutes that touch a span of time, oldest first, from the rollups."""
        count, added = func.sum(minutes.c.exchanges), func.sum(minutes.c.added_us)
        statement = (
            select(minutes.c.minute, minutes.c.effect, count, added)
            .where(minutes.c.minute > since - SECONDS_PER_MINUTE, minutes.c.minute < until)
            .where(true() if system is None else minutes.c.system == system)
            .group_by(minutes.c.minute, minutes.c.effect)
            .order_by(minutes.c.minute, minutes.c.effect)
        )
        with self._connection() as connection:
            return [
                Bucket(int(minute), Effect(effect), int(total), float(sum_us) / float(total))
                for minute, effect, total, sum_us in connection.execute(statement)
            ]

    def latency(self, limit: int) -> list[int]:
        """Return the microseconds added to the newest exchanges, newest first."""
        statement = (
            select(exchanges.c.added_us).order_by(exchanges.c.position.desc()).limit(min(limit, MAX_LIMIT))
        )
        with self._connection() as connection:
            return list(connection.execute(statement).scalars())

    def measured(self, system: str, since: float | None, limit: int | None) -> Iterator[MeasuredRow]:
        """Yield the scores of judged steps, newest first, a page at a time."""
        where = measured.c.system == system
        if since is not None:
            where &= measured.c.time >= since
        last: tuple[int, int] | None = None
        left = limit
        while left is None or left > 0:
            page = self._measured_page(where, last, FETCH_ROWS if left is None else min(left, FETCH_ROWS))
            yield from page
            if not page:
                return
            last = (page[-1].index, page[-1].step)
            left = None if left is None else left - len(page)

    def p_values(self, system: str, cell: str, limit: int) -> list[float]:
        """Return the newest p-values of a calibration cell, newest first."""
        statement = (
            select(measured.c.p_value)
            .where(measured.c.system == system, measured.c.cell == cell, measured.c.p_value.is_not(None))
            .order_by(measured.c.position.desc(), measured.c.step.desc())
            .limit(min(limit, MAX_LIMIT))
        )
        with self._connection() as connection:
            return [float(value) for value in connection.execute(statement).scalars() if value is not None]

    def alarm_counts(self, system: str, cell: str, since: float | None) -> tuple[int, int]:
        """Return how many steps of a cell were flagged, and how many had a p-value at all."""
        where = (measured.c.system == system) & (measured.c.cell == cell) & measured.c.p_value.is_not(None)
        if since is not None:
            where &= measured.c.time >= since
        with self._connection() as connection:
            total = connection.execute(select(func.count()).select_from(measured).where(where)).scalar_one()
            flagged = connection.execute(
                select(func.count()).select_from(measured).where(where & measured.c.flagged.is_(True))
            ).scalar_one()
        return flagged, total

    def _measured_page(
        self, where: ColumnElement[bool], last: tuple[int, int] | None, rows: int
    ) -> list[MeasuredRow]:
        position, step = measured.c.position, measured.c.step
        if last is not None:
            where &= (position < last[0]) | and_(position == last[0], step < last[1])
        statement = select(measured).where(where).order_by(position.desc(), step.desc()).limit(rows)
        with self._connection() as connection:
            return [_measured(row) for row in connection.execute(statement).mappings()]

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise LedgerError(
                f"the query store does not answer: {explain(error)}",
                hint="records are still written to the ledger and will show up later",
            ) from error


def _told_last() -> ColumnElement[bool]:
    later = alarms.alias("later")
    again = select(later.c.position).where(later.c.id == alarms.c.id, later.c.position > alarms.c.position)
    return ~again.exists()


def _condition(query: EventQuery) -> ColumnElement[bool]:
    columns = exchanges.c
    conditions: list[ColumnElement[bool]] = [true()]
    for column, value in (
        (columns.system, query.system),
        (columns.principal, query.principal),
        (columns.session, query.session),
    ):
        if value is not None:
            conditions.append(column == value)
    if query.effect_at_least is not None:
        conditions.append(columns.effect >= int(query.effect_at_least))
    if query.detector is not None:
        conditions.append(columns.detectors.contains(packed_name(query.detector), autoescape=True))
    if query.since is not None:
        conditions.append(columns.time >= query.since)
    if query.until is not None:
        conditions.append(columns.time < query.until)
    if query.before_index is not None:
        conditions.append(columns.position < query.before_index)
    if query.after_index is not None:
        conditions.append(columns.position > query.after_index)
    return and_(*conditions)


def _event(row: RowMapping) -> Event:
    values: dict[str, Any] = dict(row)
    index = values.pop("position")
    values["effect"] = Effect(values["effect"])
    values["enforced"] = Effect(values["enforced"])
    values["detectors"] = unpack_names(values["detectors"])
    return Event(index=index, **values)


def _measured(row: RowMapping) -> MeasuredRow:
    values: dict[str, Any] = dict(row)
    index = values.pop("position")
    maxima = _maxima.decode(values.pop("maxima"))
    finite = {key: value for key, value in maxima.items() if value is not None}
    return MeasuredRow(index=index, maxima=finite, **values)
