"""A system without a baseline learns one from live traffic, keeps it, and is watched from then on."""

import time

import numpy as np
import pytest
from tests.unit.gateway.test_watching import KEY, NOW, Clock, Kept, settings

from bartizan.alarms import Events
from bartizan.gateway.baselines import live_path, load_baseline, watched_of
from bartizan.gateway.beginning import Beginning
from bartizan.gateway.metrics import Metrics
from bartizan.gateway.observations import Observation
from bartizan.gateway.watching import watching_of
from bartizan.monitoring.baseline import Settings
from bartizan.monitoring.monitor import Monitor
from bartizan.types import Rows

WANTED = 1_000


def events(n, seed=0, columns=("a", "b")):
    rng = np.random.default_rng(seed)
    who = tuple(f"p{i % 30}" for i in range(n))
    return Events(NOW + np.arange(n), {c: rng.normal(size=n) for c in columns}, principals=who)


def beginning(tmp_path):
    return Beginning("digits", WANTED, tmp_path / "watch" / "digits.baseline", Settings(1e5), Clock())


def test_it_learns_once_it_has_enough_and_keeps_what_it_learnt(tmp_path):
    first = beginning(tmp_path)
    first.feed(events(WANTED - 1))
    assert first.baseline is None
    assert f"{WANTED - 1:,} of {WANTED:,}" in first.said
    first.feed(events(1, 1))
    assert first.baseline is not None
    path = live_path(tmp_path, "digits")
    assert path.stat().st_mode & 0o077 == 0
    assert load_baseline(path)[0].digest == first.baseline.digest


def test_columns_that_change_on_the_way_begin_it_anew_and_are_said(tmp_path):
    first = beginning(tmp_path)
    first.feed(events(600))
    first.feed(events(600, columns=("a", "c")))
    assert first.baseline is None
    assert "different streams" in first.said
    first.feed(events(WANTED))
    assert first.baseline is not None


def test_the_gateway_watches_from_then_on_and_after_a_restart(tmp_path):
    config = settings(tmp_path, monitoring={"learn_events": WANTED, "events_per_alarm": 1e5})
    watching = watching_of(config.systems[0], KEY, Kept(), Metrics(), Clock(), tmp_path)
    assert "no baseline yet: 0 of 1,000" in watching.status().refused
    watching.start()
    rng = np.random.default_rng(3)
    for i in range(WANTED + 200):
        rows = Rows(rng.normal(size=(1, 2)), rng.dirichlet((2.0, 2.0), size=1))
        watching._observe(Observation(NOW + i, f"p{i % 30}", rows, f"bz-{i}"))
    end = time.monotonic() + 20
    while not watching.status().streams and time.monotonic() < end:
        time.sleep(0.05)
    watching.close()
    status = watching.status()
    assert status.baseline
    assert {s.name for s in status.streams} >= {"output.class", "missing"}
    again = watched_of(config.systems[0], KEY, tmp_path, Clock())
    assert isinstance(again.monitor, Monitor)
    assert again.digest == status.baseline


def test_it_may_be_switched_off(tmp_path):
    config = settings(tmp_path, monitoring={"learn": False})
    assert watched_of(config.systems[0], KEY, tmp_path, Clock()) is None


@pytest.mark.parametrize("wrong", [10, 10_000_000])
def test_the_number_of_events_is_limited(tmp_path, wrong):
    with pytest.raises(Exception, match="learn_events"):
        settings(tmp_path, monitoring={"learn_events": wrong})
