import numpy as np
import pytest

from bartizan.alarms import Alarm, Cause
from bartizan.assembly import build_pipeline, learned_path, table_of
from bartizan.config import from_mapping
from bartizan.gateway.learning import learn, learns
from bartizan.gateway.served import Served
from bartizan.store.views import MeasuredRow

NOW = 1_000_000.0


class Scores:
    """Stands in for the store: what ``measured`` and ``alarms`` return."""

    def __init__(self, rows, told=()):
        self._rows = rows
        self._told = told

    def alarms(self, system=None, cause=None, principal=None, since=None, limit=50):
        return [a for a in self._told if a.system == system and a.cause == cause][:limit]

    def measured(self, system, *, since=None, limit=None):
        return iter(self._rows[-limit:])


def rows(n, age=3_600.0, seed=0):
    rng = np.random.default_rng(seed)
    return [
        MeasuredRow(
            index=i,
            step=0,
            system="assistant",
            cell="request.user",
            time=NOW - age,
            principal=f"p{i % 50}",
            units=1,
            maxima={"text.hidden": 0.0, "text.instructions@user": float(rng.normal(-3, 1))},
            p_value=0.5,
            flagged=False,
        )
        for i in range(n)
    ]


@pytest.fixture
def make(tmp_path):
    def made(**system):
        fields = {"name": "assistant", "kind": "chat", "upstream": {"url": "http://x.test"}} | system
        config = from_mapping({"false_alarm_rate": 0.01, "systems": [fields]}, base=tmp_path)
        chosen = config.systems[0]
        pipeline = build_pipeline(config, chosen)
        return config, Served(chosen, "", pipeline, (), None, None, None)

    return made


def test_it_learns_from_scores_and_puts_the_table_in_force(make):
    config, system = make()
    assert learns(system)
    before = system.pipeline.table
    proposal = learn(system, Scores(rows(800)), 0.01, config.store.path, lambda: NOW)
    assert proposal.table is not None
    after = system.pipeline.table
    assert after.digest != before.digest
    assert after.cells["request.user"].source == "live"
    assert after.cells["response"].source == "generic"
    # A process that starts later finds it, and the anchor stays beside it.
    assert table_of(config, system.config).digest == after.digest
    assert learned_path(config.store.path, "assistant").with_suffix(".anchor.msgpack").exists()


def test_young_traffic_changes_nothing(make):
    config, system = make()
    before = system.pipeline.table.digest
    assert learn(system, Scores(rows(800, age=1.0)), 0.01, config.store.path, lambda: NOW).table is None
    assert system.pipeline.table.digest == before


def test_the_anchor_is_written_once(make):
    config, system = make()
    anchor = learned_path(config.store.path, "assistant").with_suffix(".anchor.msgpack")
    learn(system, Scores(rows(800)), 0.01, config.store.path, lambda: NOW)
    first = anchor.read_bytes()
    learn(system, Scores(rows(1_600, seed=1)), 0.01, config.store.path, lambda: NOW)
    assert anchor.read_bytes() == first
    assert learned_path(config.store.path, "assistant").read_bytes() != first


@pytest.mark.parametrize("how", [{"mode": "enforce"}, {"calibration": {"learn": False}}])
def test_who_does_not_learn(make, how):
    _, system = make(**how)
    assert not learns(system)


def test_saved_tables_are_private(make):
    config, system = make()
    learn(system, Scores(rows(800)), 0.01, config.store.path, lambda: NOW)
    assert learned_path(config.store.path, "assistant").stat().st_mode & 0o077 == 0


def test_principals_of_an_attack_teach_nothing(make):
    def told(cause, system="assistant"):
        names = tuple(f"p{i}" for i in range(49))
        return Alarm("al-1", system, NOW, 9, cause, NOW, 4, (), names, (), 14.0, 0.001, "", "")

    for alarm in (told(Cause.TENANT_CHANGE), told(Cause.ATTACK, "other")):
        config, system = make()
        assert learn(system, Scores(rows(800), [alarm]), 0.01, config.store.path, lambda: NOW).table
        learned_path(config.store.path, "assistant").unlink()
        learned_path(config.store.path, "assistant").with_suffix(".anchor.msgpack").unlink()
    config, system = make()
    attacked = Scores(rows(800), [told(Cause.ATTACK)])
    assert learn(system, attacked, 0.01, config.store.path, lambda: NOW).table is None
