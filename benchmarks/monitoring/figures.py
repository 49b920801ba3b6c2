"""Intervals, medians with censoring, and how numbers are printed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bartizan.stats.intervals import poisson

MILLION = 1e6


def rate(count: int, events: float) -> dict[str, Any]:
    """Return alarms as a rate per million events with its interval."""
    low, high = poisson(count)
    scale = MILLION / events
    return {
        "alarms": int(count),
        "events": int(events),
        "rate": count * scale,
        "low": low * scale,
        "high": high * scale,
    }


def per_million(r: dict[str, Any] | None) -> str:
    if r is None:
        return "-"
    return f"{_short(r['rate'])} [{_short(r['low'])}, {_short(r['high'])}]"


def _short(x: float) -> str:
    return f"{x:,.0f}" if x >= 100 or x == 0 else f"{x:.2g}"


def delays(found: Sequence[int | None], horizon: int) -> dict[str, Any]:
    """Return the median delay in events, and the share that was never found.

    Args:
        found: Events after the change up to and with the alarm; ``None`` within ``horizon``: none.
        horizon: How long was waited.
    """
    waits = [horizon + 1 if f is None else f for f in found]
    middle = float(np.median(waits))
    return {
        "median": None if middle > horizon else middle,
        "missed": sum(f is None for f in found) / len(found),
        "horizon": horizon,
        "runs": len(found),
    }


def delay(d: dict[str, Any] | None) -> str:
    if d is None:
        return "-"
    text = f">{d['horizon']:,}" if d["median"] is None else f"{d['median']:,.0f}"
    return text if d["missed"] == 0 else f"{text} ({d['missed']:.0%} missed)"


def grid(title: str, *headings: str) -> Any:
    """Return a rich table whose first column is text."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if i == 0 else "right")
    return table


def timed(name: str, measure: Callable[[], Any]) -> Any:
    """Measure, and say on standard error how long it took."""
    start = time.perf_counter()
    result = measure()
    print(f"  {name}: {time.perf_counter() - start:,.0f} s", file=sys.stderr, flush=True)
    return result


def console() -> Any:
    from rich.console import Console

    return Console(width=190)
