"""Rows that the model itself sees as unlike every reference row."""

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
    chunk_rows,
    cloud_of,
    mean_distances,
    squared_distances,
    typical_distances,
)
from bartizan.features.rows import MAX_SCORE, BoolArray, rows_of
from bartizan.ports import Features, Unavailable
from bartizan.types import DetectorSpec, Evidence, FloatArray, Origin, Part, PartKind, Rows, Scores, Step

MAX_REFERENCE_ROWS: Final = 4096
MAX_REFERENCE_VALUES: Final = 1 << 23
"""Wide embeddings get fewer reference rows: 32 MiB in single precision at most."""

SAMPLE_SEED: Final = 4096
SMALLEST_LENGTH: Final = 1e-12
LARGEST_VALUE: Final = 1e15
"""Embedded values end here, so that lengths stay finite."""

KEYS: Final = ("reference", "typical")

SPEC: Final = DetectorSpec(
    name="rows.embedding",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    unit=0.25,
    needs_fit=True,
    needs_embedding=True,
    by_choice=True,
    taxonomy=("AML.T0043", "OWASP ML01:2023"),
)


@dataclass(frozen=True, slots=True)
class _Fitted:
    cloud: Cloud
    typical: float


class Embedding:
    """Scores the mean distance to the 5 nearest reference rows in the model's own embedding.

    Embeddings are brought to length 1, and distances counted in what is typical between
    reference rows. At most 4,096 reference rows are kept. An embedding that is not a number
    scores :data:`~bartizan.features.rows.MAX_SCORE`.

    References:
        Sun et al., "Out-of-Distribution Detection with Deep Nearest Neighbors",
        arXiv 2204.06507.
    """

    spec = SPEC

    def __init__(self, fitted: _Fitted | None = None) -> None:
        self._fitted = fitted

    def fit_rows(self, rows: Rows) -> Mapping[str, FloatArray]:
        """Keep a sample of the reference rows' embeddings.

        Raises:
            CalibrationError: There are fewer than 2 embeddings to learn from.
        """
        if rows.embedding is None or len(rows.embedding) < 2 or rows.embedding.shape[1] == 0:
            raise CalibrationError("rows.embedding needs at least 2 reference rows with embeddings")
        unit, broken = _unit(rows.embedding)
        unit = unit[~broken]
        room = min(MAX_REFERENCE_ROWS, max(NEIGHBOURS + 1, MAX_REFERENCE_VALUES // unit.shape[1]))
        if len(unit) > room:
            # The same sample for the same number of rows: fits are reproducible.
            unit = unit[np.random.default_rng(SAMPLE_SEED).permutation(len(unit))[:room]]
        if len(unit) < 2:
            raise CalibrationError("the reference rows' embeddings are not numbers")
        return {"reference": unit.astype(np.float64), "typical": typical_distances(cloud_of(unit), {})}

    def with_state(self, state: Mapping[str, FloatArray]) -> Embedding:
        """Return a detector that scores with a fitted state.

        Raises:
            CalibrationError: The state is not one that :meth:`fit_rows` returned.
        """
        if missing := [key for key in KEYS if key not in state]:
            raise CalibrationError(f"the state of rows.embedding lacks {', '.join(missing)}")
        reference = np.ascontiguousarray(state["reference"], dtype=np.float32)
        return Embedding(_Fitted(cloud_of(reference), float(state["typical"][0])))

    def score(self, part: Part, features: Features) -> Scores:
        """Return one score per row; about 1 for a row like the reference rows.

        Raises:
            Unavailable: The detector is not fitted, or the part has no embedding of the
                reference's width.
        """
        return Scores(tuple(features.of_part(self._distances, part).tolist()))

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Say how far the nearest reference rows are."""
        distance = features.of_part(self._distances, part)[unit]
        if distance >= MAX_SCORE:
            return Evidence("The model's embedding of the row is not a number.")
        return Evidence(
            f"In the model's embedding the nearest reference rows are {distance:.3g} times as far "
            "from the row as is typical."
        )

    def _distances(self, part: Part) -> FloatArray:
        fitted, embedding = self._fitted, rows_of(part).embedding
        if fitted is None:
            raise Unavailable("rows.embedding has seen no reference rows")
        if embedding is None:
            raise Unavailable("the model's embedding is not known")
        width = fitted.cloud.rows.shape[1]
        if embedding.ndim != 2 or embedding.shape[1] != width:
            raise Unavailable(f"embeddings are not {width} wide, as the reference's are")
        unit, broken = _unit(embedding)
        distances = np.zeros(len(unit))
        count, step = min(NEIGHBOURS, len(fitted.cloud.rows)), chunk_rows(fitted.cloud)
        for start in range(0, len(unit), step):
            rows = unit[start : start + step]
            squared = squared_distances(fitted.cloud, rows)
            distances[start : start + step] = mean_distances(fitted.cloud, rows, squared, 0, count)[0]
        return np.where(broken, MAX_SCORE, np.minimum(distances / fitted.typical, MAX_SCORE))


def _unit(embedding: FloatArray) -> tuple[SingleArray, BoolArray]:
    """Return embeddings at length 1, and which of them are not numbers."""
    broken: BoolArray = np.asarray(~np.isfinite(embedding).all(axis=1))
    values = np.clip(np.where(broken[:, None], 0.0, embedding), -LARGEST_VALUE, LARGEST_VALUE)
    lengths = np.maximum(np.linalg.norm(values, axis=1, keepdims=True), SMALLEST_LENGTH)
    return np.ascontiguousarray(values / lengths, dtype=np.float32), broken
