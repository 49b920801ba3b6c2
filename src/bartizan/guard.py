"""The pipeline in process: the same judgement as the gateway's, without a network."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bartizan.assembly import build_pipeline, protocols_of
from bartizan.clock import WALL_CLOCK
from bartizan.config import Config, from_mapping, load
from bartizan.errors import BlockedError, ConfigError, ProtocolError
from bartizan.explanation.verdict import Explanation, explain
from bartizan.features.digest import digest_text
from bartizan.features.variants import with_variants
from bartizan.pipeline import Pipeline, opaque_parts
from bartizan.ports import ParsedResponse, WireProtocol
from bartizan.types import (
    Coverage,
    Effect,
    FloatArray,
    Interaction,
    Origin,
    Part,
    PartKind,
    Principal,
    Rows,
    Step,
    Verdict,
)

_LOCAL = Principal("local", "process")
ORIGINS = {"user": Origin.USER, "tool": Origin.TOOL, "web": Origin.WEB}


class GuardVerdict(Verdict, frozen=True):
    """A verdict that can explain itself."""

    def explain(self) -> Explanation:
        """Say what was seen, how unusual it is, which rule decided and what wasn't judged."""
        return explain(self)


class Guard:
    """Judges content in this process.

    >>> guard = Guard.for_kind("chat")
    >>> guard.check("What is the capital of Mongolia?").effect.name
    'ALLOW'
    """

    def __init__(
        self, pipeline: Pipeline, protocol: WireProtocol, *, clock: Callable[[], float] = WALL_CLOCK
    ) -> None:
        self.pipeline = pipeline
        self._protocol = protocol
        self._clock = clock

    @classmethod
    def from_config(cls, config: Config | str | Path, system: str | None = None) -> Guard:
        """Build a guard for one configured system.

        Args:
            config: A configuration, or the path of ``bartizan.yaml``.
            system: Which system; may be left out if there is only one.

        Raises:
            ConfigError, ExtensionError, CalibrationError: It can't be built; says what to do.
        """
        loaded = config if isinstance(config, Config) else load(Path(config))
        chosen = loaded.system(system)
        protocol = protocols_of(chosen)[0]
        return cls(build_pipeline(loaded, chosen), protocol)

    @classmethod
    def for_kind(cls, kind: str, *, false_alarm_rate: float = 0.001) -> Guard:
        """Build a guard without a configuration file, with the shipped calibration."""
        system = {"name": "default", "kind": kind, "upstream": {"url": "http://localhost"}}
        config = from_mapping(
            {"false_alarm_rate": false_alarm_rate, "systems": [system]}, base=Path.cwd() / "bartizan-none"
        )
        return cls.from_config(config)

    def check(
        self,
        content: str | Mapping[str, Any] | Rows | npt.ArrayLike,
        *,
        origin: str = "user",
        response: Mapping[str, Any] | None = None,
        outputs: npt.ArrayLike | None = None,
        embedding: npt.ArrayLike | None = None,
        model: Callable[[Any], Any] | None = None,
    ) -> GuardVerdict:
        """Judge something.

        Args:
            content: Text; a request body of the system's protocol (a mapping, the whole
                transcript); rows of shape ``(n, d)`` or ``(d,)``; or ``Rows`` with all that is
                known of them.
            origin: For text: ``user``, ``tool`` or ``web``.
            response: With a request body: the model's answer, in the protocol's form.
            outputs: With rows: what the model answered, shape ``(n, k)``.
            embedding: With rows: what the model made of them on its way, shape ``(n, e)``.
            model: With rows and outputs: what answers rows like those, ``(n, d)`` to ``(n, k)``.
                It is asked about changed copies of the rows where detectors compare answers.

        Raises:
            ProtocolError: The request or response does not follow the protocol.
            ConfigError: The origin is unknown.
        """
        verdicts = self.steps(
            content, origin=origin, response=response, outputs=outputs, embedding=embedding, model=model
        )
        return _guard(verdicts[0]) if len(verdicts) == 1 else joined(*verdicts)

    def steps(
        self,
        content: str | Mapping[str, Any] | Rows | npt.ArrayLike,
        *,
        origin: str = "user",
        response: Mapping[str, Any] | None = None,
        outputs: npt.ArrayLike | None = None,
        embedding: npt.ArrayLike | None = None,
        model: Callable[[Any], Any] | None = None,
    ) -> tuple[Verdict, ...]:
        """Judge something and return one verdict per step of the exchange. Arguments as in :meth:`check`."""
        if isinstance(content, str):
            return (self.pipeline.judge(self._text(content, origin)),)
        if isinstance(content, Mapping):
            return self._exchange(content, response)
        if isinstance(content, Rows):
            return (self.pipeline.judge(self._exchanged(content)),)
        return (self.pipeline.judge(self._rows(content, outputs, embedding, model)),)

    def require(self, content: Any, **how: Any) -> GuardVerdict:
        """Judge something and raise unless it may pass.

        Raises:
            BlockedError: The verdict, under ``enforce``, is to hold or block.
        """
        verdict = self.check(content, **how)
        if verdict.enforced >= Effect.HOLD:
            raise BlockedError(verdict)
        return verdict

    def wrap(self, model: Any) -> GuardedModel:
        """Return a stand-in for a model with ``predict`` and/or ``predict_proba``."""
        return GuardedModel(model, self)

    def _interaction(self, step: Step, parts: Sequence[Part], context: Sequence[Part] = ()) -> Interaction:
        return Interaction(
            id=uuid.uuid4().hex,
            system="",
            step=step,
            principal=_LOCAL,
            parts=tuple(parts),
            context=tuple(context),
            observed_at=self._clock(),
        )

    def _text(self, text: str, origin: str) -> Interaction:
        if origin not in ORIGINS:
            raise ConfigError(f"unknown origin {origin!r}", hint=f"use one of: {', '.join(ORIGINS)}")
        trust = ORIGINS[origin]
        kind = PartKind.TEXT if trust is Origin.USER else PartKind.TOOL_RESULT
        part = Part(kind, trust, text=text, digest=digest_text(kind, trust, "", text))
        return self._interaction(Step.REQUEST, [part])

    def _rows(
        self,
        given: npt.ArrayLike,
        outputs: npt.ArrayLike | None,
        embedding: npt.ArrayLike | None,
        model: Callable[[Any], Any] | None,
    ) -> Interaction:
        inputs = _matrix(given, "rows")
        answered = None if outputs is None else _matrix(outputs, "outputs", like=inputs)
        embedded = None if embedding is None else _matrix(embedding, "embeddings", like=inputs)
        rows = Rows(inputs, answered, embedding=embedded)
        copies = self.pipeline.copies
        if copies is not None and model is not None and answered is not None:
            asked = model

            def again(changed: FloatArray) -> Rows:
                return Rows(changed, _matrix(asked(changed), "outputs", like=changed))

            rows = with_variants(again, copies.recipe, copies.kinds, rows)
        return self._exchanged(rows)

    def _exchanged(self, rows: Rows) -> Interaction:
        return self._interaction(Step.EXCHANGE, [Part(PartKind.ROWS, Origin.USER, rows=rows)])

    def _exchange(
        self, request: Mapping[str, Any], response: Mapping[str, Any] | None
    ) -> tuple[Verdict, ...]:
        asked = self._protocol.parse_request("", {}, msgspec.json.encode(request))
        answered = (
            self._protocol.parse_response(asked, {}, msgspec.json.encode(response))
            if response is not None
            else ParsedResponse(())
        )
        before = asked.parts + opaque_parts(asked.unjudged)
        after = answered.parts + opaque_parts(answered.unjudged)
        if self._protocol.kind == "predict":
            # The answer's rows carry the request's, so that one verdict covers the exchange.
            parts = after + opaque_parts(asked.unjudged) if response is not None else before
            return (self.pipeline.judge(self._interaction(Step.EXCHANGE, parts)),)
        first = self.pipeline.judge(self._interaction(Step.REQUEST, before))
        if response is None:
            return (first,)
        return first, self.pipeline.judge(self._interaction(Step.RESPONSE, after, asked.parts))


