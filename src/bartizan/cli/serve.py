"""``bartizan serve``: the data plane and the admin plane."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from bartizan.config import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "-c", "--config", type=Path, default=Path("bartizan.yaml"), help="default: %(default)s"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop."""
    import uvloop

    from bartizan.console.routes import routes
    from bartizan.gateway.server import Gateway

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    config = load(args.config)
    gateway = Gateway(config, console=routes)

    def ready(data_port: int, admin_port: int) -> None:
        say = logging.getLogger("bartizan").info
        for system in gateway.systems:
            base = f"http://{config.data.host}:{data_port}{system.prefix or ''}"
            say(
                "%s (%s, %s): %s -> %s",
                system.config.name,
                system.config.kind,
                system.config.mode.value,
                base,
                system.config.upstream.url,
            )
        say("console: http://%s:%d/console/", config.admin.host, admin_port)
        if gateway.token_made:
            # Printed once to the terminal that started it, not through logging, which may be shipped.
            print(
                f"admin token (set {config.admin.token_env} to choose it): {gateway.token}", file=sys.stderr
            )

    uvloop.run(gateway.run(ready))
    return 0
