"""The nouns: what flows through Bartizan. Frozen values without behaviour.

Score, p-value, verdict and enforcement are four things in four places; finding (one
interaction), alarm (one stream) and alert (what a person sees) stay distinct words.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class Value(msgspec.Struct, frozen=True, gc=False):
    """A frozen value. A msgspec struct costs a fifth of a frozen dataclass to make, and dozens are
    made per exchange (``docs/decisions/0006-values-are-structs.md``).
    """


class Origin(IntEnum):
    """Where content comes from, hence how far it is trusted; larger is less trusted.

    An origin is never raised, only lowered: content that passed through a less trusted
    hand keeps that hand's origin.
    """

    OPERATOR = 0
    USER = 1
    MODEL = 2
    TOOL = 3
    WEB = 4


class Step(StrEnum):
    """Which half of an exchange an interaction is, or both halves at once."""

    REQUEST = "request"
    RESPONSE = "response"
    EXCHANGE = "exchange"


class PartKind(StrEnum):
    """What one piece of content is."""

    TEXT = "text"
    ROWS = "rows"
    TOOL_DEFINITION = "tool-definition"
    TOOL_CALL = "tool-call"
    TOOL_RESULT = "tool-result"
    OPAQUE = "opaque"


class Effect(IntEnum):
    """What a verdict asks for. Effects combine by ``max``."""

    ALLOW = 0
    REDACT = 1
    HOLD = 2
    BLOCK = 3


class Mode(StrEnum):
    """Whether verdicts are only recorded or also carried out."""

    OBSERVE = "observe"
    ENFORCE = "enforce"


class FaultReason(StrEnum):
    """Why a detector gave no answer."""

    TIMEOUT = "timeout"
    CRASH = "crash"
    UNCALIBRATED = "uncalibrated"
    UNAVAILABLE = "unavailable"


class Principal(Value, frozen=True, gc=False):
    """Who is calling, and the session the call is in.

    Attributes:
        id: A stable name; for API keys a keyed hash, never the key.
        source: Where the name came from: ``api-key``, ``header``, ``mtls`` or ``address``.
        session: The session's name, given by a header or derived from the conversation.
    """

    id: str
    source: str
    session: str = ""


class Rows(Value, frozen=True, gc=False):
    """A batch of inputs to a predictive model and, once known, what the model answered.

    Attributes:
        inputs: Shape ``(n, d)``: each row is one flattened input.
        outputs: Shape ``(n, k)``, or ``None`` when the model has not answered.
        columns: Names of the ``d`` input columns, or empty when they have none.
        variants: What the model answered to changed copies of each row, by kind of change
            (:mod:`bartizan.features.variants`), each of shape ``(n, v, k)``.
        embedding: Shape ``(n, e)``: what the model made of each row on its way to the answer.
        lacking: Why variants are not there although a detector may need them.
        failed: Set where asking for them failed: a detector that needs them is then at fault,
            where otherwise it just has nothing to look at.
    """

    inputs: FloatArray
    outputs: FloatArray | None = None
    columns: tuple[str, ...] = ()
    variants: Mapping[str, FloatArray] = msgspec.field(default_factory=dict)
    embedding: FloatArray | None = None
    lacking: str = ""
    failed: FaultReason | None = None


class Part(Value, frozen=True, gc=False):
    """One piece of content with its origin.

    Attributes:
        kind: What it is.
        origin: Where it comes from.
        path: JSON Pointer (RFC 6901) of the content in the message it came in.
        text: The content of textual kinds; a tool call's arguments as they stand on the wire.
        rows: The content of a ``ROWS`` part.
        name: Tool name, tensor name or media type, where there is one.
        digest: Hex BLAKE2b-128 of kind, origin, name and content; the scan-once key.
    """

    kind: PartKind
    origin: Origin
    path: str = ""
    text: str = ""
    rows: Rows | None = None
    name: str = ""
    digest: str = ""


class Interaction(Value, frozen=True, gc=False):
    """One exchange with an AI system, or one step of it.

    Attributes:
        id: The exchange's id, shared by its steps.
        system: Name of the protected system.
        step: Which half of the exchange this is.
        principal: Who is calling.
        parts: What is to be judged, in order.
        context: What came before in the conversation: not judged here, but looked at.
        model: The model's name as the client wrote it.
        observed_at: Seconds since the epoch.
    """

    id: str
    system: str
    step: Step
    principal: Principal
    parts: tuple[Part, ...]
    context: tuple[Part, ...] = ()
    model: str = ""
    observed_at: float = 0.0


class Evidence(Value, frozen=True, gc=False):
    """What a detector saw.

    Attributes:
        summary: One sentence for a person. It never repeats the content itself.
        spans: ``(start, end)`` character offsets into the part's text, end exclusive.
        columns: Names (or indices as text) of the row columns that mattered, most first.
    """

    summary: str
    spans: tuple[tuple[int, int], ...] = ()
    columns: tuple[str, ...] = ()


class Scores(Value, frozen=True, gc=False):
    """A detector's nonconformity scores for one part; larger is stranger.

    Attributes:
        values: One finite score per unit of the part: one for text, one per row for rows.
    """

    values: tuple[float, ...]


class DetectorSpec(Value, frozen=True, gc=False):
    """What a detector is and what it looks at.

    Attributes:
        name: Dotted name, as in the registry.
        version: Changes whenever scores change; part of the calibration's identity.
        steps: The steps it judges.
        kinds: The part kinds it judges.
        origins: The origins it judges.
        unit: The score of one unmistakable instance: how far past every benign score it
            has to be to be worth one natural-log unit of surprise more.
        learned: True where scoring is too dear for the event loop.
        by_origin: True where scores of trusted and untrusted origins have different laws.
        contextual: True where the score depends on the conversation, not on the part alone.
        needs_fit: True where it must see reference rows before it can score.
        needs_outputs: True where it looks at the model's outputs; rows without them are unjudged by it.
        needs_variants: Kinds of changed copies (:mod:`bartizan.features.variants`) whose answers
            it looks at; they cost an extra model call, and rows without are unjudged by it.
        needs_embedding: True where it looks at the model's embedding; rows without one are
            unjudged by it.
        by_choice: True where it is on only if calibration measured that it helps, or the
            operator lists it.
        limit_chars: Text beyond this many characters is sampled, not read whole; 0: no limit.
        needs_options: Names of the options without which it can't score.
        effect: What its findings ask for unless the policy says otherwise.
        taxonomy: Ids with their edition, such as ``OWASP LLM01:2026`` or ``AML.T0051.000``.
        maturity: ``sandbox``, ``incubating`` or ``stable``.
    """

    name: str
    version: str
    steps: frozenset[Step]
    kinds: frozenset[PartKind]
    origins: frozenset[Origin]
    unit: float = 1.0
    learned: bool = False
    by_origin: bool = False
    contextual: bool = False
    needs_fit: bool = False
    needs_outputs: bool = False
    needs_variants: tuple[str, ...] = ()
    needs_embedding: bool = False
    by_choice: bool = False
    limit_chars: int = 0
    needs_options: tuple[str, ...] = ()
    effect: Effect = Effect.BLOCK
    taxonomy: tuple[str, ...] = ()
    maturity: str = "incubating"


class PValue(Value, frozen=True, gc=False):
    """A score ranked against a named calibration table: ``P(value <= a) <= a`` on benign traffic.

    Attributes:
        value: The conservative conformal p-value.
        n: How many calibration points it was ranked against.
        calibration: The table's digest.
    """

    value: float
    n: int
    calibration: str


class Finding(Value, frozen=True, gc=False):
    """A calibrated score that matters.

    Attributes:
        detector: The detector's name.
        score: Its raw score.
        p_value: That score ranked among benign scores of the same detector.
        part: JSON Pointer of the part.
        row: Index of the row in a batch, or ``None`` for text.
        evidence: What the detector saw.
        effect: What the policy makes of it.
        taxonomy: Ids of the threat, with their edition.
    """

    detector: str
    score: float
    p_value: PValue
    part: str
    row: int | None
    evidence: Evidence
    effect: Effect
    taxonomy: tuple[str, ...] = ()


class Fault(Value, frozen=True, gc=False):
    """A detector that could not answer. A fault is never "safe"."""

    detector: str
    reason: FaultReason
    detail: str = ""
    part: str = ""


class Unjudged(Value, frozen=True, gc=False):
    """A part, or a stretch of one, at which no detector looked, and why."""

    part: str
    why: str


class Coverage(Value, frozen=True, gc=False):
    """Which parts were judged and which were not.

    Attributes:
        judged: JSON Pointers of the judged parts.
        remembered: Pointers of parts judged earlier in the conversation and taken from memory.
        trusted: Pointers of the operator's own content, which no detector is meant to judge.
        unjudged: What nobody looked at.
    """

    judged: tuple[str, ...] = ()
    remembered: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    unjudged: tuple[Unjudged, ...] = ()


class Measured(Value, frozen=True, gc=False):
    """The scores of one interaction in the form that calibration keeps: no content.

    Attributes:
        cell: The calibration cell the interaction belongs to.
        units: How many text parts or rows were scored.
        maxima: Largest score of each score key (``detector`` or ``detector@channel``).
    """

    cell: str
    units: int
    maxima: dict[str, float]


class Verdict(Value, frozen=True, gc=False):
    """The policy's decision on one interaction.

    Attributes:
        effect: What is to be done.
        rule: The rule that decided.
        mode: Under ``observe`` the effect is recorded and not carried out.
        p_value: How unusual the whole interaction is among benign ones; ``None`` if no
            detector answered.
        level: The certified level it was held against.
        findings: What mattered, strangest first.
        faults: Detectors that could not answer.
        coverage: What was looked at.
        measured: The scores, for calibration and replay.
        removed: Pointers of parts that were stopped earlier in this conversation and are
            replaced by a notice, so that one old hit does not block a conversation for ever.
    """

    effect: Effect
    rule: str
    mode: Mode
    p_value: PValue | None
    level: float
    findings: tuple[Finding, ...] = ()
    faults: tuple[Fault, ...] = ()
    coverage: Coverage = Coverage()
    measured: Measured | None = None
    removed: tuple[str, ...] = ()

    @property
    def enforced(self) -> Effect:
        """What is carried out: the effect under ``enforce``, nothing under ``observe``."""
        return self.effect if self.mode is Mode.ENFORCE else Effect.ALLOW


class PartSummary(Value, frozen=True, gc=False):
    """A part as the record keeps it: digests and sizes, and content only if configured."""

    path: str
    kind: PartKind
    origin: Origin
    digest: str
    size: int
    name: str = ""
    content: Any = None


class StepRecord(Value, frozen=True, gc=False):
    """One judged step of a recorded exchange."""

    step: Step
    verdict: Verdict
    parts: tuple[PartSummary, ...]


class Record(Value, frozen=True, gc=False):
    """One exchange in the ledger.

    Attributes:
        id: The exchange's id, which clients are given on a block.
        time: Seconds since the epoch when the exchange began.
        system: The protected system.
        protocol: The wire protocol.
        principal: Who called, and in which session.
        model: The model's name.
        effect: The strongest effect of its steps.
        enforced: The strongest effect carried out.
        rule: The rule behind ``effect``.
        p_value: The smallest p-value of its steps.
        status: The HTTP status the client got; 0 where there was none.
        stream: Whether the answer was streamed.
        added_us: Microseconds Bartizan added.
        upstream_us: Microseconds the upstream took.
        steps: What was judged.
        note: Why an exchange that was not judged was let through or refused.
    """

    id: str
    time: float
    system: str
    protocol: str
    principal: Principal
    model: str
    effect: Effect
    enforced: Effect
    rule: str
    p_value: float | None
    status: int
    stream: bool
    added_us: int
    upstream_us: int
    steps: tuple[StepRecord, ...] = ()
    note: str = ""


class Receipt(Value, frozen=True, gc=False):
    """The proof that a record is in the ledger: it is on disk when this exists.

    Attributes:
        id: The record's id.
        index: Its position in the ledger, from 0.
        leaf: Hex RFC 6962 leaf hash.
    """

    id: str
    index: int
    leaf: str
