"""A client searches a served model for adversarial rows: it is found, called an attack, and held; others go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from tests.e2e import test_watching as watched
from tests.e2e.running import running, wait_for

from bartizan.alarms import Cause
from bartizan.assembly import sessions_path
from bartizan.calibration import contrast, session_file
from bartizan.monitoring.searchers import simulate_searches
from bartizan.monitoring.sessions import learn_sessions

pytestmark = pytest.mark.e2e

folder = watched.folder
upstream = watched.upstream


@pytest.fixture(scope="module")
def data(folder: Path) -> Iterator[Path]:
    """The data directory, with a table of sessions simulated against the served model."""
    rng = np.random.default_rng(0)
    with mock.patch.object(contrast, "STEPS", 300):
        table = learn_sessions(
            rng.normal(size=(600, watched.COLUMNS)),
            watched.model,
            rng,
            key=b"set-up",
            name="simulated",
            created=0.0,
            sessions=300,
            searches=90,
        )
    path = sessions_path(folder / "data", "fraud")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(session_file.encode(table))
    yield folder / "data"
    path.unlink()


def system(folder: Path, upstream: str) -> dict[str, Any]:
    made = watched.system(folder, upstream)
    made["containment"] = {"attack": "hold", "delay_queries": [1, 5], "delay_s": [300, 600]}
    return made


def test_a_search_is_found_and_held_and_nobody_else(folder: Path, upstream: str, data: Path) -> None:
    rng = np.random.default_rng(5)
    found = simulate_searches(rng.normal(size=(600, watched.COLUMNS)), watched.model, 40, rng)
    searches = [s.rows for s in found if s.kind in ("hop-skip-jump", "boundary walk", "line search")]
    with running(folder, [system(folder, upstream)]) as gateway:
        watched.traffic(gateway, 6, shift=0.0, seed=1)
        held = ""
        for number, rows in enumerate(searches[:6]):
            name = f"mallory-{number}"
            for row in rows[:120]:
                watched.ask(gateway, name, row[None])
            watched.traffic(gateway, 1, shift=0.0, seed=10 + number)
            status = watched.api(gateway, "/api/v1/status")["gateway"]["systems"][0]["watch"]
            held = next((c["principal"] for c in status["contained"] if c["measure"] == "hold"), "")
            if held:
                break
        assert held.startswith("mallory-")
        gateway.records()
        wait_for(lambda: watched.api(gateway, "/api/v1/alarms?cause=attack")["alarms"], 20)
        alarm = watched.api(gateway, "/api/v1/alarms?cause=attack")["alarms"][0]
        assert alarm["cause"] == Cause.ATTACK
        assert alarm["principals"][0].startswith("mallory-")
        assert {g["kind"]: g["answer"] for g in alarm["grounds"]}["search"] == "yes"
        assert [watched.ask(gateway, held, watched.ORDINARY) for _ in range(6)][-1] == 400
        assert watched.ask(gateway, watched.TENANTS[0], watched.ORDINARY) == 200
        stopped = [r for r in gateway.records() if r.rule == "contained" and r.status == 400]
        assert {r.principal.id for r in stopped} <= {f"mallory-{k}" for k in range(6)}
