import numpy as np
import pytest

from bartizan.errors import CalibrationError
from bartizan.monitoring import gathering
from bartizan.monitoring.baseline import Settings
from bartizan.monitoring.gathering import Gathering


def learnt(gathered):
    rng = np.random.default_rng(0)
    return gathered.learn(name="live", created=1.0, rng=rng, settings=Settings(1e5))


def test_enough_events_make_a_baseline(traffic):
    gathered, stream = Gathering(3_000, 0.2), traffic(3)
    while not gathered.ready:
        gathered.add(stream.events(500))
    baseline = learnt(gathered)
    assert baseline.name == "live"
    assert baseline.promise
    assert len(gathered) == 0


def test_one_principal_supplies_no_more_than_its_share(traffic):
    def flood(x, who, sure):
        who[:] = 3
        x[:, 0] = 50.0

    gathered, stream = Gathering(4_000, 0.05), traffic(3)
    gathered.add(stream.events(2_000))
    flooded = stream.events(2_000, flood)
    object.__setattr__(flooded, "principals", ("tenant-3",) * 2_000)
    gathered.add(flooded)
    baseline = learnt(gathered)
    assert baseline.events < 2_400
    first = next(s for s in baseline.streams if s.name == "input.x0")
    assert first.cuts.edges[len(first.cuts.edges) // 2] < 1.0


def test_wide_rows_end_it_earlier(traffic, monkeypatch):
    monkeypatch.setattr(gathering, "MAX_VALUES", 4_000)
    gathered = Gathering(1_000_000, 0.2)
    gathered.add(traffic(3).events(999))
    assert not gathered.ready
    gathered.add(traffic(3).events(1))
    assert gathered.ready


def test_too_little_is_said(traffic):
    gathered = Gathering(10, 0.2)
    gathered.add(traffic(3).events(20))
    assert gathered.ready
    with pytest.raises(CalibrationError, match="too few"):
        learnt(gathered)
