"""``bartizan baseline``: sign an anchor, promote a window, roll back, show what is in force and why."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.text import Text

from bartizan.alarms import Alarm, Events
from bartizan.cli.alarm_text import visible
from bartizan.cli.baselines import Learnt, load
from bartizan.cli.recorded.convert import Converter
from bartizan.cli.recorded.problems import Tally
from bartizan.cli.recorded.recording import Recording, whole
from bartizan.cli.recorded.roles import Options
from bartizan.clock import WALL_CLOCK
from bartizan.errors import ConfigError, LedgerError
from bartizan.monitoring.archive import VERIFIER, Archive
from bartizan.monitoring.pair import Pair
from bartizan.monitoring.promotion import Circumstances, Limits, Promotion, Refusal, Replay
from bartizan.monitoring.recalibration import promote
from bartizan.stats.mixtures import total_variation
from bartizan.store.layout import DIRECTORY_MODE, write_once
from bartizan.store.notes import Signer, check_name, new_signer, parse_signer, parse_verifier

_DEFAULTS = Limits()
_HOUR = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    show = actions.add_parser("show", help="what is in force, how far it has moved, and every decision")
    sign = actions.add_parser("sign", help="make a baseline the anchor: a person's decision")
    sign.add_argument("file", type=Path, help="a baseline that `bartizan watch --save-baseline` wrote")
    back = actions.add_parser("rollback", help="go back to the baseline before the one in force")
    step = actions.add_parser("promote", help="take a recorded window in, or say what speaks against it")
    step.add_argument("file", help="the window: .csv, .jsonl or .parquet, in time order")
    step.add_argument("--reader", type=Path, metavar="FILE", help="a saved baseline: how recordings are read")
    step.add_argument(
        "--attack",
        action="append",
        default=[],
        metavar="FILE",
        help="a recorded attack that must still be found; may be repeated",
    )
    step.add_argument(
        "--within", type=int, default=1000, metavar="EVENTS", help="in so many; default: %(default)s"
    )
    step.add_argument("--dry-run", action="store_true", help="only say what would be done")
    step.add_argument(
        "--group", action="append", default=[], metavar="NAME", help="a coarser name for principals"
    )
    step.add_argument("--seed", type=int, default=0, help="breaks ties; default: %(default)s")
    _add_limits(step)
    for action in (sign, back):
        action.add_argument("--reason", required=True, help="why; kept in the signed note")
    for action in (sign, back, step):
        action.add_argument("--key", type=Path, help="the private key; default: STORE/baselines.key")
    for action in (show, sign, back, step):
        action.add_argument("--system", default="recorded", help="the system's name; default: %(default)s")
        action.add_argument("--store", type=Path, default=Path("bartizan-data"), help="default: %(default)s")
        action.add_argument("--trust", metavar="KEY", help="the verifier key you kept elsewhere")
        action.add_argument("--json", action="store_true", help="JSON for machines")


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits")
    for name, default, words in (
        ("quarantine-hours", _DEFAULTS.quarantine_s / _HOUR, "how long the newest event must have waited"),
        ("eta", _DEFAULTS.eta, "how much of the new baseline is the window"),
        ("principal-share", _DEFAULTS.principal_share, "largest share that one principal or group supplies"),
        ("trusted-share", _DEFAULTS.trusted_share, "smallest share of trusted sources; 0: none is needed"),
        ("step", _DEFAULTS.step, "largest distance to the baseline in force"),
        ("total", _DEFAULTS.total, "largest distance to the anchor"),
    ):
        group.add_argument(
            f"--{name}", type=float, default=default, metavar="X", help=f"{words}; default: %(default)s"
        )


def run(args: argparse.Namespace) -> int:
    """Do one of the actions."""
    if "/" in check_name(args.system) or args.system.startswith("."):
        raise ConfigError(
            f"{args.system!r} can't name a directory", hint="use letters, digits, dots and dashes"
        )
    directory = args.store / "baselines" / args.system
    if args.action == "sign":
        return _sign(args, directory)
    archive = _archive(args, directory)
    if args.action == "show":
        return _show(args, archive)
    if args.action == "rollback":
        entry = archive.rollback(reason=args.reason, time=WALL_CLOCK(), signer=_signer(args))
        _say(args, f"in force again: baseline {entry.baseline:04d}", entry)
        return 0
    return _promote(args, archive)


def _sign(args: argparse.Namespace, directory: Path) -> int:
    learnt = load(args.file, Options())
    if not (directory / VERIFIER).exists():
        args.store.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        key = _key(args)
        if not key.exists():
            write_once(key, f"{new_signer('baselines').exported()}\n".encode())
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        write_once(directory / VERIFIER, f"{_signer(args).verifier}\n".encode())
    archive = _archive(args, directory)
    entry = archive.sign(learnt.baseline, reason=args.reason, time=WALL_CLOCK(), signer=_signer(args))
    _say(args, f"anchor {entry.number:04d} signed: {entry.digest}", entry)
    return 0


def _promote(args: argparse.Namespace, archive: Archive) -> int:
    limits = Limits(
        args.quarantine_hours * _HOUR,
        args.eta,
        args.principal_share,
        args.trusted_share,
        args.step,
        args.total,
    )
    anchor, current = archive.anchor, archive.current
    options = Options(groups=tuple(args.group))
    reader = load(args.reader or archive.path_of_anchor, options)
    window = _events(args.file, reader, options)
    seen: dict[str, Alarm] = {}
    pair = Pair(anchor, current, system=args.system, key=str(args.seed).encode())
    seen.update((alarm.id, alarm) for alarm in pair.feed(window))
    result = promote(
        window,
        anchor=anchor,
        current=current,
        now=WALL_CLOCK(),
        rng=np.random.default_rng(args.seed),
        limits=limits,
        circumstances=Circumstances(
            open_alarms=tuple(seen.values()),
            replays=[Replay(Path(f).name, _events(f, reader, options), args.within) for f in args.attack],
        ),
        since=archive.until,
        epoch=archive.promotions + 1,
    )
    if isinstance(result, Promotion) and not args.dry_run:
        archive.add(result, time=WALL_CLOCK(), signer=_signer(args))
    return _told(args, result)


def _told(args: argparse.Namespace, result: Promotion | Refusal) -> int:
    accepted = isinstance(result, Promotion)
    said = result.said if isinstance(result, Promotion) else result.reasons
    if args.json:
        fields = {"promoted": accepted and not args.dry_run, "accepted": accepted, "said": said}
        fields["human"] = isinstance(result, Refusal) and result.human
        fields["movements"] = [msgspec.to_builtins(m) for m in result.movements]
        print(msgspec.json.encode(fields).decode())
        return 0 if accepted else 1
    console = Console(highlight=False, soft_wrap=True)
    words = ("would be promoted" if args.dry_run else "promoted") if accepted else "not promoted"
    console.print(Text(words, style="bold green" if accepted else "bold red"))
    for line in said:
        console.print(Text(f"  {visible(line)}"))
    for m in sorted(result.movements, key=lambda m: -m.total)[:8]:
        console.print(Text(f"  {visible(m.stream)}: moves by {m.step:.4f}, {m.total:.4f} from the anchor"))
    return 0 if accepted else 1


def _show(args: argparse.Namespace, archive: Archive) -> int:
    anchor, current = archive.anchor, archive.current
    pairs = zip(anchor.streams, current.streams, strict=True)
    moved = {a.name: total_variation(a.share, c.share) for a, c in pairs}
    if args.json:
        fields = {
            "system": archive.system,
            "anchor": anchor.digest,
            "in_force": current.digest,
            "promise": anchor.promise,
            "from_anchor": moved,
            "entries": archive.entries,
        }
        print(msgspec.json.encode(fields).decode())
        return 0
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"in force: {visible(current.name)}", style="bold"))
    console.print(Text(f"  promised by the anchor: {anchor.promise or f'nothing: {anchor.refused}'}"))
    for name, far in sorted(moved.items(), key=lambda m: -m[1])[:8]:
        console.print(Text(f"  {visible(name)}: {far:.4f} from the anchor"))
    for e in archive.entries:
        console.print(
            Text(f"{e.number:04d} {e.kind} of {e.baseline:04d} {e.digest[:16]}: {visible(e.reason)}")
        )
    return 0


def _archive(args: argparse.Namespace, directory: Path) -> Archive:
    text = args.trust
    if text is None:
        try:
            text = (directory / VERIFIER).read_text("utf-8").strip()
        except OSError as error:
            raise ConfigError(
                f"there are no baselines of {args.system} in {args.store}",
                hint="`bartizan baseline sign` makes them",
            ) from error
    return Archive(directory, args.system, parse_verifier(text))


def _events(file: str, reader: Learnt, options: Options) -> Events:
    recording, tally = Recording(file), Tally()
    converter = Converter(reader.schema, options, file=recording.name, tally=tally)
    return whole(recording.blocks(tally), converter, recording.name)


def _key(args: argparse.Namespace) -> Path:
    return Path(args.key or args.store / "baselines.key")


def _signer(args: argparse.Namespace) -> Signer:
    path = _key(args)
    try:
        return parse_signer(path.read_text("utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"can't read the key {path}", hint="give it with --key") from error


def _say(args: argparse.Namespace, words: str, entry: object) -> None:
    print(msgspec.json.encode(entry).decode() if args.json else words)
