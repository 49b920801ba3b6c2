"""``bartizan``: finds the verb, imports it, runs it, turns errors into messages and exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from bartizan import __version__
from bartizan.errors import BartizanError

VERBS = {
    "demo": "see it work: a real model, a chat endpoint, real attacks, one screen",
    "serve": "run the gateway and the admin plane",
    "check": "judge JSON lines, rows or text in batch",
    "calibrate": "learn what is usual from benign data, and say which false-alarm rate it certifies",
    "replay": "say what another policy, rate, calibration or detectors would change in recorded traffic",
    "watch": "run the monitors over a recorded stream: what changed, since when, who, attack or drift",
    "baseline": "sign, promote or roll back what a stream is held against",
    "explain": "say why a recorded exchange was judged as it was",
    "events": "list recorded exchanges, or alarms",
    "ledger": "verify the record, or prove that an exchange is in it",
    "config": "check a configuration, or print its schema",
}

DEBUG_ENV = "BARTIZAN_DEBUG"

EPILOG = """\
exit codes:
  0  done, and nothing speaks against it
  1  something was (or would be) blocked, a stream alarmed, or a verification failed
  2  it could not be done: usage, configuration or input is wrong
  3  an internal error; please report it
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verb = next((a for a in arguments if not a.startswith("-")), None)
    parser = _parser(verb if verb in VERBS else None)
    parsed = parser.parse_args(arguments)
    if parsed.verb is None:
        parser.print_help()
        return 2
    try:
        return int(parsed.run(parsed))
    except BartizanError as error:
        print(f"bartizan: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stderr.close()
        return 0
    except Exception as error:
        if os.environ.get(DEBUG_ENV):
            raise
        print(f"bartizan: internal error: {type(error).__name__}: {error}", file=sys.stderr)
        print(f"  hint: please report it, with what {DEBUG_ENV}=1 prints", file=sys.stderr)
        return 3


def _parser(verb: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bartizan",
        description="Runtime security for AI systems: watch, contain, verify and explain, "
        "at a false-alarm rate you choose.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bartizan {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    for name, summary in VERBS.items():
        sub = verbs.add_parser(
            name, help=summary, description=summary[0].upper() + summary[1:] + ".", allow_abbrev=False
        )
        if name == verb:
            module = import_module(f"bartizan.cli.{name}")
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
