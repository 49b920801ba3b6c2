"""Two systems to ask: a network on digits, boosted trees on a table. Rows in, probabilities out.

Attackers work in a unit cube, digits divided by 16 and columns between their extremes in training;
distances are Euclidean, for digits on pixels divided by 16, for the table in standard deviations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from bartizan.cli.demo import digits

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Rng = np.random.Generator

SEED = 5
TABLE_TRAIN, TABLE_CALIBRATION = 199, 200
TREES, DEPTH = 100, 3


@dataclass(frozen=True, slots=True)
class System:
    """A model behind an endpoint, and rows it was not trained on.

    Attributes:
        name: For the tables.
        model: Rows of shape ``(n, d)`` to probabilities.
        known: Training rows and labels: what an attacker may know as well.
        calibration: Rows that the defence was calibrated on.
        held_out: Rows that nobody has seen, and their labels.
        low: Each column's least value in the unit cube.
        width: Each column's extent.
        weight: What a step of 1 in the unit cube counts in distances, per column.
        shape: Of a row as an image, for attacks that need one.
    """

    name: str
    model: Callable[[FloatArray], FloatArray]
    known: tuple[FloatArray, IntArray]
    calibration: FloatArray
    held_out: tuple[FloatArray, IntArray]
    low: FloatArray
    width: FloatArray
    weight: FloatArray
    shape: tuple[int, int, int]

    def rows(self, cube: FloatArray) -> FloatArray:
        """Return points of the unit cube as rows."""
        return self.low + self.width * np.asarray(cube, dtype=np.float64)

    def cube(self, rows: FloatArray) -> FloatArray:
        """Return rows as points of the unit cube."""
        return np.asarray(np.clip((rows - self.low) / self.width, 0.0, 1.0))

    def distances(self, rows: FloatArray, start: FloatArray) -> FloatArray:
        """Return how far rows are from one row."""
        return np.asarray(np.linalg.norm((rows - start) / self.width * self.weight, axis=-1))

    def targets(self, n: int, rng: Rng) -> IntArray:
        """Return held-out rows that the model gets right, in random order, some twice if need be."""
        rows, labels = self.held_out
        right = np.flatnonzero(self.model(rows).argmax(axis=1) == labels)
        order = [rng.permutation(right) for _ in range(-(-n // len(right)))]
        return np.concatenate(order)[:n]


@cache
def digits_system() -> System:
    """The demo's network on scikit-learn's digits: 797 rows to train, 600 to calibrate, 400 held out."""
    split, model = digits.split(), digits.train()
    ones = np.ones(digits.COLUMNS)
    return System(
        "digits, network",
        model.probabilities,
        (split.train.inputs, split.train.labels),
        split.calibration.inputs,
        (split.test.inputs, split.test.labels),
        np.zeros(digits.COLUMNS),
        digits.LARGEST_PIXEL * ones,
        ones,
        (digits.SIDE, digits.SIDE, 1),
    )


@cache
def table_system() -> System:
    """Gradient boosting on breast cancer, 30 columns: 199 rows to train, 200 to calibrate, 170 held out."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import GradientBoostingClassifier

    inputs, labels = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(inputs))
    first, second, third = np.split(order, (TABLE_TRAIN, TABLE_TRAIN + TABLE_CALIBRATION))
    fitted = GradientBoostingClassifier(n_estimators=TREES, max_depth=DEPTH, random_state=0)
    fitted.fit(inputs[first], labels[first])
    model = Boosted(fitted, inputs[first])
    low, high = inputs[first].min(axis=0), inputs[first].max(axis=0)
    if not np.allclose(model(inputs), fitted.predict_proba(inputs)):
        raise AssertionError("the fast trees do not answer as scikit-learn's do")
    return System(
        "breast cancer, boosted trees",
        model,
        (inputs[first], labels[first]),
        inputs[second],
        (inputs[third], labels[third]),
        low,
        high - low,
        (high - low) / inputs[first].std(axis=0),
        (5, 6, 1),
    )


class Boosted:
    """A fitted binary gradient boosting, walked by all trees at once: one row takes microseconds."""

    def __init__(self, fitted, rows: FloatArray) -> None:
        trees = [t.tree_ for t in fitted.estimators_[:, 0]]
        most = max(t.node_count for t in trees)
        self._feature = np.zeros((len(trees), most), np.int64)
        self._threshold = np.zeros((len(trees), most))
        self._children = np.zeros((2, len(trees), most), np.int64)
        self._value = np.zeros((len(trees), most))
        for k, tree in enumerate(trees):
            n = tree.node_count
            leaf = tree.children_left < 0
            self._feature[k, :n] = np.where(leaf, 0, tree.feature)
            self._threshold[k, :n] = tree.threshold
            for side, children in enumerate((tree.children_left, tree.children_right)):
                # A leaf leads to itself.
                self._children[side, k, :n] = np.where(leaf, np.arange(n), children)
            self._value[k, :n] = fitted.learning_rate * tree.value[:, 0, 0]
        self._trees = np.arange(len(trees))
        self._start = 0.0
        first = fitted.decision_function(rows[:1])[0]
        self._start = float(first - self._raw(rows[:1])[0])

    def _raw(self, rows: FloatArray) -> FloatArray:
        # scikit-learn's trees compare in single precision.
        rows = np.asarray(rows, dtype=np.float32).astype(np.float64)
        node = np.zeros((len(rows), len(self._trees)), np.int64)
        for _ in range(DEPTH):
            feature = self._feature[self._trees, node]
            right = np.take_along_axis(rows, feature, axis=1) > self._threshold[self._trees, node]
            node = self._children[right.astype(np.int64), self._trees, node]
        return np.asarray(self._value[self._trees, node].sum(axis=1) + self._start)

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Return probabilities, shape ``(n, 2)``."""
        one = 1.0 / (1.0 + np.exp(-self._raw(rows)))
        return np.stack([1.0 - one, one], axis=1)
