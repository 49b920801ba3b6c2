import numpy as np
import pytest
from tests.unit.monitoring import session_world as world

from bartizan.calibration.session_file import decode, encode
from bartizan.calibration.sessions import EVASION, EXTRACTION, SessionTable
from bartizan.errors import CalibrationError
from bartizan.monitoring.sessions import SLOW, SessionWatch


@pytest.fixture(scope="module")
def table():
    return world.learned()


def watch(table, key=b"secret", **options):
    return SessionWatch(table, key, rate=0.05, **options)


def play(seen, rows, outputs, principal="p", begin=0.0, accounts=None):
    """Feed a session; return its signals."""
    names = [principal] * len(rows) if accounts is None else [f"{principal}{a}" for a in accounts]
    signals = [
        seen.observe(name, begin + k, row, answer)
        for k, (name, row, answer) in enumerate(zip(names, rows, outputs, strict=True))
    ]
    return [s for s in signals if s is not None]


def creep(hops=1, n=120):
    """Creep up on the boundary in small steps; change the account every ``hops`` queries if it is above 1."""
    rng = np.random.default_rng(3)
    here, rows = np.full(world.COLUMNS, 0.6), []
    for _ in range(n):
        step = 0.05 * rng.normal(size=world.COLUMNS)
        rows.append(here + step)
        if (step.sum() < 0) and here.sum() > 0.05:
            here = here + 0.5 * step
    rows = np.array(rows)
    return rows, world.model(rows), [k // hops for k in range(n)] if hops > 1 else None


def test_a_table_survives_being_written(table):
    again = decode(encode(table))
    assert encode(again) == encode(table)
    assert again.digest == table.digest
    assert set(again.contrasts) == {EVASION, EXTRACTION}
    assert again.level(0.05) == table.level(0.05)
    with pytest.raises(CalibrationError):
        decode(b"\x00" + encode(table))


def test_too_few_sessions_certify_a_larger_rate_only_and_say_so(table):
    level = table.level(1e-3)
    assert not level.kept
    assert level.rate > 0.01


def test_searches_signal_once_and_benign_clients_hardly_ever(table):
    benign = [r for r in world.recorded() if len(r.rows) < 300]
    seen = watch(table)
    heard = [play(seen, r.rows, r.outputs, f"b{k}") for k, r in enumerate(benign)]
    assert sum(bool(h) for h in heard) <= 3
    searches = [r for r in world.searches() if r.kind in ("boundary walk", "hop-skip-jump", "line search")]
    heard = [play(seen, r.rows, r.outputs, f"s{k}") for k, r in enumerate(searches)]
    assert sum(bool(h) for h in heard) >= len(searches) / 2
    assert max(len(h) for h in heard) == 1
    signal = next(h[0] for h in heard if h)
    assert signal.p_value <= seen.level.rate
    assert signal.detector in (EVASION, EXTRACTION)
    assert signal.summary
    assert signal.queries >= 8


def test_the_threshold_differs_by_principal_and_key_and_is_never_below_the_certified_one(table):
    seen, other = watch(table), watch(table, b"other")
    mine = [seen._threshold(f"p{k}") for k in range(50)]
    assert len(set(mine)) == 50
    assert min(mine) >= seen.level.threshold
    assert mine[0] != other._threshold("p0")


def test_changing_accounts_does_not_reset(table):
    rows, outputs, accounts = creep(hops=3)
    seen = watch(table)
    play(seen, rows, outputs, "hop", accounts=accounts)
    longest = max(seen.tracker.live.values(), key=lambda live: live.state.queries)
    assert longest.state.queries > len(rows) / 2
    assert len(longest.state.accounts) > 3


def test_who_goes_on_with_a_signalled_search_is_signalled_too_and_once(table):
    rows, outputs, accounts = creep(hops=3)
    seen = watch(table)
    play(seen, rows, outputs, "hop", accounts=accounts)
    longest = max(seen.tracker.live.values(), key=lambda live: live.state.queries)
    longest.told = list(longest.state.accounts)
    longest.statistic = seen.level.threshold + 1.0
    step = np.zeros(world.COLUMNS)
    step[0] = 0.02
    heard = [seen.observe("fresh", 1e3 + k, rows[-1] + (k + 1) * step, outputs[-1]) for k in range(4)]
    assert [h.principal for h in heard if h is not None] == ["fresh"]
    assert "other accounts began" in next(h for h in heard if h is not None).summary


def test_exact_copies_link_nobody(table):
    seen = watch(table)
    row = world.rows()[0]
    for k in range(20):
        seen.observe(f"p{k}", float(k), row, world.model(row[None])[0])
    assert all(live.state.queries == 1 for live in seen.tracker.live.values())


def test_rows_of_another_width_and_broken_answers_are_survived(table):
    seen = watch(table)
    assert seen.observe("p", 0.0, np.ones(3), None) is None
    assert len(seen.tracker.tiers) == 0
    for answer in (np.full(2, np.nan), np.array([]), np.array([5.0]), np.array([np.inf, 0.0])):
        seen.observe("p", 1.0, np.full(world.COLUMNS, np.nan), answer)
    assert seen.tracker.live[seen.tracker.tiers.get("p").session].state.queries == 4


def test_an_idle_hour_ends_a_session(table):
    seen = watch(table)
    for k in range(3):
        seen.observe("p", 4000.0 * k, world.rows()[k], None)
    (live,) = seen.tracker.live.values()
    assert live.state.queries == 1
    assert seen.tracker.tiers.get("p").sessions == 2


def test_a_restored_watch_gives_the_same_signals(table):
    rows, outputs, accounts = creep(hops=5)
    whole, first, second = watch(table), watch(table), watch(table)
    expected = play(whole, rows, outputs, accounts=accounts)
    found = play(first, rows[:60], outputs[:60], accounts=accounts[:60])
    second.restore(first.snapshot())
    found += play(second, rows[60:], outputs[60:], begin=60.0, accounts=accounts[60:])
    assert found == expected
    assert second.snapshot() == whole.snapshot()
    with pytest.raises(CalibrationError):
        second.restore(b"not a snapshot")


def test_a_patient_searcher_is_found_over_its_sessions(table):
    seen = watch(table)
    tell = {}
    for k in range(400):
        account_was = seen.tracker.tiers.get("slow")
        if account_was is not None:
            # Each session ends a little strange, never strange enough alone.
            seen.tracker.live[account_was.session].statistic = seen._calm
        signal = seen.observe("slow", 4000.0 * k, world.rows()[k], None)
        if signal is not None:
            tell[k] = signal
    assert tell
    assert all(s.detector == SLOW for s in tell.values())


def test_calm_sessions_add_up_to_nothing(table):
    seen = watch(table)
    assert all(seen.observe("calm", 4000.0 * k, world.rows()[k % 400], None) is None for k in range(300))


def test_without_simulated_searches_the_detectors_decide():
    plain = world.learned(sessions=100, searches=0)
    assert isinstance(plain, SessionTable)
    assert not plain.contrasts
    rows, outputs, _ = creep(n=400)
    seen = watch(plain)
    play(seen, rows, outputs)
    assert max(live.detector for live in seen.tracker.live.values()).startswith("sequence.")
