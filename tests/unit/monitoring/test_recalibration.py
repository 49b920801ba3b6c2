from dataclasses import replace

import numpy as np
import pytest

from bartizan.alarms import Alarm, Answer, Cause, Events, Ground
from bartizan.errors import CalibrationError, LedgerError
from bartizan.monitoring.archive import Archive
from bartizan.monitoring.baseline import Settings
from bartizan.monitoring.capping import weights_of
from bartizan.monitoring.learning import learn
from bartizan.monitoring.pair import Pair
from bartizan.monitoring.promotion import Circumstances, Limits, Promotion, Refusal, Replay
from bartizan.monitoring.quarantine import SLICES, Quarantine
from bartizan.monitoring.recalibration import promote
from bartizan.store.notes import new_signer

LIMITS = Limits(quarantine_s=100.0)
NOW = 1e6
ACCOUNTS = 400


def stream(seed, n, *, shift=0.0, accounts=ACCOUNTS, start=0.0, trusted=0.0, trusted_shift=None):
    """Events of equal principals, all moved by ``shift``; trusted ones by ``trusted_shift``."""
    rng = np.random.default_rng(seed)
    sure = rng.random(n) < trusted
    x = rng.normal(size=n) + np.where(sure, shift if trusted_shift is None else trusted_shift, shift)
    kinds = np.array(["a", "b", "c"], dtype=np.object_)[rng.integers(0, 3, n)]
    return Events(
        start + np.arange(n, dtype=float),
        {"x": x, "kind": kinds},
        principals=tuple(f"p{i}" for i in rng.integers(0, accounts, n)),
        trusted=sure,
        groups={"network": tuple(f"net{i}" for i in rng.integers(0, 50, n))},
    )


@pytest.fixture(scope="module")
def anchor():
    rng = np.random.default_rng(0)
    return learn(stream(1, 20_000), name="benign", created=0.0, rng=rng, settings=Settings(1e4))


def ask(anchor, window, *, current=None, limits=LIMITS, now=NOW, **more):
    rng = np.random.default_rng(5)
    return promote(window, anchor=anchor, current=current or anchor, now=now, rng=rng, limits=limits, **more)


def alarm(cause):
    return Alarm("al-1", "s", 0.0, 0, cause, 0.0, 0, (), (), (), 0.0, 0.0, "", "")


def reasons(result):
    assert isinstance(result, Refusal)
    return " / ".join(result.reasons)


def test_benign_window_is_taken_in(anchor):
    result = ask(anchor, stream(2, 10_000, shift=0.05))
    assert isinstance(result, Promotion)
    assert result.baseline.epoch == 1
    assert result.baseline.promise == ""
    assert anchor.promise
    moved = {m.stream: m for m in result.movements}
    assert 0 < moved["input.x"].step == moved["input.x"].total < LIMITS.step
    first = anchor.streams[0]
    assert np.array_equal(result.baseline.streams[0].cuts.edges, first.cuts.edges)
    upper = result.baseline.streams[0].share[12:].sum() - first.share[12:].sum()
    assert upper > 0  # the law followed the shift


def test_promotions_follow_drift_until_a_person_is_needed(anchor):
    current, shift, accepted = anchor, 0.0, 0
    for r in range(40):
        shift += 0.04
        result = ask(anchor, stream(10 + r, 5_000, shift=shift), current=current)
        if isinstance(result, Refusal):
            assert result.human
            break
        current, accepted = result.baseline, accepted + 1
        assert all(m.total <= LIMITS.total and m.step <= LIMITS.step for m in result.movements)
    assert accepted >= 3
    assert isinstance(result, Refusal)


@pytest.mark.parametrize("cause", [Cause.ATTACK, Cause.TENANT_CHANGE, Cause.MODEL_CHANGED])
def test_open_alarms_freeze(anchor, cause):
    known = Circumstances(open_alarms=[alarm(cause)])
    assert "al-1 is open" in reasons(ask(anchor, stream(2, 2_000), circumstances=known))


def test_open_drift_alarm_does_not_freeze(anchor):
    known = Circumstances(open_alarms=[alarm(Cause.BENIGN_DRIFT)])
    assert isinstance(ask(anchor, stream(2, 5_000), circumstances=known), Promotion)


def test_moved_canaries_freeze(anchor):
    known = Circumstances(canary=Ground("canary", Answer.YES, 0.0, "three answers differ"))
    assert "three answers differ" in reasons(ask(anchor, stream(2, 2_000), circumstances=known))


