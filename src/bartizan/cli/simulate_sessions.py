"""Simulates benign sessions against a system's own model, so that searches stand out from them."""

from __future__ import annotations

import math
import secrets
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from bartizan.assembly import sessions_path
from bartizan.calibration.session_file import encode
from bartizan.clock import WALL_CLOCK
from bartizan.errors import CalibrationError
from bartizan.features.variants import Model
from bartizan.monitoring.sessions import RATE, SEARCHES, SESSIONS, learn_sessions
from bartizan.stats.conformal import points_needed
from bartizan.store.private_file import save_bytes
from bartizan.types import FloatArray


def simulate_sessions(
    system: str,
    rows: FloatArray,
    model: Model,
    store: Path,
    rng: np.random.Generator,
    *,
    sessions: int = SESSIONS,
    rate: float = RATE,
) -> Path:
    """Simulate clients, build the table of benign sessions, and keep it where the gateway finds it.

    Args:
        system: The system's name.
        rows: Benign rows, shape ``(n, d)``.
        model: Asks the model; some hundred thousand rows, many at a time.
        store: The data directory.
        rng: Where all choices come from.
        sessions: Benign sessions to simulate.
        rate: Share of benign sessions that may ever signal.

    Returns:
        Where the table is.

    Raises:
        CalibrationError: There are too few rows, or the model can't be asked.
    """

    def answers(asked: FloatArray) -> FloatArray:
        outputs = model(asked).outputs
        if outputs is None:
            raise CalibrationError("the model gave no outputs", hint="name another one with --model")
        return outputs

    searches = math.ceil(SEARCHES * sessions / SESSIONS)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("simulating sessions", total=sessions + searches)
        table = learn_sessions(
            rows,
            answers,
            rng,
            key=secrets.token_bytes(32),
            name=f"{system}, simulated clients",
            created=WALL_CLOCK(),
            sessions=sessions,
            searches=searches,
            rate=rate,
            progress=lambda done, total: bars.update(bar, completed=done, total=total),
        )
    path = sessions_path(store, system)
    save_bytes(path, encode(table))
    level = table.level(rate)
    console.print(f"sessions: at most 1 in {1 / level.rate:,.0f} benign sessions signals, written to {path}")
    if level.rate > rate:
        console.print(f"1 in {1 / rate:,.0f} needs {points_needed(rate):,} ranked sessions")
    return path
