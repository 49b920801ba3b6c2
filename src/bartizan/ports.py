"""The seams: one protocol per stage. An extension is a class of one of these shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

from bartizan.types import (
    DetectorSpec,
    Evidence,
    FloatArray,
    Interaction,
    Part,
    Receipt,
    Record,
    Rows,
    Scores,
)

if TYPE_CHECKING:
    from bartizan.features.sessions import Session

T = TypeVar("T")


class Features(Protocol):
    """Values computed once per part, or once per interaction, and shared by detectors."""

    interaction: Interaction

    def of_part(self, make: Callable[[Part], T], part: Part) -> T:
        """Return ``make(part)``, computed at most once for this part."""
        ...

    def of_interaction(self, make: Callable[[Interaction], T]) -> T:
        """Return ``make(interaction)``, computed at most once for this interaction."""
        ...


class Detector(Protocol):
    """Scores parts, and never decides.

    Guarantees that every implementation gives, checked by ``tests/contract``:
    same input, same scores (no state, no clock, no randomness); finite scores; no
    exception on any text or rows of its kind; evidence spans inside the text; time
    linear in the size of the part. A detector that can't answer raises
    :class:`Unavailable`; it never returns a low score instead.
    """

    spec: DetectorSpec

    def score(self, part: Part, features: Features) -> Scores:
        """Return one score per unit of the part; larger is stranger."""
        ...

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Say what was seen in one unit. Called only for units that matter."""
        ...


@runtime_checkable
class Cascade(Protocol):
    """A learned detector whose first tier is cheap enough for the event loop."""

    def first(self, part: Part, features: Features) -> Scores | None:
        """Return what :meth:`Detector.score` would, where that is cheap to know, else ``None``.

        Raises:
            Unavailable: As :meth:`Detector.score`.
        """
        ...


@runtime_checkable
class Prepared(Protocol):
    """A detector that reads artefacts, which had better happen before the first request."""

    def prepare(self) -> None:
        """Read them.

        Raises:
            Unavailable: They can't be read; every score will say so again.
        """
        ...


class Fittable(Protocol):
    """A detector that must see reference rows first (``spec.needs_fit``)."""

    def fit(self, inputs: FloatArray, outputs: FloatArray | None) -> Mapping[str, FloatArray]:
        """Return the state to keep in the calibration; ``inputs`` has shape ``(n, d)``."""
        ...

    def with_state(self, state: Mapping[str, FloatArray]) -> Detector:
        """Return a detector that scores with a fitted state."""
        ...


class RowsFittable(Protocol):
    """A detector that learns from more than inputs and outputs: variants, or an embedding."""

    def fit_rows(self, rows: Rows) -> Mapping[str, FloatArray]:
        """Return the state to keep in the calibration."""
        ...

    def with_state(self, state: Mapping[str, FloatArray]) -> Detector:
        """Return a detector that scores with a fitted state."""
        ...


class SequenceDetector(Protocol):
    """Scores what one client asked in one session, taken together; never decides.

    Guarantees that every implementation gives, checked by ``tests/contract``: same session, same
    score (no state, no clock, no randomness); a finite score and a summary for every session,
    the empty one included; constant time.
    """

    spec: DetectorSpec

    def score(self, session: Session) -> float:
        """Return how strange the session is; larger is stranger."""
        ...

    def evidence(self, session: Session) -> Evidence:
        """Say what was seen. Called only for sessions that matter."""
        ...


class Unavailable(Exception):  # noqa: N818 - it is a statement, not a failure of ours
    """Raised by a detector that can't answer for this part; becomes a Fault."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP answer made by Bartizan in a protocol's own form."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A client's request, understood.

    Attributes:
        parts: Every part in order; the last turn is not set apart from the history.
        model: The model's name as the client wrote it.
        stream: Whether the client asked for a streamed answer.
        session_seed: Text that stays the same during one conversation, to derive a session.
        unjudged: ``(path, why)`` of content that no part holds.
        document: The protocol's own decoded form, opaque to everybody else.
    """

    parts: tuple[Part, ...]
    model: str = ""
    stream: bool = False
    session_seed: str = ""
    unjudged: tuple[tuple[str, str], ...] = ()
    document: Any = None


