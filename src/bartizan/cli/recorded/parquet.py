"""Blocks of columns from Parquet files, where ``pyarrow`` is installed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bartizan.cli.recorded.formats import BLOCK_CELLS, BLOCK_EVENTS, MAX_COLUMNS, Block, flat
from bartizan.cli.recorded.problems import RecordingError, Tally, UnreadableError

_INDEX = "__index_level_"
"""Columns that pandas adds to keep its index."""


def rows_of(path: Path) -> int:
    """Return how many rows a file has."""
    return int(_opened(path).metadata.num_rows)


def parquet_blocks(path: Path, tally: Tally, *, skip: bool, block: int = BLOCK_EVENTS) -> Iterator[Block]:
    """Read a Parquet file; structures and lists become columns ``outer.inner`` and ``outer.0``.

    Args:
        path: The file.
        tally: Counts what is left out.
        skip: Whether to leave out what can't be read, instead of raising.
        block: At most this many events a block.

    Raises:
        RecordingError: ``pyarrow`` is missing, or the file can't be read.
    """
    file = _opened(path)
    import pyarrow

    names = file.schema_arrow.names
    if len(names) > MAX_COLUMNS:
        raise RecordingError(f"the file has more than {MAX_COLUMNS:,} columns")
    twice = next((n for i, n in enumerate(names) if n in names[:i]), None)
    if twice is not None:
        raise RecordingError(f"the file has two columns {twice!r}", hint="give every column its own name")
    size = max(1, min(block, BLOCK_CELLS // max(1, len(names))))
    done = 0
    try:
        for batch in file.iter_batches(batch_size=size):
            columns = {
                name: column.to_pylist()
                for name, column in zip(names, batch.columns, strict=True)
                if name and not name.startswith(_INDEX)
            }
            numbers: Sequence[int] = range(done + 1, done + batch.num_rows + 1)
            done += batch.num_rows
            if batch.num_rows:
                numbers, columns = _flattened(numbers, columns, tally, skip=skip)
                yield Block("row", numbers, columns, done, fixed=True)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path} can't be read behind row {done}: {error}") from error


def _flattened(
    numbers: Sequence[int], columns: dict[str, list[Any]], tally: Tally, *, skip: bool
) -> tuple[Sequence[int], dict[str, list[Any]]]:
    if not any(isinstance(v, dict | list) for cells in columns.values() for v in cells):
        return numbers, columns
    kept, events = [], []
    for i, number in enumerate(numbers):
        try:
            events.append(flat({name: cells[i] for name, cells in columns.items()}, f"row {number}"))
            kept.append(number)
        except UnreadableError as error:
            if not skip:
                raise
            tally.skip(error)
    names = list(dict.fromkeys(name for event in events for name in event))
    if len(names) > MAX_COLUMNS:
        raise RecordingError(f"the file has more than {MAX_COLUMNS:,} columns, nested ones counted")
    return kept, {name: [event.get(name) for event in events] for name in names}


def _opened(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise RecordingError(
            "reading Parquet needs pyarrow, which is not installed",
            hint="pip install 'bartizan[parquet]'",
        ) from None
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise RecordingError(f"{path} can't be read as Parquet: {error}") from error
