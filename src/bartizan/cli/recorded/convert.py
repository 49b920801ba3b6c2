"""Blocks of a recording become events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bartizan.alarms import Column, Events
from bartizan.cli.recorded.cells import moments, numbers, text, texts, truth
from bartizan.cli.recorded.formats import Block
from bartizan.cli.recorded.problems import RecordingError, Tally, UnreadableError
from bartizan.cli.recorded.roles import Options, assign
from bartizan.cli.recorded.survey import Kind, Schema
from bartizan.types import FloatArray

_KEEP = npt.NDArray[np.bool_]


class Converter:
    """Turns the blocks of one recording, in order, into events.

    Args:
        schema: How recordings of this system are read.
        options: What the user said about columns.
        file: The recording's name, for messages.
        tally: Counts events, and what could not be taken as it stood.
        skip: Whether to leave out events that can't be read, instead of raising.
        arrival_order: Whether events may go back in time; they are then taken as of the time of
            the event above.

    Attributes:
        notes: What was decided about this recording, a sentence each.
        timed: Whether events have times; otherwise they are numbered, one a second.
    """

    def __init__(
        self,
        schema: Schema,
        options: Options,
        *,
        file: str,
        tally: Tally,
        skip: bool = False,
        arrival_order: bool = False,
    ) -> None:
        self.notes: list[str] = []
        self.timed = True
        self._schema, self._options, self._file = schema, options, file
        self._tally, self._skip, self._arrival_order = tally, skip, arrival_order
        self._roles = schema.roles
        self._unit = ""
        self._last = -np.inf
        self._numbered = 0
        self._started = False
        self._known = {*schema.inputs, *schema.outputs, *schema.left_out}
        self._code = {label: i for i, label in enumerate(schema.labels)}

    def events(self, block: Block) -> Events:
        """Convert the next block.

        Raises:
            RecordingError: A column is missing, or an event can't be read.
        """
        if not self._started:
            self._start(block)
        cells = block.cells
        for name in cells.keys() - self._known:
            self._tally.unknown_column(name, sum(c not in (None, "") for c in cells[name]))
        keep = np.ones(len(block), dtype=np.bool_)
        times = self._times(block, keep)
        trusted = self._trusted(block, keep)
        events = Events(
            times,
            self._columns(cells, len(block)),
            self._outputs(cells, len(block)),
            self._principals(cells, keep),
            trusted,
            self._names(cells, self._roles.id, len(block)),
            {name: self._names(cells, name, len(block)) for name in self._roles.groups},
        )
        if not keep.all():
            events = _kept(events, keep)
        events = self._in_order(events, [block.at(i) for i in np.flatnonzero(keep).tolist()])
        self._tally.events += len(events)
        return events

    def _start(self, block: Block) -> None:
        self._started = True
        schema, names = self._schema, list(block.cells)
        self._roles = assign(names, self._options, file=self._file, learnt=schema.roles, fixed=block.fixed)
        self.timed = bool(self._roles.time)
        if not self.timed:
            self.notes.append(f"{self._file} has no column of times: events are numbered, one a second")
        self._known |= self._roles.named() | schema.roles.named()
        lacking = [name for name in (*schema.inputs, *schema.outputs) if name not in names]
        if lacking and block.fixed:
            more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
            raise RecordingError(
                f"{self._file} lacks {', '.join(map(repr, lacking[:5]))}{more}, which the calibration has",
                hint="name columns as in the calibration, or leave them out of both with --ignore",
            )

    def _times(self, block: Block, keep: _KEEP) -> FloatArray:
        if not self.timed:
            self._numbered += len(block)
            return np.arange(self._numbered - len(block), self._numbered, dtype=np.float64)
        name = self._roles.time
        cells = block.cells.get(name, [None] * len(block))
        values, unit = moments(cells)
        if unit not in ("seconds", self._unit):
            self._unit = unit
            self.notes.append(f"{name} of {self._file} is in {unit} since the epoch")
        for i in np.flatnonzero(np.isnan(values)).tolist():
            what = "is not a time" if text(cells[i]) else "is missing"
            self._refuse(
                block,
                i,
                keep,
                f"has a {name!r} that {what}",
                "times are seconds or milliseconds since the epoch, or ISO 8601; --time names the column",
            )
        return values

    def _in_order(self, events: Events, where: Sequence[str]) -> Events:
        times = events.times
        if not len(times):
            return events
        highest = np.maximum.accumulate(np.concatenate([[self._last], times]))
        late = times < highest[:-1]
        if late.any():
            if not self._arrival_order:
                first = int(np.argmax(late))
                raise RecordingError(
                    f"{where[first]} is earlier than the event above it",
                    hint="sort the recording by time, or take it as it arrived with --arrival-order",
                )
            self._tally.late += int(late.sum())
            times = highest[1:]
            events = Events(
                times,
                events.columns,
                events.outputs,
                events.principals,
                events.trusted,
                events.ids,
                events.groups,
            )
        self._last = float(times[-1])
        return events

    def _columns(self, cells: Mapping[str, Sequence[Any]], count: int) -> dict[str, Column]:
        found: dict[str, Column] = {}
        for name, kind in zip(self._schema.inputs, self._schema.kinds, strict=True):
            column = cells.get(name, [None] * count)
            if kind is Kind.CATEGORY:
                found[name] = texts(column)
            else:
                values = numbers(column)
                found[name] = values
                if wrong := int(np.isinf(values).sum()):
                    self._tally.not_numbers[name] += wrong
        return found

    def _outputs(self, cells: Mapping[str, Sequence[Any]], count: int) -> FloatArray | None:
        names = self._schema.outputs
        if not names:
            return None
        columns = [cells.get(name, [None] * count) for name in names]
        if not self._schema.labels:
            return np.stack([numbers(column) for column in columns], axis=1)
        # A label that the calibration never saw is not one of the answers: its row stays NaN.
        labels = texts(columns[0])
        outputs = np.full((count, len(self._code)), np.nan)
        for i, label in enumerate(labels.tolist()):
            code = self._code.get(label)
            if code is not None:
                outputs[i] = 0.0
                outputs[i, code] = 1.0
            elif label is not None:
                self._tally.unknown_labels += 1
        return outputs

    def _trusted(self, block: Block, keep: _KEEP) -> npt.NDArray[np.bool_] | None:
        name = self._roles.trusted
        if not name:
            return None
        answers = [truth(cell) for cell in block.cells.get(name, [None] * len(block))]
        for i, answer in enumerate(answers):
            if answer is None:
                self._refuse(
                    block, i, keep, f"has a {name!r} that is neither true nor false", "use 0/1 or true/false"
                )
        return np.array([bool(a) for a in answers], dtype=np.bool_)

    def _principals(self, cells: Mapping[str, Sequence[Any]], keep: _KEEP) -> tuple[str, ...]:
        names = self._names(cells, self._roles.principal, len(keep))
        self._tally.anonymous += sum(not name for name, kept in zip(names, keep, strict=False) if kept)
        return names

    def _names(self, cells: Mapping[str, Sequence[Any]], name: str, count: int) -> tuple[str, ...]:
        if not name:
            return ()
        return tuple(text(cell) or "" for cell in cells.get(name, [None] * count))

    def _refuse(self, block: Block, index: int, keep: _KEEP, what: str, hint: str) -> None:
        error = UnreadableError(block.at(index), what, hint=hint)
        if not self._skip:
            raise error
        if keep[index]:
            self._tally.skip(error)
        keep[index] = False


def _kept(events: Events, keep: _KEEP) -> Events:
    chosen = np.flatnonzero(keep).tolist()

    def names(values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(values[i] for i in chosen) if values else ()

    return Events(
        events.times[keep],
        {name: column[keep] for name, column in events.columns.items()},
        None if events.outputs is None else events.outputs[keep],
        names(events.principals),
        None if events.trusted is None else events.trusted[keep],
        names(events.ids),
        {name: names(values) for name, values in events.groups.items()},
    )
