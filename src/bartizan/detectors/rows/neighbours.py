"""Rows far from every reference row that the model puts in the same class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from bartizan.errors import CalibrationError
from bartizan.features.neighbourhood import (
    NEIGHBOURS,
    Cloud,
    SingleArray,
    blocks_of,
    chunk_rows,
    cloud_of,
    mean_distances,
    squared_distances,
    typical_distances,
    whitened,
    whitening_of,
)
from bartizan.features.rows import (
    MAX_SCORE,
    SMALLEST_SPREAD,
    IntArray,
    answers_of,
    column_names,
    reference_classes,
    reference_rows,
    rows_of,
)
from bartizan.features.scaling import Scaling
from bartizan.ports import Features, Unavailable
from bartizan.types import DetectorSpec, Evidence, FloatArray, Origin, Part, PartKind, Scores, Step

MAX_REFERENCE_ROWS: Final = 4096
MAX_REFERENCE_VALUES: Final = 1 << 24
"""Wide rows (images) get fewer reference rows: 64 MiB in single precision at most."""

MAX_DISAGREEMENT: Final = 100.0

SAMPLE_SEED: Final = 4096
EVIDENCE_COLUMNS: Final = 8
KEYS: Final = ("reference", "centre", "scale", "classes", "whitening", "typical")

SPEC: Final = DetectorSpec(
    name="rows.neighbours",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    unit=0.25,
    needs_fit=True,
    taxonomy=("AML.T0043", "OWASP ML01:2023"),
)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """The reference, ordered by class.

    Attributes:
        plain: Standardised rows.
        white: The same rows whitened by the covariance within classes.
        scaling: Of the columns.
        whitening: From plain to white, shape ``(d, d)``; empty where the two are the same.
        blocks: Where each class that has enough rows begins and ends.
        typical: Median white distance of a reference row to its neighbours: over all rows,
            and over those of each class in ``blocks``.
    """

    plain: Cloud
    white: Cloud
    scaling: Scaling
    whitening: SingleArray
    blocks: Mapping[int, tuple[int, int]]
    typical: tuple[float, Mapping[int, float]]


@dataclass(frozen=True, slots=True)
class _Judged:
    """The two factors of each row's score, and the reference row nearest to it."""

    strangeness: FloatArray
    disagreement: FloatArray
    nearest: IntArray


