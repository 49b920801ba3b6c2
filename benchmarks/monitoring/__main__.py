"""``python -m benchmarks.monitoring [PART ...] [--quick] [--json FILE]``."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
import time
from pathlib import Path

PARTS = ("nulls", "ordered", "whole", "changes", "cost", "queries", "triage", "frog", "swap", "state")


def main() -> int:
    parser = argparse.ArgumentParser(description="Monitoring beside its peers. Without names: everything.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="a minute's look; its figures are rough")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    results: dict[str, object] = {}
    for part in args.parts or PARTS:
        name = f"benchmarks.monitoring.{part}"
        if importlib.util.find_spec(name) is None:
            print(f"{part}: absent", file=sys.stderr)
            continue
        module = importlib.import_module(name)
        start = time.perf_counter()
        results[part] = module.run(quick=args.quick)
        module.show(results[part])
        print(f"{part}: {time.perf_counter() - start:,.0f} s", file=sys.stderr)
        if args.json:
            args.json.write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
