"""One recording: opened, read in blocks, and closed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np

from bartizan.alarms import Events
from bartizan.cli.recorded.convert import Converter
from bartizan.cli.recorded.formats import BLOCK_EVENTS, Block, csv_blocks, json_blocks
from bartizan.cli.recorded.parquet import parquet_blocks, rows_of
from bartizan.cli.recorded.problems import RecordingError, Tally
from bartizan.cli.recorded.source import Lines, Stream

STDIN: Final = "-"
SUFFIXES: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
MAX_CELLS: Final = 2**27
"""What a calibration may hold in memory: a gibibyte of numbers."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded stream.

    Attributes:
        source: A file's path, or ``-`` for JSON lines on standard input.
        skip: Whether to leave out events that can't be read, instead of raising.
        wait: Sleeps at the end of a file that is followed; ``None`` where it isn't.
    """

    source: str
    skip: bool = False
    wait: Callable[[], None] | None = None

    @property
    def name(self) -> str:
        """What the recording is called in messages."""
        return "standard input" if self.source == STDIN else Path(self.source).name

    @property
    def format(self) -> str:
        """``csv``, ``json`` or ``parquet``.

        Raises:
            RecordingError: The file's name tells no format.
        """
        if self.source == STDIN:
            return "json"
        suffix = Path(self.source).suffix.lower()
        if suffix not in SUFFIXES:
            raise RecordingError(
                f"{self.source} has no known format",
                hint=f"name it {', '.join(sorted(SUFFIXES))}, or give JSON lines on standard input as -",
            )
        return SUFFIXES[suffix]

    def total(self) -> int | None:
        """Return how many bytes or rows there are, for a progress display; ``None`` if unknown."""
        if self.source == STDIN or self.wait is not None or not Path(self.source).is_file():
            return None
        return rows_of(Path(self.source)) if self.format == "parquet" else Path(self.source).stat().st_size

    def blocks(self, tally: Tally, block: int = BLOCK_EVENTS) -> Iterator[Block]:
        """Read the recording.

        Args:
            tally: Counts what is left out.
            block: At most this many events a block.

        Raises:
            RecordingError: It can't be read.
        """
        try:
            if self.format == "parquet":
                if self.wait is not None:
                    raise RecordingError("a Parquet file can't be followed", hint="follow JSON lines or CSV")
                yield from parquet_blocks(Path(self.source), tally, skip=self.skip, block=block)
                return
            read = csv_blocks if self.format == "csv" else json_blocks
            with self._stream() as stream:
                live = self.source == STDIN or self.wait is not None
                lines = Lines(stream, live=live, wait=self.wait)
                yield from read(lines, tally, skip=self.skip, block=block)
        except OSError as error:
            raise RecordingError(
                f"can't read {self.source}: {error.strerror}", hint="give a file, or - for standard input"
            ) from error

    def _stream(self) -> AbstractContextManager[Stream]:
        if self.source == STDIN:
            return nullcontext(cast(Stream, sys.stdin.buffer))
        return Path(self.source).open("rb")


def joined(parts: list[Events]) -> Events:
    """Return stretches of events as one.

    Raises:
        RecordingError: There are none.
    """
    parts = [part for part in parts if len(part)]
    if not parts:
        raise RecordingError("the recording holds no events", hint="give a recording of benign events")
    first = parts[0]
    return Events(
        np.concatenate([p.times for p in parts]),
        {name: np.concatenate([p.columns[name] for p in parts]) for name in first.columns},
        None
        if first.outputs is None
        else np.concatenate([p.outputs for p in parts if p.outputs is not None]),
        tuple(name for p in parts for name in p.principals),
        None
        if first.trusted is None
        else np.concatenate([p.trusted for p in parts if p.trusted is not None]),
        tuple(name for p in parts for name in p.ids),
        {group: tuple(n for p in parts for n in p.groups[group]) for group in first.groups},
    )


def whole(blocks: Iterable[Block], converter: Converter, name: str) -> Events:
    """Read a calibration recording into memory.

    Raises:
        RecordingError: It can't be read, is empty, or is too large.
    """
    parts: list[Events] = []
    cells = 0
    for block in blocks:
        parts.append(converter.events(block))
        cells += len(parts[-1]) * max(1, len(parts[-1].columns))
        if cells > MAX_CELLS:
            raise RecordingError(
                f"{name} holds more than {MAX_CELLS:,} values",
                hint="calibrate on fewer events: what is gained beyond a million is little",
            )
    return joined(parts)