class Neighbours:
    """Scores how strange a row is, and how badly its neighbours fit the answer it got.

    The score is a product. *Strangeness* is the mean distance to the 5 nearest of at most 4,096
    reference rows, in a metric whitened by the covariance within classes and in units of what
    is typical for reference rows of the same class: it finds rows from elsewhere, and changes
    along directions in which honest rows hardly vary. *Disagreement* is how many times farther
    the 5 nearest rows of the answered class are than the 5 nearest of any class: an adversarial
    example has the looks of one class and the label of another. It is 1 where the class is not
    known or had fewer than 6 reference rows.

    Columns are first divided by their robust spreads, unless they share one unit: then by one
    common spread, because pixels that hardly ever vary are no more telling than others.

    References:
        Nearest-neighbour distance: Sun et al., arXiv 2204.06507. Covariance within classes:
        Lee et al., arXiv 1807.03888. The comparison of classes: Jiang et al., "To Trust Or Not
        To Trust A Classifier", arXiv 1805.11783.
    """

    spec = SPEC

    def __init__(self, fitted: _Fitted | None = None) -> None:
        self._fitted = fitted

    def fit(self, inputs: FloatArray, outputs: FloatArray | None) -> Mapping[str, FloatArray]:
        """Keep a sample of reference rows ``(n, d)`` and their predicted classes, if known.

        Raises:
            CalibrationError: There are fewer than 2 rows, or no column, to learn from; or not
                as many outputs as rows.
        """
        rows = reference_rows(inputs)
        if len(rows) < 2:
            raise CalibrationError("rows.neighbours needs at least 2 reference rows")
        room = min(MAX_REFERENCE_ROWS, max(NEIGHBOURS + 1, MAX_REFERENCE_VALUES // rows.shape[1]))
        classes = reference_classes(outputs, len(rows))
        if len(rows) > room:
            # The same sample for the same number of rows: fits are reproducible.
            kept = np.random.default_rng(SAMPLE_SEED).permutation(len(rows))[:room]
            rows, classes = rows[kept], classes[kept]
        order = np.argsort(classes, kind="stable")
        rows, classes = rows[order], classes[order]
        scaling = Scaling.of(rows)
        plain = scaling.standardised(rows)
        whitening = whitening_of(plain.astype(np.float64), classes)
        white = whitened(plain, whitening.astype(np.float32))
        return {
            "reference": plain.astype(np.float64),
            "centre": scaling.centre,
            "scale": scaling.scale,
            "classes": classes.astype(np.float64),
            "whitening": whitening,
            "typical": typical_distances(cloud_of(white), blocks_of(classes)),
        }

    def with_state(self, state: Mapping[str, FloatArray]) -> Neighbours:
        """Return a detector that scores with a fitted state.

        Raises:
            CalibrationError: The state is not one that :meth:`fit` returned.
        """
        if missing := [key for key in KEYS if key not in state]:
            raise CalibrationError(f"the state of rows.neighbours lacks {', '.join(missing)}")
        reference, centre, scale, classes, whitening, typical = (state[key] for key in KEYS)
        plain = np.ascontiguousarray(reference, dtype=np.float32)
        matrix = np.ascontiguousarray(whitening, dtype=np.float32)
        blocks = blocks_of(classes.astype(np.int64))
        by_class = dict(zip(blocks, typical[1:].tolist(), strict=True))
        return Neighbours(
            _Fitted(
                plain=cloud_of(plain),
                white=cloud_of(whitened(plain, matrix)),
                scaling=Scaling(centre, scale),
                whitening=matrix,
                blocks=blocks,
                typical=(float(typical[0]), by_class),
            )
        )

    def score(self, part: Part, features: Features) -> Scores:
        """Return one score per row; about 1 for a row like the reference rows.

        Raises:
            Unavailable: The detector is not fitted, the part holds no rows, or they are not
                as wide as the reference's.
        """
        judged = self._judged(part, features)
        scores = np.minimum(judged.strangeness * judged.disagreement, MAX_SCORE)
        return Scores(tuple(scores.tolist()))

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Name the columns that make up most of the distance to the nearest reference row."""
        judged = self._judged(part, features)
        fitted, rows = self._required(), rows_of(part)
        row = fitted.scaling.standardised(rows.inputs[unit : unit + 1])
        apart = (row - fitted.plain.rows[judged.nearest[unit]]).astype(np.float64)
        pull = whitened(apart, fitted.whitening) @ fitted.whitening.T if fitted.whitening.size else apart
        # The products add up to the squared distance: each is a column's share of it.
        shares = (apart * pull)[0]
        most_first = np.argsort(-shares, kind="stable")[:EVIDENCE_COLUMNS]
        most_first = most_first[shares[most_first] > 0.0]
        summary = (
            f"The nearest reference rows are {judged.strangeness[unit]:.3g} times as far from the "
            "row as is typical"
        )
        if judged.disagreement[unit] > 1.0:
            summary += f"; those of the answered class are {judged.disagreement[unit]:.3g} times as far again"
        return Evidence(f"{summary}.", columns=column_names(rows, most_first))

    def _required(self) -> _Fitted:
        if self._fitted is None:
            raise Unavailable("rows.neighbours has seen no reference rows")
        return self._fitted

    def _judged(self, part: Part, features: Features) -> _Judged:
        fitted = self._required()
        inputs = rows_of(part).inputs
        if len(inputs) and (inputs.ndim != 2 or inputs.shape[1] != len(fitted.scaling.centre)):
            raise Unavailable(f"rows are not {len(fitted.scaling.centre)} columns wide, as the reference is")
        try:
            classes = features.of_part(answers_of, part).classes
        except Unavailable:
            classes = np.full(len(inputs), -1, dtype=np.int64)
        step = chunk_rows(fitted.plain)
        chunks = [
            _judge(fitted, inputs[start : start + step], classes[start : start + step])
            for start in range(0, len(inputs), step)
        ]
        if not chunks:
            return _Judged(np.empty(0), np.empty(0), np.empty(0, dtype=np.int64))
        return _Judged(
            np.concatenate([chunk.strangeness for chunk in chunks]),
            np.concatenate([chunk.disagreement for chunk in chunks]),
            np.concatenate([chunk.nearest for chunk in chunks]),
        )


def _judge(fitted: _Fitted, inputs: FloatArray, classes: IntArray) -> _Judged:
    plain = fitted.scaling.standardised(inputs)
    size = len(fitted.plain.rows)
    count = min(NEIGHBOURS, size)
    squared = squared_distances(fitted.plain, plain)
    nearest_any, closest = mean_distances(fitted.plain, plain, squared, 0, count)
    if fitted.whitening.size:
        white = whitened(plain, fitted.whitening)
        distances, closest = mean_distances(
            fitted.white, white, squared_distances(fitted.white, white), 0, count
        )
    else:
        distances = nearest_any
    overall, by_class = fitted.typical
    nearest_own, typical = nearest_any.copy(), np.full(len(plain), overall)
    for label in set(classes.tolist()) & fitted.blocks.keys():
        members = classes == label
        start, end = fitted.blocks[label]
        nearest_own[members], _ = mean_distances(
            fitted.plain, plain[members], squared[members, start:end], start, NEIGHBOURS
        )
        typical[members] = by_class[label]
    floor = np.maximum(nearest_own / MAX_DISAGREEMENT, SMALLEST_SPREAD)
    disagreement = np.maximum(nearest_own / np.maximum(nearest_any, floor), 1.0)
    return _Judged(distances / typical, disagreement, closest)
