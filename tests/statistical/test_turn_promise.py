"""Evidence over turns keeps its promises given a shared calibration set, and finds slow attacks; wrong rules don't."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import pytest

from bartizan.monitoring.probing import BETS, meet
from bartizan.monitoring.turns import Kind, Rates, Turn, TurnWatch
from bartizan.stats.conditional import CONFIDENCE, KAPPAS, Payoffs, conditional_payoffs
from bartizan.stats.elond import gamma
from bartizan.stats.eprocess import AnyStart, Restarted

pytestmark = pytest.mark.statistical

N = 400
DRAWS = 2_000


def naive(n: int) -> Payoffs:
    """Wrong: bets as if each p-value were valid given the calibration set."""
    edges = np.arange(n + 2) / (n + 1)
    paid = tuple(
        tuple((b**k - a**k) / (b - a) for k in KAPPAS) for a, b in zip(edges, edges[1:], strict=False)
    )
    return Payoffs(n, tuple(range(1, n + 2)), tuple(edges[1:].tolist()), paid)


def halved(n: int) -> Payoffs:
    """Wrong: of every rank the bound that holds for half of the calibration sets."""
    from scipy.special import betaincinv

    bounds = [float(betaincinv(k, n + 1 - k, 0.5)) for k in range(1, n + 1)] + [1.0]
    below = [0.0, *bounds[:-1]]
    paid = tuple(tuple((b**k - a**k) / (b - a) for k in KAPPAS) for a, b in zip(below, bounds, strict=True))
    return Payoffs(n, tuple(range(1, n + 2)), tuple(bounds), paid)


def chances(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return ``P(rank <= k)`` for benign messages, given one calibration set, ``k = 1 .. n + 1``."""
    gaps = rng.exponential(size=n + 1)
    return np.cumsum(gaps) / gaps.sum()


def share_gaining(bets: Payoffs, seed: int) -> float:
    """Return the share of calibration sets on which some bet gains on benign messages."""
    rng = np.random.default_rng(seed)
    values = np.array(bets.values)
    at = np.array(bets.ranks) - 1
    gains = 0
    for _ in range(DRAWS):
        law = np.diff(chances(rng, bets.n)[at], prepend=0.0)
        gains += bool((law @ values > 1 + 1e-12).any())
    return gains / DRAWS


@pytest.mark.parametrize("n", [20, 400, 3000])
def test_given_the_calibration_set_no_bet_gains(n):
    assert share_gaining(conditional_payoffs(n), 1) <= 1 - CONFIDENCE


@pytest.mark.parametrize("wrong", [naive, halved])
def test_the_simulation_catches_bets_that_forget_the_calibration_set(wrong):
    assert share_gaining(wrong(N), 1) > 3 * (1 - CONFIDENCE)


def test_trimmed_calibration_is_paid_for():
    """A set that lost its strangest tenth: only bets that know of it don't gain."""
    rng = np.random.default_rng(2)
    gains = []
    for bets in (conditional_payoffs(N, 0.1), conditional_payoffs(N)):
        values, at = np.array(bets.values), np.array(bets.ranks) - 1
        laws = [0.1 + 0.9 * chances(rng, N)[at] for _ in range(200)]
        gains.append(np.mean([(np.diff(law, prepend=0.0) @ values).max() > 1 for law in laws]))
    assert gains[0] <= 1 - CONFIDENCE
    assert gains[1] > 0.9


RATE = 0.1


def session_rate(bets: Payoffs, process, seed: int, *, turns: int = 300, draws: int = 60) -> float:
    """Return the share of benign sessions that ever signal, half a dozen on each calibration set."""
    rng = np.random.default_rng(seed)
    signalled = 0
    for _ in range(draws):
        law = chances(rng, bets.n)
        for _ in range(6):
            ranks = np.searchsorted(law, rng.random(turns)) + 1
            evidence = process()
            for rank in ranks.tolist():
                if evidence.step(bets.values[bisect_left(bets.ranks, rank)]) >= 1 / RATE:
                    signalled += 1
                    break
    return signalled / (6 * draws)


class EveryStart(AnyStart):
    """Wrong: the restarted sum held against a session's threshold, as if every start had the whole stake."""

    def step(self, payoffs):
        self.sums = [(s + 1.0) * e for s, e in zip(self.sums or [0.0] * len(payoffs), payoffs, strict=True)]
        return sum(self.sums) / len(self.sums)


class GreedyStart(AnyStart):
    """Wrong: the stakes of the starts sum to more than one."""

    def step(self, payoffs):
        self.steps += 1
        before = self.sums or [0.0] * len(payoffs)
        self.sums = [(s + 12 * gamma(self.steps)) * e for s, e in zip(before, payoffs, strict=True)]
        return sum(self.sums) / len(self.sums)


def test_benign_sessions_signal_at_most_at_the_rate():
    assert session_rate(conditional_payoffs(N), AnyStart, 3) <= RATE


def test_the_simulation_catches_wrong_sessions():
    limit = RATE + 4 * np.sqrt(RATE * (1 - RATE) / 360)
    assert session_rate(conditional_payoffs(N), EveryStart, 3) > limit
    assert session_rate(naive(N), GreedyStart, 3) > limit


