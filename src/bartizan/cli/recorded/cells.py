"""What one cell of a recording means: a number, a category, a name, a time, yes or no."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bartizan.types import FloatArray

_MISSING: Final = frozenset(("", "nan", "na", "n/a", "<na>", "nat", "null", "none"))
_MISSING_TEXT: Final = frozenset(("", "nan", "NaN", "<NA>", "null", "NULL", "None"))
_TRUTH: Final = {
    **dict.fromkeys(("true", "1", "1.0", "yes"), True),
    **dict.fromkeys(("false", "0", "0.0", "no", ""), False),
}
_LONG: Final = 64
"""No number, truth value or word for a missing one is longer."""

_PLAIN: Final = frozenset((int, float, bool))
_UNITS: Final = ((1e17, 1e9, "nanoseconds"), (1e14, 1e6, "microseconds"), (1e11, 1e3, "milliseconds"))
"""Epoch times from the first number on are in units of which the second make a second."""


def numbers(cells: Sequence[Any]) -> FloatArray:
    """Return cells as numbers: NaN where missing, ``+inf`` where there is something else.

    >>> numbers(["1.5", "", "n/a", "abc", "true", None, 7, "1e999"])
    array([1.5, nan, nan, inf, 1. , nan, 7. , inf])
    """
    kinds = set(map(type, cells))
    fast = kinds <= _PLAIN
    if kinds == {str} and "_" not in "".join(cells):
        fast, cells = True, [cell or "nan" for cell in cells]
    if fast:
        try:
            values = np.fromiter(map(float, cells), dtype=np.float64, count=len(cells))
        except (ValueError, OverflowError):
            pass
        else:
            values[np.isinf(values)] = np.inf
            return values
    return np.array([_number(cell) for cell in cells], dtype=np.float64)


def texts(cells: Sequence[Any]) -> npt.NDArray[np.object_]:
    """Return cells as categories, ``None`` where missing."""
    found = np.empty(len(cells), dtype=np.object_)
    found[:] = [text(cell) for cell in cells]
    return found


def text(cell: Any) -> str | None:
    """Return a cell as a category, ``None`` where missing.

    >>> text(3), text(True), text("True"), text("  a "), text("")
    ('3', 'true', 'true', 'a', None)
    """
    if isinstance(cell, str):
        cut = cell.strip()
        if cut in _MISSING_TEXT:
            return None
        return cut.lower() if cut in ("True", "False", "TRUE", "FALSE") else cut
    if cell is None or (isinstance(cell, float) and cell != cell):
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return cell.isoformat() if isinstance(cell, date | time) else str(cell)


def truth(cell: Any) -> bool | None:
    """Return whether a cell says yes; ``None`` where it says neither yes nor no."""
    if isinstance(cell, str):
        return _TRUTH.get(cell.strip().lower()) if len(cell) <= _LONG else None
    if cell is None or cell != cell:  # NaN is missing
        return False
    return bool(cell) if isinstance(cell, int | float) and cell in (0, 1) else None


def moment(cell: Any) -> float | None:
    """Return an ISO 8601 time or a ``datetime`` in seconds since the epoch; UTC if it names no zone.

    >>> moment("1970-01-01T00:01:00Z"), moment("1970-01-01 00:01:00"), moment("soon")
    (60.0, 60.0, None)
    """
    try:
        if isinstance(cell, str):
            if len(cell) > _LONG:
                return None
            cell = datetime.fromisoformat(cell.strip())
        elif isinstance(cell, date) and not isinstance(cell, datetime):
            cell = datetime(cell.year, cell.month, cell.day, tzinfo=UTC)
        if not isinstance(cell, datetime):
            return None
        return (cell if cell.tzinfo else cell.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def moments(cells: Sequence[Any]) -> tuple[FloatArray, str]:
    """Return cells as seconds since the epoch, NaN where they are no times, and the numbers' unit.

    Each cell is read by itself: a number's unit follows from its size, as a time in this century.

    >>> moments([1.7e9, "1700000000000", "2023-11-14T22:13:20Z", "soon"])
    (array([1.7e+09, 1.7e+09, 1.7e+09,     nan]), 'milliseconds')
    """
    # What looks like the first cell is read first, the others another way.
    values = np.full(len(cells), np.inf)
    if not np.isinf(numbers(cells[:1])).any():
        values = numbers(cells)
    unit = _to_seconds(values)
    for i in np.flatnonzero(np.isinf(values)).tolist():
        found = moment(cells[i])
        if found is None:
            rest = numbers(cells[i : i + 1])
            unit = _to_seconds(rest) or unit
            found = float(rest[0])
        values[i] = found if np.isfinite(found) else np.nan
    return values, unit or "seconds"


def _to_seconds(values: FloatArray) -> str:
    """Divide what is in smaller units, in place; return the unit of the last such value."""
    unit = ""
    for least, per_second, name in _UNITS:
        small = np.isfinite(values) & (np.abs(values) >= least)
        if small.any():
            values[small] /= per_second
            unit = name
    return unit


def _number(cell: Any) -> float:
    if cell is None:
        return np.nan
    if isinstance(cell, str):
        if len(cell) > _LONG * 16:
            return np.inf
        cut = cell.strip().lower()
        if cut in _MISSING:
            return np.nan
        if cut in ("true", "false"):
            return float(cut == "true")
        if "_" in cut:  # `float` would read 1_000
            return np.inf
    elif isinstance(cell, date | time | bytes | list | dict):
        return np.inf
    try:
        value = float(cell)
    except (ValueError, TypeError, OverflowError):
        return np.inf
    return np.inf if np.isinf(value) else value
