"""Bets against "nothing has changed" that no bin probability inside a confidence box can win."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from bartizan.stats.bins import Box

FloatArray = npt.NDArray[np.float64]

BETS = 16
"""Bets per stream; categorical streams with fewer categories leave some unused."""

_NORMAL = NormalDist()
_SHIFTS = (0.25, 0.5, 1.0, 2.0)
_SCALES = ((0.7, "narrower"), (1.5, "wider"), (2.5, "wider"))
_TAILS = ((0.01, 0.9995), (0.05, 0.99))
"""Contamination share and the quantile beyond which the contamination lies."""
_BOTH_TAILS = 0.02
_CONTAMINATION = 0.1
_NEVER = 1e-300
_LEAST_LOSS = 1e-3
"""A bet that loses less than this per unchanged event, in logarithms, says nothing about a change: it would
only count the events, and alarm like a metronome."""

_EDGE = 1e-12


@dataclass(frozen=True, slots=True)
class Bets:
    """Worst-case bets on the bins of one stream.

    Attributes:
        log: Natural logarithms of the payoffs, shape ``(K, J)``.
        weights: Share of the initial stake on each bet, shape ``(J,)``; they add up to 1.
        changes: What each bet stands for, in words; length ``J``.

    Guarantees:
        ``sum_k r_k exp(log[k, j]) <= 1`` for every bet ``j`` and every probability vector
        ``r`` inside the box the bets were made from.
    """

    log: FloatArray
    weights: FloatArray
    changes: tuple[str, ...]


def worst_payoff(payoffs: FloatArray, box: Box) -> float:
    """Return the largest mean payoff over all probability vectors in a box.

    A linear programme with one equality: a fractional knapsack, solved by filling the bins
    with the largest payoffs first.

    Args:
        payoffs: Shape ``(K,)``, not negative.
        box: The box; ``sum(low) <= 1 <= sum(high)``.

    References:
        Dantzig, "Discrete-variable extremum problems", *Operations Research* 5 (1957).

    >>> from bartizan.stats.bins import box_of_counts
    >>> box = box_of_counts(np.array([50, 50]), 0.1)
    >>> round(worst_payoff(np.array([1.0, 1.0]), box), 9)
    1.0
    >>> worst_payoff(np.array([2.0, 0.0]), box) > 1.0
    True
    """
    order = np.argsort(-payoffs)
    room = (box.high - box.low)[order]
    left = 1.0 - float(box.low.sum())
    filled = np.clip(left - np.concatenate([[0.0], np.cumsum(room)[:-1]]), 0.0, room)
    return float(payoffs @ box.low + payoffs[order] @ filled)


def numeric_bets(box: Box) -> Bets:
    """Return bets on shifts, changes of scale and heavier tails of a numeric stream.

    Each is the likelihood ratio, bin by bin, of an alternative against the standard normal
    law on the stream's normal scores, so it needs no assumption about the stream's own law.

    References:
        e-detectors from mixtures of baseline increments: Shin, Ramdas, Rinaldo,
        arXiv 2203.03532. The worst case over a box: ``docs/concepts/monitoring.md``.
    """
    ends = np.concatenate([[0.0], np.cumsum(box.estimate)])
    z = np.array([_score(min(1.0, p)) for p in ends])
    made: list[tuple[FloatArray, str]] = []
    for shift in _SHIFTS:
        made.append((_ratio(z - shift, box), "higher"))
        made.append((_ratio(z + shift, box), "lower"))
    made += [(_ratio(z / scale, box), word) for scale, word in _SCALES]
    for share, beyond in _TAILS:
        upper, lower = _tails(ends, beyond)
        made += [(_contaminated(box, bins, share), "more extreme") for bins in (upper, lower)]
    upper, lower = _tails(ends, _TAILS[-1][1])
    made.append((_contaminated(box, upper | lower, _BOTH_TAILS), "more extreme"))
    return _made(made, box)


def categorical_bets(box: Box, names: Sequence[str]) -> Bets:
    """Return bets on categories becoming more frequent, and on flatter or more uneven shares.

    Args:
        box: Of the ``K`` categories.
        names: Their names, most telling as they are shown to people; length ``K``.
    """
    q = box.estimate
    by_share = np.argsort(-q)
    singles = by_share if len(q) <= BETS - 3 else by_share[: BETS - 5]
    made = [(_contaminated(box, np.arange(len(q)) == k, _CONTAMINATION), f"more {names[k]}") for k in singles]
    rest = ~np.isin(np.arange(len(q)), singles)
    if rest.any():
        made.append((_contaminated(box, rest, _CONTAMINATION), "more of the rare categories"))
        made.append((_contaminated(box, rest, 0.02), "more of the rare categories"))
    flat, steep = np.sqrt(q), q**1.5
    made.append((0.5 + 0.5 * flat / flat.sum() / q, "flatter shares"))
    made.append((0.5 + 0.5 * steep / steep.sum() / q, "more uneven shares"))
    rare = q <= max(q.min(), 0.001)
    made.append((_contaminated(box, rare, 0.02), "more of what was hardly ever seen"))
    return _made(made, box)


def _made(made: Sequence[tuple[FloatArray, str]], box: Box) -> Bets:
    log = np.full((len(box.estimate), BETS), np.log(_NEVER))
    for j, (payoffs, _) in enumerate(made):
        log[:, j] = np.log(np.maximum(payoffs, _NEVER)) - np.log(worst_payoff(payoffs, box))
    weights = np.zeros(BETS)
    weights[: len(made)] = box.estimate @ log[:, : len(made)] <= -_LEAST_LOSS
    if not weights.any():
        weights[: len(made)] = 1.0
    weights /= weights.sum()
    return Bets(log, weights, tuple(word for _, word in made) + ("",) * (BETS - len(made)))


def _ratio(moved: FloatArray, box: Box) -> FloatArray:
    """Return what each bin would hold if its ends, as normal scores, were moved, over what it holds."""
    below = np.array([_NORMAL.cdf(z) if np.isfinite(z) else float(z > 0) for z in moved.tolist()])
    return np.asarray(np.diff(below) / box.estimate)


def _contaminated(box: Box, bins: npt.NDArray[np.bool_], share: float) -> FloatArray:
    """Return the payoffs against a share of the events falling into some bins, in today's proportions."""
    return np.asarray(1.0 - share + share * bins / float(box.estimate[bins].sum()))


def _tails(ends: FloatArray, beyond: float) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return the bins beyond a quantile on either side; the outermost where none lies so far out."""
    upper, lower = ends[:-1] >= beyond - _EDGE, ends[1:] <= 1 - beyond + _EDGE
    upper[-1] = lower[0] = True
    return upper, lower


def _score(p: float) -> float:
    if p <= _EDGE:
        return -np.inf
    return np.inf if p >= 1.0 - _EDGE else _NORMAL.inv_cdf(p)
