"""The classifier that the demo protects: a small network on scikit-learn's bundled digits.

It is a real model with a real error rate, trained in well under a second, and its gradients
are known in closed form, so attacks can be computed against exactly the model that is served.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from bartizan.types import FloatArray

IntArray = npt.NDArray[np.int64]

SIDE = 8
COLUMNS = SIDE * SIDE
CLASSES = 10
LARGEST_PIXEL = 16.0
NAMES = tuple(f"pixel-{row}-{column}" for row in range(SIDE) for column in range(SIDE))

SEED = 20260701
TRAIN_ROWS = 797
CALIBRATION_ROWS = 600
HIDDEN_UNITS = 64
TRAINING_PASSES = 120


@dataclass(frozen=True, slots=True)
class Labelled:
    """Images as rows of pixels in ``[0, 16]``, shape ``(n, 64)``, and what they show, ``(n,)``."""

    inputs: FloatArray
    labels: IntArray


@dataclass(frozen=True, slots=True)
class Split:
    """Three disjoint parts of the data set: 797, 600 and 400 rows."""

    train: Labelled
    calibration: Labelled
    test: Labelled


@lru_cache(maxsize=32)
def split(seed: int = SEED) -> Split:
    """Return the data set in three disjoint parts, the same ones for the same seed.

    The calibration part is large enough (600 rows) to certify a false-alarm rate of 1 in 100
    with 99% confidence, for which 459 are needed.
    """
    from sklearn.datasets import load_digits

    inputs, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(inputs))
    ends = (TRAIN_ROWS, TRAIN_ROWS + CALIBRATION_ROWS)
    parts = [
        Labelled(inputs[rows].astype(np.float64), labels[rows].astype(np.int64))
        for rows in np.split(order, ends)
    ]
    return Split(*parts)


@dataclass(frozen=True, slots=True)
class Classifier:
    """A network with one hidden layer of rectified units, on pixels divided by 16.

    Attributes:
        weights: Of the two layers, shapes ``(64, h)`` and ``(h, 10)``.
        biases: Of the two layers, shapes ``(h,)`` and ``(10,)``.
    """

    weights: tuple[FloatArray, FloatArray]
    biases: tuple[FloatArray, FloatArray]

    def logits(self, inputs: FloatArray) -> FloatArray:
        """Return the unnormalised scores, shape ``(n, 10)``."""
        hidden = np.maximum(inputs / LARGEST_PIXEL @ self.weights[0] + self.biases[0], 0.0)
        return np.asarray(hidden @ self.weights[1] + self.biases[1])

    def probabilities(self, inputs: FloatArray) -> FloatArray:
        """Return the class probabilities, shape ``(n, 10)``."""
        logits = self.logits(inputs)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    def labels(self, inputs: FloatArray) -> IntArray:
        """Return the most likely class of each row, shape ``(n,)``."""
        return np.asarray(self.logits(inputs).argmax(axis=1), dtype=np.int64)

    def gradient(self, inputs: FloatArray, labels: IntArray) -> FloatArray:
        """Return the gradient of each row's cross-entropy by its pixels, shape ``(n, 64)``."""
        active = (inputs / LARGEST_PIXEL @ self.weights[0] + self.biases[0]) > 0.0
        residual = self.probabilities(inputs)
        residual[np.arange(len(inputs)), labels] -= 1.0
        return np.asarray((residual @ self.weights[1].T * active) @ self.weights[0].T / LARGEST_PIXEL)


@lru_cache(maxsize=32)
def train(seed: int = SEED) -> Classifier:
    """Train the classifier on the training part of ``split(seed)``; same seed, same model."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    part = split(seed).train
    network = MLPClassifier(
        (HIDDEN_UNITS,), alpha=1e-3, learning_rate_init=3e-3, max_iter=TRAINING_PASSES, random_state=0
    )
    with warnings.catch_warnings():
        # A fixed number of passes is wanted, converged or not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(part.inputs / LARGEST_PIXEL, part.labels)
    first, second = (np.asarray(layer, dtype=np.float64) for layer in network.coefs_)
    one, two = (np.asarray(layer, dtype=np.float64) for layer in network.intercepts_)
    return Classifier((first, second), (one, two))
