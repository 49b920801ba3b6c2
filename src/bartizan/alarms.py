"""The nouns of streams: what happened over time, and what is said about it.

A *finding* is about one interaction, an *alarm* about a stream. An alarm says which kinds of
evidence there were, how each was answered and how often each is wrong; its cause is a rule
over those answers, never a probability of malice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from bartizan.types import FloatArray, Value

BoolArray = npt.NDArray[np.bool_]
Column = npt.NDArray[np.float64] | npt.NDArray[np.object_]
"""Numbers, NaN where missing and infinite where what stood there was no number; or an object array of
``str``, ``None`` where missing."""


@dataclass(frozen=True, slots=True)
class Events:
    """A stretch of a predictive system's stream, in time order, column by column.

    Attributes:
        times: Seconds since the epoch, shape ``(n,)``; non-decreasing.
        columns: The model's inputs by name, each of length ``n``.
        outputs: What the model answered, shape ``(n, k)``; NaN rows where it did not; ``None``
            where answers are not part of the stream.
        principals: Who asked, length ``n``; empty where nobody is known.
        trusted: Whether the event came from a trusted source, shape ``(n,)``; ``None``: none did.
        ids: The exchanges' ids, length ``n``; empty where they have none.
        groups: Coarser names for principals (network, age of account, user agent), each of
            length ``n``: levels at which many small accounts show as one.
    """

    times: FloatArray
    columns: Mapping[str, Column]
    outputs: FloatArray | None = None
    principals: tuple[str, ...] = ()
    trusted: BoolArray | None = None
    ids: tuple[str, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.times)

    def part(self, start: int, stop: int) -> Events:
        """Return events ``start`` up to ``stop``."""
        cut = slice(start, stop)
        return Events(
            self.times[cut],
            {name: column[cut] for name, column in self.columns.items()},
            None if self.outputs is None else self.outputs[cut],
            self.principals[cut],
            None if self.trusted is None else self.trusted[cut],
            self.ids[cut],
            {name: names[cut] for name, names in self.groups.items()},
        )


class Cause(StrEnum):
    """What an alarm is taken for: the verdict of triage."""

    BENIGN_DRIFT = "benign drift"
    PIPELINE_FAULT = "upstream or pipeline fault"
    TENANT_CHANGE = "tenant change or attack"
    ATTACK = "attack"
    MODEL_CHANGED = "model changed"
    UNDETERMINED = "undetermined"


class Answer(StrEnum):
    """How one kind of evidence answered. ``unknown`` is never read as ``no``."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Ground(Value, frozen=True, gc=False):
    """One kind of evidence behind an alarm.

    Attributes:
        kind: ``global`` (the stream changed), ``local`` (some principals differ), ``search``
            (somebody searches), ``trusted`` (the trusted source moved too) or ``canary``
            (the model answers its canaries differently).
        answer: Its answer.
        error: Probability, or expected number per alarm, with which ``yes`` is wrong; 0 where
            nothing was asserted.
        p_value: Where the answer rests on a test.
        summary: One sentence for a person.
    """

    kind: str
    answer: Answer
    error: float
    summary: str
    p_value: float | None = None


class StreamShare(Value, frozen=True, gc=False):
    """How much of an alarm's evidence one stream carries.

    Attributes:
        name: ``input.NAME``, ``output.class``, ``output.confidence``, ``missing``, ``schema``.
        share: Its share of the evidence, 0 to 1.
        change: What changed, for people: ``higher``, ``lower``, ``wider``, ``narrower``,
            ``more extreme``, or the categories that became more frequent.
    """

    name: str
    share: float
    change: str


class Alarm(Value, frozen=True, gc=False):
    """A statement about a stream, after triage.

    Attributes:
        id: Stable and unique.
        system: The protected system.
        time: When it was raised, seconds since the epoch.
        index: Number of the event at which it was raised, from 0.
        cause: The verdict of triage.
        onset: Estimated time at which the change began.
        onset_index: Number of the event at which it began; ``-1`` where it lies before what is kept.
        streams: Where the evidence is, most first.
        principals: Who is concerned, most first; empty where nobody in particular is.
        grounds: The evidence, one entry a kind.
        log_evidence: Natural logarithm of the detector's evidence when the alarm was raised.
        error: Bonferroni sum of the errors of the grounds that the cause rests on.
        promise: The false-alarm promise in words; empty where none can be given.
        advice: What to do next, one or two sentences.
        crossings: How often the detector has crossed its threshold in this episode.
    """

    id: str
    system: str
    time: float
    index: int
    cause: Cause
    onset: float
    onset_index: int
    streams: tuple[StreamShare, ...]
    principals: tuple[str, ...]
    grounds: tuple[Ground, ...]
    log_evidence: float
    error: float
    promise: str
    advice: str
    crossings: int = 1


class SessionSignal(Value, frozen=True, gc=False):
    """What a principal asked, taken together, is too unlike what benign principals ask.

    Attributes:
        principal: Who.
        p_value: Of the session among benign sessions.
        level: Share of benign sessions that would be signalled at most.
        detector: The detector that found it strangest.
        summary: What was seen, one sentence for a person.
        queries: How many queries the session had by then.
        accounts: Other principals that took part: who go on where another one stopped.
        time: Seconds since the epoch.
    """

    principal: str
    p_value: float
    level: float
    detector: str
    summary: str
    queries: int
    accounts: tuple[str, ...]
    time: float
