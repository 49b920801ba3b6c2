"""Attacks on the demo's classifier: rows made to be misread, and rows from elsewhere.

Every size is in pixel units, where a pixel runs from 0 to 16 in whole steps. Attacks stay on
that grid, because a pixel of 3.7 gives itself away to any check of the schema and an attacker
who means it will round. Attacks see the model as far as their family says: ``fgsm`` and
``pgd-*`` know its weights (``pgd-in-range`` also which values each pixel took in the training
data, and keeps to them), ``square`` sees probabilities, ``boundary`` sees labels only.

References:
    FGSM: Goodfellow et al., arXiv 1412.6572. PGD: Madry et al., arXiv 1706.06083.
    Square: Andriushchenko et al., arXiv 1912.00049. Boundary: Brendel et al., arXiv 1712.04248.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bartizan.cli.demo.digits import COLUMNS, LARGEST_PIXEL, SIDE, Classifier, IntArray, Labelled
from bartizan.types import FloatArray

LINF_EPSILON = 3.0
L2_EPSILON = 10.0
PGD_STEPS = 40
SQUARE_QUERIES = 300
BOUNDARY_SEARCH_STEPS = 12
BOUNDARY_WALK_STEPS = 150
NOISE_DEVIATION = 5.0
SHIFT_PIXELS = 2


@dataclass(frozen=True, slots=True)
class RowAttack:
    """What one family of attack made of a set of clean rows.

    Attributes:
        family: The attack's name.
        inputs: The rows that work as an attack, shape ``(m, 64)``: adversarial ones that the
            model now labels otherwise, or all rows of an out-of-distribution family.
        sources: Which of the attacked rows each came from, shape ``(m,)``.
        success_rate: The share of the correctly classified rows whose label flipped.
        adversarial: True where the rows were computed against the model; false where they
            are simply not from the distribution.
    """

    family: str
    inputs: FloatArray
    sources: IntArray
    success_rate: float
    adversarial: bool


def fgsm(
    model: Classifier, inputs: FloatArray, labels: IntArray, *, epsilon: float = LINF_EPSILON
) -> FloatArray:
    """One step of ``epsilon`` along the sign of the gradient."""
    return _on_grid(inputs + epsilon * np.sign(model.gradient(inputs, labels)))


def pgd_linf(
    model: Classifier,
    inputs: FloatArray,
    labels: IntArray,
    rng: np.random.Generator,
    *,
    epsilon: float = LINF_EPSILON,
    bounds: tuple[FloatArray | float, FloatArray | float] = (0.0, LARGEST_PIXEL),
) -> FloatArray:
    """Projected gradient ascent inside the box of half-width ``epsilon``, from a random start.

    Args:
        model: What is attacked.
        inputs: Clean rows.
        labels: Their labels.
        rng: Where the start comes from.
        epsilon: Largest change of a pixel.
        bounds: Smallest and largest value of each pixel.
    """
    moved = inputs + rng.uniform(-epsilon, epsilon, inputs.shape)
    for _ in range(PGD_STEPS):
        moved = moved + epsilon / 8 * np.sign(model.gradient(moved, labels))
        moved = np.clip(np.clip(moved, inputs - epsilon, inputs + epsilon), *bounds)
    return _on_grid(moved)


def pgd_l2(
    model: Classifier, inputs: FloatArray, labels: IntArray, *, epsilon: float = L2_EPSILON
) -> FloatArray:
    """Projected gradient ascent inside the Euclidean ball of radius ``epsilon``.

    Rounding to whole pixels at the end may add up to half a step to each pixel.
    """
    moved = inputs.copy()
    for _ in range(PGD_STEPS):
        gradient = model.gradient(moved, labels)
        moved = moved + epsilon / 8 * gradient / np.maximum(_norms(gradient), 1e-12)
        change = moved - inputs
        moved = inputs + change * np.minimum(1.0, epsilon / np.maximum(_norms(change), 1e-12))
        moved = np.clip(moved, 0.0, LARGEST_PIXEL)
    return _on_grid(moved)


def square(
    model: Classifier,
    inputs: FloatArray,
    labels: IntArray,
    rng: np.random.Generator,
    *,
    epsilon: float = LINF_EPSILON,
) -> FloatArray:
    """Random squares of ``+-epsilon``, kept when the answer becomes less sure. No gradients."""
    rows = np.arange(len(inputs))
    best = _on_grid(inputs + epsilon * rng.choice((-1.0, 1.0), inputs.shape))
    loss = _margins(model.probabilities(best), labels)
    for query in range(SQUARE_QUERIES):
        side = max(1, round(SIDE / 2 * (1.0 - query / SQUARE_QUERIES)))
        top, left = rng.integers(0, SIDE - side + 1, (2, len(inputs)))
        sign = rng.choice((-1.0, 1.0), len(inputs))
        images = best.reshape(-1, SIDE, SIDE).copy()
        origin = inputs.reshape(-1, SIDE, SIDE)
        for down in range(side):
            for across in range(side):
                spot = (rows, top + down, left + across)
                images[spot] = origin[spot] + epsilon * sign
        tried = _on_grid(images.reshape(-1, COLUMNS))
        tried_loss = _margins(model.probabilities(tried), labels)
        better = tried_loss < loss
        best = np.where(better[:, None], tried, best)
        loss = np.where(better, tried_loss, loss)
    return best


def boundary(
    model: Classifier,
    inputs: FloatArray,
    labels: IntArray,
    rng: np.random.Generator,
    starts: FloatArray,
) -> FloatArray:
    """Walk from a row of another class towards the clean row, seeing labels only.

    Args:
        model: What is attacked.
        inputs: Clean rows.
        labels: Their labels.
        rng: Where random directions come from.
        starts: For each clean row, one that the model labels otherwise.
    """
    best = _towards(model, starts, inputs, labels)
    for step in range(BOUNDARY_WALK_STEPS):
        reach = 0.3 * (1.0 - step / BOUNDARY_WALK_STEPS) + 0.02
        distance = _norms(best - inputs)
        direction = rng.standard_normal(inputs.shape)
        aside = best + reach * distance * direction / _norms(direction)
        # Back onto the sphere around the clean row, then a little inwards.
        aside = inputs + (aside - inputs) * distance / np.maximum(_norms(aside - inputs), 1e-12)
        tried = np.clip(aside + 0.1 * (inputs - aside), 0.0, LARGEST_PIXEL)
        closer = (model.labels(_on_grid(tried)) != labels) & (_norms(tried - inputs) < distance)[:, 0]
        best = np.where(closer[:, None], tried, best)
    return _on_grid(best)


def adversarial_attacks(
    model: Classifier, clean: Labelled, seen: FloatArray, rng: np.random.Generator
) -> list[RowAttack]:
    """Return every adversarial family on the rows that the model classifies correctly.

    Args:
        model: What is attacked.
        clean: Rows that the model was not trained on.
        seen: Training rows that the attacker of ``pgd-in-range`` knows.
        rng: Where random choices come from.
    """
    right = model.labels(clean.inputs) == clean.labels
    inputs, labels = clean.inputs[right], clean.labels[right]
    sources = np.flatnonzero(right)
    results = {
        "fgsm": fgsm(model, inputs, labels),
        "pgd-linf": pgd_linf(model, inputs, labels, rng),
        "pgd-in-range": pgd_linf(model, inputs, labels, rng, bounds=(seen.min(axis=0), seen.max(axis=0))),
        "pgd-l2": pgd_l2(model, inputs, labels),
        "square": square(model, inputs, labels, rng),
        "boundary": boundary(model, inputs, labels, rng, _others(inputs, labels, rng)),
    }
    attacks = []
    for family, moved in results.items():
        flipped = model.labels(moved) != labels
        attacks.append(
            RowAttack(family, moved[flipped], sources[flipped], float(flipped.mean()), adversarial=True)
        )
    return attacks


def foreign_rows(model: Classifier, clean: Labelled, rng: np.random.Generator) -> list[RowAttack]:
    """Return every out-of-distribution family: rows that no honest camera would send."""
    right = model.labels(clean.inputs) == clean.labels
    inputs, labels = clean.inputs[right], clean.labels[right]
    sources = np.flatnonzero(right)
    images = inputs.reshape(-1, SIDE, SIDE)
    families: dict[str, Callable[[], FloatArray]] = {
        "uniform-noise": lambda: rng.uniform(0.0, LARGEST_PIXEL, inputs.shape),
        "added-noise": lambda: inputs + rng.normal(0.0, NOISE_DEVIATION, inputs.shape),
        "inverted": lambda: LARGEST_PIXEL - inputs,
        "shifted": lambda: np.roll(images, SHIFT_PIXELS, axis=2).reshape(-1, COLUMNS),
        "rotated": lambda: np.rot90(images, axes=(1, 2)).reshape(-1, COLUMNS),
        "shuffled": lambda: inputs[:, rng.permutation(COLUMNS)],
        "other-data": lambda: _other_data(len(inputs)),
    }
    attacks = []
    for family, make in families.items():
        rows = _on_grid(make())
        wrong = float((model.labels(rows) != labels).mean())
        attacks.append(RowAttack(family, rows, sources, wrong, adversarial=False))
    return attacks


def _on_grid(rows: FloatArray) -> FloatArray:
    return np.clip(np.round(rows), 0.0, LARGEST_PIXEL)


def _norms(rows: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.norm(rows, axis=1, keepdims=True))


def _margins(probabilities: FloatArray, labels: IntArray) -> FloatArray:
    """Return how far the right class leads; negative where the label has flipped."""
    rows = np.arange(len(labels))
    right = probabilities[rows, labels]
    others = probabilities.copy()
    others[rows, labels] = -1.0
    return np.asarray(right - others.max(axis=1))


def _others(inputs: FloatArray, labels: IntArray, rng: np.random.Generator) -> FloatArray:
    """Return for each row another row of the set that carries another label."""
    chosen = rng.integers(0, len(inputs), len(inputs))
    while (clash := labels[chosen] == labels).any():
        chosen[clash] = rng.integers(0, len(inputs), int(clash.sum()))
    return inputs[chosen]


def _towards(model: Classifier, starts: FloatArray, inputs: FloatArray, labels: IntArray) -> FloatArray:
    """Bisect the line from each start to its clean row for the last point still misread."""
    near, far = np.zeros((len(inputs), 1)), np.ones((len(inputs), 1))
    for _ in range(BOUNDARY_SEARCH_STEPS):
        middle = (near + far) / 2
        misread = (model.labels(_on_grid(inputs + middle * (starts - inputs))) != labels)[:, None]
        far, near = np.where(misread, middle, far), np.where(misread, near, middle)
    return inputs + far * (starts - inputs)


def _other_data(rows: int) -> FloatArray:
    """Return rows of the bundled breast-cancer measurements, scaled to pixels and tiled to width."""
    from sklearn.datasets import load_breast_cancer

    table = np.asarray(load_breast_cancer(return_X_y=True)[0], dtype=np.float64)
    low, high = table.min(axis=0), table.max(axis=0)
    scaled = LARGEST_PIXEL * (table - low) / (high - low)
    wide = np.tile(scaled, (1, COLUMNS // scaled.shape[1] + 1))[:, :COLUMNS]
    return np.asarray(np.resize(wide, (rows, COLUMNS)))