class GuardedModel:
    """A model behind a guard: rows that the guard stops never get an answer.

    Where detectors compare answers (``extra_calls``), ``predict_proba`` is called once more, about
    changed copies of the rows. Other attributes are the model's own.
    """

    def __init__(self, model: Any, guard: Guard) -> None:
        self._model = model
        self._guard = guard

    def predict(self, rows: npt.ArrayLike) -> Any:
        """Return the model's predictions, or raise :class:`BlockedError`."""
        asked = getattr(self._model, "predict_proba", None)
        self._guard.require(rows, outputs=None if asked is None else asked(rows), model=asked)
        return self._model.predict(rows)

    def predict_proba(self, rows: npt.ArrayLike) -> Any:
        """Return the model's probabilities, or raise :class:`BlockedError`."""
        outputs = self._model.predict_proba(rows)
        self._guard.require(rows, outputs=outputs, model=self._model.predict_proba)
        return outputs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def joined(first: Verdict, second: Verdict) -> GuardVerdict:
    """Return one verdict for both halves of an exchange: the stronger effect, the smaller p-value.

    Each half keeps the false-alarm rate on its own, so together they keep twice that.
    """
    lead, other = (second, first) if second.effect > first.effect else (first, second)
    stated = [v for v in (first, second) if v.p_value is not None]
    smallest = min(stated, key=lambda v: v.p_value.value, default=lead)  # type: ignore[union-attr] # filtered above
    return GuardVerdict(
        effect=lead.effect,
        rule=lead.rule,
        mode=lead.mode,
        p_value=smallest.p_value,
        level=smallest.level,
        findings=lead.findings + other.findings,
        faults=first.faults + second.faults,
        coverage=Coverage(
            first.coverage.judged + second.coverage.judged,
            first.coverage.remembered + second.coverage.remembered,
            first.coverage.trusted + second.coverage.trusted,
            first.coverage.unjudged + second.coverage.unjudged,
        ),
        removed=first.removed + second.removed,
    )


def _guard(verdict: Verdict) -> GuardVerdict:
    return GuardVerdict(**msgspec.structs.asdict(verdict))


def _matrix(values: npt.ArrayLike, what: str, like: npt.NDArray[np.float64] | None = None) -> Any:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"{what} are not numbers", param=what) from error
    if array.ndim == 1:
        array = array.reshape(1, -1) if like is None or len(like) == 1 else array.reshape(-1, 1)
    array = array.reshape(len(array), -1)
    if not np.isfinite(array).all():
        raise ProtocolError(f"{what} contain NaN or infinity", param=what)
    if like is not None and len(array) != len(like):
        raise ProtocolError(f"{len(array)} {what} for {len(like)} rows", param=what)
    return array
