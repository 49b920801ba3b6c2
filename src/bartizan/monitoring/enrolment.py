"""Enrols a model: makes canaries, asks them many times in many ways, and measures what strays."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from bartizan.errors import CalibrationError
from bartizan.monitoring.canaries import Asking, IntArray, T, make_canaries
from bartizan.monitoring.fingerprint import (
    LIMITS,
    MAX_CANARIES,
    Fingerprint,
    Noise,
    apart,
    decode,
    encode,
)
from bartizan.stats.intervals import clopper_pearson
from bartizan.types import FloatArray

DELTA: Final = 1e-3
"""Probability, over enrolment, that the promise does not hold."""

CANARIES: Final = 32
REPEATS: Final = 16
MIN_REPEATS: Final = 8

ROUNDING: Final = 1e-3
"""Share of an output's size up to which a deviation may come from arithmetic alone."""

_SIZES: Final = (1, 2, 5, 16, 64)
"""Requests of these many canaries take turns."""

_NOISE_CHECKS: Final = 400
"""Checks that noise is measured on, alone, and as many again in company."""

_COMPANY: Final = 16
"""Rows of a request in which a check is hidden while noise is measured."""

_SMALLEST_NOISE: Final = 1e-12


def drive(asking: Asking[T], ask: Callable[[FloatArray], FloatArray]) -> T:
    """Do work that asks, with a function that answers rows ``(n, d)`` with outputs ``(n, k)``."""
    try:
        rows = next(asking)
        while True:
            rows = asking.send(ask(rows))
    except StopIteration as done:
        result: T = done.value
        return result


def enrol(
    rows: FloatArray,
    ask: Callable[[FloatArray], FloatArray],
    rng: np.random.Generator,
    *,
    created: float,
    canaries: int = CANARIES,
    per_check: int = 1,
    repeats: int = REPEATS,
    scores: int | None = None,
) -> Fingerprint:
    """Enrol a model that can be called; see :func:`enrolling`."""
    work = enrolling(
        rows, rng, created=created, canaries=canaries, per_check=per_check, repeats=repeats, scores=scores
    )
    return drive(work, ask)


def enrolling(
    rows: FloatArray,
    rng: np.random.Generator,
    *,
    created: float,
    canaries: int = CANARIES,
    per_check: int = 1,
    repeats: int = REPEATS,
    scores: int | None = None,
) -> Asking[Fingerprint]:
    """Make canaries and learn how the model answers them.

    Args:
        rows: Benign rows, shape ``(n, d)``.
        rng: Unpredictable to others.
        created: The time now, seconds since the epoch.
        canaries: How many to make, from 2.
        per_check: How many are asked in one check.
        repeats: How often each is asked, from 8.
        scores: How many leading outputs are class scores; ``None``: all of them.

    Raises:
        CalibrationError: The rows are no good, or the model changes the form of its answers.
    """
    if not (2 <= canaries <= MAX_CANARIES and 1 <= per_check <= canaries and repeats >= MIN_REPEATS):
        raise ValueError("from 2 to 256 canaries, at most all in a check, and from 8 repeats are needed")
    inputs = yield from make_canaries(rows, rng, canaries, scores)
    answers, requests = yield from _repeated(inputs, rng, repeats)
    first = answers[0]
    if any(other.shape != first.shape for other in answers):
        raise CalibrationError("the model changes the form of its answers", hint="ask one model, not several")
    sometimes, again = steady_rates(repeats, requests, per_check)
    width = first.shape[1] if scores is None else scores
    made = Fingerprint(created, inputs, first, width, per_check, sometimes, again)
    if any(apart(first, other).any() for other in answers):
        made = replace(made, answers=np.median(answers, axis=0))
        made = replace(made, noise=(yield from _noise(made, answers, rng)))
    return decode(encode(made))


def renewing(
    old: Fingerprint, rng: np.random.Generator, *, seen: float, repeats: int = REPEATS
) -> Asking[Fingerprint | None]:
    """Measure the noise of a model that was taken for steady; canaries and answers stay.

    Args:
        old: The steady fingerprint.
        rng: Unpredictable to others.
        seen: The deviation that gave the model away, as a share of the output's size.
        repeats: How often each canary is asked.

    Returns:
        A noisy fingerprint; ``None`` where answers stray farther than arithmetic explains, or
        name other classes: then nothing may be learnt from them.
    """
    everyone = np.arange(len(old.inputs))
    answers, _ = yield from _repeated(old.inputs, rng, repeats)
    for outputs in answers:
        if _too_far(old, everyone, outputs):
            return None
    noise = yield from _noise(old, answers, rng, seen=seen, trusting=False)
    return None if noise is None else decode(encode(replace(old, noise=noise)))


