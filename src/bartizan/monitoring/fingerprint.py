"""The fingerprint of a model: secret inputs, the answers to them, and how steadily they are given.

A *steady* model gave the same numbers however it was asked, and any other number counts from
then on. A *noisy* one did not: how far its answers stray was measured, and only straying
farther, more often, counts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np

from bartizan.errors import CalibrationError
from bartizan.monitoring.canaries import IntArray, classes_of, pivot_of
from bartizan.types import FloatArray

FORMAT: Final = 1
MAX_CANARIES: Final = 256
MAX_BYTES: Final = 64 << 20

LIMITS: Final = (1.0, 2.0, 8.0, 64.0)
"""Deviations are counted beyond these multiples of the largest seen at enrolment."""

_NOTHING: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Noise:
    """How far a noisy model's answers stray while nothing has changed.

    Attributes:
        scale: Largest deviation seen per canary and output, shape ``(c, k)``; above 0.
        rates: Most that checks exceed each of :data:`LIMITS`, shape ``(4,)``; not ascending.
    """

    scale: FloatArray
    rates: FloatArray


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """An enrolled model. Its arrays are never shown: a canary that is known is none.

    Attributes:
        created: When it was enrolled, seconds since the epoch.
        inputs: The canaries, shape ``(c, d)``.
        answers: What the model answered, shape ``(c, k)``.
        scores: How many leading outputs are class scores; 0: the first is a label.
        per_check: Canaries in one check.
        sometimes: Most that checks of a steady model differ; see
            :func:`bartizan.monitoring.enrolment.steady_rates`.
        again: Most that one canary of a steady model differs.
        noise: How a noisy model strays; ``None`` for a steady one.
        digest: Hex SHA-256 of the encoded fingerprint; set where it was read or made.
    """

    created: float
    inputs: FloatArray = field(repr=False)
    answers: FloatArray = field(repr=False)
    scores: int
    per_check: int
    sometimes: float
    again: float
    noise: Noise | None = field(default=None, repr=False)
    digest: str = field(default="", compare=False)

    @property
    def steady(self) -> bool:
        """Whether the model always gave the same numbers."""
        return self.noise is None

    def deviations(self, chosen: IntArray, outputs: FloatArray) -> FloatArray:
        """Return how far answers are from the enrolled ones, as a share of each output's size.

        Args:
            chosen: Which canaries were asked, shape ``(m,)``.
            outputs: What came back, one row for each.

        Returns:
            The largest over the outputs, shape ``(m,)``: 0 only where all numbers are the
            same, infinite where the answer does not have the form it had.
        """
        if not self._fits(chosen, outputs):
            return np.full(len(chosen), np.inf)
        return np.asarray((apart(outputs, self.answers[chosen]) / self.sizes()).max(axis=1))

    def exceeded(self, chosen: IntArray, outputs: FloatArray) -> int:
        """Return how many limits a check's worst canary exceeds: up to 4; of a steady model, up to 1."""
        if self.noise is None:
            return int(bool((self.deviations(chosen, outputs) > 0).any()))
        if not self._fits(chosen, outputs):
            return len(LIMITS)
        worst = float((apart(outputs, self.answers[chosen]) / self.noise.scale[chosen]).max())
        return int(np.searchsorted(LIMITS, worst, side="left"))

    def classes_changed(self, chosen: IntArray, outputs: FloatArray) -> IntArray:
        """Return, per canary asked, 1 where the model names another class than enrolled, else 0."""
        if not self._fits(chosen, outputs):
            return np.zeros(len(chosen), dtype=np.int64)
        pivot = pivot_of(self.answers, self.scores)
        now, then = (classes_of(o, self.scores, pivot) for o in (outputs, self.answers[chosen]))
        return np.asarray(now != then, dtype=np.int64)

    def sizes(self) -> FloatArray:
        """Return the largest absolute answer of each output, shape ``(k,)``; above 0."""
        finite = np.where(np.isfinite(self.answers), np.abs(self.answers), 0.0)
        return np.asarray(np.maximum(finite.max(axis=0), _NOTHING))

    def _fits(self, chosen: IntArray, outputs: FloatArray) -> bool:
        return outputs.shape == (len(chosen), self.answers.shape[1])


def apart(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return absolute differences; equal infinities and two NaNs are the same, one NaN is infinitely far."""
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        found = np.abs(one - other)
    return np.asarray(np.where(same, 0.0, np.where(np.isnan(found), np.inf, found)))


class _Data(msgspec.Struct):
    format: int
    created: float
    shape: tuple[int, int, int]
    inputs: bytes
    answers: bytes
    scores: int
    per_check: int
    sometimes: float
    again: float
    scale: bytes
    rates: bytes


def encode(fingerprint: Fingerprint) -> bytes:
    """Return a fingerprint as bytes; the same one always gives the same bytes. Keep them secret."""
    f, noise = fingerprint, fingerprint.noise
    return msgspec.msgpack.encode(
        _Data(
            FORMAT,
            f.created,
            (len(f.inputs), f.inputs.shape[1], f.answers.shape[1]),
            _pack(f.inputs),
            _pack(f.answers),
            f.scores,
            f.per_check,
            f.sometimes,
            f.again,
            b"" if noise is None else _pack(noise.scale),
            b"" if noise is None else _pack(noise.rates),
        )
    )


def decode(data: bytes) -> Fingerprint:
    """Read a fingerprint back.

    Raises:
        CalibrationError: The bytes are no fingerprint of this format.
    """
    try:
        raw = msgspec.msgpack.decode(data[:MAX_BYTES], type=_Data)
        c, d, k = raw.shape
        rates = np.frombuffer(raw.rates, "<f8")
        sound = (
            raw.format == FORMAT
            and 0 < raw.per_check <= c <= MAX_CANARIES
            and len(rates) in (0, len(LIMITS))
            and all(0 < rate <= 1 for rate in (raw.sometimes, raw.again, *rates.tolist()))
        )
        noise = Noise(_unpack(raw.scale, c, k), rates) if len(rates) else None
        made = Fingerprint(
            created=raw.created,
            inputs=_unpack(raw.inputs, c, d),
            answers=_unpack(raw.answers, c, k),
            scores=raw.scores,
            per_check=raw.per_check,
            sometimes=raw.sometimes,
            again=raw.again,
            noise=noise,
            digest=hashlib.sha256(data).hexdigest(),
        )
    except (msgspec.MsgspecError, ValueError) as error:
        raise CalibrationError(
            f"not a fingerprint of a model: {error}", hint="enrol again with `bartizan calibrate --model`"
        ) from error
    if not sound:
        raise CalibrationError("a fingerprint of another format", hint="enrol the model again")
    return made


def _pack(array: FloatArray) -> bytes:
    return np.ascontiguousarray(array, "<f8").tobytes()


def _unpack(data: bytes, rows: int, columns: int) -> FloatArray:
    return np.frombuffer(data, "<f8").reshape(rows, columns)
