"""Build a table from benign interactions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bartizan.calibration.table import Cell, Reference, Selection, Table, decode, encode
from bartizan.errors import CalibrationError
from bartizan.stats.conformal import Ranking
from bartizan.types import FloatArray, Measured

REFERENCE_SHARE = 0.2
"""Share of the interactions spent on stage 1; the others rank whole interactions."""

MIN_POINTS = 50
"""Below this many interactions a cell gets no table: it could hardly certify 1 in 10."""


def build_table(
    interactions: Iterable[Measured],
    *,
    name: str,
    source: str,
    created: float,
    units: Mapping[str, float],
    versions: Mapping[str, str],
    rng: np.random.Generator,
    fitted: Mapping[str, Mapping[str, FloatArray]] | None = None,
    trim: float = 0.0,
    selection: Selection | None = None,
    first: Iterable[Measured] | None = None,
) -> Table:
    """Build a table from the scores of benign interactions.

    Args:
        interactions: Benign interactions; no detector may have been fitted on them.
        name: What they are, for people.
        source: ``generic``, ``operator`` or ``live``.
        created: Seconds since the epoch.
        units: Each detector's ``spec.unit``.
        versions: Each detector's ``spec.version``.
        rng: Splits the interactions between the two stages.
        fitted: State of fitted detectors, kept with the table.
        selection: Which detectors are on, and why, kept with the table.
        first: Interactions for stage 1; ``interactions`` are then all for stage 2. Whoever looked
            at some of the interactions, to choose detectors, gives those here.
        trim: Share of each cell's strangest interactions to leave out against poisoning.

    Raises:
        CalibrationError: No cell has enough interactions.
    """
    points, given = _by_cell(interactions), _by_cell(first or ())
    if first is None:
        for name, mine in points.items():
            order = rng.permutation(len(mine))
            cut = int(len(mine) * REFERENCE_SHARE)
            given[name] = [mine[i] for i in order[:cut]]
            points[name] = [mine[i] for i in order[cut:]]
    sizes = {name: len(mine) + len(given[name]) for name, mine in points.items()}
    cells = {
        name: _cell(given[name], mine, source, units, trim)
        for name, mine in sorted(points.items())
        if sizes[name] >= MIN_POINTS
    }
    if not cells:
        most = max(sizes.values(), default=0)
        raise CalibrationError(
            f"{most} benign interactions are too few to calibrate",
            hint=f"give at least {MIN_POINTS}; 574 certify a rate of 1 in 100, 5,754 one of 1 in 1,000",
        )
    table = Table(name, created, _completed(cells), fitted or {}, dict(versions), trim, selection=selection)
    return decode(encode(table))


def with_missing_cells(table: Table, other: Table) -> Table:
    """Return a table completed with the cells that only another table has."""
    missing = {n: c for n, c in other.cells.items() if n not in table.cells}
    cells = _completed(dict(sorted({**table.cells, **missing}.items())))
    return decode(encode(replace(table, cells=cells, versions={**other.versions, **table.versions})))


def _completed(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """Lend each cell the references that only other cells have.

    A request with a tool's result also holds a user's words, whose benign scores were seen in
    requests without tools. Stage 1 may use any reference: stage 2 ranks what comes out of it.
    """
    known = {key: reference for cell in cells.values() for key, reference in cell.references.items()}
    return {
        name: replace(cell, references=dict(sorted({**known, **cell.references}.items())))
        for name, cell in cells.items()
    }


def _by_cell(interactions: Iterable[Measured]) -> dict[str, list[Measured]]:
    points: dict[str, list[Measured]] = defaultdict(list)
    for measured in interactions:
        points[measured.cell].append(measured)
    return points


def _cell(
    first: Sequence[Measured],
    second: Sequence[Measured],
    source: str,
    units: Mapping[str, float],
    trim: float,
) -> Cell:
    scores: dict[str, list[float]] = defaultdict(list)
    for measured in first:
        for key, score in measured.maxima.items():
            scores[key].append(score)
    references = {
        key: Reference.of(np.asarray(values), units[key.partition("@")[0]])
        for key, values in sorted(scores.items())
    }
    draft = Cell(references, Ranking.of(()), source)
    statistics = sorted(draft.statistic(measured) for measured in second)
    kept = statistics[: len(statistics) - int(len(statistics) * trim)]
    return Cell(references, Ranking.of(kept), source)
