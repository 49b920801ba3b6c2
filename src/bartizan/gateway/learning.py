"""Keeps live calibration going: reads scores back, proposes a table, puts it in force."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from bartizan.alarms import Alarm, Cause
from bartizan.assembly import learned_path, load_table
from bartizan.calibration.learn import Guards, LivePoint, Proposal, propose
from bartizan.calibration.table import Table, encode
from bartizan.gateway.served import Served
from bartizan.store.private_file import save_bytes
from bartizan.store.views import MeasuredRow
from bartizan.types import Measured, Mode

MAX_POINTS = 200_000
"""Newest live messages that a table is learnt from."""
MAX_ALARMS = 1_000
"""Newest attacks whose principals teach nothing."""


class Scores(Protocol):
    """Where live scores are read from; the store is one."""

    def measured(
        self, system: str, *, since: float | None = None, limit: int | None = None
    ) -> Iterable[MeasuredRow]:
        """Return the scores of a system's recorded steps."""
        ...

    def alarms(
        self,
        system: str | None = None,
        cause: Cause | None = None,
        principal: str | None = None,
        since: float | None = None,
        limit: int = 50,
    ) -> list[Alarm]:
        """Return alarms."""
        ...


def learns(system: Served) -> bool:
    """Return whether a system learns: it observes, may learn, and the operator gave no table."""
    config = system.config
    return (
        config.mode is Mode.OBSERVE
        and config.calibration.learn
        and config.calibration.file is None
        and not system.pipeline.table.given_by_operator()
    )


def learn(system: Served, scores: Scores, rate: float, store: Path, clock: Callable[[], float]) -> Proposal:
    """Propose a table for one system and, if there is one, save it and put it in force.

    Principals of an attack teach nothing, for as long as its alarm is kept.
    """
    settings = system.config.calibration
    pipeline = system.pipeline
    path = learned_path(store, system.config.name)
    anchor_path = path.with_suffix(".anchor.msgpack")
    anchor = load_table(anchor_path) if anchor_path.exists() else None
    attacks = scores.alarms(system.config.name, Cause.ATTACK, limit=MAX_ALARMS)
    attackers = {principal for alarm in attacks for principal in alarm.principals}
    points = (
        LivePoint(Measured(r.cell, r.units, dict(r.maxima)), r.principal, r.time)
        for r in scores.measured(system.config.name, limit=MAX_POINTS)
        if r.principal not in attackers
    )
    proposal = propose(
        points,
        now=clock(),
        rate=rate,
        guards=Guards(settings.quarantine_s, settings.principal_share, settings.trim),
        anchor=anchor,
        units={d.spec.name: d.spec.unit for d in pipeline.detectors},
        versions={d.spec.name: d.spec.version for d in pipeline.detectors},
        in_force=pipeline.table,
        name=f"{system.config.name}, live traffic",
    )
    if proposal.table is not None and proposal.table.digest != pipeline.table.digest:
        save_table(path, proposal.table)
        if anchor is None:
            save_table(anchor_path, proposal.table)
        pipeline.calibrate(proposal.table)
    return proposal


def save_table(path: Path, table: Table) -> None:
    """Write a table so that a crash leaves the old one or the new one."""
    save_bytes(path, encode(table))
