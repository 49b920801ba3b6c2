"""Makes a record of an exchange: digests, sizes, spans and scores; content only if configured."""

from __future__ import annotations

from collections.abc import Sequence

from bartizan.errors import LedgerError
from bartizan.ports import Ledger
from bartizan.types import (
    Effect,
    Interaction,
    PartKind,
    PartSummary,
    Principal,
    Record,
    StepRecord,
    Verdict,
)

MAX_PARTS = 256
"""Parts listed per step; a transcript of thousands of messages must not fill the ledger."""

MAX_CONTENT = 65_536
"""Characters of content kept per part where content is kept at all."""


class Recorder:
    """Appends records, and knows whether the last one could be written."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.failing = False

    def append(self, record: Record) -> bool:
        """Queue a record; return whether the ledger took it."""
        try:
            self._ledger.append(record)
        except LedgerError:
            self.failing = True
            return False
        self.failing = False
        return True


def step_record(interaction: Interaction, verdict: Verdict, *, keep_content: bool) -> StepRecord:
    """Return one judged step; parts only remembered from earlier turns are left out."""
    skipped = frozenset(verdict.coverage.remembered)
    summaries: list[PartSummary] = []
    for part in interaction.parts:
        if part.path in skipped or part.kind is PartKind.OPAQUE:
            continue
        if len(summaries) == MAX_PARTS:
            break
        content = None
        if part.rows is not None:
            size = part.rows.inputs.shape[0]
            if keep_content:
                content = part.rows.inputs[:16].tolist()
        else:
            size = len(part.text)
            if keep_content:
                content = part.text[:MAX_CONTENT]
        summaries.append(
            PartSummary(part.path, part.kind, part.origin, part.digest, size, part.name, content)
        )
    return StepRecord(interaction.step, verdict, tuple(summaries))


def released_record(id: str, time: float, system: str, principal: str) -> Record:
    """Return the record of a person letting a contained principal go: no exchange, but as lasting."""
    return Record(
        id=id,
        time=time,
        system=system,
        protocol="admin",
        principal=Principal(principal, "admin"),
        model="",
        effect=Effect.ALLOW,
        enforced=Effect.ALLOW,
        rule="released",
        p_value=None,
        status=0,
        stream=False,
        added_us=0,
        upstream_us=0,
        note="let go by hand" if principal else "the hold on everybody was ended by hand",
    )


def record_of(
    *,
    id: str,
    time: float,
    system: str,
    protocol: str,
    principal: Principal,
    model: str,
    steps: Sequence[StepRecord],
    status: int,
    stream: bool,
    added_us: int,
    upstream_us: int,
    note: str = "",
) -> Record:
    """Return the record of one exchange, led by its strongest step."""
    lead = max((s.verdict for s in steps), key=lambda v: v.effect, default=None)
    stated = [s.verdict.p_value.value for s in steps if s.verdict.p_value is not None]
    return Record(
        id=id,
        time=time,
        system=system,
        protocol=protocol,
        principal=principal,
        model=model[:256],
        effect=lead.effect if lead else Effect.ALLOW,
        enforced=max((s.verdict.enforced for s in steps), default=Effect.ALLOW),
        rule=lead.rule if lead else "unjudged",
        p_value=min(stated, default=None),
        status=status,
        stream=stream,
        added_us=added_us,
        upstream_us=upstream_us,
        steps=tuple(steps),
        note=note,
    )
