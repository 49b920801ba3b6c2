"""Who is contained, from when, until when, and what an attacker can tell from it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bartizan.alarms import Alarm, Answer, Cause, Ground
from bartizan.policy.containment import EVERYBODY, Containment, Containments, Measure

T = 1_700_000_000.0
KEY = b"k" * 32
PLAIN = Containment(delay_queries=(3, 3), delay_s=(100.0, 100.0), duration_s=1000.0)


def alarm(id: str = "al-1", cause: Cause = Cause.ATTACK, principals: tuple[str, ...] = ("mallory",)) -> Alarm:
    grounds = (Ground("search", Answer.YES, 0.001, "Somebody searches."),)
    return Alarm(id, "fraud", T, 10, cause, T - 5, 5, (), principals, grounds, 14.0, 0.001, "", "")


def measures(state: Containments, queries: int, now: float, who: str = "mallory") -> list[Measure]:
    imposed = [state.impose(who, now) for _ in range(queries)]
    return [Measure.NONE if i is None else i.measure for i in imposed]


@pytest.mark.parametrize("cause", list(Cause))
def test_each_cause_has_its_measure(cause):
    policy = replace_policy(tenant_change=Measure.THROTTLE, model_changed=Measure.BLOCK)
    expected = {
        Cause.ATTACK: Measure.HOLD,
        Cause.TENANT_CHANGE: Measure.THROTTLE,
        Cause.MODEL_CHANGED: Measure.BLOCK,
    }
    assert policy.against(cause) is expected.get(cause, Measure.NONE)


def replace_policy(**changes) -> Containment:
    fields = {name: getattr(PLAIN, name) for name in Containment.__dataclass_fields__}
    return Containment(**(fields | changes))


def test_by_default_only_attacks_are_contained():
    state = Containments(Containment(), KEY)
    for cause in Cause:
        entries = state.apply(alarm(cause.value, cause, (cause.value,)), T)
        assert bool(entries) is (cause is Cause.ATTACK)


def test_a_measure_starts_after_some_queries_and_ends_a_fixed_time_after_it_started():
    state = Containments(PLAIN, KEY)
    state.apply(alarm(), T)
    assert measures(state, 5, T + 10) == [Measure.NONE] * 3 + [Measure.HOLD] * 2
    assert state.entry("mallory", T + 10).until == T + 1010
    assert measures(state, 1, T + 1009.9) == [Measure.HOLD]
    assert measures(state, 1, T + 1010) == [Measure.NONE]
    assert state.entries(T + 1010) == ()


def test_or_after_some_seconds():
    state = Containments(PLAIN, KEY)
    state.apply(alarm(), T)
    assert measures(state, 1, T + 99) == [Measure.NONE]
    assert measures(state, 1, T + 101) == [Measure.HOLD]
    # It started by itself, whenever it was looked at.
    assert state.entry("mallory", T + 200).until == T + 1100


def test_others_go_on():
    state = Containments(PLAIN, KEY)
    state.apply(alarm(), T)
    assert measures(state, 10, T + 200, "alice") == [Measure.NONE] * 10


def test_who_waits_it_out_is_let_go_and_forgotten():
    state = Containments(PLAIN, KEY)
    state.apply(alarm(), T)
    assert measures(state, 1, T + 1101) == [Measure.NONE]
    assert state.entry("mallory", T + 1101) is None


def test_neither_end_of_a_measure_tells_when_the_alarm_was():
    """Over many alarms, the queries and seconds before the start fill the whole range, evenly."""
    policy = Containment(delay_queries=(5, 50), delay_s=(10.0, 120.0))
    queries, seconds = [], []
    for i in range(2000):
        state = Containments(policy, KEY)
        (entry,) = state.apply(alarm(f"al-{i}"), T)
        queries.append(entry.queries_left)
        seconds.append(entry.starts_by - T)
    assert set(queries) == set(range(5, 51))
    assert max(queries.count(q) for q in set(queries)) < 3 * 2000 / 46
    assert min(seconds) < 13
    assert max(seconds) > 117
    assert abs(sum(seconds) / 2000 - 65) < 3
    # Not a constant of the principal, and nobody without the key can compute it.
    again = [Containments(policy, b"x" * 32).apply(alarm(f"al-{i}"), T)[0].queries_left for i in range(50)]
    assert again != queries[:50]


def test_the_same_key_gives_the_same_delays():
    one, two = (Containments(Containment(), KEY).apply(alarm(), T) for _ in range(2))
    assert one == two


def test_a_further_alarm_lengthens_by_a_delay_that_nobody_knows():
    state = Containments(PLAIN, KEY)
    state.apply(alarm(), T)
    measures(state, 5, T + 10)
    state.apply(alarm("al-2"), T + 500)
    entry = state.entry("mallory", T + 500)
    assert (entry.until, entry.alarm, entry.since) == (T + 500 + 100 + 1000, "al-2", T)
    assert measures(state, 1, T + 501) == [Measure.HOLD]


def test_a_harsher_measure_is_delayed_like_the_first():
    state = Containments(replace_policy(tenant_change=Measure.THROTTLE, throttle_burst=100), KEY)
    state.apply(alarm("al-1", Cause.TENANT_CHANGE), T)
    assert measures(state, 4, T + 1)[-1] is Measure.THROTTLE
    state.apply(alarm("al-2"), T + 2)
    assert measures(state, 5, T + 3) == [Measure.THROTTLE] * 3 + [Measure.HOLD] * 2
    # A milder alarm does not soften it.
    state.apply(alarm("al-3", Cause.TENANT_CHANGE), T + 4)
    assert measures(state, 1, T + 5) == [Measure.HOLD]


def test_what_has_not_started_starts_no_later_for_another_alarm():
    state = Containments(replace_policy(tenant_change=Measure.THROTTLE, throttle_burst=100), KEY)
    state.apply(alarm("al-1", Cause.TENANT_CHANGE), T)
    measures(state, 2, T + 1)
    state.apply(alarm("al-2"), T + 2)
    state.apply(alarm("al-3"), T + 3)
    assert measures(state, 2, T + 4) == [Measure.NONE, Measure.HOLD]


def test_release():
    state = Containments(PLAIN, KEY)
    state.apply(alarm(), T)
    measures(state, 5, T)
    assert state.release("mallory")
    assert not state.release("mallory")
    assert measures(state, 10, T + 1) == [Measure.NONE] * 10


def test_a_changed_model_stops_everybody_at_once_until_a_person_lets_them_go():
    state = Containments(replace_policy(model_changed=Measure.HOLD), KEY)
    (entry,) = state.apply(alarm("al-1", Cause.MODEL_CHANGED, ()), T)
    assert entry.principal == EVERYBODY
    for who in ("alice", "mallory"):
        assert measures(state, 1, T + 1e6, who) == [Measure.HOLD]
    assert state.release(EVERYBODY)
    assert measures(state, 1, T + 1e6, "alice") == [Measure.NONE]


def test_the_harsher_of_both_counts():
    state = Containments(replace_policy(model_changed=Measure.HOLD, attack=Measure.BLOCK), KEY)
    state.apply(alarm("al-1", Cause.MODEL_CHANGED, ()), T)
    state.apply(alarm("al-2"), T)
    assert measures(state, 5, T + 1) == [Measure.HOLD] * 3 + [Measure.BLOCK] * 2


def test_throttling_spaces_queries_and_bounds_what_waits():
    policy = replace_policy(
        attack=Measure.THROTTLE,
        delay_queries=(0, 0),
        throttle_per_s=2.0,
        throttle_burst=3,
        throttle_wait_s=1.0,
    )
    state = Containments(policy, KEY)
    state.apply(alarm(), T)
    imposed = [state.impose("mallory", T) for _ in range(10)]
    assert [round(i.wait_s, 3) for i in imposed] == [0, 0, 0, 0.5, 1.0, 0, 0, 0, 0, 0]
    assert [i.measure for i in imposed] == [Measure.THROTTLE] * 5 + [Measure.HOLD] * 5
    # What was refused costs nothing: a second later two more pass.
    later = [state.impose("mallory", T + 1.0) for _ in range(3)]
    assert [i.measure for i in later] == [Measure.THROTTLE] * 2 + [Measure.HOLD]
    # After a pause the burst is there again, and not more.
    rested = [state.impose("mallory", T + 100.0).wait_s for _ in range(4)]
    assert rested == [0.0, 0.0, 0.0, 0.5]


def test_a_batch_counts_as_many_queries_as_it_has_rows():
    policy = replace_policy(
        attack=Measure.THROTTLE, throttle_per_s=2.0, throttle_burst=4, throttle_wait_s=1.0
    )
    state = Containments(policy, KEY)
    state.apply(alarm(), T)
    assert state.impose("mallory", T, 2) is None
    assert state.entry("mallory", T).queries_left == 1
    assert state.impose("mallory", T, 500) is None  # the measure has not started
    imposed = [state.impose("mallory", T, n) for n in (4, 2, 7, 1)]
    assert [(i.measure, i.wait_s) for i in imposed] == [
        (Measure.THROTTLE, 0.0),
        (Measure.THROTTLE, 1.0),
        (Measure.HOLD, 0.0),
        (Measure.HOLD, 0.0),
    ]
    # A batch that can never be let through at this rate is held whenever it comes.
    assert state.impose("mallory", T + 500, 7).measure is Measure.HOLD


def test_memory_is_bounded_and_those_that_end_first_are_let_go():
    state = Containments(PLAIN, KEY, capacity=3)
    for i in range(5):
        state.apply(alarm(f"al-{i}", principals=(f"p{i}",)), T + i)
    assert [e.principal for e in state.entries(T + 10)] == ["p2", "p3", "p4"]
    assert state.let_go == 2
    state.apply(alarm("al-9", principals=("late",)), T + 5000)
    assert [e.principal for e in state.entries(T + 5000)] == ["late"]
    assert state.let_go == 2  # those had ended


def test_state_can_be_kept_and_taken_back():
    state = Containments(replace_policy(model_changed=Measure.HOLD), KEY)
    state.apply(alarm(), T)
    measures(state, 2, T)
    state.apply(alarm("al-2", Cause.MODEL_CHANGED, ()), T)
    other = Containments(state.policy, KEY)
    other.restore(state.entries(T))
    assert other.entries(T) == state.entries(T)
    other.release(EVERYBODY)
    assert measures(other, 2, T) == [Measure.NONE, Measure.HOLD]


def test_awkward_names_are_principals_like_any_other():
    state = Containments(PLAIN, KEY)
    names = ("a\ud800", "x" * 5000, "a/b c", "")
    entries = state.apply(replace(alarm(), principals=names), T)
    assert [e.principal for e in entries] == list(names[:3])
