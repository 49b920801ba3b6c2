"""A small network that tells sessions that search from benign ones. It only ranks; it promises nothing.

Every single sign of a search is also sent by somebody honest, so what matters is which signs come
together. What this learns is ranked anew among benign sessions that it never saw
(:mod:`bartizan.calibration.sessions`): if it learns badly, power is lost, never the promised rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from bartizan.types import FloatArray

HIDDEN: Final = 32
NETWORKS: Final = 4
"""Networks from different starts, averaged: steadier than one beyond the data."""

STEPS: Final = 1500
BATCH: Final = 512
RATE: Final = 3e-3
DECAY: Final = 1.0
"""Strong on purpose: what tells these sessions apart is simple, and the few odd honest ones set the level."""
REACH: Final = 5.0
"""Standardised numbers count up to this far from the mean."""

_BETAS = (0.9, 0.999)
_TINY = 1e-8


@dataclass(frozen=True, slots=True)
class Contrast:
    """Networks with one hidden layer each, side by side.

    Attributes:
        centre: Shape ``(f,)``.
        scale: Shape ``(f,)``.
        first: Weights of the hidden units, shape ``(f, m * h)``.
        first_bias: Shape ``(m * h,)``.
        second: Weights of the answer, shape ``(m * h,)``.
        second_bias: Its constant.
    """

    centre: FloatArray
    scale: FloatArray
    first: FloatArray
    first_bias: FloatArray
    second: FloatArray
    second_bias: float

    def score(self, signature: FloatArray) -> float:
        """Return the mean log odds that a session of this signature, shape ``(f,)``, searches."""
        standard = ((signature - self.centre) * self.scale).clip(-REACH, REACH)
        hidden = np.maximum(standard @ self.first + self.first_bias, 0.0)
        return float(hidden @ self.second) + self.second_bias

    def scores(self, signatures: FloatArray) -> FloatArray:
        """Return the same for many, shape ``(n, f)``."""
        standard = ((signatures - self.centre) * self.scale).clip(-REACH, REACH)
        hidden = np.maximum(standard @ self.first + self.first_bias, 0.0)
        return np.asarray(hidden @ self.second + self.second_bias)

    def state(self) -> dict[str, FloatArray]:
        """Return everything learned."""
        return {
            "centre": self.centre,
            "scale": self.scale,
            "first": self.first,
            "first_bias": self.first_bias,
            "second": self.second,
            "second_bias": np.array([self.second_bias]),
        }

    @classmethod
    def of_state(cls, state: Mapping[str, FloatArray]) -> Contrast:
        """Return what :meth:`state` came from."""
        parts = {k: np.asarray(v) for k, v in state.items()}
        return cls(**{**parts, "second_bias": float(parts["second_bias"][0])})  # type: ignore[arg-type]


def learn_contrast(
    benign: FloatArray,
    searching: FloatArray,
    weights: tuple[FloatArray, FloatArray],
    rng: np.random.Generator,
) -> Contrast:
    """Fit by logistic loss with Adam.

    Args:
        benign: Signatures of benign sessions, shape ``(n, f)``.
        searching: Signatures of sessions that search, shape ``(m, f)``.
        weights: Of each benign and each searching signature.
        rng: Starts and batches.

    References:
        Adam with decoupled decay: Loshchilov, Hutter, arXiv 1711.05101.
    """
    inputs = np.concatenate([benign, searching])
    labels = np.concatenate([np.zeros(len(benign)), np.ones(len(searching))])
    centre, deviation = benign.mean(axis=0), benign.std(axis=0)
    scale = 1.0 / np.where(deviation > _TINY, deviation, 1.0)
    standard = ((inputs - centre) * scale).clip(-REACH, REACH)
    chances = np.concatenate([w / (2.0 * w.sum()) for w in weights])
    fits = [_fit(standard, labels, chances, rng) for _ in range(NETWORKS)]
    return Contrast(
        centre,
        scale,
        np.hstack([f[0] for f in fits]),
        np.concatenate([f[1] for f in fits]),
        np.concatenate([f[2] for f in fits]) / NETWORKS,
        float(np.mean([f[3][0] for f in fits])),
    )


def _fit(
    inputs: FloatArray, labels: FloatArray, chances: FloatArray, rng: np.random.Generator
) -> list[FloatArray]:
    width = inputs.shape[1]
    parts = [
        rng.standard_normal((width, HIDDEN)) * np.sqrt(2.0 / width),
        np.zeros(HIDDEN),
        rng.standard_normal(HIDDEN) / np.sqrt(HIDDEN),
        np.zeros(1),
    ]
    means = [np.zeros_like(p) for p in parts]
    squares = [np.zeros_like(p) for p in parts]
    batches = rng.choice(len(inputs), (STEPS, BATCH), p=chances)
    for step, batch in enumerate(batches, 1):
        rate = RATE * (1.0 - step / (STEPS + 1))
        for k, slope in enumerate(_slopes(parts, inputs[batch], labels[batch])):
            means[k] = _BETAS[0] * means[k] + (1 - _BETAS[0]) * slope
            squares[k] = _BETAS[1] * squares[k] + (1 - _BETAS[1]) * slope**2
            size = np.sqrt(squares[k] / (1 - _BETAS[1] ** step)) + _TINY
            parts[k] = parts[k] * (1 - rate * DECAY) - rate * means[k] / (1 - _BETAS[0] ** step) / size
    return parts


def _slopes(parts: list[FloatArray], inputs: FloatArray, labels: FloatArray) -> list[FloatArray]:
    before = inputs @ parts[0] + parts[1]
    hidden = np.maximum(before, 0.0)
    odds = np.clip(hidden @ parts[2] + parts[3][0], -30.0, 30.0)
    off = (1.0 / (1.0 + np.exp(-odds)) - labels) / len(labels)
    back = np.outer(off, parts[2]) * (before > 0.0)
    return [inputs.T @ back, back.sum(axis=0), hidden.T @ off, np.array([off.sum()])]
