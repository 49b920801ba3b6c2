"""Small models to take fingerprints of: a linear one, with scores, labels or noise."""

from __future__ import annotations

import numpy as np

COLUMNS, CLASSES = 6, 3


def rows(n=200, seed=0):
    """Rows of two measured columns with two decimals, two counts, a code and a constant."""
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [
            np.round(rng.normal(20, 5, n), 2),
            np.round(rng.lognormal(size=n), 2),
            rng.poisson(30, n),
            rng.integers(0, 100, n),
            rng.choice([1.0, 4.0, 9.0], n),
            np.full(n, 7.0),
        ]
    )


class Model:
    """Scores rows by a random linear map of standardised columns; each row by itself, so steadily."""

    def __init__(self, seed=1, close_to=None, step=0.0):
        rng = np.random.default_rng(seed)
        self.weights = rng.normal(size=(COLUMNS, CLASSES))
        if close_to is not None:
            self.weights = close_to.weights + step * self.weights
        self.asked = []

    def __call__(self, batch):
        self.asked.append(batch)
        scaled = (batch - [20, 1.6, 30, 50, 4, 7]) / [5, 2, 5.5, 30, 3, 1]
        logits = np.stack([scaled[i] @ self.weights for i in range(len(scaled))])
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def labels(self, batch):
        return self(batch).argmax(axis=1)[:, None].astype(float)


class Noisy:
    """A model whose numbers stray by a share, in one request all alike, more in large requests."""

    def __init__(self, model, rng, size=1e-7, chance=1.0):
        self.model, self.rng, self.size, self.chance = model, rng, size, chance

    def __call__(self, batch):
        outputs = self.model(batch)
        if self.rng.random() >= self.chance:
            return outputs
        return outputs * (1 + self.size * self.rng.normal(size=outputs.shape) * (1 + len(batch) / 32))
