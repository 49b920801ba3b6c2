"""The inline stages, in order: features, detectors, calibration, policy. The only file where they meet.

An interaction is judged in three moves, so that a gateway can run the dear middle one off
its event loop: :meth:`Pipeline.start` runs the cheap detectors, :meth:`Pipeline.run_deferred`
the learned ones and long texts, :meth:`Pipeline.finish` calibrates and decides; :meth:`Pipeline.judge` does
all three.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, cast

from bartizan.calibration.cells import CELLS, cell_of
from bartizan.calibration.plan import Copies, Slot, cell_plan, copies_of, lacking, ready
from bartizan.calibration.table import Cell, Level, Table
from bartizan.features.memory import Memory
from bartizan.features.once import OncePerInteraction
from bartizan.pending import Pending
from bartizan.policy.decide import Policy, decide
from bartizan.ports import Cascade, Detector, Unavailable
from bartizan.types import (
    Coverage,
    Effect,
    Evidence,
    Fault,
    FaultReason,
    Finding,
    Interaction,
    Measured,
    Origin,
    Part,
    PartKind,
    PValue,
    Step,
    Unjudged,
    Verdict,
)

MAX_FINDINGS = 32
"""Findings kept per verdict, strangest first; a batch of hostile rows must not fill the ledger."""

INLINE_CHARS = 65_536
"""Longer texts take even the cheap detectors milliseconds: they go where the learned ones run."""

FIRST_CHARS = 4_096
"""Longer texts take even a learned detector's first tier too long for the event loop."""

PARTS_COUNTED = 16
"""Text parts beyond these no longer weigh against a finding: what has many parts is made by the
client, who could otherwise hide an attack among hundreds of small ones."""

T = TypeVar("T")


