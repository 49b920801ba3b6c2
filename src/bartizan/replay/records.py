"""Replays recorded exchanges, oldest first."""

from __future__ import annotations

from collections.abc import Sequence

from bartizan.replay.conversation import Conversations
from bartizan.replay.outcome import Compared, StepOutcome, decision_of, reason
from bartizan.replay.side import Side
from bartizan.replay.step import Replayed, replay_step
from bartizan.replay.stored import NotKept, Stored
from bartizan.types import Effect, Principal, Record, Step, StepRecord, Verdict


class Replay:
    """Decides recorded exchanges of one system again.

    Args:
        base: The system as it is configured now.
        candidate: What it may become.
    """

    def __init__(self, base: Side, candidate: Side) -> None:
        self._side = candidate
        self._stored = Stored(base, candidate)
        self._conversations = Conversations()
        self._thresholds = {cell: level.threshold for cell, level in candidate.levels.items()}

    def compare(self, record: Record) -> Compared | None:
        """Return an exchange before and after; ``None`` if nothing in it was judged.

        Records must come oldest first: what was decided earlier in a conversation counts later.
        """
        if not record.steps:
            return None
        before = tuple(s.verdict for s in record.steps)
        done: list[Replayed] = []
        outcomes: list[StepOutcome] = []
        why = ""
        request: StepRecord | None = None
        stopped = False
        for step in record.steps:
            if stopped:  # the model would not have been asked
                self._conversations.lose(record.principal, step)
                continue
            replayed, problem = self._one(record, step, request)
            why = why or problem
            outcomes.append(_outcome(step, replayed))
            if replayed is not None:
                done.append(replayed)
            if step.step is Step.REQUEST:
                request = step
                stopped = replayed is not None and replayed.verdict.enforced >= Effect.HOLD
        if _unasked(record) and not stopped:
            self._conversations.unheard(record.principal, record.steps[0])
        after = tuple(r.verdict for r in done)
        told = not why
        return Compared(
            id=record.id,
            before=decision_of(before),
            after=decision_of(after) if told else None,
            why=self._why(before, after, record) if told else why,
            steps=tuple(outcomes),
            rescored=any(r.rescored for r in done),
            assumed=any(self._stored.assumed(v) for v in before),
            time=record.time,
        )

    def _one(
        self, record: Record, step: StepRecord, request: StepRecord | None
    ) -> tuple[Replayed | None, str]:
        try:
            removed = self._removed(record.principal, step)
            replayed = replay_step(
                step, request, self._side, self._stored, removed=removed, stream=record.stream
            )
        except NotKept as problem:
            self._conversations.lose(record.principal, step)
            return None, str(problem)
        self._conversations.note(record.principal, step, replayed.verdict, replayed.stopped)
        return replayed, ""

    def _removed(self, principal: Principal, step: StepRecord) -> tuple[str, ...]:
        try:
            return self._conversations.removed(principal, step)
        except NotKept:
            if self._stored.unchanged(step.verdict) and not self._conversations.altered(principal):
                return step.verdict.removed
            raise

    def _why(self, before: Sequence[Verdict], after: Sequence[Verdict], record: Record) -> str:
        said = reason(tuple(before), tuple(after), self._thresholds)
        if _unasked(record) and all(v.enforced < Effect.HOLD for v in after):
            return f"{said}; the model was never asked, so its answer isn't judged"
        return said


def _unasked(record: Record) -> bool:
    """Whether a request was stopped, so that the model was not asked."""
    steps = [s.step for s in record.steps]
    return steps == [Step.REQUEST] and record.enforced >= Effect.HOLD


def _outcome(step: StepRecord, replayed: Replayed | None) -> StepOutcome:
    if replayed is None:
        cell = step.verdict.measured.cell if step.verdict.measured is not None else ""
        return StepOutcome(step.step, cell, None)
    measured = replayed.verdict.measured
    return StepOutcome(step.step, measured.cell if measured else "", bool(replayed.verdict.findings))


def compare_verdicts(
    name: object, before: tuple[Verdict, ...], after: tuple[Verdict, ...], side: Side
) -> Compared:
    """Return one thing that both sides have judged with its content at hand.

    Args:
        name: Its id.
        before: The base's verdicts, one a step.
        after: The candidate's.
        side: The candidate.
    """
    steps = tuple(
        StepOutcome(_step(v), v.measured.cell if v.measured is not None else "", bool(v.findings))
        for v in after
    )
    thresholds = {cell: level.threshold for cell, level in side.levels.items()}
    return Compared(
        name,
        decision_of(before),
        decision_of(after),
        reason(before, after, thresholds),
        steps,
    )


def _step(verdict: Verdict) -> Step:
    return Step(verdict.measured.cell.partition(".")[0]) if verdict.measured is not None else Step.REQUEST
