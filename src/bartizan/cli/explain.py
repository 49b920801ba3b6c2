"""``bartizan explain ID``: why a recorded exchange was judged as it was."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape

from bartizan.config import load
from bartizan.errors import ConfigError
from bartizan.explanation.verdict import explain_record
from bartizan.store.reading import open_reader


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("id", help="the record's id, as in x-bartizan-record or `bartizan events`")
    parser.add_argument("-c", "--config", type=Path, help="bartizan.yaml, to find the store")
    parser.add_argument("--store", type=Path, default=Path("bartizan-data"), help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="JSON for machines")


def run(args: argparse.Namespace) -> int:
    """Explain one exchange."""
    path = load(args.config).store.path if args.config else args.store
    record = open_reader(path).record(args.id)
    if record is None:
        raise ConfigError(f"no record {args.id!r} in {path}", hint="`bartizan events` lists the newest")
    steps = explain_record(record)
    if args.json:
        body = {"record": record, "explanations": {step: str(text) for step, text in steps}}
        print(msgspec.json.encode(body).decode())
        return 0
    console = Console(highlight=False, soft_wrap=True)
    when = datetime.fromtimestamp(record.time, UTC).isoformat(timespec="seconds")
    console.print(
        f"[bold]{escape(record.id)}[/bold]  {when}  {record.system} ({record.protocol})  "
        f"{escape(record.principal.id)}  HTTP {record.status}"
    )
    if record.note:
        console.print(f"note: {escape(record.note)}")
    if not steps:
        console.print("nothing in it was judged")
    for step, text in steps:
        console.print(f"\n[bold]{step}[/bold]\n{escape(str(text))}")
    return 0
