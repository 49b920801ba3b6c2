"""Whatever is written is read back, and whatever bytes come, nothing but a clear error is raised."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.cli.recorded.cells import moment, numbers, text, truth
from bartizan.cli.recorded.convert import Converter
from bartizan.cli.recorded.formats import Block, csv_blocks, flat, json_blocks
from bartizan.cli.recorded.problems import RecordingError, Tally
from bartizan.cli.recorded.roles import Options
from bartizan.cli.recorded.source import Lines
from bartizan.cli.recorded.survey import survey
from bartizan.monitoring.streams import sources


class Trickle(io.BytesIO):
    """Gives what it holds in pieces of a size."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self.size = size

    def read1(self, size: int | None = -1, /) -> bytes:
        return self.read(self.size)


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00"), max_size=8)
rows = st.lists(st.tuples(words, words, words), min_size=1, max_size=20)
values: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), words, st.lists(st.integers(), max_size=3)
)


def cells(blocks: list[Block], name: str) -> list[Any]:
    return [cell for block in blocks for cell in block.cells[name]]


@settings(max_examples=200, deadline=None)
@given(rows, st.sampled_from(",;\t"), st.integers(1, 40), st.integers(1, 5), st.booleans())
def test_csv_comes_back_whatever_the_blocks(
    table: list[tuple[str, str, str]], delimiter: str, size: int, block: int, live: bool
) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("a", "b", "c"), *table])
    lines = Lines(Trickle(out.getvalue().encode(), size), live=live)
    blocks = list(csv_blocks(lines, Tally(), skip=False, block=block))
    assert list(zip(*(cells(blocks, n) for n in "abc"), strict=True)) == table
    assert all(len(b) <= block for b in blocks)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from("abcd"), values, min_size=1), max_size=20),
    st.integers(1, 40),
    st.integers(1, 5),
)
def test_json_lines_come_back(events: list[dict[str, Any]], size: int, block: int) -> None:
    lines = [
        json.dumps(e).replace("NaN", "null").replace("-Infinity", "null").replace("Infinity", "null")
        for e in events
    ]
    read = Lines(Trickle("\n".join(lines).encode(), size))
    blocks = list(json_blocks(read, Tally(), skip=False, block=block))
    expected = [flat(json.loads(line), "") for line in lines]
    for name in {n for e in expected for n in e}:
        got = [c for b in blocks for c in b.cells.get(name, [None] * len(b))]
        assert got == [e.get(name) for e in expected]


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=200) | words.map(str.encode), st.sampled_from([csv_blocks, json_blocks]), st.booleans()
)
def test_hostile_bytes_raise_nothing_else(data: bytes, read: Any, skip: bool) -> None:
    try:
        blocks = list(read(Lines(io.BytesIO(b"time,x\n" + data)), Tally(), skip=skip))
        schema, _ = survey(blocks, Options(), file="it")
        converter = Converter(schema, Options(), file="it", tally=Tally(), skip=skip, arrival_order=True)
        for block in blocks:
            events = converter.events(block)
            assert (np.diff(events.times) >= 0).all()
            sources(events)
    except RecordingError:
        pass


@settings(max_examples=300, deadline=None)
@given(st.lists(values | words, min_size=1, max_size=8))
def test_a_cell_means_the_same_in_any_company(column: list[Any]) -> None:
    together = numbers(column)
    for cell, number in zip(column, together.tolist(), strict=True):
        assert numbers([cell])[0] == pytest.approx(number, nan_ok=True)
        assert number != -np.inf
        assert text(cell) is None or isinstance(text(cell), str)
        assert truth(cell) in (True, False, None)
        assert moment(cell) is None or isinstance(moment(cell), float)
