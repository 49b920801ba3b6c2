"""``bartizan events``: lists recorded exchanges or alarms, and follows them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bartizan.alarms import Cause
from bartizan.cli.alarm_list import list_alarms
from bartizan.errors import ConfigError
from bartizan.store import Event, EventQuery, Queries, open_reader
from bartizan.types import Effect

summary = "list recorded exchanges, or alarms"
DEFAULT_STORE = Path("bartizan-data")
FOLLOW_S = 1.0
FOLLOW_ROWS = 1_000
CELL_CHARACTERS = 40
ID_COLUMNS = 32
LEAST_COLUMNS = 120
_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_STYLES = {Effect.ALLOW: "green", Effect.REDACT: "yellow", Effect.HOLD: "magenta", Effect.BLOCK: "bold red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--store", type=Path, default=DEFAULT_STORE, help="default: %(default)s")
    parser.add_argument(
        "--database", metavar="URL", help="the query store, if it is not in the data directory"
    )
    parser.add_argument("--system", help="only this protected system")
    parser.add_argument(
        "--effect",
        choices=[effect.name.lower() for effect in Effect],
        help="only this effect and stronger ones",
    )
    parser.add_argument("--principal", help="only this principal's")
    parser.add_argument("--session", help="only this session's")
    parser.add_argument("--detector", help="only exchanges with a finding of this detector")
    parser.add_argument(
        "--since", type=moment, metavar="WHEN", help="a time (ISO 8601) or an age: 90s 30m 2h 7d"
    )
    parser.add_argument("--until", type=moment, metavar="WHEN", help="the same")
    parser.add_argument(
        "--before", type=int, metavar="INDEX", help="only ledger indices below this: the next page"
    )
    parser.add_argument("--alarms", action="store_true", help="alarms instead of exchanges")
    parser.add_argument(
        "--cause", type=Cause, choices=list(Cause), metavar="CAUSE", help="only alarms taken for this"
    )
    parser.add_argument("--limit", type=count, default=50, help="default: %(default)s")
    parser.add_argument("--follow", action="store_true", help="go on with what is recorded from now on")
    parser.add_argument("--json", action="store_true", help="JSON lines for machines, oldest first")


def run(args: argparse.Namespace) -> int:
    """List exchanges or alarms, oldest first, so that the newest stands next to the prompt."""
    if args.alarms:
        return list_alarms(args)
    if args.cause is not None:
        raise ConfigError("--cause is about alarms", hint="give --alarms as well")
    reader = open_reader(args.store, args.database)
    query = EventQuery(
        system=args.system,
        effect_at_least=None if args.effect is None else Effect[args.effect.upper()],
        principal=args.principal,
        session=args.session,
        detector=args.detector,
        since=args.since,
        until=args.until,
        before_index=args.before,
        limit=args.limit,
    )
    try:
        events = reader.events(query)[::-1]
        _show(events, as_json=args.json)
        if args.follow:
            last = events[-1].index if events else -1
            _follow(reader, query, last, as_json=args.json, pause=time.sleep)
    finally:
        reader.close()
    return 0


def new_events(reader: Queries, query: EventQuery, last: int) -> list[Event]:
    """Return everything recorded after an index, oldest first, however much it is."""
    found: list[Event] = []
    before = None
    while True:
        page = reader.events(replace(query, after_index=last, before_index=before, limit=FOLLOW_ROWS))
        found += page
        if len(page) < FOLLOW_ROWS:
            return found[::-1]
        before = page[-1].index


def _follow(
    reader: Queries, query: EventQuery, last: int, *, as_json: bool, pause: Callable[[float], None]
) -> None:
    while True:
        pause(FOLLOW_S)
        events = new_events(reader, query, last)
        if events:
            last = events[-1].index
            _show(events, as_json=as_json)


def _show(events: Sequence[Event], *, as_json: bool) -> None:
    if as_json:
        for event in events:
            fields = msgspec.to_builtins(event)
            fields["effect"], fields["enforced"] = event.effect.name.lower(), event.enforced.name.lower()
            print(msgspec.json.encode(fields).decode(), flush=True)
        return
    console = Console(highlight=False)
    console = Console(highlight=False, width=max(console.width, LEAST_COLUMNS))
    table = Table(box=None, pad_edge=False)
    for name in ("time", "effect", "system", "principal", "p", "detectors", "status", "id"):
        table.add_column(name, no_wrap=True, min_width=ID_COLUMNS if name == "id" else None)
    for event in events:
        table.add_row(*_cells(event))
    console.print(table)


def _cells(event: Event) -> list[Text]:
    effect = event.effect.name.lower() + ("" if event.enforced == event.effect else " (observed)")
    when = datetime.fromtimestamp(event.time, UTC).strftime("%Y-%m-%d %H:%M:%S")
    detectors = ",".join(event.detectors)
    if event.faults:
        detectors += f" ({event.faults} faults)"
    return [
        Text(when),
        Text(effect, style=_STYLES[event.effect]),
        visible(event.system),
        visible(event.principal),
        Text("-" if event.p_value is None else f"{event.p_value:.2g}"),
        visible(detectors.strip() or "-"),
        Text(str(event.status)),
        visible(event.id),
    ]


def visible(text: str) -> Text:
    """Return text that can't steer a terminal: clients choose some of these values."""
    cut = text if len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - 1] + "…"
    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut))


def moment(text: str) -> float:
    """Read an age or a time, as seconds since the epoch. A time without a zone is UTC."""
    now = datetime.now(UTC)
    try:
        if text[-1:] in _UNITS:
            return now.timestamp() - float(text[:-1]) * _UNITS[text[-1]]
        when = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a time nor an age such as 2h") from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def count(text: str) -> int:
    """Read a number of things, at least one."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value
