"""``bartizan watch``: runs the monitors over a recorded stream, block by block."""

from __future__ import annotations

import argparse
import hashlib
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import Progress

from bartizan.alarms import Alarm, Cause
from bartizan.cli.alarm_text import as_json, as_text, counted, visible
from bartizan.cli.baselines import Learnt, is_recording, learn_from, load, save
from bartizan.cli.recorded.convert import Converter
from bartizan.cli.recorded.formats import Block
from bartizan.cli.recorded.problems import RecordingError, Tally
from bartizan.cli.recorded.recording import STDIN, Recording
from bartizan.cli.recorded.roles import Options
from bartizan.errors import CalibrationError
from bartizan.monitoring.baseline import Baseline, Settings
from bartizan.monitoring.monitor import Monitor
from bartizan.monitoring.sessions import SessionWatch

FOLLOW_S = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("file", help=".csv, .jsonl or .parquet, in time order; - is JSON lines on stdin")
    parser.add_argument(
        "--calibration",
        required=True,
        metavar="FILE",
        help="a benign recording of the same columns, or a saved baseline",
    )
    parser.add_argument(
        "--false-alarms", type=float, metavar="N", help="promise at most N false alarms; default: 1"
    )
    parser.add_argument(
        "--per", type=float, metavar="EVENTS", help="in so many benign events; default: 1,000,000"
    )
    parser.add_argument("--save-baseline", type=Path, metavar="OUT", help="keep what was learnt")
    parser.add_argument(
        "--sessions",
        action="store_true",
        help="also hold what each principal asks against the calibration's principals: does one search?",
    )
    parser.add_argument("--system", default="recorded", help="the system's name in alarms")
    parser.add_argument("--follow", action="store_true", help="go on with what is written from now on")
    parser.add_argument("--seed", type=int, help="draws; the same seed gives the same alarms")
    parser.add_argument("--json", action="store_true", help="one alarm a line as JSON")
    _add_columns(parser)
    parser.epilog = (
        "Exit code 1 if there is an alarm other than benign drift. Columns are recognised by their names, "
        "and what was recognised is said on stderr; NAME - says that there is no such column."
    )


