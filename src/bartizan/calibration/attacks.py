"""Synthetic attacks on a model of rows, made of benign rows: what power is measured on.

They stand for kinds of attack, not for an attacker's best: someone who knows the detectors does
better. All keep inside each column's reference range and to whole numbers where the reference
does (except the one that is about leaving the range), because leaving is found anyway.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from bartizan.features.rows import IntArray, read_answers, reference_rows
from bartizan.features.scaling import Scaling
from bartizan.features.variants import Model, Recipe
from bartizan.ports import Unavailable
from bartizan.types import FloatArray, Rows

MAX_ROWS: Final = 200
"""Benign rows that one attack starts from."""

MIN_FLIPPED: Final = 20
"""An attack that flips fewer answers than this is measured on all that it tried."""

NOISE_SPREADS: Final = 1.0
BISECTIONS: Final = 10
SCORE_STEPS: Final = 64
SCORE_SPREADS: Final = 0.5
SCORE_TRIES: Final = 2
BEYOND_SPREADS: Final = (0.5, 3.0)
NEEDS_MODEL: Final = ("boundary", "score")


class Attacks:
    """Makes synthetic attacks from benign rows.

    Args:
        reference: Benign rows ``(m, d)`` that ranges and spreads are taken from.
        rng: Makes the same attacks for the same seed.
    """

    def __init__(self, reference: FloatArray, rng: np.random.Generator) -> None:
        rows = reference_rows(reference)
        self._recipe, self._scale, self._rng = Recipe.of(rows), Scaling.of(rows).scale, rng

    def made(self, benign: Rows, model: Model | None) -> dict[str, FloatArray]:
        """Return the rows of each attack, by its name.

        Args:
            benign: Rows to start from, with the model's outputs if they are known; without them
                there are no attacks that lead from one class to another.
            model: Asks the model; without it there are no attacks that search.
        """
        inputs = np.nan_to_num(benign.inputs[:MAX_ROWS])
        attacks = {
            "noise": self._kept(inputs + self._rng.normal(size=inputs.shape) * self._scale * NOISE_SPREADS),
            "foreign": self._kept(self._rng.permuted(inputs, axis=0)),
            "out-of-range": self._beyond(inputs),
        }
        classes = _classes(benign.outputs)
        if classes is None or len(set(classes[: len(inputs)].tolist())) < 2:
            return attacks
        classes = classes[: len(inputs)]
        others = inputs[self._of_other_class(classes)]
        attacks["interpolation"] = self._kept((inputs + others) / 2.0)
        if model is not None:
            attacks["boundary"] = self._boundary(inputs, others, classes, model)
            attacks["score"] = self._score(inputs, classes, model)
        return attacks

    def _kept(self, rows: FloatArray) -> FloatArray:
        """Return rows inside the reference range, whole where the reference is."""
        bounded = np.clip(rows, self._recipe.low, self._recipe.high)
        return np.where(self._recipe.whole > 0.0, np.round(bounded), bounded)

    def _beyond(self, inputs: FloatArray) -> FloatArray:
        """Return rows with one column outside its range."""
        count, columns = inputs.shape
        moved, here = inputs.copy(), np.arange(count)
        column = self._rng.integers(columns, size=count)
        far = self._rng.uniform(*BEYOND_SPREADS, size=count) * self._scale[column]
        far = np.where(self._recipe.whole[column] > 0.0, np.ceil(far), far)
        up = self._rng.random(count) < 0.5
        moved[here, column] = np.where(up, self._recipe.high[column] + far, self._recipe.low[column] - far)
        return moved

    def _of_other_class(self, classes: IntArray) -> IntArray:
        """Return for each row the index of a random one of another class."""
        apart = classes[:, None] != classes[None, :]
        chances = np.where(apart, self._rng.random(apart.shape), -1.0)
        return np.asarray(chances.argmax(axis=1), dtype=np.int64)

    def _boundary(
        self, inputs: FloatArray, others: FloatArray, classes: IntArray, model: Model
    ) -> FloatArray:
        """Bisect from each row to one of another class for the nearest point that is misread."""
        near, far = np.zeros((len(inputs), 1)), np.ones((len(inputs), 1))
        for _ in range(BISECTIONS):
            middle = (near + far) / 2.0
            asked = _classes(model(self._kept(inputs + middle * (others - inputs))).outputs)
            misread = np.zeros(len(inputs), dtype=bool) if asked is None else asked != classes
            far = np.where(misread[:, None], middle, far)
            near = np.where(misread[:, None], near, middle)
        return self._kept(inputs + far * (others - inputs))

    def _score(self, inputs: FloatArray, classes: IntArray, model: Model) -> FloatArray:
        """Change one column after the other, keeping what makes the first answer less likely.

        It goes on when the answer has flipped: an attacker who stops there is the bisection's.
        """
        here = np.arange(len(inputs))
        best, lowest = inputs, _shares(model, inputs, classes)[0]
        flipped = np.zeros(len(inputs), dtype=bool)
        order = np.argsort(self._rng.random(inputs.shape), axis=1)
        for step in range(min(SCORE_STEPS, inputs.shape[1] * SCORE_TRIES)):
            column = order[:, step % inputs.shape[1]]
            tried = []
            for sign in (-1.0, 1.0):
                moved = best.copy()
                moved[here, column] += sign * SCORE_SPREADS * self._scale[column]
                tried.append(self._kept(moved))
            share, read = _shares(model, np.concatenate(tried), np.tile(classes, 2))
            share, read = share.reshape(2, -1), read.reshape(2, -1)
            side = share.argmin(axis=0)
            better = share[side, here] < lowest
            best = np.where(better[:, None], np.stack(tried)[side, here], best)
            lowest = np.where(better, share[side, here], lowest)
            flipped = np.where(better, read[side, here] != classes, flipped)
        return best[flipped] if flipped.sum() >= MIN_FLIPPED else best


def _shares(model: Model, inputs: FloatArray, classes: IntArray) -> tuple[FloatArray, IntArray]:
    """Return each row's probability of a class, and the class that it got."""
    outputs = model(inputs).outputs
    if outputs is None:
        raise Unavailable("the model gave no outputs")
    answers = read_answers(outputs)
    return answers.probabilities[np.arange(len(inputs)), classes], answers.classes


def _classes(outputs: FloatArray | None) -> IntArray | None:
    """Return the class of each row, or ``None`` where outputs are unknown or no classification."""
    if outputs is None:
        return None
    try:
        return np.maximum(read_answers(outputs).classes, 0)
    except Unavailable:
        return None
