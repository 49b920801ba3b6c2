"""Blocks of columns from CSV and JSON lines."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bartizan.cli.recorded.problems import RecordingError, Tally, UnreadableError
from bartizan.cli.recorded.source import Lines
from bartizan.errors import ProtocolError
from bartizan.protocols.json_guard import decode_json

BLOCK_EVENTS = 8_192
BLOCK_CELLS = 2**20
BLOCK_BYTES = 32 * 2**20
MAX_COLUMNS = 4_096
MAX_DEPTH = 8
DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a recording, as it stands in the file.

    Attributes:
        where: What each event is called in messages, ``line`` or ``row`` and a number.
        numbers: The events' line or row numbers.
        cells: Columns by name, each as long as ``numbers``; ``None`` where there is nothing.
        position: Bytes or rows of the file read so far.
        fixed: Whether the file says beforehand which columns it has.
    """

    where: str
    numbers: Sequence[int]
    cells: Mapping[str, Sequence[Any]]
    position: int
    fixed: bool

    def __len__(self) -> int:
        return len(self.numbers)

    def at(self, index: int) -> str:
        """Return what the event at an index is called."""
        return f"{self.where} {self.numbers[index]}"


class _Growing:
    """The block being read: knows when it is large enough."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.cells = 0
        self.size = 0

    def add(self, number: int, cells: int, size: int) -> None:
        self.numbers.append(number)
        self.cells += cells
        self.size += size

    @property
    def full(self) -> bool:
        return len(self.numbers) >= BLOCK_EVENTS or self.cells >= BLOCK_CELLS or self.size >= BLOCK_BYTES


def csv_blocks(lines: Lines, tally: Tally, *, skip: bool, block: int = BLOCK_EVENTS) -> Iterator[Block]:
    """Read CSV with a heading; the delimiter is the commonest of comma, semicolon and tab in it.

    Args:
        lines: The file's lines.
        tally: Counts what is left out.
        skip: Whether to leave out what can't be read, instead of raising.
        block: At most this many events a block.

    Raises:
        RecordingError: The file or a line can't be read.
    """
    names, delimiter = _heading(lines)
    reader = _reader(lines, delimiter)
    growing, rows = _Growing(), list[list[str]]()
    while True:
        cells: list[str] | None = []
        try:
            cells = _row(reader, lines, len(names))
        except UnreadableError as error:
            if not skip:
                raise
            tally.skip(error)
            # A generator that raised has ended; a new one goes on behind the bad line.
            reader = _reader(lines, delimiter)
        if cells:
            rows.append(cells)
            growing.add(lines.number, len(names), sum(map(len, cells)))
        done = cells is None
        if rows and (done or growing.full or len(rows) >= block or lines.idle):
            yield Block("line", growing.numbers, _columns(names, rows), lines.consumed, fixed=True)
            growing, rows = _Growing(), []
        if done:
            return


def json_blocks(lines: Lines, tally: Tally, *, skip: bool, block: int = BLOCK_EVENTS) -> Iterator[Block]:
    """Read JSON lines; nested objects and arrays become columns ``outer.inner`` and ``outer.0``.

    Args:
        lines: The file's lines.
        tally: Counts what is left out.
        skip: Whether to leave out what can't be read, instead of raising.
        block: At most this many events a block.

    Raises:
        RecordingError: The file or a line can't be read.
    """
    growing, columns = _Growing(), dict[str, list[Any]]()
    done = False
    while not done:
        try:
            line = next(lines, None)
            done = line is None
            if line is not None and line.strip():
                event = _event(line, lines.number)
                _append(columns, event, len(growing.numbers), lines.number)
                growing.add(lines.number, len(event), len(line))
        except UnreadableError as error:
            if not skip:
                raise
            tally.skip(error)
        if growing.numbers and (done or growing.full or len(growing.numbers) >= block or lines.idle):
            count = len(growing.numbers)
            for cells in columns.values():
                cells.extend([None] * (count - len(cells)))
            yield Block("line", growing.numbers, columns, lines.consumed, fixed=False)
            growing, columns = _Growing(), {}


def flat(value: Any, where: str) -> dict[str, Any]:
    """Return an event's values by name, with nested ones under ``outer.inner``.

    >>> flat({"row": [1.5, 2], "who": {"id": "a"}}, "line 1")
    {'row.0': 1.5, 'row.1': 2, 'who.id': 'a'}

    Raises:
        UnreadableError: There are too many of them, or two have one name.
    """
    found: dict[str, Any] = {}
    waiting = [("", value)]
    while waiting:
        name, inner = waiting.pop()
        pairs: list[tuple[str, Any]]
        if isinstance(inner, dict):
            pairs = [(str(k), v) for k, v in inner.items()]
        elif isinstance(inner, list | tuple):
            pairs = [(str(i), v) for i, v in enumerate(inner)]
        else:
            if name in found:
                raise UnreadableError(where, f"has {name!r} twice, once nested")
            found[name] = inner
            continue
        if len(pairs) + len(found) + len(waiting) > MAX_COLUMNS:
            raise UnreadableError(where, f"has more than {MAX_COLUMNS:,} values")
        waiting += [(f"{name}.{k}" if name else k, v) for k, v in reversed(pairs)]
    return found


def _heading(lines: Lines) -> tuple[list[str], str]:
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise RecordingError("the file is empty", hint="the first line names the columns")
    try:
        # Not strict: to the wrong delimiters, quotes stand in the middle of a name.
        widths = {d: len(next(csv.reader([first], delimiter=d))) for d in DELIMITERS}
        delimiter = max(DELIMITERS, key=lambda d: widths[d])
        names = next(csv.reader([first], delimiter=delimiter, strict=True, skipinitialspace=True))
    except csv.Error as error:
        raise RecordingError(f"line {lines.number}, the heading, can't be read: {error}") from None
    names = [name.strip() for name in names]
    if len(names) > MAX_COLUMNS:
        raise RecordingError(f"the file has more than {MAX_COLUMNS:,} columns")
    twice = next((n for i, n in enumerate(names) if n and n in names[:i]), None)
    if twice is not None:
        raise RecordingError(f"the heading names {twice!r} twice", hint="give every column its own name")
    if all(_is_number(name) for name in names):
        raise RecordingError(
            f"line {lines.number} holds numbers where column names should be",
            hint="the first line of a CSV file names the columns",
        )
    return names, delimiter


def _reader(lines: Lines, delimiter: str) -> Iterator[list[str]]:
    ended = (line + "\n" for line in lines)
    return csv.reader(ended, delimiter=delimiter, strict=True, skipinitialspace=True)


def _row(reader: Iterator[list[str]], lines: Lines, width: int) -> list[str] | None:
    """Return the next row, empty for an empty line, ``None`` at the end."""
    try:
        cells = next(reader, None)
    except csv.Error as error:
        raise UnreadableError(
            f"line {lines.number}", f"is not CSV: {error}", hint="look for a quote that never ends"
        ) from None
    if cells and len(cells) != width:
        raise UnreadableError(f"line {lines.number}", f"has {len(cells)} values for {width} columns")
    return cells


def _columns(names: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Sequence[Any]]:
    # A column without a name is an index that some writers put first: nothing that a model sees.
    return {name: cells for name, cells in zip(names, zip(*rows, strict=True), strict=True) if name}


def _event(line: str, number: int) -> dict[str, Any]:
    try:
        tree = decode_json(line.encode(), depth=MAX_DEPTH)
    except ProtocolError as error:
        what = error.message.removeprefix("the body ")
        hint = "one JSON object a line; NaN is written null" if error.code == "invalid_json" else ""
        raise UnreadableError(f"line {number}", what, hint=hint) from None
    if not isinstance(tree, dict):
        raise UnreadableError(f"line {number}", "is not a JSON object", hint='such as {"time": 0, "x": 1}')
    return flat(tree, f"line {number}")


def _append(columns: dict[str, list[Any]], event: Mapping[str, Any], index: int, number: int) -> None:
    if len(columns) + sum(name not in columns for name in event) > MAX_COLUMNS:
        raise UnreadableError(
            f"line {number}", f"brings the number of different columns over {MAX_COLUMNS:,}"
        )
    for name, value in event.items():
        cells = columns.setdefault(name, [])
        cells.extend([None] * (index - len(cells)))
        cells.append(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
