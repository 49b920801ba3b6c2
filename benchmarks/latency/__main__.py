"""Measure what the gateway costs, beside its peers, in one run on this machine.

Every proxy is pinned to one core, the load and the upstream to another; everything is on
the loopback. The main figure is CPU time per answer of the proxy with its children, because
requests per second also measure whatever else the machine is doing.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.latency.measure import CONNECTIONS, measure
from benchmarks.latency.peers import peers, tools_missing
from benchmarks.latency.report import GOALS_AT, document, show

SECONDS = 3.0
QUICK_SECONDS = 1.0
WIDTH = 150


def main() -> int:
    """Measure and print; 2 if what is needed is not installed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--seconds", type=float, help=f"per load (default: {SECONDS:g})")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the figures there; - for standard output"
    )
    parser.add_argument("--quick", action="store_true", help=f"{GOALS_AT} connections only, a second each")
    parser.add_argument(
        "--python",
        default=sys.executable,
        metavar="PROGRAM",
        help="interpreter for the gateway and the floor, of this one's version (default: this one)",
    )
    parser.add_argument("--only", action="append", metavar="PEER", help="only this peer; may be repeated")
    args = parser.parse_args()
    say = Console(stderr=True)
    missing = tools_missing()
    if missing:
        say.print(
            f"Not installed: {', '.join(missing)}. On Debian: apt-get install nginx-light wrk util-linux"
        )
        return 2
    offered = peers(args.python)
    unknown = set(args.only or ()) - {p.name for p in offered}
    if unknown:
        parser.error(f"no peer {', '.join(sorted(unknown))}; there are: {', '.join(p.name for p in offered)}")
    chosen = tuple(p for p in offered if not args.only or p.name in args.only)
    seconds = args.seconds or (QUICK_SECONDS if args.quick else SECONDS)
    connections = (GOALS_AT,) if args.quick else CONNECTIONS
    results = measure(
        chosen, seconds, connections, lambda text: say.print(text, highlight=False, markup=False)
    )
    if args.json is not None:
        text = json.dumps(document(results, chosen, args.python), indent=1)
        if str(args.json) == "-":
            print(text)
        else:
            args.json.write_text(text)
    # In a pipe there is no width to keep to.
    width = None if sys.stdout.isatty() else WIDTH
    show(Console(stderr=str(args.json) == "-", width=width), results, chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
