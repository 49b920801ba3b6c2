import numpy as np
import pytest
from tests.unit.monitoring.models import CLASSES, Model, Noisy, rows

from bartizan.alarms import Answer, Cause
from bartizan.monitoring.enrolment import drive, enrol
from bartizan.monitoring.model_watch import ModelWatch, alarm_of, reasks


def enrolled(ask, **more):
    return enrol(rows(), ask, np.random.default_rng(3), **{"scores": CLASSES, "created": 0.0, **more})


def noisy(model, seed=2, **more):
    return Noisy(model, np.random.default_rng(seed), **more)


def checks(watch, ask, n, start=0):
    """What each of ``n`` checks said, one a minute."""
    return [drive(watch.checking(60.0 * (start + i)), ask) for i in range(n)]


def first(said):
    return next((i for i, s in enumerate(said) if s is not None), None)


@pytest.mark.parametrize("per_check", [1, 4])
@pytest.mark.parametrize("wrap", [lambda m: m, noisy])
def test_an_unchanged_model_is_calm(wrap, per_check):
    ask = wrap(Model())
    watch = ModelWatch(enrolled(ask, per_check=per_check), b"key")
    assert not any(checks(watch, ask, 1500))
    assert watch.checks == 1500
    assert not watch.moved


def test_another_model_is_found_at_the_first_check_if_the_old_one_was_steady():
    watch = ModelWatch(enrolled(Model()), b"key")
    checks(watch, Model(), 20)
    other = Model(7)
    (moved,) = checks(watch, other, 1, 20)
    assert moved.reproduced
    assert moved.check == moved.onset_check == 20
    assert len(other.asked) == 1 + reasks(watch.fingerprint, watch.rate / 2)
    assert all(len(batch) == 1 for batch in other.asked)


def test_a_last_digit_is_enough_there():
    watch = ModelWatch(enrolled(Model()), b"key")
    (moved,) = checks(watch, Model(7, close_to=Model(), step=1e-9), 1)
    assert "other hardware" in moved.summary
    assert "classes are the same" in moved.summary


def test_another_model_is_found_among_noise():
    ask = noisy(Model())
    watch = ModelWatch(enrolled(ask), b"key")
    checks(watch, ask, 50)
    said = checks(watch, noisy(Model(7)), 40, 50)
    assert 2 <= first(said) <= 10
    moved = said[first(said)]
    assert not moved.reproduced
    assert moved.onset_check >= 50
    assert moved.onset == 60.0 * moved.onset_check
    assert "another class" in moved.summary


def test_a_model_that_swaps_now_and_then_is_found_too():
    watch, rng = ModelWatch(enrolled(Model()), b"key"), np.random.default_rng(1)
    one, other = Model(), Model(7)
    said = checks(watch, lambda batch: other(batch) if rng.random() < 0.3 else one(batch), 400)
    assert first(said) is not None
    assert watch.unsteady == 0


def test_it_is_said_once_until_the_model_comes_back():
    watch = ModelWatch(enrolled(Model()), b"key")
    said = checks(watch, Model(7), 60)
    assert sum(s is not None for s in said) == 1
    assert watch.moved
    checks(watch, Model(), 32)
    assert not watch.moved
    assert watch.log_evidence == -np.inf
    assert first(checks(watch, Model(7), 1)) == 0


def test_a_mismatch_that_is_not_reproduced_is_no_alarm_but_said():
    watch = ModelWatch(enrolled(Model()), b"key")
    once = iter([1e-7])

    def ask(batch):
        return Model()(batch) * (1 + next(once, 0.0))

    assert drive(watch.checking(0.0), ask) is None
    assert 0 < watch.unsteady <= 1.1e-7
    watch.steadied()
    assert watch.unsteady == 0


def test_a_large_mismatch_is_not_taken_for_noise():
    watch = ModelWatch(enrolled(Model()), b"key")
    once = iter([0.05])
    assert drive(watch.checking(0.0), lambda b: Model()(b) * (1 + next(once, 0.0))) is None
    assert watch.unsteady == 0
    assert watch.log_evidence > 0


