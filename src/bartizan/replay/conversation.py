"""What the gateway's memory would hold of each conversation, had the candidate decided all along.

A gateway judges a part once and remembers, per conversation, what was decided; a part that was
stopped is taken out of every later turn. So a decision that changes also changes later records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bartizan.features.memory import Lru
from bartizan.replay.stored import NotKept
from bartizan.types import Effect, Origin, PartKind, Principal, Step, StepRecord, Verdict

CAPACITY = 65_536
"""Conversations followed at once; of one that was let go, later turns may not be told."""


@dataclass(slots=True)
class _Conversation:
    """Effects by digest, ``None`` where they can't be told, and which digest stood at which place."""

    begun: bool
    effects: dict[str, Effect | None] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    altered: bool = False
    blind: bool = False
    unheard: bool = False


class Conversations:
    """Follows conversations through records, oldest first."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._kept: Lru[tuple[str, str], _Conversation] = Lru(capacity)

    def removed(self, principal: Principal, step: StepRecord) -> tuple[str, ...]:
        """Return which parts of a step the candidate would have taken out, for what it decided earlier.

        Remembered parts are known by their place in the message alone: that is the place at
        which they were judged.

        Raises:
            NotKept: The records don't tell.
        """
        verdict = step.verdict
        old = (*verdict.coverage.remembered, *verdict.removed)
        conversation = self._kept.get(_name(principal))
        if conversation is None:
            if old:
                raise NotKept("earlier turns of its conversation were judged before these records")
            return ()
        if conversation.blind and self._again(conversation, step):
            raise NotKept("a fault, here or there, changes which parts of earlier turns are remembered")
        if conversation.unheard and _answers(step):
            raise NotKept("an answer in its conversation was never judged by itself, as it would have been")
        digests = {p.path: p.digest for p in step.parts}
        gone: list[str] = []
        for path in old:
            digest = digests.get(path) or conversation.places.get(path)
            if digest is None or digest not in conversation.effects:
                if conversation.altered:
                    raise NotKept(
                        "it comes after a turn of which the candidate changes or can't tell something"
                    )
                if path in verdict.removed or not conversation.begun:
                    raise NotKept("earlier turns of its conversation were judged before these records")
                continue
            effect = conversation.effects[digest]
            if effect is None:
                raise NotKept("whether a part of an earlier turn would have been stopped isn't kept")
            if effect > Effect.ALLOW:
                gone.append(path)
        return tuple(gone)

    def altered(self, principal: Principal) -> bool:
        """Whether the candidate would have changed something earlier in a conversation."""
        conversation = self._kept.get(_name(principal))
        return conversation is not None and (conversation.altered or conversation.unheard)

    def note(
        self, principal: Principal, step: StepRecord, after: Verdict, stopped: Mapping[str, Effect | None]
    ) -> None:
        """Keep what the candidate decides about the parts of a step."""
        conversation = self._of(principal, step)
        conversation.blind |= bool(step.verdict.faults) != bool(after.faults)
        if after.faults:
            return
        before = {f.part: f.effect for f in step.verdict.findings}
        judged = frozenset(after.coverage.judged)
        for part in step.parts:
            if part.path not in judged or part.kind is PartKind.ROWS:
                continue
            effect = stopped.get(part.path, Effect.ALLOW)
            conversation.effects[part.digest] = effect
            if step.step is Step.REQUEST:
                conversation.places[part.path] = part.digest
            was = before.get(part.path, Effect.ALLOW) > Effect.ALLOW
            conversation.altered |= effect is None or (effect > Effect.ALLOW) != was

    def lose(self, principal: Principal, step: StepRecord) -> None:
        """Note a step of which can't be told what the candidate would have decided."""
        conversation = self._of(principal, step)
        conversation.altered = True
        for part in step.parts:
            conversation.effects[part.digest] = None
            if step.step is Step.REQUEST:
                conversation.places[part.path] = part.digest

    def unheard(self, principal: Principal, step: StepRecord) -> None:
        """Note a request that was stopped and would not have been: an answer would have been judged."""
        self._of(principal, step).unheard = True

    def _of(self, principal: Principal, step: StepRecord) -> _Conversation:
        known = self._kept.get(_name(principal))
        if known is None:
            coverage = step.verdict.coverage
            known = _Conversation(begun=not coverage.remembered and not step.verdict.removed)
            self._kept.put(_name(principal), known)
        return known

    def _again(self, conversation: _Conversation, step: StepRecord) -> bool:
        judged = frozenset(step.verdict.coverage.judged)
        return any(p.path in judged and p.digest in conversation.effects for p in step.parts)


def _name(principal: Principal) -> tuple[str, str]:
    return principal.id, principal.session


def _answers(step: StepRecord) -> bool:
    """Whether a request's transcript holds answers that were judged with it."""
    judged = frozenset(step.verdict.coverage.judged)
    return step.step is Step.REQUEST and any(
        p.origin is Origin.MODEL and p.path in judged for p in step.parts
    )
