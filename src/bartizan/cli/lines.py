"""Reads what ``check`` and ``calibrate`` judge: JSON lines, NumPy arrays, CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bartizan.errors import BartizanError, ConfigError, ProtocolError
from bartizan.guard import Guard
from bartizan.types import Verdict

MAX_LINE_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to judge.

    Attributes:
        id: The line's own id, or its number.
        content: Text, a request body, or a row.
        how: Further arguments of :meth:`bartizan.guard.Guard.steps`.
        error: Why the line can't be judged, if so.
    """

    id: Any
    content: Any
    how: dict[str, Any] = field(default_factory=dict)
    error: BartizanError | None = None


def read(source: str, *, outputs: Any = None) -> Iterator[Line]:
    """Read a file, or standard input for ``-``.

    Raises:
        ConfigError: The file can't be read at all.
    """
    if source == "-":
        yield from _json_lines(sys.stdin.buffer)
        return
    path = Path(source)
    try:
        if path.suffix in (".npy", ".npz"):
            yield from _array(path)
        elif path.suffix == ".csv":
            yield from _csv(path)
        else:
            with path.open("rb") as handle:
                yield from _json_lines(handle)
    except OSError as error:
        raise ConfigError(
            f"can't read {source}: {error.strerror}", hint="give a file, or - for stdin"
        ) from error


def total(source: str) -> int | None:
    """Return how many things a file holds, for a progress display, or ``None``."""
    path = Path(source)
    if source == "-" or path.suffix in (".npy", ".npz") or not path.is_file():
        return None
    with path.open("rb") as handle:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: handle.read(1 << 20), b""))


def judged(guard: Guard, line: Line) -> tuple[Verdict, ...]:
    """Judge a line.

    Raises:
        BartizanError: The line can't be judged.
    """
    if line.error is not None:
        raise line.error
    return guard.steps(line.content, **line.how)


def _json_lines(handle: Any) -> Iterator[Line]:
    number = 0
    while raw := handle.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES:
            while raw and not raw.endswith(b"\n"):
                raw = handle.readline(MAX_LINE_BYTES)
            yield Line(
                number, None, error=ProtocolError(f"line {number} is longer than {MAX_LINE_BYTES:,} bytes")
            )
            continue
        if raw.strip():
            yield _line(raw, number)


def _line(raw: bytes, number: int) -> Line:
    try:
        data = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Line(number, None, error=ProtocolError(f"line {number} is not JSON: {error}"))
    if not isinstance(data, dict):
        return Line(number, None, error=ProtocolError(f"line {number} is not a JSON object"))
    name = data.get("id", number)
    given = [k for k in ("text", "request", "row") if k in data]
    if len(given) != 1:
        wrong = ProtocolError(f"line {number} must have exactly one of text, request and row")
        return Line(name, None, error=wrong)
    if given == ["text"]:
        if not isinstance(data["text"], str):
            return Line(name, None, error=ProtocolError(f"line {number}: text is not a string"))
        return Line(name, data["text"], {"origin": data.get("origin", "user")})
    if given == ["request"]:
        if not isinstance(data["request"], dict):
            return Line(name, None, error=ProtocolError(f"line {number}: request is not an object"))
        return Line(name, data["request"], {"response": data.get("response")})
    if not isinstance(data["row"], list):
        return Line(name, None, error=ProtocolError(f"line {number}: row is not an array"))
    return Line(name, data["row"], {"outputs": data.get("outputs"), "embedding": data.get("embedding")})


def _array(path: Path) -> Iterator[Line]:
    try:
        loaded = np.load(path, allow_pickle=False)
        rows = np.asarray(loaded["inputs"] if path.suffix == ".npz" else loaded, dtype=np.float64)
        known = [k for k in ("outputs", "embedding") if path.suffix == ".npz" and k in loaded]
        given = {k: np.asarray(loaded[k]) for k in known}
    except (ValueError, KeyError) as error:
        raise ConfigError(
            f"{path} holds no numeric array: {error}",
            hint=".npz files need `inputs`, may have `outputs`, `embedding`",
        ) from error
    for i, row in enumerate(rows.reshape(len(rows), -1)):
        yield Line(i, row, {k: values[i : i + 1] for k, values in given.items()})


def _csv(path: Path) -> Iterator[Line]:
    with path.open(newline="", encoding="utf-8") as handle:
        reader = csv.reader(handle)
        for number, cells in enumerate(reader):
            try:
                row = [float(c) for c in cells]
            except ValueError:
                if number == 0:
                    continue  # a heading
                yield Line(number, None, error=ProtocolError(f"row {number} has a cell that is no number"))
                continue
            yield Line(number, row)