@dataclass(frozen=True, slots=True)
class ParsedResponse:
    """An upstream's answer, understood. Fields as in :class:`ParsedRequest`."""

    parts: tuple[Part, ...]
    unjudged: tuple[tuple[str, str], ...] = ()
    document: Any = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of a streamed answer.

    Attributes:
        raw: The bytes as the upstream sent them, framing included.
        deltas: ``(path, kind, text)`` that the event appends; kind is ``text`` or ``tool-call``.
        final: True for an event after which the client may act on what it got
            (a finish reason) or that ends the stream.
        opaque: ``(path, why)`` of content in the event that nobody can judge.
        whole: ``(path, text)`` of texts that the event states in full: what was appended at that
            path so far (by this event, too). A redaction must hold here as well.
        ends: True where nothing more is appended to the texts in ``whole``.
    """

    raw: bytes
    deltas: tuple[tuple[str, str, str], ...] = ()
    final: bool = False
    opaque: tuple[tuple[str, str], ...] = ()
    whole: tuple[tuple[str, str], ...] = ()
    ends: bool = False


class StreamReader(Protocol):
    """Cuts a streamed answer into chunks; the same chunks however the bytes were split."""

    def receive_data(self, data: bytes) -> Sequence[Chunk]:
        """Take bytes, return the chunks that are now complete."""
        ...

    def end_of_stream(self) -> Sequence[Chunk]:
        """Return what is left when the upstream closed."""
        ...

    def rewritten(self, chunk: Chunk, path: str, text: str) -> bytes:
        """Return the chunk's bytes with the delta, or the whole text, at ``path`` replaced by ``text``."""
        ...

    def cut(self, record_id: str, message: str) -> bytes:
        """Return the protocol's own ending for an answer stopped in the middle."""
        ...

    def failed(self, code: str, message: str, record_id: str) -> bytes:
        """Return the protocol's own ending for an answer that the upstream broke off."""
        ...


class WireProtocol(Protocol):
    """Bytes to interactions and back. No I/O."""

    name: ClassVar[str]
    kind: ClassVar[str]

    def operation(self, method: str, path: str) -> str | None:
        """``"judge"``, ``"pass"`` (known and harmless) or ``None`` (not this protocol's)."""
        ...

    def parse_request(self, path: str, headers: Mapping[str, str], body: bytes) -> ParsedRequest:
        """Understand a request.

        Raises:
            ProtocolError: With the status and code that the client should see.
        """
        ...

    def parse_response(
        self, request: ParsedRequest, headers: Mapping[str, str], body: bytes
    ) -> ParsedResponse:
        """Understand a whole answer.

        Raises:
            ProtocolError: ``side="upstream"``, status 502.
        """
        ...

    def open_stream(self, request: ParsedRequest) -> StreamReader | None:
        """Return a reader for a streamed answer, or ``None`` if the protocol has none."""
        ...

    def rewrite(
        self,
        document: Any,
        headers: Mapping[str, str],
        edits: Mapping[str, str],
    ) -> bytes:
        """Return a request or response body with the text at each JSON Pointer replaced."""
        ...

    def error(
        self, status: int, code: str, message: str, *, record_id: str, param: str | None = None
    ) -> Reply:
        """Return an error in the protocol's own envelope."""
        ...


@runtime_checkable
class Repeats(Protocol):
    """A wire protocol in which a request can be asked again about other rows."""

    def repeated(
        self, request: ParsedRequest, headers: Mapping[str, str], inputs: FloatArray
    ) -> tuple[bytes, Mapping[str, str]]:
        """Return the body and further headers of a request like this one about other rows.

        Args:
            request: What the client asked, with one part of ``n`` rows.
            headers: The client's headers.
            inputs: Shape ``(n, v, d)``: ``v`` changed copies of each row.

        Raises:
            ProtocolError: ``not_repeatable``: the request is not about one batch of rows.
        """
        ...


@runtime_checkable
class PicksEmbedding(Protocol):
    """A wire protocol whose answers have named outputs, one of which may hold an embedding."""

    def with_embedding(self, name: str) -> WireProtocol:
        """Return the same protocol, reading the output called ``name`` as the rows' embedding."""
        ...


class Ledger(Protocol):
    """Append-only record of exchanges."""

    def append(self, record: Record) -> None:
        """Queue a record; it is durable once its receipt exists.

        Raises:
            LedgerError: The queue is full or the ledger is closed.
        """
        ...

    def receipt(self, record: Record) -> Receipt:
        """Append and wait until the record is on disk."""
        ...


class RecordReader(Protocol):
    """Reads recorded exchanges back."""

    def records(self, *, limit: int = 50) -> Iterable[Record]:
        """Return the newest records first."""
        ...
