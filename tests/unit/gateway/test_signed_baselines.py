"""Baselines that `bartizan baseline` signed are what the gateway watches with."""

import numpy as np
import pytest
from tests.unit.gateway.test_watching import KEY, NOW, Clock, Kept, settings

from bartizan.alarms import Events
from bartizan.errors import LedgerError
from bartizan.gateway.baselines import watched_of
from bartizan.gateway.metrics import Metrics
from bartizan.gateway.watching import watching_of
from bartizan.monitoring.archive import VERIFIER, Archive
from bartizan.monitoring.learning import learn
from bartizan.monitoring.pair import Pair
from bartizan.monitoring.promotion import Limits, Promotion
from bartizan.monitoring.recalibration import promote
from bartizan.store.notes import new_signer


def events(n, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    who = tuple(f"p{i % 300}" for i in range(n))
    return Events(NOW + np.arange(n), {"a": rng.normal(size=n) + shift}, principals=who)


@pytest.fixture(scope="module")
def anchor():
    return learn(events(8_000), name="calm", created=NOW, rng=np.random.default_rng(0))


@pytest.fixture
def signed(tmp_path, anchor):
    directory = tmp_path / "baselines" / "digits"
    directory.mkdir(parents=True)
    signer = new_signer("baselines")
    (directory / VERIFIER).write_text(f"{signer.verifier}\n")
    archive = Archive(directory, "digits", signer.verifier)
    archive.sign(anchor, reason="looked at", time=NOW, signer=signer)
    promoted = promote(
        events(8_000, 0.02, 1),
        anchor=anchor,
        current=anchor,
        now=NOW + 1e6,
        rng=np.random.default_rng(1),
        limits=Limits(),
    )
    assert isinstance(promoted, Promotion)
    archive.add(promoted, time=NOW + 1e6, signer=signer)
    return archive


def test_anchor_and_rolling_baseline_watch_together_and_survive_a_restart(tmp_path, signed, anchor):
    system = settings(tmp_path).systems[0]
    found = watched_of(system, KEY, tmp_path, Clock())
    assert isinstance(found.monitor, Pair)
    assert found.promise == anchor.promise
    assert found.digest.startswith(anchor.digest)
    found.monitor.feed(events(2_000, 0.0, 2))
    again = watched_of(system, KEY, tmp_path, Clock())
    again.monitor.restore(found.monitor.snapshot())
    moved = events(2_000, 3.0, 3)
    alarms = found.monitor.feed(moved)
    assert alarms
    assert again.monitor.feed(moved) == alarms
    watching = watching_of(system, KEY, Kept(), Metrics(), Clock(), tmp_path)
    assert watching.status().promise == anchor.promise


def test_a_baseline_that_was_changed_stops_start_up(tmp_path, signed):
    path = signed.path_of_anchor
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(LedgerError):
        watched_of(settings(tmp_path).systems[0], KEY, tmp_path, Clock())
