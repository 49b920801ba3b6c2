"""Changed copies of rows whose answers by the model are wanted.

Making the copies is pure; asking the model about them is not, and is done by whoever holds the
model: the gateway, :meth:`bartizan.guard.Guard.wrap`, ``bartizan calibrate --model``. All copies
of all kinds travel in one further call, and what came back lies in
:attr:`bartizan.types.Rows.variants`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from bartizan.errors import CalibrationError
from bartizan.features.rows import IntArray, column_centres, reference_rows
from bartizan.features.scaling import share_unit
from bartizan.types import FaultReason, FloatArray, Rows

SQUEEZE_DEPTH: Final = "squeeze-depth"
SQUEEZE_MEDIAN: Final = "squeeze-median"
OCCLUSION: Final = "occlusion"
KINDS: Final = (SQUEEZE_DEPTH, SQUEEZE_MEDIAN, OCCLUSION)

STATE: Final = "variants"
"""Where a calibration table keeps a recipe among the fitted states."""

MAX_ROWS: Final = 64
"""Rows of one request that are asked about again; larger batches are not."""

MAX_VALUES: Final = 1 << 20
"""Values in the copies of one request: 8 MiB."""

DEPTHS: Final = (1, 3)
"""Bits to which values are squeezed, one copy each."""

MEDIAN_SIDE: Final = 3
"""Columns of the median's window, or pixels of its side."""

MIN_IMAGE_SIDE: Final = 6
"""Rows narrower than a square of this side are no images, whatever their width."""

FEW_GROUPS: Final = 16
GROUP_COLUMNS: Final = 16
MOST_GROUPS: Final = 64
"""Up to 16 groups of columns are occluded in turn while that makes groups of at most 16 columns;
beyond, groups stay at 16 columns until there are 64 of them."""

KEYS: Final = ("low", "high", "centre", "whole", "image")