def test_sessions_of_an_unlucky_calibration_set_keep_the_rate_too():
    """The sets on which p-values are too small are the ones that naive bets signal on."""
    rng = np.random.default_rng(4)
    n, turns, sessions = 60, 1_000, 25
    sets = sorted((chances(rng, n) for _ in range(400)), key=lambda law: -law[5])
    unlucky = sets[len(sets) // 20 : len(sets) // 20 + 12]
    rates = []
    for bets in (conditional_payoffs(n), naive(n)):
        signalled = 0
        for law in unlucky:
            for _ in range(sessions):
                ranks = np.searchsorted(law, rng.random(turns)) + 1
                evidence = AnyStart()
                signalled += any(
                    evidence.step(bets.values[bisect_left(bets.ranks, r)]) >= 1 / RATE for r in ranks.tolist()
                )
        rates.append(signalled / (sessions * len(unlucky)))
    assert rates[0] <= RATE
    assert rates[1] > 2 * RATE


def test_principals_signal_at_most_once_in_so_many_turns():
    """The wrong formula is the calibrator without its factor."""
    rng = np.random.default_rng(5)
    threshold, turns = 50.0, 4_000
    counts = []
    for bets, step in (
        (conditional_payoffs(N), lambda d, e: d.step(e, threshold)),
        (naive(N), lambda d, e: d.step([v / k for v, k in zip(e, KAPPAS, strict=True)], threshold)),
    ):
        signals = 0
        for _ in range(40):
            law = chances(rng, N)
            detector = Restarted()
            ranks = np.searchsorted(law, rng.random(turns)) + 1
            signals += sum(step(detector, bets.values[bisect_left(bets.ranks, r)]) for r in ranks.tolist())
        counts.append(signals)
    promised = 40 * turns / threshold
    assert counts[0] <= promised
    assert counts[1] > promised


# Power


def watched(p_values, *, n=4_000, rates=None, seed=0):
    """Return at which turn each kind of signal came, for one session of texts unlike each other."""
    rng = np.random.default_rng(seed)
    watch = TurnWatch(b"k" * 32, rates)
    found: dict[Kind, int] = {}
    for i, p in enumerate(p_values):
        text = "".join(map(chr, rng.integers(97, 123, 60)))
        turn = Turn(str(i), float(i), "mallory", "s", text, max(p, 1 / (n + 1)), n)
        for signal in watch.observe(turn):
            found.setdefault(signal.kind, i + 1)
    return found


def test_turns_that_are_all_a_little_odd_are_found():
    near = [0.05, 0.04, 0.06, 0.045, 0.055]
    assert watched(near, rates=Rates(session=0.05))[Kind.SESSION] <= 5
    assert watched(near * 3)[Kind.SESSION] <= 12
    assert watched([0.02] * 12)[Kind.SESSION] <= 8
    assert watched([0.01] * 12)[Kind.SESSION] <= 6


def test_split_attacks_are_found_and_benign_sessions_are_not():
    rng = np.random.default_rng(6)
    split = [watched(np.exp(rng.uniform(np.log(0.003), np.log(0.15), 16)), seed=i) for i in range(60)]
    assert np.mean([Kind.SESSION in s for s in split]) >= 0.9
    benign = [watched(np.ceil(rng.random(16) * 4001) / 4001, seed=i) for i in range(60)]
    assert not any(benign)


def test_an_attack_that_begins_late_is_found():
    rng = np.random.default_rng(7)
    found = []
    for i in range(30):
        calm = np.ceil(rng.random(30) * 4001) / 4001
        found.append(watched([*calm, *[0.01] * 14], seed=i).get(Kind.SESSION, 99))
    assert np.median(found) <= 42


def test_one_odd_message_wears_off():
    rng = np.random.default_rng(8)
    for i in range(20):
        calm = (np.ceil(rng.random(40) * 4001) / 4001).tolist()
        assert not watched([*calm[:3], 1 / 4001, *calm[3:]], seed=i)


# Probing


def families(bets_wrong, odd_again, *, rate, count, seed, monkeypatch):
    if bets_wrong is not None:
        monkeypatch.setattr("bartizan.monitoring.probing.BETS", bets_wrong)
    rng = np.random.default_rng(seed)
    told = 0
    for _ in range(count):
        base = rng.integers(97, 123, 160)
        memory: list = []
        for _turn in range(25):
            text = base.copy()
            text[rng.integers(160)] = rng.integers(97, 123)
            odd = not memory or rng.random() < odd_again
            met = meet(memory, "".join(map(chr, text)), 0.0, b"k" * 32, odd=odd, counts=True, rate=rate)
            if met.probing is not None:
                told += 1
                break
    return told / count


def test_benign_edits_signal_at_most_at_the_rate_under_the_stated_null(monkeypatch):
    rate = 0.1
    assert families(None, 0.5, rate=rate, count=150, seed=9, monkeypatch=monkeypatch) <= rate
    assert families(None, 0.95, rate=rate, count=20, seed=9, monkeypatch=monkeypatch) >= 0.9
    generous = ((1.7, 0.6), (2.0, 0.5))
    assert families(generous, 0.5, rate=rate, count=150, seed=9, monkeypatch=monkeypatch) > 2 * rate


def test_the_bets_on_edits_are_fair_under_the_null():
    for odd, ordinary in BETS:
        assert 0.5 * odd + 0.5 * ordinary == pytest.approx(1.0)