def steady_rates(repeats: int, requests: float, per_check: int) -> tuple[float, float]:
    """Return how often answers that never differed at enrolment may differ after all.

    Args:
        repeats: In how many requests each canary was asked.
        requests: Least sum, over the requests a canary was in, of one over their size, times
            the number of canaries: as many requests as if all canaries were asked alike.
        per_check: Canaries in a check.

    Returns:
        How often a check differs, and how often one and the same canary does.

    Guarantees:
        If requests are answered independently, then whatever the rates of the canaries ``e_i``
        are, either these bounds hold or enrolment without any difference had a probability
        below :data:`DELTA`. For one canary that is ``(1 - e_i) ** repeats >= DELTA``. For the
        mean: a request of the canaries ``S`` differs with probability at least their mean
        rate, hence ``sum over requests of mean(e_i, S) <= ln(1 / DELTA)``.

    >>> sometimes, again = steady_rates(16, 100.0, 1)
    >>> round(sometimes, 3), round(again, 3)
    (0.069, 0.351)
    """
    again = 1.0 - DELTA ** (1.0 / repeats)
    sometimes = min(again, -math.log(DELTA) / requests)
    return min(1.0, sometimes * per_check), again


def _repeated(
    inputs: FloatArray, rng: np.random.Generator, repeats: int
) -> Asking[tuple[list[FloatArray], float]]:
    """Ask every canary ``repeats`` times, in requests of different sizes, anywhere in them.

    Returns:
        The answers of each repeat in the canaries' order, and ``requests`` as
        :func:`steady_rates` takes it.
    """
    answers: list[FloatArray] = []
    weights = np.zeros(len(inputs))
    for repeat in range(repeats):
        order, size = rng.permutation(len(inputs)), _SIZES[repeat % len(_SIZES)]
        pieces = []
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            weights[chosen] += 1.0 / len(chosen)
            pieces.append((yield inputs[chosen]))
        if len({piece.shape[1:] for piece in pieces}) != 1:
            raise CalibrationError(
                "the model changes the form of its answers", hint="ask one model, not several"
            )
        outputs = np.concatenate(pieces)
        answers.append(outputs[np.argsort(order)])
    return answers, float(len(inputs) * weights.min())


def _noise(
    made: Fingerprint,
    answers: list[FloatArray],
    rng: np.random.Generator,
    *,
    seen: float = 0.0,
    trusting: bool = True,
) -> Asking[Noise | None]:
    """Measure how often checks exceed each limit, alone and in company.

    Args:
        made: What the answers stray from.
        answers: Of each repeat: they set the scale.
        rng: Chooses canaries and company.
        seen: A deviation seen elsewhere, as a share of the output's size.
        trusting: Otherwise the result is ``None`` once an answer strays farther than
            arithmetic explains.

    Guarantees:
        With probability at least ``1 - DELTA`` all rates are upper bounds, for checks made
        either way or now one way and now the other.
    """
    strayed = np.max([apart(outputs, made.answers) for outputs in answers], axis=0)
    shares = strayed / made.sizes()
    # A canary that has not strayed yet may do so as another one typically does.
    usual = float(np.median(shares[shares > 0])) if shares.any() else 0.0
    scale = np.maximum(strayed, max(usual, seen, _SMALLEST_NOISE) * made.sizes())
    scaled = replace(made, noise=Noise(scale, np.ones(len(LIMITS))))
    counts = np.zeros((2, len(LIMITS)), dtype=np.int64)
    for way, company in enumerate((0, _COMPANY)):
        for _ in range(_NOISE_CHECKS):
            chosen, outputs = yield from _one_check(scaled, rng, company)
            if not trusting and _too_far(made, chosen, outputs):
                return None
            counts[way, : scaled.exceeded(chosen, outputs)] += 1
    side = DELTA / counts.size
    high = [[clopper_pearson(int(n), _NOISE_CHECKS, 1 - 2 * side)[1] for n in way] for way in counts]
    return Noise(scale, np.minimum.accumulate(np.max(high, axis=0)))


def _one_check(
    scaled: Fingerprint, rng: np.random.Generator, company: int
) -> Asking[tuple[IntArray, FloatArray]]:
    own = scaled.per_check
    chosen: IntArray = rng.integers(len(scaled.inputs), size=max(own, company))
    outputs = yield scaled.inputs[chosen]
    # One check a request: what happens to the rows of one request is not independent.
    at = int(rng.integers(len(chosen) - own + 1))
    return chosen[at : at + own], outputs[at : at + own]


def _too_far(made: Fingerprint, chosen: IntArray, outputs: FloatArray) -> bool:
    far = bool((made.deviations(chosen, outputs) > ROUNDING).any())
    return far or bool(made.classes_changed(chosen, outputs).any())
