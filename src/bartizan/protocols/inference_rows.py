"""Makes rows of tensors: a request's inputs, and what a model answered to them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from bartizan.features.digest import digest_rows
from bartizan.protocols.inference_message import Tensor
from bartizan.protocols.tensors import DATATYPES
from bartizan.types import FloatArray, Origin, Part, PartKind, Rows

ANSWER_NAMES = ("prob", "score", "logit", "output")
"""What the names of a model's answers contain, most telling first."""

_CACHED_NAMES = 128


def input_parts(tensors: Sequence[Tensor], max_columns: int) -> list[Part]:
    """Return the numeric inputs as one part, if they share their first dimension.

    Each input is flattened to ``(n, d)`` and they are joined side by side, in the order of
    their names: a model finds them by name, so their order in the message means nothing.
    Inputs of different batch sizes become a part each.
    """
    numeric = sorted((t for t in tensors if t.values is not None and t.values.size), key=lambda t: t.name)
    if not numeric:
        return []
    if len(numeric) == 1 or len({t.rows for t in numeric}) > 1:
        return [_part([t], f"/inputs/{t.index}/data", t.name, max_columns) for t in numeric]
    return [_part(numeric, "/inputs", "", max_columns)]


def answered(part: Part, outputs: Sequence[Tensor], embedding: str | None = None) -> Part:
    """Return a request's rows together with the model's answer to them.

    Args:
        part: The request's rows.
        outputs: What the model answered.
        embedding: Name of the output that holds the rows' embedding, which is no answer.
    """
    if part.rows is None:
        raise ValueError("not a part of rows")
    count = len(part.rows.inputs)
    rows = Rows(
        part.rows.inputs,
        choose_answer([t for t in outputs if t.name != embedding], count),
        part.rows.columns,
        embedding=next((matrix_of(t) for t in outputs if t.name == embedding and t.rows == count), None),
    )
    return Part(PartKind.ROWS, part.origin, part.path, rows=rows, name=part.name, digest=digest_rows(rows))


def choose_answer(outputs: Sequence[Tensor], n: int) -> FloatArray | None:
    """Return the output that answers ``n`` rows, shape ``(n, k)``, or ``None``.

    Of the numeric outputs whose first dimension is ``n``, floating-point ones are preferred;
    a whole-number one counts only with two columns or more (quantised scores: a single column
    is a label, which is no measure of anything). Among those the names of
    :data:`ANSWER_NAMES` decide, then the order in the answer.
    """
    best: tuple[tuple[bool, int], FloatArray] | None = None
    for tensor in outputs:
        if tensor.values is None or not tensor.values.size or tensor.rows != n:
            continue
        matrix = tensor.values.reshape(n, -1)
        whole = DATATYPES[tensor.datatype].form != "float"
        if whole and matrix.shape[1] < 2:
            continue
        rank = (whole, _telling(tensor.name))
        if best is None or rank < best[0]:
            best = (rank, matrix)
    return None if best is None else best[1]


def matrix_of(tensor: Tensor) -> FloatArray | None:
    """Return a numeric tensor as one row per input, shape ``(n, k)``."""
    if tensor.values is None or not tensor.values.size:
        return None
    return tensor.values.reshape(tensor.rows, -1)


def _telling(name: str) -> int:
    folded = name.casefold()
    return next((i for i, word in enumerate(ANSWER_NAMES) if word in folded), len(ANSWER_NAMES))


def _part(tensors: Sequence[Tensor], path: str, name: str, max_columns: int) -> Part:
    matrices = [t.values.reshape(t.rows, -1) for t in tensors if t.values is not None]
    inputs = matrices[0] if len(matrices) == 1 else np.concatenate(matrices, axis=1)
    columns: tuple[str, ...] = ()
    if inputs.shape[1] <= max_columns:
        columns = _columns(tuple((t.name, m.shape[1]) for t, m in zip(tensors, matrices, strict=True)))
    rows = Rows(inputs, None, columns)
    return Part(PartKind.ROWS, Origin.USER, path, rows=rows, name=name, digest=digest_rows(rows))


@lru_cache(maxsize=_CACHED_NAMES)
def _columns(sides: tuple[tuple[str, int], ...]) -> tuple[str, ...]:
    return tuple(name if d == 1 else f"{name}[{i}]" for name, d in sides for i in range(d))
