"""An unchanged model raises no more alarms than promised, and the simulation would catch wrong formulas."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.monitoring.models import CLASSES, COLUMNS, rows

from bartizan.monitoring.enrolment import DELTA, drive, enrol, steady_rates
from bartizan.monitoring.fingerprint import LIMITS, apart
from bartizan.monitoring.model_watch import ModelWatch
from bartizan.stats.edetector import EDetector
from bartizan.stats.exceedance import exceedance_bets

pytestmark = pytest.mark.statistical

HIDDEN = 24


class Batched:
    """A network in single precision whose numbers depend on what else is in the batch.

    The order of summation depends on the size of the batch, every number strays by one part in
    ten million, and now and then another kernel answers, in half precision.
    """

    def __init__(self, rng, rare=1e-3):
        weights = np.random.default_rng(1)
        self.first = weights.normal(size=(COLUMNS, HIDDEN)).astype(np.float32)
        self.second = weights.normal(size=(HIDDEN, CLASSES)).astype(np.float32)
        self.rng, self.rare = rng, rare

    def __call__(self, batch):
        strangers = self.rng.integers(0, 12)
        return self.answers(batch, (len(batch) + strangers) % 5, self.rng.random() < self.rare)

    def apiece(self, batch):
        """Each row in a request of its own."""
        orders = (1 + self.rng.integers(0, 12, len(batch))) % 5
        rare = self.rng.random(len(batch)) < self.rare
        outputs = np.empty((len(batch), CLASSES))
        for order in range(5):
            for half in (False, True):
                here = (orders == order) & (rare == half)
                outputs[here] = self.answers(batch[here], order, half)
        return outputs

    def answers(self, batch, order, half):
        scaled = ((batch - [20, 1.6, 30, 50, 4, 7]) / [5, 2, 5.5, 30, 3, 1]).astype(np.float32)
        hidden = np.tanh((scaled[:, :, None] * self.first).sum(axis=1))
        hidden = hidden.astype(np.float16).astype(np.float32) if half else hidden
        turn = np.roll(np.arange(HIDDEN), order)
        outputs = np.zeros((len(batch), CLASSES), dtype=np.float32)
        for unit in turn:  # the order of summation, whatever the library would choose
            outputs += hidden[:, unit, None] * self.second[unit]
        return outputs.astype(np.float64) * (1 + 1e-7 * self.rng.normal(size=outputs.shape))


def exceeded(print_, chosen, outputs):
    """The bins of many checks at once, each of one canary."""
    worst = (apart(outputs, print_.answers[chosen]) / print_.noise.scale[chosen]).max(axis=1)
    return np.searchsorted(LIMITS, worst, side="left")


def alarms_of(print_, rates, rate, bins):
    return len(EDetector([exceedance_bets(rates)], 1 / rate).run(bins[:, None]))


def test_a_hundred_thousand_checks_of_a_noisy_model_that_stays():
    alarms = {1e-6: 0, 1e-2: 0}
    for seed in range(4):
        ask, rng = Batched(np.random.default_rng(seed)), np.random.default_rng(20 + seed)
        print_ = enrol(rows(), ask, np.random.default_rng(10 + seed), created=0.0)
        assert not print_.steady
        chosen = rng.integers(len(print_.inputs), size=25_000)
        outputs = ask.apiece(print_.inputs[chosen])
        bins = exceeded(print_, chosen, outputs)
        assert bins[:50].tolist() == [
            print_.exceeded(chosen[i : i + 1], outputs[i : i + 1]) for i in range(50)
        ]
        for rate in alarms:
            alarms[rate] += alarms_of(print_, print_.noise.rates, rate, bins)
    # 0.1 are promised: one alarm would be rare, two are out of the question.
    assert alarms[1e-6] <= 1
    assert alarms[1e-2] <= 1e-2 * 100_000


def test_limits_taken_for_never_exceeded_would_break_the_promise():
    ask, rng = Batched(np.random.default_rng(1), rare=0.02), np.random.default_rng(2)
    print_ = enrol(rows(), ask, np.random.default_rng(3), created=0.0)
    chosen = rng.integers(len(print_.inputs), size=25_000)
    bins = exceeded(print_, chosen, ask.apiece(print_.inputs[chosen]))
    assert alarms_of(print_, print_.noise.rates, 1e-3, bins) <= 25
    assert alarms_of(print_, np.full(len(LIMITS), 1e-3), 1e-3, bins) > 100


def test_the_watch_itself_over_a_few_thousand_checks():
    ask = Batched(np.random.default_rng(5))
    watch = ModelWatch(enrol(rows(), ask, np.random.default_rng(6), created=0.0), b"key", 1e-3)
    assert sum(drive(watch.checking(float(i)), ask) is not None for i in range(4000)) <= 4


def test_rounding_at_work_is_noise_and_a_changed_weight_is_not():
    ask = Batched(np.random.default_rng(5))
    watch = ModelWatch(enrol(rows(), ask, np.random.default_rng(6), created=0.0), b"key")
    other = Batched(np.random.default_rng(7))
    other.second = other.second * np.float32(1.01)
    found = next(i for i in range(200) if drive(watch.checking(float(i)), other) is not None)
    assert found < 20


def false_alarms(rates, law, threshold, events, rng):
    detector = EDetector([exceedance_bets(rates)], threshold)
    return len(detector.run(rng.choice(len(law), size=events, p=law)[:, None]))


def test_evidence_keeps_its_promise_at_the_worst_law_that_the_rates_allow():
    rng, threshold, events = np.random.default_rng(1), 200.0, 100_000
    rates = np.array([0.2, 0.05, 0.02, 0.02])
    above = np.concatenate([[1.0], rates, [0.0]])
    law = above[:-1] - above[1:]
    promised = events / threshold
    assert false_alarms(rates, law, threshold, events, rng) <= promised + 4 * np.sqrt(promised)
    # Half the rates, as a point estimate from few checks would often be: the promise is broken.
    assert false_alarms(rates / 2, law, threshold, events, rng) > 2 * promised


def passes(law_of_requests, canaries=8, repeats=8, tries=4000, seed=0):
    """How often enrolment sees no difference, and the size-weighted number of requests."""
    rng, sizes = np.random.default_rng(seed), (1, 2, 4, 8)
    weights, passed = np.zeros(canaries), np.ones(tries, dtype=bool)
    for repeat in range(repeats):
        order, size = rng.permutation(canaries), sizes[repeat % 4]
        for start in range(0, canaries, size):
            chosen = order[start : start + size]
            weights[chosen] += 1 / len(chosen)
            passed &= rng.random(tries) >= law_of_requests(chosen)
    return passed.mean(), canaries * weights.min()


def test_a_model_that_differs_more_than_the_bounds_does_not_pass_for_steady():
    for one_canary in (True, False):
        _, requests = passes(lambda chosen: 0.0)
        sometimes, again = steady_rates(8, requests, 1)

        def law(chosen, one_canary=one_canary, sometimes=sometimes, again=again):
            # One canary differs on its own, or a request does as a whole, whatever is in it.
            return again * (0 in chosen) if one_canary else sometimes

        passed, _ = passes(law, tries=40_000)
        assert passed <= DELTA + 4 * np.sqrt(DELTA / 40_000)


def test_counting_rows_instead_of_requests_would_promise_too_much():
    # All canaries of a request differ together: 64 rows are far from 64 independent ones.
    sometimes, _ = steady_rates(8, 8 * 8.0, 1)
    passed, requests = passes(lambda chosen: sometimes, tries=40_000)
    assert requests < 8 * 8
    assert passed > 5 * DELTA


def test_a_steady_model_with_rare_differences_keeps_its_promise():
    """The worst canary that passes enrolment: it differs in every second request or so."""
    rng, checks = np.random.default_rng(3), 6_000
    steady = Batched(rng, rare=0.0)
    answers = {row.tobytes(): steady(row[None])[0] for row in rows()}

    def ask(batch):
        return np.array([answers.setdefault(row.tobytes(), steady(row[None])[0]) for row in batch])

    print_ = enrol(rows(), ask, np.random.default_rng(4), created=0.0)
    assert print_.steady
    bad, again = print_.inputs[0].tobytes(), print_.again

    def sometimes(batch):
        outputs = ask(batch)
        for i, row in enumerate(batch):
            if row.tobytes() == bad and rng.random() < again:
                outputs[i] *= 1 + 1e-7
        return outputs

    watch = ModelWatch(print_, b"key", rate=1e-3)
    alarms = sum(drive(watch.checking(float(i)), sometimes) is not None for i in range(checks))
    assert alarms <= 1e-3 * checks + 4 * np.sqrt(1e-3 * checks)
    assert watch.unsteady > 0
