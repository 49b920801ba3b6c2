"""Localisation: its p-value is super-uniform and its names are right; wrong versions are caught."""

import numpy as np
import pytest
from scipy.stats import norm

from bartizan.stats.permutation import _Window, localise

pytestmark = pytest.mark.statistical

RUNS = 1_000
B = 99
NAMINGS = 500
LEVELS = (0.001, 0.01, 0.05, 0.2)
EVENTS = 150

LAWS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "heavy tails": lambda rng, n: rng.standard_cauchy(size=n),
    "ties": lambda rng, n: rng.integers(0, 3, size=n).astype(float),
    "mostly zero": lambda rng, n: np.where(rng.random(n) < 0.95, 0.0, 1.0),
}


def window(rng, drifting):
    """Groups of very unequal size; if ``drifting`` they come at other times, and scores move with time."""
    strata = np.arange(EVENTS) // 30
    groups = np.minimum(rng.geometric(0.35, EVENTS), 8)
    if drifting:
        groups = np.where((strata >= 3) & (rng.random(EVENTS) < 0.7), 9, groups)
    return groups, strata, 2.0 * strata * drifting


def p_values(test, law, seed, drifting):
    rng, out = np.random.default_rng(seed), np.empty(RUNS)
    for i in range(RUNS):
        groups, strata, drift = window(rng, drifting)
        out[i] = test(LAWS[law](rng, EVENTS) + drift, groups, strata, rng)
    return out


def violation(p):
    return max(((p <= a + 1e-12).mean() - a) / np.sqrt(a * (1 - a) / p.size) for a in LEVELS)


def shipped(scores, groups, strata, rng):
    return localise(scores, groups, strata, rng, B).p_value


WRONG = {
    "labels permuted across strata": lambda s, g, t, rng: shipped(s, g, np.zeros_like(t), rng),
    "no plus one": lambda s, g, t, rng: (shipped(s, g, t, rng) * (B + 1) - 1) / B,
    "normal tail for the largest": lambda s, g, t, rng: 2 * norm.sf(localise(s, g, t, rng, 1).statistic),
}


@pytest.mark.parametrize("drifting", [False, True])
@pytest.mark.parametrize("law", LAWS)
def test_p_values_are_super_uniform(law, drifting):
    assert violation(p_values(shipped, law, 1, drifting)) < 4


@pytest.mark.parametrize("name", WRONG)
def test_the_simulation_catches_wrong_versions(name):
    assert max(violation(p_values(WRONG[name], "normal", 2, drifting)) for drifting in (False, True)) > 4


def shifted_window(rng, shares, shifts, events=400):
    """Deviating groups 100, 101, ... with these shares of events; ordinary groups, the largest with 30 in 100, have the rest."""
    draw = rng.choice(len(shares) + 1, events, p=[*shares, 1 - sum(shares)])
    groups = np.where(draw < len(shares), 100 + draw, np.minimum(rng.geometric(0.3, events), 9))
    scores = rng.normal(size=events) + np.append(shifts, 0.0)[draw]
    return scores, groups, np.arange(events) * 4 // events


def named_by_localise(scores, groups, strata, rng, level):
    return [e.group for e in localise(scores, groups, strata, rng, B, level).strangest]


def named_in_one_pass(scores, groups, strata, rng, level):
    """Single-step max-T about the mean of all, without setting deviating groups aside."""
    w = _Window.of(scores, groups, strata, higher=False)
    maxima = np.concatenate([e.max(axis=1) for e in w.relabelled(rng, B)])
    adjusted = (1 + (maxima[:, None] >= np.abs(w.excess)).sum(axis=0)) / (B + 1)
    return w.codes[adjusted <= level].tolist()


def named_one_by_one(scores, groups, strata, rng, level):
    """Every group at the full level."""
    w = _Window.of(scores, groups, strata, higher=False)
    return w.codes[2 * norm.sf(np.abs(w.excess)) <= level].tolist()


SCENES = {
    "nobody deviates": ([], []),
    "one small": ([0.05], [1.5]),
    "one large": ([0.3], [2.0]),
    "three, one way": ([0.1, 0.05, 0.05], [1.0, 2.0, 3.0]),
    "one downwards": ([0.2], [-1.5]),
    "two, either way": ([0.1, 0.1], [2.0, -2.0]),
    "many small that make a third": ([0.03] * 10, [2.5] * 10),
}


def naming(name, scene, seed, level=0.05, runs=NAMINGS):
    """Return how often an ordinary group was named, and the share of deviating groups named."""
    rng, wrong, right = np.random.default_rng(seed), 0, 0
    shares, shifts = SCENES[scene]
    for _ in range(runs):
        named = name(*shifted_window(rng, shares, shifts), rng, level)
        wrong += any(g < 100 for g in named)
        right += sum(g >= 100 for g in named)
    return wrong / runs, right / runs / max(1, len(shares))


BOUND = 0.05 + 4 * np.sqrt(0.05 * 0.95 / NAMINGS)


@pytest.mark.parametrize("scene", SCENES)
def test_ordinary_groups_are_rarely_named(scene):
    wrong, right = naming(named_by_localise, scene, 3)
    assert wrong <= BOUND
    assert right > 0.7 or scene == "nobody deviates"


@pytest.mark.parametrize("wrong_version", [named_in_one_pass, named_one_by_one])
def test_the_simulation_catches_wrong_names(wrong_version):
    assert max(naming(wrong_version, scene, 4)[0] for scene in ("nobody deviates", "one large")) > BOUND
