"""``bartizan ledger``: verify the record, prove that an exchange is in it, export its state."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from bartizan.alarms import Alarm
from bartizan.errors import ConfigError, LedgerError
from bartizan.store import Report, proof_json, prove_from_files, verify, verify_proof
from bartizan.store.keys import load_verifier
from bartizan.store.layout import Layout
from bartizan.store.segments import read_checkpoint

summary = "verify the record, or prove that an exchange is in it"
DEFAULT_STORE = Path("bartizan-data")

EPILOG = """\
exit codes:
  0  everything verifies
  1  something does not
  2  it could not be done
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)

    check = actions.add_parser("verify", help="check every byte of the ledger")
    check.add_argument("path", nargs="?", type=Path, help="the data directory; same as --store")
    check.add_argument("--key", help="the verifier key you kept elsewhere; else the one beside the ledger")
    check.add_argument(
        "--witness",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a checkpoint saved elsewhere earlier; the ledger must still contain it (repeatable)",
    )

    prove = actions.add_parser("prove", help="prove that an exchange or an alarm is in the ledger")
    prove.add_argument("id", help="the record's or the alarm's id")

    check_proof = actions.add_parser("check-proof", help="check a proof, without the ledger")
    check_proof.add_argument("file", help="what `ledger prove --json` printed; - for standard input")
    check_proof.add_argument("--key", required=True, help="the ledger's verifier key")

    checkpoint = actions.add_parser("checkpoint", help="print the last signed checkpoint, to keep elsewhere")
    for action in (check, prove, checkpoint):
        action.add_argument("--store", type=Path, default=DEFAULT_STORE, help="default: %(default)s")
    for action in (check, prove, check_proof, checkpoint):
        action.add_argument("--json", action="store_true", help="JSON for machines")


def run(args: argparse.Namespace) -> int:
    """Do one of the actions."""
    if args.action == "verify":
        return _verify(args)
    if args.action == "prove":
        return _prove(args)
    if args.action == "check-proof":
        return _check_proof(args)
    return _checkpoint(args)


def _verify(args: argparse.Namespace) -> int:
    path = args.path or args.store
    if not Layout(path).ledger.is_dir():
        raise ConfigError(f"there is no ledger in {path}", hint="give the data directory with --store")
    report = verify(path, verifier_key=args.key, witnessed=[_read(str(file)) for file in args.witness])
    if args.json:
        fields = {"ok": report.ok, "unsigned": report.unsigned, **msgspec.to_builtins(report)}
        print(msgspec.json.encode(fields).decode())
    else:
        _print_report(report)
    return 0 if report.ok else 1


def _print_report(report: Report) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if not report.ok:
        console.print(Text("the ledger does NOT verify", style="bold red"))
        for problem in report.problems:
            console.print(Text(f"  {problem}"))
        return
    console.print(Text("the ledger verifies", style="bold green"))
    console.print(
        Text(f"  entries   {report.records:,} in {report.segments} files, {report.signed:,} signed")
    )
    if report.unsigned:
        console.print(
            Text(f"  unsigned  {report.unsigned:,}: until the next checkpoint nobody vouches for them")
        )
    if report.pruned:
        console.print(Text(f"  pruned    {report.pruned:,} are reduced to their hashes"))
    if report.recovered_bytes:
        console.print(
            Text(f"  recovered {report.recovered_bytes:,} bytes of interrupted writes were cut off")
        )
    console.print(Text(f"  root      {report.root}"))
    console.print(Text(f"  key       {report.verifier}"))


def _prove(args: argparse.Namespace) -> int:
    proof = prove_from_files(args.store, args.id)
    if args.json:
        print(proof_json(proof).decode())
        return 0
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"record {proof.id} is entry {proof.index} of {proof.size}", style="bold"))
    console.print(Text(f"  path of {len(proof.path)} hashes to the root of this checkpoint:"))
    console.print(Text(proof.checkpoint))
    console.print(Text("  --json prints the proof that `bartizan ledger check-proof` takes"))
    return 0


def _check_proof(args: argparse.Namespace) -> int:
    try:
        record = verify_proof(_read(args.file), args.key)
    except LedgerError as error:
        if not args.json:
            raise
        print(msgspec.json.encode({"ok": False, "problem": error.message}).decode())
        return error.exit_code
    if args.json:
        print(msgspec.json.encode({"ok": True, "record": record}).decode())
    else:
        console = Console(highlight=False, soft_wrap=True)
        kind = "alarm" if isinstance(record, Alarm) else "record"
        console.print(Text(f"the proof holds: {kind} {record.id!r}", style="bold green"))
    return 0


def _checkpoint(args: argparse.Namespace) -> int:
    layout = Layout(args.store)
    if not layout.ledger.is_dir():
        raise ConfigError(f"there is no ledger in {args.store}", hint="give the data directory with --store")
    verifier = load_verifier(layout)
    checkpoint = read_checkpoint(layout, verifier)
    if args.json:
        fields = {
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
            "note": checkpoint.note,
            "verifier": str(verifier),
        }
        print(msgspec.json.encode(fields).decode())
    else:
        print(checkpoint.note, end="")
    return 0


def _read(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"can't read {name}: {error}") from error