def test_window_must_be_ripe_new_and_large(anchor):
    window = stream(2, 2_000)
    assert "has waited 1 of 100" in reasons(ask(anchor, window, now=2_000.0))
    assert "taken in twice" in reasons(ask(anchor, window, since=5.0))
    assert "too few" in reasons(ask(anchor, window.part(0, 100)))


def test_principals_must_be_known(anchor):
    nobody = replace(stream(2, 5_000), principals=(), groups={})
    assert "nobody knows who" in reasons(ask(anchor, nobody))
    assert isinstance(ask(anchor, nobody, limits=replace(LIMITS, principal_share=1.0)), Promotion)


def test_step_and_total_are_bounded(anchor):
    far = ask(anchor, stream(2, 5_000, shift=1.0))
    assert "at once" in reasons(far)
    assert far.human
    limits = replace(LIMITS, total=0.001)
    assert "a person must sign" in reasons(found := ask(anchor, stream(2, 5_000, shift=0.1), limits=limits))
    assert found.human


def test_trusted_source_that_stays_objects(anchor):
    limits = replace(LIMITS, trusted_share=0.05)
    moved = stream(2, 20_000, shift=0.25, trusted=0.2, trusted_shift=0.0)
    assert "the trusted source did not" in reasons(ask(anchor, moved, limits=limits))
    # It objects where it is not asked for, too.
    assert "the trusted source did not" in reasons(ask(anchor, moved))


def test_trusted_source_that_moves_confirms(anchor):
    limits = replace(LIMITS, trusted_share=0.05)
    assert isinstance(ask(anchor, stream(2, 20_000, shift=0.15, trusted=0.2), limits=limits), Promotion)


def test_confirmed_jump_is_taken_in_a_step_at_a_time(anchor):
    result = ask(anchor, stream(2, 20_000, shift=1.0, trusted=0.2))
    assert isinstance(result, Promotion)
    most = max(m.step for m in result.movements)
    assert 0.99 * LIMITS.step < most <= LIMITS.step


def test_missing_trusted_source_is_a_reason_or_is_said(anchor):
    window = stream(2, 20_000, shift=0.15, trusted=0.001)
    assert "trusted sources supply" in reasons(
        ask(anchor, window, limits=replace(LIMITS, trusted_share=0.05))
    )
    unsure = reasons(ask(anchor, window, limits=replace(LIMITS, trusted_share=1e-4)))
    assert "nothing confirms yet" in unsure
    result = ask(anchor, window)
    assert any("no trusted source" in s for s in result.said)


def test_attack_on_file_must_still_be_found(anchor):
    attack = stream(3, 300, shift=1.5)
    known = Circumstances(replays=[Replay("flood", attack, within=200)])
    assert isinstance(ask(anchor, stream(2, 5_000), circumstances=known), Promotion)
    known = Circumstances(replays=[Replay("flood", attack, within=3)])
    assert "flood would be found after" in reasons(ask(anchor, stream(2, 5_000), circumstances=known))
    known = Circumstances(replays=[Replay("nothing", stream(3, 300), within=300)])
    assert "never" in reasons(ask(anchor, stream(2, 5_000), circumstances=known))


def test_baselines_must_belong_together(anchor):
    other = learn(stream(7, 1_000), name="other", created=0.0, rng=np.random.default_rng(1))
    with pytest.raises(CalibrationError, match="does not descend"):
        ask(anchor, stream(2, 1_000), current=other)


def test_weights_cap_principals_and_groups():
    names = ("big",) * 600 + tuple(f"p{i}" for i in range(400))
    networks = ("one",) * 800 + ("two",) * 200
    events = Events(np.arange(1000.0), {}, principals=names, groups={"network": networks})
    weights = weights_of(events, 0.05)
    assert weights[:600].sum() <= 0.05 * 1000 + 1e-9
    assert weights[:800].sum() <= 500 + 1e-9  # two networks: half each
    assert (weights[800:] == 1).all()


def test_quarantine_gives_back_what_has_waited():
    held = Quarantine(160.0, 10_000, np.random.default_rng(0))
    for start in range(0, 400, 40):
        held.add(stream(start, 40, start=float(start)))
    ripe = held.take(400.0)
    assert ripe is not None
    assert ripe.times[0] == 80  # older slices were let go: twice the quarantine is kept
    assert ripe.times[-1] <= 400 - 160
    assert held.take(400.0) is None
    assert (np.diff(ripe.times) > 0).all()


def test_late_events_only_wait_longer():
    held = Quarantine(160.0, 10_000, np.random.default_rng(0))
    held.add(stream(0, 10, start=500.0))
    held.add(stream(1, 10, start=300.0))
    assert held.take(600.0) is None
    ripe = held.take(700.0)
    assert len(ripe) == 20
    assert (np.diff(ripe.times) > 0).all()


