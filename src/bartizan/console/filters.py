"""The filter form of the event list: from a page's address to a query, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlencode

from bartizan.store import EventQuery
from bartizan.types import Effect

PAGE = 50
MAX_TEXT = 512
_MAX_INDEX_DIGITS = 18
FIELDS = ("system", "effect", "principal", "session", "detector", "since", "until", "before")


@dataclass(frozen=True, slots=True)
class Filters:
    """What the form says.

    Attributes:
        given: Field to text, as typed; every field is there.
        query: What to ask the store.
        problems: What can't be used, one sentence each; such a field does not restrict.
    """

    given: Mapping[str, str]
    query: EventQuery
    problems: tuple[str, ...] = ()

    def older(self, before: int) -> str:
        """Return the address of the page that starts below a ledger index."""
        return _address({**self.given, "before": str(before)})

    @property
    def newest(self) -> str:
        """The address of the first page."""
        return _address({**self.given, "before": ""})


def read_filters(values: Mapping[str, str]) -> Filters:
    """Read the form. Times are in UTC, as a browser's date field writes them.

    >>> read_filters({"effect": "hold", "since": "2026-01-02T03:04"}).query.since
    1767323040.0
    """
    given = {name: values.get(name, "").strip()[:MAX_TEXT] for name in FIELDS}
    query = EventQuery(
        system=given["system"] or None,
        principal=given["principal"] or None,
        session=given["session"] or None,
        detector=given["detector"] or None,
        limit=PAGE + 1,
    )
    problems = []
    try:
        query = replace(query, effect_at_least=Effect[given["effect"].upper()] if given["effect"] else None)
    except KeyError:
        problems.append("The verdict must be allow, redact, hold or block.")
    for name, words in (("since", "From"), ("until", "Until")):
        try:
            moment = _seconds(given[name])
        except ValueError:
            problems.append(f"{words} must be a date and time, such as 2026-01-31T09:30.")
            continue
        query = replace(query, since=moment) if name == "since" else replace(query, until=moment)
    before = given["before"]
    if before.isascii() and before.isdigit() and len(before) <= _MAX_INDEX_DIGITS:
        query = replace(query, before_index=int(before))
    elif before:
        problems.append("Before must be a ledger index.")
    return Filters(given, query, tuple(problems))


def _seconds(text: str) -> float | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _address(given: Mapping[str, str]) -> str:
    query = urlencode({k: v for k, v in given.items() if v})
    return f"/console/events?{query}" if query else "/console/events"
