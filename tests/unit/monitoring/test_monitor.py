import numpy as np
import pytest

from bartizan.alarms import Answer, Cause, Events, Ground, SessionSignal
from bartizan.errors import CalibrationError
from bartizan.monitoring.monitor import Monitor

CALM = 9_000


def everyone(x, who, sure):
    x[:, 0] += 1.0


def all_but_the_trusted(x, who, sure):
    x[~sure, 0] += 1.0


def one_tenant(x, who, sure):
    x[(who == 2) & ~sure, 1] += 4.0


def monitor(baseline, **more):
    return Monitor(baseline, system="fraud", key=b"key", **more)


def last(alarms):
    assert alarms
    assert len({a.id for a in alarms}) == 1
    return alarms[-1]


def after(baseline, traffic, change, n=5_000, **more):
    watching, stream = monitor(baseline, **more), traffic(5)
    assert watching.feed(stream.events(CALM)) == []
    return watching.feed(stream.events(n, change))


def answers(alarm):
    return {g.kind: g.answer.value for g in alarm.grounds}


def test_drift_that_the_trusted_source_shares_is_benign(baseline, traffic):
    alarm = last(after(baseline, traffic, everyone))
    assert alarm.cause is Cause.BENIGN_DRIFT
    assert answers(alarm) == {"global": "yes", "local": "no", "search": "unknown", "trusted": "yes"}
    assert abs(alarm.onset_index - CALM) < 40
    assert alarm.streams[0].name in {"input.x0", "output.confidence", "output.class"}
    assert alarm.promise == baseline.promise
    assert 0 < alarm.error < 0.05
    assert "recalibrate" in alarm.advice


def test_a_change_that_the_trusted_source_does_not_share_is_no_drift(baseline, traffic):
    assert last(after(baseline, traffic, all_but_the_trusted)).cause is Cause.PIPELINE_FAULT


def test_a_change_of_one_tenant_is_local_and_named(baseline, traffic):
    alarm = last(after(baseline, traffic, one_tenant))
    assert alarm.cause is Cause.TENANT_CHANGE
    assert alarm.principals[0] == "tenant-2"
    assert alarm.streams[0].name == "input.x1"


def test_without_principals_and_trusted_source_nothing_is_claimed(baseline, traffic):
    watching, stream = monitor(baseline), traffic(5)

    def bare(events):
        return Events(events.times, events.columns, events.outputs)

    watching.feed(bare(stream.events(CALM)))
    alarm = last(watching.feed(bare(stream.events(3_000, everyone))))
    assert alarm.cause is Cause.UNDETERMINED
    assert answers(alarm) == {"global": "yes", "local": "unknown", "search": "unknown", "trusted": "unknown"}


@pytest.mark.parametrize("size", [1, 7, 1024, 6_000])
def test_blocks_of_any_size_give_the_same_alarms(baseline, traffic, size):
    whole, stream = monitor(baseline), traffic(6)
    calm, moved = stream.events(2_000), stream.events(2_500, one_tenant)
    expected = whole.feed(calm) + whole.feed(moved)
    parts, found = monitor(baseline), []
    for events in (calm, moved):
        for start in range(0, len(events), size):
            found += parts.feed(events.part(start, start + size))
    assert expected
    assert found == expected


@pytest.mark.parametrize("cut", [1, 2_003, 2_100, 3_700])
def test_a_restart_in_the_middle_changes_no_alarm(baseline, traffic, cut):
    stream = traffic(6)
    first, second = stream.events(2_000), stream.events(2_500, one_tenant)
    whole = monitor(baseline)
    expected = whole.feed(first) + whole.feed(second)
    events = [
        first.part(0, cut),
        first.part(cut, 2_000),
        second.part(0, max(0, cut - 2_000)),
        second.part(max(0, cut - 2_000), 2_500),
    ]
    before, found = monitor(baseline), []
    taken = 0
    for part in events:
        if taken >= cut:
            again = monitor(baseline)
            again.restore(before.snapshot())
            before = again
        found += before.feed(part)
        taken += len(part)
    assert expected
    assert found == expected


