import logging

import numpy as np
import pytest
from tests.unit.monitoring.models import CLASSES, Model, Noisy, rows

from bartizan.errors import CalibrationError
from bartizan.monitoring.enrolment import DELTA, drive, enrol, renewing, steady_rates
from bartizan.monitoring.fingerprint import LIMITS, apart, decode, encode


def enrolled(ask, seed=3, **more):
    more = {"scores": CLASSES, "created": 9.0, **more}
    return enrol(rows(), ask, np.random.default_rng(seed), **more)


def noisy(chance=1.0, seed=2):
    return Noisy(Model(), np.random.default_rng(seed), chance=chance)


def test_a_steady_model_is_recognised_and_its_answers_kept():
    model = Model()
    print_ = enrolled(model)
    assert print_.steady
    assert (print_.answers == model(print_.inputs)).all()


def test_canaries_are_asked_in_requests_of_different_sizes_and_places():
    model = Model()
    print_ = enrolled(model)
    where = [
        (len(batch), i)
        for batch in model.asked
        for i, row in enumerate(batch)
        if (row == print_.inputs[0]).all()
    ]
    assert {1, 2, 5, 16, 32} <= {size for size, _ in where}
    assert len({place for _, place in where}) >= 5


def test_a_noisy_model_is_recognised():
    print_ = enrolled(noisy())
    assert not print_.steady
    assert apart(print_.answers, Model()(print_.inputs)).max() < 1e-6
    assert (np.diff(print_.noise.rates) <= 0).all()
    assert print_.noise.rates[-1] < 0.05
    assert print_.noise.scale.max() < 1e-5


@pytest.mark.parametrize("ask", [Model(), noisy()])
def test_what_is_written_is_read_back(ask):
    print_ = enrolled(ask, per_check=2)
    again = decode(encode(print_))
    assert encode(again) == encode(print_)
    assert again.digest == print_.digest != ""
    assert (again.inputs == print_.inputs).all()
    assert again.steady is print_.steady
    assert again.per_check == 2


@pytest.mark.parametrize("spoil", [lambda d: b"", lambda d: d[:-9], lambda d: b"\x81\xa1a\x01"])
def test_bytes_that_are_no_fingerprint_are_refused(spoil):
    with pytest.raises(CalibrationError, match="fingerprint"):
        decode(spoil(encode(enrolled(Model()))))


def test_another_format_is_refused():
    data = encode(enrolled(Model())).replace(b"\xa6format\x01", b"\xa6format\x02")
    with pytest.raises(CalibrationError, match="another format"):
        decode(data)


def test_canaries_are_not_shown(caplog):
    print_ = enrolled(noisy())
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("bartizan").warning("enrolled %r %s", print_, print_)
    for number in (print_.inputs[0, 0], print_.answers[0, 0]):
        assert str(number) not in caplog.text
    assert "array" not in caplog.text


def test_a_model_that_changes_the_form_of_its_answers_is_refused():
    model, turn = Model(), iter(range(10**6))

    def ask(batch):
        return model(batch)[:, : CLASSES - (next(turn) > 60)]

    with pytest.raises(CalibrationError, match="changes the form"):
        enrolled(ask)


@pytest.mark.parametrize("bad", [{"canaries": 1}, {"canaries": 999}, {"per_check": 0}, {"repeats": 2}])
def test_numbers_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match="canaries"):
        enrolled(Model(), **bad)


def test_noise_found_later_is_measured_around_the_enrolled_answers():
    before = enrolled(Model())
    after = drive(renewing(before, np.random.default_rng(4), seen=1e-7), noisy(chance=0.02))
    assert after is not None
    assert not after.steady
    assert (after.answers == before.answers).all()
    assert (after.inputs == before.inputs).all()
    assert after.noise.rates[-1] < 0.05


@pytest.mark.parametrize("other", [Model(7), Model(7, close_to=Model(), step=0.01)])
def test_nothing_is_learnt_from_a_model_that_strays_too_far(other):
    before, rng, model = enrolled(Model()), np.random.default_rng(4), Model()

    def sometimes(batch):
        return other(batch) if rng.random() < 0.3 else model(batch)

    assert drive(renewing(before, np.random.default_rng(4), seen=1e-7), sometimes) is None


def test_deviations_are_shares_and_exact():
    print_ = enrolled(Model())
    chosen = np.array([0, 1])
    outputs = print_.answers[chosen].copy()
    assert print_.deviations(chosen, outputs).tolist() == [0.0, 0.0]
    outputs[1, 0] = np.nextafter(outputs[1, 0], 2)
    assert 0 < print_.deviations(chosen, outputs)[1] < 1e-12
    assert print_.exceeded(chosen, outputs) == 1
    outputs[1, 0] = np.nan
    assert np.isinf(print_.deviations(chosen, outputs)[1])
    assert np.isinf(print_.deviations(chosen, outputs[:, :2])).all()


def test_noisy_deviations_are_counted_by_limit():
    print_ = enrolled(noisy())
    chosen = np.array([3])
    for exceeds, limit in enumerate(LIMITS):
        outputs = print_.answers[chosen] + 0.99 * limit * print_.noise.scale[chosen]
        assert print_.exceeded(chosen, outputs) == exceeds
    assert print_.exceeded(chosen, print_.answers[chosen] + 1) == len(LIMITS)
    assert print_.exceeded(chosen, print_.answers[chosen][:, :1]) == len(LIMITS)


def test_nan_and_infinite_answers_are_compared_as_values():
    one = np.array([[np.nan, np.inf, 1.0, np.nan]])
    other = np.array([[np.nan, np.inf, 1.0, 2.0]])
    assert apart(one, other).tolist() == [[0.0, 0.0, 0.0, np.inf]]


def test_steady_rates_bound_what_enrolment_could_have_missed():
    sometimes, again = steady_rates(16, 200.0, 1)
    assert (1 - again) ** 16 == pytest.approx(DELTA)
    assert np.exp(-200 * sometimes) == pytest.approx(DELTA)
    assert steady_rates(16, 200.0, 4)[0] == pytest.approx(4 * sometimes)
    assert steady_rates(16, 1.0, 1)[0] == again