def test_quarantine_is_bounded_and_a_flood_displaces_its_own_slice_only():
    held = Quarantine(1600.0, 2 * SLICES * 20, np.random.default_rng(0))
    held.add(stream(0, 500))
    before = held._slices[0].events.times
    for _ in range(5):
        held.add(stream(1, 1_000, start=500.0))
    assert len(held) <= 2 * SLICES * 20
    assert np.array_equal(held._slices[0].events.times, before)


def test_disowned_principals_are_thrown_out_and_stay_out():
    held = Quarantine(160.0, 100_000, np.random.default_rng(0))
    held.add(stream(0, 1_000, accounts=10, start=0.0).part(0, 150))
    had = len(held)
    gone = held.disown("p3")
    assert gone > 0
    assert len(held) == had - gone
    held.add(stream(1, 50, accounts=10, start=150.0))
    assert "p3" not in held.take(1e9).principals


@pytest.fixture
def shelf(tmp_path, anchor):
    signer = new_signer("desk")
    archive = Archive(tmp_path / "baselines", "s", signer.verifier)
    archive.sign(anchor, reason="looked at it", time=1.0, signer=signer)
    return archive, signer


def again(archive):
    return Archive(archive.directory, archive.system, archive.verifier)


def test_archive_keeps_everything_and_rolls_back_in_one_step(shelf, anchor):
    archive, signer = shelf
    first = ask(anchor, stream(2, 5_000, shift=0.05))
    archive.add(first, time=2.0, signer=signer)
    second = ask(
        anchor,
        stream(3, 5_000, shift=0.1, start=6_000.0),
        current=archive.current,
        since=archive.until,
        epoch=archive.promotions + 1,
    )
    archive.add(second, time=3.0, signer=signer)
    assert again(archive).current.digest == second.baseline.digest
    archive.rollback(reason="complaints", time=4.0, signer=signer)
    assert again(archive).current.digest == first.baseline.digest
    assert again(archive).until == second.until  # the window stays used up
    archive.rollback(reason="more complaints", time=5.0, signer=signer)
    assert again(archive).current.digest == again(archive).anchor.digest == anchor.digest
    with pytest.raises(CalibrationError, match="nothing to go back to"):
        archive.rollback(reason="again", time=6.0, signer=signer)
    assert [e.kind for e in again(archive).entries] == [
        "anchor",
        "promotion",
        "promotion",
        "rollback",
        "rollback",
    ]
    assert len(list(archive.directory.glob("*.bl"))) == 3
    assert archive.promotions == 2
    assert all(f.stat().st_mode & 0o777 == 0o600 for f in archive.directory.iterdir())


def test_only_a_person_with_a_reason_signs_an_anchor(shelf, anchor):
    archive, signer = shelf
    with pytest.raises(CalibrationError, match="reason"):
        archive.sign(anchor, reason="  ", time=2.0, signer=signer)
    promoted = ask(anchor, stream(2, 5_000)).baseline
    with pytest.raises(CalibrationError, match="can't be an anchor"):
        archive.sign(promoted, reason="why not", time=2.0, signer=signer)
    with pytest.raises(LedgerError, match="does not sign"):
        archive.sign(anchor, reason="mine", time=2.0, signer=new_signer("desk"))
    entry = archive.sign(anchor, reason="season has changed", time=2.0, signer=signer)
    assert again(archive).entries[-1] == entry
    assert entry.reason == "season has changed"


@pytest.mark.parametrize("name", ["0000-*.bl", "0000.note", "0001-*.bl", "0001.note"])
def test_changed_files_are_refused(shelf, anchor, name):
    archive, signer = shelf
    archive.add(ask(anchor, stream(2, 5_000)), time=2.0, signer=signer)
    (path,) = archive.directory.glob(name)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    def everything():
        found = again(archive)
        return found.anchor, found.current

    with pytest.raises(LedgerError):
        everything()


def test_missing_and_foreign_notes_are_refused(shelf, anchor, tmp_path):
    archive, signer = shelf
    archive.add(ask(anchor, stream(2, 5_000)), time=2.0, signer=signer)
    with pytest.raises(LedgerError, match="does not belong"):
        Archive(archive.directory, "another", archive.verifier)
    with pytest.raises(LedgerError, match="not signed"):
        Archive(archive.directory, "s", new_signer("desk").verifier)
    (archive.directory / "0000.note").unlink()
    with pytest.raises(LedgerError, match="missing"):
        again(archive)