Model = Callable[[FloatArray], Rows]
"""Asks a model about rows ``(n, d)``; returns them with its outputs, and its embedding if it has one."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How copies are made, learnt from reference rows.

    Attributes:
        low: Smallest reference value of each column, shape ``(d,)``.
        high: Largest.
        centre: Median: what an occluded column is set to.
        whole: 1 where the column held whole numbers only; copies keep to them.
        image: Whether rows are square images in one channel.
    """

    low: FloatArray
    high: FloatArray
    centre: FloatArray
    whole: FloatArray
    image: bool

    @classmethod
    def of(cls, inputs: FloatArray) -> Recipe:
        """Learn from reference rows of shape ``(n, d)``.

        Rows count as square images where their width is a square number (of
        :data:`MIN_IMAGE_SIDE` at least) and all columns seem to be in one unit.

        Raises:
            CalibrationError: There is no row or no column to learn from.
        """
        rows = reference_rows(inputs)
        missing = np.isnan(rows)
        low = np.where(missing, np.inf, rows).min(axis=0)
        high = np.where(missing, -np.inf, rows).max(axis=0)
        # An empty column gets the empty range at 0.
        low, high = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0)
        whole = (missing | (rows == np.round(rows))).all(axis=0)
        side = math.isqrt(rows.shape[1])
        image = side >= MIN_IMAGE_SIDE and side * side == rows.shape[1] and share_unit(rows)
        return cls(low, high, column_centres(rows), whole.astype(np.float64), image)

    def state(self) -> dict[str, FloatArray]:
        """Return the arrays to keep, for :meth:`from_state`."""
        return {
            "low": self.low,
            "high": self.high,
            "centre": self.centre,
            "whole": self.whole,
            "image": np.array([float(self.image)]),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, FloatArray]) -> Recipe:
        """Return the recipe that :meth:`state` kept.

        Raises:
            CalibrationError: It is not there.
        """
        if missing := [key for key in KEYS if key not in state]:
            raise CalibrationError(f"the recipe for changed copies lacks {', '.join(missing)}")
        low, high, centre, whole, image = (state[key] for key in KEYS)
        return cls(low, high, centre, whole, bool(image[0]))

    @property
    def columns(self) -> int:
        """How wide the rows are."""
        return len(self.low)

    @property
    def groups(self) -> IntArray:
        """Which group each column is occluded with, shape ``(d,)``; groups count from 0."""
        return groups_of(self.columns, image=self.image)

    def copies(self, kinds: Iterable[str], inputs: FloatArray) -> FloatArray:
        """Return the copies of every row, shape ``(n, v, d)``, kind after kind.

        Args:
            kinds: Some of :data:`KINDS`.
            inputs: Shape ``(n, d)``.
        """
        made = [self._made(kind, np.nan_to_num(inputs)) for kind in kinds]
        copies = np.concatenate(made, axis=1)
        return np.where(self.whole > 0.0, np.round(copies), copies)

    def counts(self, kinds: Iterable[str]) -> dict[str, int]:
        """Return how many copies of each row each kind makes."""
        known = {
            SQUEEZE_DEPTH: len(DEPTHS),
            SQUEEZE_MEDIAN: 1,
            OCCLUSION: int(self.groups.max()) + 1,
        }
        return {kind: known[kind] for kind in kinds}

    def rows_at_once(self, kinds: Iterable[str]) -> int:
        """Return how many rows one call may ask about; 0 where even one is too wide."""
        return min(MAX_ROWS, MAX_VALUES // max(1, self.columns * sum(self.counts(kinds).values())))

    def refusal(self, kinds: Iterable[str], inputs: FloatArray) -> str:
        """Return why rows can't be asked about again; empty if they can."""
        if inputs.ndim != 2 or inputs.shape[1] != self.columns:
            return f"rows are not {self.columns} columns wide, so no copies of them can be made"
        if len(inputs) > MAX_ROWS:
            return f"more than {MAX_ROWS} rows: the model is not asked about changed copies of them"
        if inputs.size * sum(self.counts(kinds).values()) > MAX_VALUES:
            return f"changed copies would hold more than {MAX_VALUES:,} values"
        return ""

    def parted(self, kinds: Iterable[str], answers: FloatArray, rows: int) -> dict[str, FloatArray]:
        """Return answers to copies by kind, each of shape ``(n, v, k)``.

        Args:
            kinds: As given to :meth:`copies`.
            answers: Shape ``(n * v, k)``, in the order of the copies.
            rows: How many rows were copied.
        """
        counts = self.counts(kinds)
        whole = answers.reshape(rows, sum(counts.values()), answers.shape[1])
        ends = np.cumsum(list(counts.values()))[:-1]
        return dict(zip(counts, np.split(whole, ends, axis=1), strict=True))

    def _made(self, kind: str, inputs: FloatArray) -> FloatArray:
        if kind == SQUEEZE_DEPTH:
            return np.stack([self._squeezed(inputs, 2**bits - 1) for bits in DEPTHS], axis=1)
        if kind == SQUEEZE_MEDIAN:
            return self._smoothed(inputs)[:, None, :]
        groups = self.groups
        hidden = groups == np.arange(groups.max() + 1)[:, None]
        return np.where(hidden[None], self.centre, inputs[:, None, :])

    def _squeezed(self, inputs: FloatArray, steps: int) -> FloatArray:
        extent = np.where(self.high > self.low, self.high - self.low, 1.0)
        share = np.clip((inputs - self.low) / extent, 0.0, 1.0)
        return self.low + np.round(share * steps) / steps * extent

    def _smoothed(self, inputs: FloatArray) -> FloatArray:
        if not self.image:
            # Neighbouring columns in their own units say nothing about each other: they are
            # compared by where they stand within their ranges.
            extent = np.where(self.high > self.low, self.high - self.low, 1.0)
            share = (inputs - self.low) / extent
            return self.low + _medians(share[:, None, :])[:, 0, :] * extent
        side = math.isqrt(self.columns)
        return _medians(inputs.reshape(-1, side, side)).reshape(inputs.shape)


def groups_of(columns: int, *, image: bool) -> IntArray:
    """Return which group each column is occluded with, shape ``(columns,)``.

    Square patches of images, runs of neighbouring columns otherwise.

    >>> groups_of(4, image=False).tolist(), int(groups_of(784, image=False).max())
    ([0, 1, 2, 3], 48)
    >>> groups_of(64, image=True)[:8].tolist()
    [0, 0, 1, 1, 2, 2, 3, 3]
    """
    size = max(1, math.ceil(columns / FEW_GROUPS))
    if size > GROUP_COLUMNS:
        size = max(GROUP_COLUMNS, math.ceil(columns / MOST_GROUPS))
    if not image:
        return np.arange(columns, dtype=np.int64) // size
    side, patch = math.isqrt(columns), max(1, math.ceil(math.sqrt(size)))
    across = math.ceil(side / patch)
    places = np.arange(side, dtype=np.int64) // patch
    return np.asarray((places[:, None] * across + places[None, :]).reshape(-1))


def with_variants(model: Model, recipe: Recipe, kinds: Iterable[str], rows: Rows) -> Rows:
    """Return rows with the answers to their copies, asked for in one call of the model.

    Outputs that are known are kept. Where copies can't be made, the rows say why.
    """
    kinds = tuple(kinds)
    if why := recipe.refusal(kinds, rows.inputs):
        return msgspec.structs.replace(rows, lacking=why)
    copies = recipe.copies(kinds, rows.inputs)
    answered = model(copies.reshape(-1, recipe.columns)).outputs
    return with_answers(rows, recipe, kinds, answered)


def with_all_variants(model: Model, recipe: Recipe, kinds: Iterable[str], rows: Rows) -> Rows:
    """Return rows with the answers to their copies, however many rows, asked for batch by batch.

    Raises:
        CalibrationError: Copies can't be made, or the model's answers don't match.
    """
    kinds = tuple(kinds)
    step = max(1, recipe.rows_at_once(kinds))
    starts = range(0, len(rows.inputs), step)
    batches = [
        with_variants(model, recipe, kinds, rows_at(rows, np.arange(s, min(s + step, len(rows.inputs)))))
        for s in starts
    ]
    if why := next((b.lacking for b in batches if b.lacking), ""):
        raise CalibrationError(f"can't ask about changed copies: {why}", hint="leave extra_calls out")
    variants = {kind: np.concatenate([b.variants[kind] for b in batches]) for kind in kinds if batches}
    return msgspec.structs.replace(rows, variants=variants)


def rows_at(rows: Rows, where: IntArray) -> Rows:
    """Return some of the rows with all that is known of them."""
    return msgspec.structs.replace(
        rows,
        inputs=rows.inputs[where],
        outputs=None if rows.outputs is None else rows.outputs[where],
        embedding=None if rows.embedding is None else rows.embedding[where],
        variants={kind: answers[where] for kind, answers in rows.variants.items()},
    )


def with_answers(rows: Rows, recipe: Recipe, kinds: Iterable[str], answers: FloatArray | None) -> Rows:
    """Return rows with the answers to their copies, ``(n * v, k)``, in the order of the copies.

    An answer of another shape than the rows' own is none: the call has failed.
    """
    counts = recipe.counts(kinds)
    expected = len(rows.inputs) * sum(counts.values())
    width = None if rows.outputs is None else rows.outputs.shape[1:]
    if answers is None or len(answers) != expected or width not in (None, answers.shape[1:]):
        why = "the model's answer to changed copies does not match its answer to the rows"
        return msgspec.structs.replace(rows, lacking=why, failed=FaultReason.UNAVAILABLE)
    return msgspec.structs.replace(rows, variants=recipe.parted(counts, answers, len(rows.inputs)))


def _medians(images: FloatArray) -> FloatArray:
    """Return the median of each value's window; images of shape ``(n, h, w)``, edges repeated."""
    reach = MEDIAN_SIDE // 2
    up = reach if images.shape[1] > 1 else 0
    padded = np.pad(images, ((0, 0), (up, up), (reach, reach)), mode="edge")
    window = (2 * up + 1, MEDIAN_SIDE)
    views = np.lib.stride_tricks.sliding_window_view(padded, window, axis=(1, 2))
    return np.asarray(np.median(views, axis=(-2, -1)))
