"""``bartizan demo``: two upstreams, the gateway in front of them, real attacks, one screen."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--once", action="store_true", help="stop at the end instead of waiting for Ctrl-C")
    parser.add_argument(
        "--dir", type=Path, help="where to keep configuration and records; default: a new folder"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.epilog = (
        "With OPENAI_BASE_URL and OPENAI_API_KEY set, the chat endpoint there is protected instead of the "
        "rule-based stand-in. Needs the extra `demo`: pip install 'bartizan[demo]'."
    )


def run(args: argparse.Namespace) -> int:
    """Run the demo."""
    from bartizan.cli.demo.show import run_demo

    return run_demo(once=args.once, folder=args.dir, as_json=args.json)
