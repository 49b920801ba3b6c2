"""``bartizan replay``: what a candidate would have decided about recorded traffic."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bartizan.assembly import protocols_of
from bartizan.cli.candidate import add_candidate_arguments, candidate_of
from bartizan.cli.events import count, moment
from bartizan.cli.lines import judged, read, total
from bartizan.cli.replay_show import Show, ShowJson, ShowText
from bartizan.config import Config, System, from_mapping, load
from bartizan.errors import BartizanError, ConfigError, LedgerError
from bartizan.guard import Guard
from bartizan.replay.outcome import Compared
from bartizan.replay.recommend import EXIT_CODES, recommend
from bartizan.replay.records import Replay, compare_verdicts
from bartizan.replay.side import Side, side_of
from bartizan.replay.tally import Tally
from bartizan.store import EventQuery, open_reader

MOST_RECORDS = 1_000_000
MAX_ATTACKS_BYTES = 64 * 2**20

EPILOG = """\
Records are decided from the scores they keep: another rate, other effects, rules and mode, fewer detectors,
another calibration of text. Another detector, or other reference rows, needs content (store.keep_content).
Where that is missing, the decision can't be told, and is never guessed.

exit codes:
  0  no decision changes, or the candidate is recommended
  1  more is stopped than the promised rate allows
  2  it could not be told from so much traffic, or could not be done
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "file", nargs="?", help="JSON lines as `check` reads them, - for stdin; default: the ledger's records"
    )
    parser.add_argument("-c", "--config", type=Path, help="bartizan.yaml; without it, shipped defaults")
    parser.add_argument("--system", help="name of the system; may be left out if there is only one")
    parser.add_argument("--kind", choices=("chat", "predict"), default="chat", help="without a configuration")
    parser.add_argument("--store", type=Path, help="data directory, over the configured one")
    add_candidate_arguments(parser)
    traffic = parser.add_argument_group("which records")
    traffic.add_argument(
        "--since", type=moment, metavar="WHEN", help="a time (ISO 8601) or an age: 90s 30m 2h 7d"
    )
    traffic.add_argument("--until", type=moment, metavar="WHEN", help="the same")
    traffic.add_argument(
        "--limit", type=count, default=MOST_RECORDS, help="the newest so many; default: %(default)s"
    )
    parser.add_argument(
        "--attacks", type=Path, metavar="FILE", help="ids known to be attacks, one a line: no false alarms"
    )
    parser.add_argument("--json", action="store_true", help="JSON lines: changes, and last the summary")


def run(args: argparse.Namespace) -> int:
    """Replay, show every change, and advise."""
    config, system = _configured(args)
    base = side_of(config, system)
    candidate = side_of(*candidate_of(config, system, args))
    if candidate.system.kind != system.kind:
        raise ConfigError(f"the candidate is of kind {candidate.system.kind}, {system.name} is not")
    tally = Tally(candidate, _attacks(args.attacks))
    show: Show = ShowJson() if args.json else ShowText()
    if args.file is None:
        found = _records(config, args, base, candidate)
    else:
        found = _lines(args.file, base, candidate, show)
    for compared in found:
        tally.add(compared)
        if compared is not None:
            show.exchange(compared)
    summary = tally.summary()
    if not summary.replayed and not show.failed:
        raise ConfigError(
            f"no judged exchange of {system.name} in {args.file or config.store.path}",
            hint="see --system, --since and --store; `bartizan events` lists what is there",
        )
    advice = recommend(summary, candidate.policy.mode)
    show.summary(summary, advice, candidate)
    return 2 if show.failed else EXIT_CODES[advice.advice]


def _configured(args: argparse.Namespace) -> tuple[Config, System]:
    if args.config is not None:
        config = load(args.config)
        name = args.system
    else:
        name = args.system or "default"
        made = {"name": name, "kind": args.kind, "upstream": {"url": "http://localhost"}}
        config = from_mapping({"systems": [made]}, base=Path())
    if args.store is not None:
        config = config.model_copy(update={"store": config.store.model_copy(update={"path": args.store})})
    return config, config.system(name)


def _records(
    config: Config, args: argparse.Namespace, base: Side, candidate: Side
) -> Iterator[Compared | None]:
    query = EventQuery(system=base.system.name, since=args.since, until=args.until, limit=args.limit)
    try:
        reader = open_reader(config.store.path, config.store.database_url)
        records = reader.count(query)
    except LedgerError as error:  # here exit code 1 says something else
        raise ConfigError(error.message, hint=error.hint) from error
    replay = Replay(base, candidate)
    try:
        with _progress() as progress:
            task = progress.add_task("replaying", total=min(args.limit, records))
            for record in reader.walk(query):
                yield replay.compare(record)
                progress.advance(task)
    finally:
        reader.close()


def _lines(source: str, base: Side, candidate: Side, show: Show) -> Iterator[Compared | None]:
    """Judge every line twice. A line that can't be judged is shown and counted, and the rest goes on."""
    old, new = (Guard(s.pipeline, protocols_of(s.system)[0]) for s in (base, candidate))
    with _progress() as progress:
        task = progress.add_task("judging", total=total(source))
        for line in read(source):
            progress.advance(task)
            try:
                yield compare_verdicts(line.id, judged(old, line), judged(new, line), candidate)
            except BartizanError as error:
                show.error(line.id, error)


def _attacks(path: Path | None) -> frozenset[str]:
    if path is None:
        return frozenset()
    try:
        with path.open("rb") as file:
            text = file.read(MAX_ATTACKS_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"can't read {path}: {error}", hint="one id a line") from error
    return frozenset(line.strip() for line in text.splitlines() if line.strip())


_progress = partial(Progress, console=Console(stderr=True), transient=True)