def test_interrupted_addition_does_not_block_the_next(shelf, anchor):
    archive, signer = shelf
    promotion = ask(anchor, stream(2, 5_000))
    archive.add(promotion, time=2.0, signer=signer)
    (archive.directory / "0001.note").unlink()
    archive = again(archive)
    assert archive.current.epoch == 0
    archive.add(promotion, time=2.0, signer=signer)
    assert again(archive).current.epoch == 1


def test_two_writers_do_not_overwrite_each_other(shelf, anchor):
    archive, signer = shelf
    other = again(archive)
    archive.add(ask(anchor, stream(2, 5_000)), time=2.0, signer=signer)
    with pytest.raises(LedgerError, match="meanwhile"):
        other.add(ask(anchor, stream(3, 5_000)), time=2.0, signer=signer)
    assert again(archive).current.epoch == 1


def test_empty_archive_says_what_to_do(tmp_path):
    with pytest.raises(CalibrationError, match="no baseline of s"):
        _ = Archive(tmp_path / "none", "s", new_signer("desk").verifier).current


def drifted(anchor, shift, rounds):
    current, limits = anchor, replace(LIMITS, total=0.3, step=0.1, eta=0.5)
    for r in range(rounds):
        current = ask(anchor, stream(20 + r, 10_000, shift=shift), current=current, limits=limits).baseline
    return current


@pytest.fixture(scope="module")
def rolling(anchor):
    return drifted(anchor, 0.3, 5)


def test_pair_explains_accepted_drift_and_sees_what_is_new(anchor, rolling):
    pair = Pair(anchor, rolling, system="s", key=b"k")
    alarms = pair.feed(stream(50, 2_500, shift=0.3))
    assert alarms
    grounds = {g.kind: g for a in alarms for g in a.grounds}
    assert grounds["rolling"].answer is Answer.NO
    assert "accepted so far" in grounds["rolling"].summary
    assert all(a.promise for a in alarms)
    # Back to where the anchor is: the rolling baseline alone sees it.
    back = Pair(anchor, rolling, system="s", key=b"k")
    alone = back.feed(stream(51, 2_500))
    assert alone
    assert all(not a.promise for a in alone)


def test_pair_before_the_first_promotion_is_the_anchor_alone(anchor, rolling):
    pair = Pair(anchor, anchor, system="s", key=b"k")
    assert pair.rolling is None
    (alarm, *_) = pair.feed(stream(50, 2_000, shift=0.8))
    assert "rolling" not in {g.kind for g in alarm.grounds}
    pair.follow(rolling)
    assert pair.rolling.count == pair.anchor.count == 2_000
    assert pair.accepted()[0] == "input.x"


def test_pair_takes_blocks_and_single_events_alike(anchor, rolling):
    events = stream(60, 1_100, shift=0.6)
    whole = Pair(anchor, rolling, system="s", key=b"k").feed(events)
    pair = Pair(anchor, rolling, system="s", key=b"k")
    single = [a for i in range(len(events)) for a in pair.feed(events.part(i, i + 1))]
    assert whole
    assert [(a.id, a.index, a.cause) for a in single] == [(a.id, a.index, a.cause) for a in whole]


def test_pair_hands_over_what_it_remembers(anchor, rolling):
    pair = Pair(anchor, anchor, system="s", key=b"k")
    pair.feed(stream(61, 9_000))
    pair.follow(rolling)
    assert len(pair.rolling.recent.all()) == len(pair.anchor.recent.all())
    mine, theirs = pair.rolling.histories.of("p1"), pair.anchor.histories.of("p1")
    assert mine.sum() > 0
    assert np.array_equal(mine, theirs)
    assert mine is not theirs
    pair.follow(anchor)
    assert pair.rolling is None


def test_pair_survives_a_restart(anchor, rolling):
    events = stream(60, 2_000, shift=0.5)
    whole = Pair(anchor, rolling, system="s", key=b"k").feed(events)
    first, second = (Pair(anchor, rolling, system="s", key=b"k") for _ in range(2))
    alarms = first.feed(events.part(0, 700))
    second.restore(first.snapshot())
    alarms += second.feed(events.part(700, 2_000))
    assert whole
    assert [(a.id, a.index, a.grounds) for a in alarms] == [(a.id, a.index, a.grounds) for a in whole]
    with pytest.raises(CalibrationError, match="other baselines"):
        Pair(anchor, anchor, system="s", key=b"k").restore(first.snapshot())
    with pytest.raises(CalibrationError, match="not a saved state"):
        first.restore(b"x")
