"""Kills a writer at random moments: what was acknowledged is there, and verifies."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bartizan.store import Store, StoreSettings, verify

ROUNDS = 50
LONGEST_S = 0.15

CHILD = """
import os, sys, time
from pathlib import Path
from bartizan.store import Store, StoreSettings
from bartizan.types import Effect, Principal, Record

path, turn = Path(sys.argv[1]), sys.argv[2]
store = Store(
    StoreSettings(path, retention_days=None, segment_bytes=20_000, checkpoint_seconds=0.02, group_ms=1.0),
    time.time,
)
os.write(1, b"ready\\n")
number = 0
while True:
    tickets = []
    for _ in range(20):
        number += 1
        tickets.append(store.submit(Record(
            f"{turn}-{number}", time.time(), "shop", "openai-chat", Principal("p", "api-key"),
            "m" * (number % 300), Effect.ALLOW, Effect.ALLOW, "default", None, 200, False, 1, 1,
        )))
    for ticket in tickets:
        os.write(1, f"{ticket.result(30).id}\\n".encode())
"""


def run_and_kill(path: Path, turn: int, after_s: float) -> list[str]:
    """Start a writer, kill it a while after it is ready; return the ids it acknowledged."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path), str(turn)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    lines: list[bytes] = []
    first = child.stdout.readline()
    reader = threading.Thread(target=lambda: lines.extend(child.stdout))
    reader.start()
    time.sleep(after_s)
    child.send_signal(signal.SIGKILL)
    child.wait(30)
    reader.join(30)
    child.stdout.close()
    assert first == b"ready\n"
    assert child.returncode == -signal.SIGKILL
    # The last line may be cut: then its acknowledgement never arrived.
    return [line.decode().rstrip("\n") for line in lines if line.endswith(b"\n")]


@pytest.mark.durability
@pytest.mark.timeout(170)
def test_no_acknowledged_record_is_lost(tmp_path):
    path, moments = tmp_path / "data", random.Random(20_240_501)
    acknowledged: list[str] = []
    busy = 0
    for turn in range(ROUNDS):
        new = run_and_kill(path, turn, moments.uniform(0.0, LONGEST_S))
        busy += bool(new)
        acknowledged += new
    with Store(StoreSettings(path, retention_days=None), lambda: 2e9) as store:
        store.flush(60)
        missing = [name for name in acknowledged if store.record(name) is None]
        assert missing == []
        assert store.health().ok
    report = verify(path)
    assert report.problems == ()
    assert report.records > len(acknowledged)
    assert busy > ROUNDS // 2  # otherwise nothing was tested


@pytest.mark.durability
@pytest.mark.timeout(60)
def test_it_verifies_after_every_kill(tmp_path):
    path, moments = tmp_path / "data", random.Random(7)
    for turn in range(5):
        acknowledged = run_and_kill(path, turn, moments.uniform(0.05, LONGEST_S))
        with Store(StoreSettings(path, retention_days=None), lambda: 2e9) as store:
            store.flush(30)
            assert all(store.record(name) is not None for name in acknowledged)
        assert verify(path).problems == ()