def _add_columns(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("columns")
    group.add_argument("--time", metavar="NAME", help="epoch seconds or milliseconds, or ISO 8601")
    group.add_argument("--principal", metavar="NAME", help="who asked")
    group.add_argument("--trusted", metavar="NAME", help="1 or true: from a trusted source")
    group.add_argument("--id", metavar="NAME", help="the exchange's id")
    group.add_argument(
        "--output",
        metavar="NAME",
        action="append",
        default=[],
        help="what the model answered: every class's score in order, or one label; may be repeated",
    )
    group.add_argument(
        "--group",
        metavar="NAME",
        action="append",
        default=[],
        help="a coarser name for principals, such as a network; may be repeated",
    )
    group.add_argument("--ignore", metavar="NAME", action="append", default=[], help="leave a column out")
    group.add_argument(
        "--categorical",
        metavar="NAME",
        action="append",
        default=[],
        help="categories, whatever they look like",
    )
    group.add_argument(
        "--skip-unreadable", action="store_true", help="leave out and count events that can't be read"
    )
    group.add_argument(
        "--arrival-order", action="store_true", help="times may go back: events count in the file's order"
    )


def run(args: argparse.Namespace) -> int:
    """Watch one recording."""
    options = _options(args)
    learnt = _learnt(args, options)
    _say(learnt.notes)
    if args.save_baseline is not None:
        save(learnt, args.save_baseline)
    tally = Tally()
    converter = Converter(
        learnt.schema,
        options,
        file=_recording(args).name,
        tally=tally,
        skip=args.skip_unreadable,
        arrival_order=args.arrival_order,
    )
    key, table = _key(args), learnt.sessions if args.sessions else None
    sessions = None if table is None else SessionWatch(table, key)
    monitor = Monitor(learnt.baseline, system=args.system, key=key, sessions=sessions)
    alarms: dict[str, Alarm] = {}
    try:
        _watch(args, converter, monitor, alarms, tally)
    except KeyboardInterrupt:
        if not args.follow and args.file != STDIN:
            raise
    finally:
        _say(tally.report())
    _summary(learnt.baseline, alarms.values(), tally.events, as_json=args.json)
    return int(any(alarm.cause is not Cause.BENIGN_DRIFT for alarm in alarms.values()))


def _options(args: argparse.Namespace) -> Options:
    return Options(
        args.time,
        args.principal,
        args.trusted,
        args.id,
        tuple(args.output),
        tuple(args.group),
        tuple(args.ignore),
        tuple(args.categorical),
    )


def _watch(
    args: argparse.Namespace, converter: Converter, monitor: Monitor, alarms: dict[str, Alarm], tally: Tally
) -> None:
    """Feed the recording to the monitor; keep the last word on every alarm."""
    recording, said = _recording(args), 0
    console = Console(highlight=False, soft_wrap=True)
    for block in _shown(recording.blocks(tally), "watching", recording.total()):
        events = converter.events(block)
        _say(converter.notes[said:])
        said = len(converter.notes)
        for alarm in monitor.feed(events):
            if args.json:
                print(msgspec.json.encode(as_json(alarm)).decode(), flush=True)
            else:
                promise = monitor.baseline.promise
                text = as_text(alarm, timed=converter.timed, again=alarm.id in alarms, promise=promise)
                console.print(text, end="\n\n")
            alarms[alarm.id] = alarm
    if not tally.events:
        raise RecordingError(f"{recording.name} holds no events", hint="give a file with a line an event")


def _learnt(args: argparse.Namespace, options: Options) -> Learnt:
    if not is_recording(args.calibration):
        if args.calibration == STDIN:
            raise CalibrationError(
                "the calibration is read twice: it can't come from stdin", hint="give a file"
            )
        if args.false_alarms is not None or args.per is not None:
            raise CalibrationError(
                "a saved baseline already has its false-alarm rate",
                hint="give --false-alarms and --per when it is learnt",
            )
        learnt = load(Path(args.calibration), options)
        if args.sessions and learnt.sessions is None:
            _say(["sessions: not watched, the baseline was saved without them"])
        return learnt
    allowed = 1.0 if args.false_alarms is None else args.false_alarms
    events = Settings().events_per_alarm if args.per is None else args.per
    if not allowed > 0 or not events >= allowed:
        raise CalibrationError(
            f"{allowed:g} false alarms per {events:g} events can't be asked for",
            hint="such as --false-alarms 1 --per 1000000",
        )
    recording = Recording(args.calibration, args.skip_unreadable)
    total = recording.total()
    return learn_from(
        recording,
        options,
        Settings(events_per_alarm=events / allowed),
        arrival_order=args.arrival_order,
        sessions=args.sessions,
        rng=np.random.default_rng(args.seed or 0),
        shown=lambda blocks, words: _shown(blocks, words, total),
    )


def _recording(args: argparse.Namespace) -> Recording:
    wait: Callable[[], None] | None = (lambda: time.sleep(FOLLOW_S)) if args.follow else None
    return Recording(args.file, args.skip_unreadable, wait)


def _key(args: argparse.Namespace) -> bytes:
    """Return the monitor's key: repeatable on a file, unpredictable while a stream goes on."""
    if args.seed is None and (args.follow or args.file == STDIN):
        return secrets.token_bytes(32)
    return hashlib.sha256(f"bartizan watch {args.seed or 0}".encode()).digest()


def _summary(baseline: Baseline, alarms: Iterable[Alarm], events: int, *, as_json: bool) -> None:
    out = sys.stderr if as_json else sys.stdout
    print(f"{events:,} events; {counted(alarms)}", file=out)
    if baseline.promise:
        expected = events / baseline.settings.events_per_alarm
        print(f"promised: {baseline.promise}", file=out)
        print(f"so in these events at most {expected:.2g} false alarms are expected", file=out)
    else:
        print(f"promised: nothing, because {baseline.refused}", file=out)


def _say(notes: Iterable[str]) -> None:
    for note in notes:
        print(visible(note), file=sys.stderr)


def _shown(blocks: Iterable[Block], words: str, total: int | None) -> Iterator[Block]:
    """Show progress, on a terminal."""
    if not sys.stderr.isatty():
        yield from blocks
        return
    # Alarms go above the bar where both are on one terminal, and are never taken from a pipe.
    both = sys.stdout.isatty()
    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=both) as progress:
        task = progress.add_task(words, total=total)
        for block in blocks:
            yield block
            progress.update(task, completed=block.position)