class Pipeline:
    """Judges the interactions of one system.

    Args:
        detectors: What scores.
        policy: What decides.
        table: Calibration; replaced by :meth:`calibrate`.
        rate: The false-alarm rate asked for.
        deadline_ms: For all detectors of one interaction together.
        memory: What was judged before; ``None`` judges everything afresh (batch use).
        clock_ns: Monotonic nanoseconds.
        on_timing: Called with ``(detector, nanoseconds)`` for each detector run.

    Attributes:
        copies: The changed copies of rows that its detectors want answers to, if any.
    """

    def __init__(
        self,
        detectors: Sequence[Detector],
        policy: Policy,
        table: Table,
        *,
        rate: float,
        deadline_ms: float = 250,
        memory: Memory | None = None,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
        on_timing: Callable[[str, int], None] | None = None,
    ) -> None:
        self.detectors = tuple(detectors)
        self.policy = policy
        self.rate = rate
        self._deadline_ns = int(deadline_ms * 1e6)
        self._memory = memory
        self._clock_ns = clock_ns
        self._on_timing = on_timing
        self.calibrate(table)

    def calibrate(self, table: Table) -> None:
        """Put another calibration in force, for interactions that start from now on."""
        usable = [ready(d, table) for d in self.detectors]
        self._plan = {name: cell_plan(name, usable, table) for name in CELLS}
        self.copies: Copies | None = copies_of(self.detectors, table)
        # One assignment, so that an interaction never meets one table's levels with another's ranks.
        self._in_force = table, {name: table.level(name, self.rate) for name in table.cells}
        if self._memory is not None:
            self._memory.forget_scores()

    @property
    def table(self) -> Table:
        """The calibration in force."""
        return self._in_force[0]

    def judge(self, interaction: Interaction) -> Verdict:
        """Judge an interaction in this thread."""
        pending = self.start(interaction)
        return self.finish(pending, self.run_deferred(pending) if pending.deferred else None)

    def glance(self, interaction: Interaction) -> Verdict:
        """Judge a stretch of a stream with every cheap detector, here and now, and remember nothing.

        Learned detectors look at the whole answer, at its end.
        """
        pending = self.start(interaction, inline_chars=sys.maxsize)
        pending.deferred.clear()
        return self.finish(pending, remember=False)

    def start(
        self, interaction: Interaction, *, inline_chars: int = INLINE_CHARS, spent_ns: int = 0
    ) -> Pending:
        """Run the cheap detectors and list what is still to run: the learned ones, and long texts.

        Args:
            interaction: What is to be judged.
            inline_chars: Longer texts are put off.
            spent_ns: What asking the model again has already taken out of the deadline.
        """
        deadline_ns = self._clock_ns() + self._deadline_ns - spent_ns
        pending = Pending(interaction, OncePerInteraction(interaction), deadline_ns)
        current = _current_turn(interaction)
        cheap: list[tuple[Slot, Part]] = []
        plan = self._plan[cell_of(interaction)]
        for index, part in enumerate(interaction.parts):
            slots = plan[part.kind, part.origin]
            if not slots:
                self._unlooked(pending, part)
                continue
            if index < current and self._remember(pending, part):
                continue
            pending.judged.append(part.path)
            if part.rows is not None:
                pending.units += len(part.rows.inputs)
            elif pending.units < PARTS_COUNTED:
                pending.units += 1
            for slot in slots:
                if part.kind is PartKind.ROWS and (lack := lacking(slot.spec, part.rows)):
                    pending.lack(slot, part, lack)
                    continue
                if not slot.spec.learned and len(part.text) <= inline_chars:
                    cheap.append((slot, part))
                elif not self._first(pending, slot, part):
                    pending.deferred.append((slot, part))
        self._run(pending, cheap)
        return pending

    def run_deferred(self, pending: Pending) -> Pending:
        """Run what :meth:`start` put off; safe in another thread, and safe to abandon."""
        done = Pending(pending.interaction, pending.features, pending.deadline_ns)
        self._run(done, pending.deferred)
        return done

    def finish(self, pending: Pending, deferred: Pending | None = None, *, remember: bool = True) -> Verdict:
        """Calibrate and decide.

        Args:
            pending: What :meth:`start` returned.
            remember: Whether the conversation's memory keeps it; a passing look at a stretch of
                a stream is not worth remembering.
            deferred: What :meth:`run_deferred` returned; if it did not in time, those detectors
                are faults.
        """
        interaction = pending.interaction
        table, levels = self._in_force
        if deferred is None:
            pending.expire(pending.deferred)
        else:
            pending.scored += deferred.scored
            pending.faults += deferred.faults
            pending.unjudged += deferred.unjudged
        maxima: dict[str, float] = {}
        for slot, _, values in pending.scored:
            top = max(values, default=0.0)
            if top > maxima.get(slot.key, -math.inf):
                maxima[slot.key] = top
        measured = Measured(cell_of(interaction), pending.units, maxima) if maxima else None
        p_value, rate, findings = self._calibrated(pending, measured, table, levels)
        verdict = decide(
            self.policy,
            parts=interaction.parts,
            findings=findings,
            faults=tuple(dict.fromkeys(pending.faults)),
            coverage=Coverage(
                tuple(pending.judged),
                tuple(pending.remembered),
                tuple(pending.trusted),
                tuple(pending.unjudged),
            ),
            p_value=p_value,
            rate=rate,
            measured=measured,
            removed=tuple(pending.removed),
        )
        if remember and self._memory is not None and not pending.faults:
            self._memorise(interaction, pending, verdict)
        return verdict

    def _run(self, pending: Pending, work: Sequence[tuple[Slot, Part]]) -> None:
        clock = self._clock_ns
        began = clock()
        for done, (slot, part) in enumerate(work):
            if began > pending.deadline_ns:
                pending.expire(work[done:])
                return
            if slot.fault is not None:
                pending.faults.append(slot.fault)
            if not slot.scores:
                continue
            values = self._score(pending, slot, part)
            if values is not None:
                pending.scored.append((slot, part, values))
            ended = clock()
            if self._on_timing is not None:
                self._on_timing(slot.spec.name, ended - began)
            began = ended

    def _first(self, pending: Pending, slot: Slot, part: Part) -> bool:
        """Whether the cheap first tier of a learned detector could answer; what it said is noted."""
        if not slot.cascade or len(part.text) > FIRST_CHARS:
            return False
        began = self._clock_ns()
        try:
            found = cast("Cascade", slot.detector).first(part, pending.features)
        except Exception:  # noqa: BLE001 - asked again in full, where its failure becomes a Fault
            return False
        if found is None or len(found.values) != 1 or not math.isfinite(found.values[0]):
            return False
        pending.scored.append((slot, part, found.values))
        pending.note_sampled(slot.spec, part)
        if self._on_timing is not None:
            self._on_timing(slot.spec.name, self._clock_ns() - began)
        return True

    def _score(self, pending: Pending, slot: Slot, part: Part) -> tuple[float, ...] | None:
        spec = slot.spec
        # Looking a cheap detector's score up costs as much as making it.
        cached = spec.learned and self._memory is not None and not spec.contextual and part.rows is None
        if cached and (known := self._memory.scores(spec.name, part.digest)) is not None:  # type: ignore[union-attr] # `cached` says it is there
            return known
        try:
            values = slot.detector.score(part, pending.features).values
        except Unavailable as reason:
            pending.faults.append(Fault(spec.name, FaultReason.UNAVAILABLE, str(reason), part.path))
            return None
        except Exception as error:  # noqa: BLE001 - the one broad except: a crash is a Fault, never "safe"
            pending.faults.append(Fault(spec.name, FaultReason.CRASH, type(error).__name__, part.path))
            return None
        expected = len(part.rows.inputs) if part.rows is not None else 1
        if len(values) != expected or not all(map(math.isfinite, values)):
            detail = "a score is not finite" if len(values) == expected else "wrong number of scores"
            pending.faults.append(Fault(spec.name, FaultReason.CRASH, detail, part.path))
            return None
        pending.note_sampled(slot.spec, part)
        if cached:
            self._memory.keep_scores(spec.name, part.digest, values)  # type: ignore[union-attr] # as above
        return values

    def _calibrated(
        self, pending: Pending, measured: Measured | None, table: Table, levels: Mapping[str, Level]
    ) -> tuple[PValue | None, float, tuple[Finding, ...]]:
        cell = table.cells.get(measured.cell) if measured is not None else None
        if measured is None or cell is None:
            return None, 1.0, ()
        ranking = cell.statistics
        level = levels[measured.cell]
        p = ranking.p_value(cell.statistic(measured))
        p_value = PValue(p, ranking.n, table.digest)
        if p > level.threshold:
            return p_value, level.rate, ()
        return p_value, level.rate, self._findings(pending, cell, table.digest, level.threshold)

    def _findings(
        self, pending: Pending, cell: Cell, calibration: str, threshold: float
    ) -> tuple[Finding, ...]:
        penalty = math.log(max(1, pending.units))
        strange: list[tuple[float, Slot, Part, int, float, PValue]] = []
        for slot, part, values in pending.scored:
            reference = cell.references.get(slot.key)
            if reference is None:
                continue
            for unit, value in enumerate(values):
                statistic = reference.surprise(value) - penalty
                if cell.statistics.p_value(statistic) <= threshold:
                    ranking = reference.ranking
                    p_value = PValue(ranking.p_value(value), ranking.n, calibration)
                    strange.append((statistic, slot, part, unit, value, p_value))
        strange.sort(key=lambda s: -s[0])
        return tuple(
            self._finding(pending, slot, part, unit, value, p_value)
            for _, slot, part, unit, value, p_value in strange[:MAX_FINDINGS]
        )

    def _finding(
        self, pending: Pending, slot: Slot, part: Part, unit: int, value: float, p_value: PValue
    ) -> Finding:
        try:
            evidence = slot.detector.evidence(part, pending.features, unit)
        except Exception as error:  # noqa: BLE001 - the verdict stands without its illustration
            evidence = Evidence(f"no evidence: {type(error).__name__}")
            pending.faults.append(
                Fault(slot.spec.name, FaultReason.CRASH, "evidence: " + type(error).__name__, part.path)
            )
        return Finding(
            detector=slot.spec.name,
            score=value,
            p_value=p_value,
            part=part.path,
            row=unit if part.rows is not None else None,
            evidence=evidence,
            effect=self.policy.effects.get(slot.spec.name, slot.spec.effect),
            taxonomy=slot.spec.taxonomy,
        )

    def _unlooked(self, pending: Pending, part: Part) -> None:
        if part.kind is PartKind.OPAQUE:
            pending.unjudged.append(Unjudged(part.path, part.name or "opaque content"))
        elif part.origin is Origin.OPERATOR:
            pending.trusted.append(part.path)
        else:
            pending.unjudged.append(Unjudged(part.path, "no detector judges this kind of part"))

    def _remember(self, pending: Pending, part: Part) -> bool:
        if self._memory is None:
            return False
        effect = self._memory.effect(pending.interaction.principal, part.digest)
        if effect is None:
            return False
        (pending.removed if effect > Effect.ALLOW else pending.remembered).append(part.path)
        return True

    def _memorise(self, interaction: Interaction, pending: Pending, verdict: Verdict) -> None:
        memory = cast("Memory", self._memory)
        stopped = {f.part: f.effect for f in verdict.findings if f.effect > Effect.ALLOW}
        judged = set(pending.judged)
        for part in interaction.parts:
            if part.path in judged and part.rows is None:
                memory.keep_effect(interaction.principal, part.digest, stopped.get(part.path, Effect.ALLOW))


def opaque_parts(unjudged: Sequence[tuple[str, str]]) -> tuple[Part, ...]:
    """Return parts that stand for content no part could hold, given as ``(path, why)``."""
    return tuple(Part(PartKind.OPAQUE, Origin.USER, path=path, name=why) for path, why in unjudged)


def _current_turn(interaction: Interaction) -> int:
    """Return the index of the first part after the model's last word: what is new in a transcript."""
    if interaction.step is not Step.REQUEST:
        return 0
    for index in range(len(interaction.parts) - 1, -1, -1):
        if interaction.parts[index].origin is Origin.MODEL:
            return index + 1
    return 0