def test_an_answer_of_another_form_is_a_difference():
    watch = ModelWatch(enrolled(Model()), b"key")
    (moved,) = checks(watch, lambda batch: Model()(batch)[:, :2], 1)
    assert "form" in moved.summary


def test_labels_alone_suffice():
    watch = ModelWatch(enrolled(Model().labels, scores=0), b"key")
    assert watch.fingerprint.steady
    moved = [m for m in checks(watch, Model(7).labels, 20) if m]
    assert moved
    assert "another class" in moved[0].summary


def test_only_the_key_tells_which_canary_is_next():
    def order(key):
        model = Model()
        watch = ModelWatch(enrolled(Model()), key)
        checks(watch, model, 64)
        return np.concatenate(model.asked)

    assert (order(b"one") == order(b"one")).all()
    assert not (order(b"one") == order(b"two")).all(axis=1).all()
    assert len(np.unique(order(b"one"), axis=0)) > 20


@pytest.mark.parametrize("wrap", [lambda m: m, noisy])
def test_a_snapshot_goes_on_where_the_watch_was(wrap):
    print_ = enrolled(wrap(Model()))
    one, other = ModelWatch(print_, b"key"), ModelWatch(print_, b"key")
    rng = np.random.default_rng(5)
    swapped = [bool(rng.random() < 0.1) for _ in range(200)]

    def run(watch, start, stop):
        said = []
        for i in range(start, stop):
            model = noisy(Model(7) if swapped[i] else Model(), seed=i, size=0 if print_.steady else 1e-7)
            said.append(drive(watch.checking(float(i)), model))
        return said

    whole = run(one, 0, 200)
    half = run(other, 0, 11)
    third = ModelWatch(print_, b"key")
    assert third.restore(other.snapshot())
    assert half + run(third, 11, 200) == whole
    assert any(whole)
    assert third.snapshot() == one.snapshot()


def test_a_snapshot_of_another_fingerprint_or_none_is_not_taken():
    watch = ModelWatch(enrolled(Model()), b"key")
    other = ModelWatch(enrolled(Model(7)), b"key")
    assert not watch.restore(other.snapshot())
    assert not watch.restore(b"nonsense")
    assert watch.checks == 0


def test_a_snapshot_holds_no_canary():
    watch = ModelWatch(enrolled(Model()), b"key")
    checks(watch, Model(7), 40)
    inputs = watch.fingerprint.inputs
    assert not any(value.tobytes() in watch.snapshot() for value in inputs[:, 0])


def test_a_check_that_fails_changes_no_evidence():
    watch = ModelWatch(enrolled(Model()), b"key")

    def refuse(batch):
        raise ConnectionError

    with pytest.raises(ConnectionError):
        drive(watch.checking(0.0), refuse)
    assert watch.checks == 0
    assert watch.log_evidence == -np.inf


def test_the_alarm_says_what_to_do():
    watch = ModelWatch(enrolled(Model()), b"key", rate=1e-5)
    (moved,) = checks(watch, Model(7), 1)
    alarm = alarm_of(moved, "fraud", watch.fingerprint.digest)
    assert alarm.cause is Cause.MODEL_CHANGED
    assert alarm.system == "fraud"
    assert "hashes" in alarm.advice
    assert "100,000 checks" in alarm.promise
    (ground,) = alarm.grounds
    assert (ground.kind, ground.answer, ground.error) == ("canary", Answer.YES, 1e-5)
    assert alarm.id == alarm_of(moved, "fraud", watch.fingerprint.digest).id


def test_reasks_keep_the_rate():
    print_ = enrolled(Model())
    m = reasks(print_, 5e-7)
    assert print_.sometimes * print_.again**m <= 5e-7
    assert print_.sometimes * print_.again ** (m - 1) > 5e-7