def test_what_principals_used_to_send_survives_a_restart(baseline, traffic):
    stream = traffic(6)
    calm, moved = stream.events(12_000), stream.events(2_500, one_tenant)
    whole, again = monitor(baseline), monitor(baseline)
    whole.feed(calm)
    assert len(whole.histories) > 10
    again.restore(whole.snapshot())
    assert again.snapshot() == whole.snapshot()
    assert again.feed(moved) == whole.feed(moved)


def test_a_long_change_is_one_alarm(baseline, traffic):
    found = after(baseline, traffic, everyone, n=20_000)
    assert len({a.id for a in found}) == 1
    assert len({a.cause for a in found}) == len(found)


def test_state_of_another_baseline_is_refused(baseline, traffic):
    with pytest.raises(CalibrationError, match="not a saved state"):
        monitor(baseline).restore(b"nonsense")


class Scripted:
    """Says that one tenant searches at its tenth query, or another one."""

    def __init__(self, principal, at=10):
        self.principal, self.seen, self.at = principal, 0, at

    def observe(self, principal, time, row, outputs):
        assert np.isfinite(row).all()
        self.seen += principal == self.principal
        if principal != self.principal or self.seen != self.at:
            return None
        return SessionSignal(principal, 1e-4, 1e-3, "sequence.flips", "labels flip", 10, ("mule",), time)

    def snapshot(self):
        return str(self.seen).encode()

    def restore(self, data):
        self.seen = int(data)


def test_who_searches_and_stands_out_is_an_attack(baseline, traffic):
    found = after(baseline, traffic, one_tenant, n=1_500, sessions=Scripted("nobody"))
    assert all(a.cause is not Cause.ATTACK for a in found)
    watching, stream = monitor(baseline, sessions=Scripted("tenant-2")), traffic(5)
    alarms = [a for a in watching.feed(stream.events(4_000, one_tenant)) if a.cause is Cause.ATTACK]
    assert alarms
    assert alarms[0].principals[0] == "tenant-2"
    assert answers(alarms[0])["search"] == answers(alarms[0])["local"] == "yes"


def test_who_searches_among_its_likes_is_no_attack(baseline, traffic):
    watching = monitor(baseline, sessions=Scripted("tenant-1"))
    found = watching.feed(traffic(5).events(4_000))
    assert [a.cause for a in found] == [Cause.TENANT_CHANGE]
    assert found[0].principals == ("tenant-1", "mule")
    assert "1 in 1,000 benign sessions" in found[0].promise


@pytest.mark.parametrize("cut", [400, 3_000])
def test_a_search_signalled_early_becomes_an_attack_once_it_stands_out(baseline, traffic, cut):
    def strange(x, who, sure):
        x[who == 25, 2] += 2.0

    stream = traffic(5)
    events = stream.events(6_000, strange, trusted=0.0)
    first = monitor(baseline, sessions=Scripted("tenant-25", at=3))
    found = first.feed(events.part(0, cut))
    second = monitor(baseline, sessions=Scripted("tenant-25", at=3))
    second.restore(first.snapshot())
    found += second.feed(events.part(cut, 6_000))
    told = [a for a in found if a.id == next(b.id for b in found if b.principals[:1] == ("tenant-25",))]
    assert [a.cause for a in told] == [Cause.TENANT_CHANGE, Cause.ATTACK]


def test_canaries_that_moved_outrank_everything(baseline, traffic):
    watching, stream = monitor(baseline), traffic(5)
    watching.canaries(Ground("canary", Answer.YES, 0.0, "canaries answer differently"))
    assert last(watching.feed(stream.events(2_000, everyone))).cause is Cause.MODEL_CHANGED


def test_memory_stays_bounded(baseline, traffic):
    watching, stream = monitor(baseline), traffic(5)
    for _ in range(4):
        watching.feed(stream.events(10_000))
    assert len(watching.recent.all()) < 30_000
    assert len(watching.histories) <= watching.histories.capacity
