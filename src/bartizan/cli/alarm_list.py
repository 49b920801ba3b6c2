"""``bartizan events --alarms``: lists recorded alarms, and follows them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import msgspec
from rich.console import Console

from bartizan.alarms import Alarm
from bartizan.cli.alarm_text import as_json, as_text
from bartizan.errors import ConfigError
from bartizan.store import Queries, open_reader

FOLLOW_S = 1.0
FOLLOW_ALARMS = 1_000
_ABOUT_EXCHANGES = ("effect", "session", "detector", "until", "before")


def list_alarms(args: argparse.Namespace) -> int:
    """List alarms as they were told last, oldest first.

    Raises:
        ConfigError: A condition is about exchanges.
    """
    if wrong := [name for name in _ABOUT_EXCHANGES if getattr(args, name) is not None]:
        raise ConfigError(
            f"--{wrong[0]} is about exchanges",
            hint="alarms are chosen by --system, --cause, --principal and --since",
        )
    reader = open_reader(args.store, args.database)
    try:
        alarms = _found(reader, args, max(args.limit, FOLLOW_ALARMS))
        told = dict.fromkeys(alarms)
        _show(alarms[-args.limit :], frozenset(), as_json_lines=args.json)
        if args.follow:
            _follow(reader, args, told, time.sleep)
    finally:
        reader.close()
    return 0


def _found(reader: Queries, args: argparse.Namespace, limit: int) -> list[Alarm]:
    return reader.alarms(args.system, args.cause, args.principal, args.since, limit)[::-1]


def _follow(
    reader: Queries, args: argparse.Namespace, told: dict[Alarm, None], pause: Callable[[float], None]
) -> None:
    """Show what is told from now on; an alarm whose cause became clearer is shown again."""
    while True:
        pause(FOLLOW_S)
        new = [alarm for alarm in _found(reader, args, FOLLOW_ALARMS) if alarm not in told]
        _show(new, frozenset(alarm.id for alarm in told), as_json_lines=args.json)
        told |= dict.fromkeys(new)
        while len(told) > 2 * FOLLOW_ALARMS:
            del told[next(iter(told))]


def _show(alarms: list[Alarm], before: frozenset[str], *, as_json_lines: bool) -> None:
    if as_json_lines:
        for alarm in alarms:
            print(msgspec.json.encode(as_json(alarm)).decode(), flush=True)
        return
    console = Console(highlight=False, soft_wrap=True)
    for alarm in alarms:
        console.print(as_text(alarm, again=alarm.id in before))
