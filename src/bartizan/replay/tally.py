"""Counts what a replay found, with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from bartizan.replay.outcome import Compared, Kind
from bartizan.replay.side import Side
from bartizan.stats.intervals import clopper_pearson

DISRUPTIVE = frozenset({"fault", "unjudged"})
"""Rules that stop exchanges whatever their scores are."""


@dataclass(frozen=True, slots=True)
class Count:
    """How often something was seen.

    Attributes:
        hits: How often.
        total: Out of how many.
        low: Lower end of the exact 95% interval of the rate.
        high: Its upper end.
    """

    hits: int
    total: int
    low: float
    high: float

    @classmethod
    def of(cls, hits: int, total: int, confidence: float = 0.95) -> Count:
        """Count, with the Clopper-Pearson interval.

        >>> Count.of(0, 100).high < 0.037
        True
        """
        return cls(hits, total, *clopper_pearson(hits, total, confidence))


@dataclass(frozen=True, slots=True)
class CellCount:
    """Alarms of the candidate among the judged steps of one calibration cell.

    Attributes:
        cell: The cell.
        alarms: Steps that the false-alarm rule speaks against, known attacks left out.
        unknown: Steps of which that can't be told.
        requested: The rate asked for.
        certified: The certified rate in force.
        kept: Whether that is the rate asked for.
        source: Where the calibration comes from: ``generic``, ``operator``, ``live`` or nowhere.
    """

    cell: str
    alarms: Count
    unknown: int
    requested: float
    certified: float
    kept: bool
    source: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What a replay found.

    Attributes:
        replayed: Exchanges in which something was judged.
        told: Of those, where the candidate's decision is known.
        unjudged: Exchanges in which nothing was judged; they don't count.
        attacks: Exchanges that the operator knows to be attacks.
        same: Exchanges that are decided as before.
        flagged: Of the newly stopped, those that were flagged before and only recorded.
        kinds: Changed decisions by kind, out of ``told``.
        disrupted: Exchanges newly stopped because something could not be judged.
        cells: Alarms per calibration cell.
        unknown: Why decisions can't be told, and how often.
        rescored: Exchanges whose content was judged afresh.
        assumed: Exchanges judged against a calibration that is not at hand.
        older: Exchanges recorded before the candidate's calibration was made.
    """

    replayed: int
    told: int
    unjudged: int
    attacks: int
    same: int
    flagged: int
    kinds: dict[Kind, Count]
    disrupted: Count
    cells: tuple[CellCount, ...]
    unknown: dict[str, int]
    rescored: int
    assumed: int
    older: int


@dataclass(slots=True)
class Tally:
    """Counts exchanges one by one; what it keeps does not grow with their number.

    Args:
        side: The candidate.
        attacks: Ids of exchanges that the operator knows to be attacks: stopping them is no false alarm.
    """

    side: Side
    attacks: Collection[Any] = ()
    _replayed: int = 0
    _unjudged: int = 0
    _attacks: int = 0
    _disrupted: int = 0
    _flagged: int = 0
    _rescored: int = 0
    _assumed: int = 0
    _older: int = 0
    _kinds: Counter[Kind] = field(default_factory=Counter)
    _unknown: Counter[str] = field(default_factory=Counter)
    _steps: Counter[tuple[str, bool | None]] = field(default_factory=Counter)

    def add(self, compared: Compared | None) -> None:
        """Count one exchange; ``None`` for one in which nothing was judged."""
        if compared is None:
            self._unjudged += 1
            return
        self._replayed += 1
        self._rescored += compared.rescored
        self._assumed += compared.assumed
        self._older += 0 < compared.time < _learnt(self.side)
        if compared.after is None:
            self._unknown[compared.why] += 1
        elif (kind := compared.kind) is not None:
            self._kinds[kind] += 1
            worse = compared.after.effect > compared.before.enforced
            self._flagged += worse and compared.before.effect > compared.before.enforced
            self._disrupted += worse and compared.after.rule in DISRUPTIVE
        if compared.id in self.attacks:
            self._attacks += 1
            return
        for step in compared.steps:
            if step.cell:
                self._steps[step.cell, step.alarmed] += 1

    def summary(self) -> Summary:
        """Return what was counted."""
        told = self._replayed - sum(self._unknown.values())
        cells = sorted({cell for cell, _ in self._steps})
        return Summary(
            replayed=self._replayed,
            told=told,
            unjudged=self._unjudged,
            attacks=self._attacks,
            same=told - sum(self._kinds.values()),
            flagged=self._flagged,
            kinds={k: Count.of(self._kinds[k], told) for k in Kind if self._kinds[k]},
            disrupted=Count.of(self._disrupted, told),
            cells=tuple(self._cell(cell) for cell in cells),
            unknown=dict(self._unknown.most_common()),
            rescored=self._rescored,
            assumed=self._assumed,
            older=self._older,
        )

    def _cell(self, name: str) -> CellCount:
        alarms, spared = self._steps[name, True], self._steps[name, False]
        level, cell = self.side.level(name), self.side.table.cells.get(name)
        return CellCount(
            name,
            Count.of(alarms, alarms + spared),
            self._steps[name, None],
            level.requested,
            level.rate,
            level.kept,
            cell.source if cell is not None else "none",
        )


def _learnt(side: Side) -> float:
    """Return when a calibration was learnt; one that is shipped was not, from your traffic."""
    own = any(cell.source != "generic" for cell in side.table.cells.values())
    return side.table.created if own else 0.0
