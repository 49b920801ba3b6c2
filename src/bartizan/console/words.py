"""Numbers in the words that people use for them."""

from __future__ import annotations

from datetime import UTC, datetime

from bartizan.types import Effect

_NEVER = 253_402_300_800.0
"""The year 10000: a clock beyond it is a broken clock."""


def one_in(p: float | None) -> str:
    """Say how rare something is.

    >>> one_in(0.00024), one_in(0.4), one_in(1.0), one_in(None)
    ('1 in 4,167', '1 in 2.5', 'every one', 'not ranked')
    """
    if p is None:
        return "not ranked"
    if p <= 0:
        return "never"
    if p >= 1:
        return "every one"
    n = 1 / p
    return f"1 in {n:,.0f}" if n >= 9.95 else f"1 in {n:.1f}".removesuffix(".0")


def rate(value: float) -> str:
    """Write a rate for an axis or a table.

    >>> rate(0.001), rate(0.000001), rate(0.25), rate(0.0), rate(0.0000523)
    ('0.1%', '0.0001%', '25%', '0%', '0.00523%')
    """
    digits = f"{value * 100:.3g}"
    if "e" in digits:
        digits = f"{value * 100:.7f}".rstrip("0")
    return f"{digits}%"


def duration(us: float) -> str:
    """Write microseconds in the unit that fits.

    >>> duration(0), duration(850), duration(1234), duration(2_500_000)
    ('0 µs', '850 µs', '1.23 ms', '2.50 s')
    >>> duration(12_345), duration(999_999)
    ('12.3 ms', '1000 ms')
    """
    if us < 1000:
        return f"{us:.0f} µs"
    if us < 1_000_000:
        ms = us / 1000
        return f"{ms:.{2 if ms < 9.995 else 1 if ms < 99.95 else 0}f} ms"
    return f"{us / 1_000_000:,.2f} s"


def span(seconds: float) -> str:
    """Write a stretch of time in its two largest units.

    >>> span(0.4), span(75), span(3600), span(90061)
    ('0 s', '1 min 15 s', '1 h', '1 d 1 h')
    """
    left = max(0, int(seconds))
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    for at, (name, size) in enumerate(units):
        if left >= size:
            rest = [(left % size) // s for _, s in units[at + 1 : at + 2]]
            return f"{left // size} {name}" + (f" {rest[0]} {units[at + 1][0]}" if any(rest) else "")
    return "0 s"


def moment(seconds: float) -> datetime:
    """Return a time in UTC; what no calendar knows is shown as its nearest end."""
    return datetime.fromtimestamp(min(max(0.0, seconds), _NEVER - 1), UTC)


def clock(seconds: float) -> str:
    """Write day and time to the minute, in UTC."""
    return moment(seconds).strftime("%d %b %H:%M")


def stamp(seconds: float) -> str:
    """Write a time to the second, in UTC."""
    return moment(seconds).strftime("%Y-%m-%d %H:%M:%S")


def enforced(effect: Effect, done: Effect) -> str:
    """Say what was really done, where that is not what the verdict asked for."""
    if done == effect:
        return "carried out" if effect > Effect.ALLOW else ""
    return "not carried out" if done is Effect.ALLOW else f"{done.name.lower()} carried out"
