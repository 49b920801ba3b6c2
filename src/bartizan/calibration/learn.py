"""Learns a table from live traffic's scores, so that the rate holds on the operator's own traffic.

An attacker who sends traffic while a table is learnt can only make it blinder, never louder.
Four guards bound how much: one principal supplies at most a share of the points; points wait
in quarantine, where an alarm or a person can still disown them; the strangest share is trimmed
(and paid for out of the rate); and no table may be blinder than the first one, the *anchor*,
by more than a stated step.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bartizan.calibration.build import build_table, with_missing_cells
from bartizan.calibration.table import Reference, Table
from bartizan.errors import CalibrationError
from bartizan.types import Measured

PROMOTE_AT = 0.01
"""A learnt table goes into force once it certifies this rate, or the one asked for if that is larger."""

MAX_STEP = 1.0
"""How much higher than the anchor's an alarm threshold may lie, in natural-log units of surprise."""


@dataclass(frozen=True, slots=True)
class LivePoint:
    """The scores of one live interaction and who sent it when."""

    measured: Measured
    principal: str
    time: float


@dataclass(frozen=True, slots=True)
class Guards:
    """The guards' settings; see :class:`bartizan.config.Calibration`."""

    quarantine_s: float
    principal_share: float
    trim: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """A table, or why there is none yet.

    Attributes:
        table: The table to put in force, or ``None``.
        why: One sentence for the operator.
    """

    table: Table | None
    why: str


def propose(
    points: Iterable[LivePoint],
    *,
    now: float,
    rate: float,
    guards: Guards,
    anchor: Table | None,
    units: Mapping[str, float],
    versions: Mapping[str, str],
    in_force: Table,
    name: str,
) -> Proposal:
    """Propose a table from live points.

    Args:
        points: Live interactions, in any order.
        now: Seconds since the epoch.
        rate: The false-alarm rate asked for.
        guards: The guards.
        anchor: The first learnt table, if there is one.
        units: Each detector's ``spec.unit``.
        versions: Each detector's ``spec.version``.
        in_force: The table in force, whose fitted states and other cells are kept.
        name: The new table's name.
    """
    ripe = sorted((p for p in points if p.time <= now - guards.quarantine_s), key=lambda p: p.time)
    capped = _capped(ripe, guards.principal_share)
    try:
        table = build_table(
            capped,
            name=name,
            source="live",
            created=now,
            units=units,
            versions=versions,
            rng=np.random.default_rng(len(capped)),
            fitted=in_force.fitted,
            trim=guards.trim,
            selection=in_force.selection,
        )
    except CalibrationError as error:
        return Proposal(None, f"learning: {error.message}")
    needed = max(rate, PROMOTE_AT)
    good = {name: c for name, c in table.cells.items() if table.level(name, rate).rate <= needed}
    if not good:
        most = max(c.statistics.n for c in table.cells.values())
        return Proposal(None, f"learning: {most:,} messages can't certify 1 in {1 / needed:,.0f} yet")
    if anchor is not None and (moved := _moved(table, anchor, rate)):
        return Proposal(
            None, f"not promoted: blinder than the anchor in {', '.join(moved)}; a person must look"
        )
    table = with_missing_cells(replace(table, cells=good), in_force)
    return Proposal(table, f"learnt from {len(capped):,} messages: {', '.join(sorted(good))}")


def _capped(points: Sequence[LivePoint], share: float) -> list[Measured]:
    """Keep at most a share of each cell per principal, the newest; with few principals, an equal part."""
    cells: dict[str, dict[str, list[LivePoint]]] = defaultdict(lambda: defaultdict(list))
    for point in points:
        cells[point.measured.cell][point.principal].append(point)
    kept: list[Measured] = []
    for by_principal in cells.values():
        cap = _cap([len(p) for p in by_principal.values()], share)
        for mine in by_principal.values():
            kept.extend(p.measured for p in mine[-cap:])
    return kept


def _cap(counts: Sequence[int], share: float) -> int:
    """Return the largest per-principal cap under which nobody supplies more than the share."""
    allowed = max(share, 1 / len(counts))
    low, high = 1, max(counts)
    while low < high:
        cap = (low + high + 1) // 2
        total = sum(min(c, cap) for c in counts)
        if cap <= math.ceil(allowed * total):
            low = cap
        else:
            high = cap - 1
    return low


def _moved(table: Table, anchor: Table, rate: float) -> list[str]:
    """Return the cells in which benign-looking strangeness has grown too far beyond the anchor's.

    Both tables' upper quantiles are expressed by the anchor's own surprises, so that a
    stretched first stage can't hide it.
    """
    moved = []
    share = max(rate, PROMOTE_AT)
    for name, cell in table.cells.items():
        first = anchor.cells.get(name)
        for key, reference in cell.references.items():
            was = first.references.get(key) if first is not None else None
            if was is None:
                continue
            if was.surprise(_quantile(reference, share)) > was.surprise(_quantile(was, share)) + MAX_STEP:
                moved.append(f"{name} {key}")
    return moved


def _quantile(reference: Reference, share: float) -> float:
    ranking = reference.ranking
    allowed = math.floor(share * ranking.n)
    for knot, count in zip(ranking.knots, ranking.at_least, strict=True):
        if count <= allowed:
            return knot
    return ranking.knots[-1]
