"""Checks a model against its fingerprint, a canary or a few at a time, and says when it has moved.

Guarantees:
    ``E[alarms in t checks] <= t * rate`` for every ``t``, with probability at least
    ``1 - DELTA`` over enrolment, while the model is unchanged and strays, given the past, no
    more than when it was enrolled (``docs/concepts/fingerprint.md`` has the proof). Canaries are
    drawn anew for each check, independently and uniformly, by a keyed function.
"""

from __future__ import annotations

import hashlib
import math
from typing import Final

import msgspec
import numpy as np

from bartizan.alarms import Alarm, Answer, Cause, Ground
from bartizan.monitoring.canaries import Asking, IntArray
from bartizan.monitoring.enrolment import ROUNDING
from bartizan.monitoring.fingerprint import Fingerprint
from bartizan.stats.conformal import keyed_uniform
from bartizan.stats.edetector import EDetector
from bartizan.stats.exceedance import exceedance_bets
from bartizan.types import FloatArray, Value

RATE: Final = 1e-6
"""False alarms expected per check."""

MIN_REASKS: Final = 3
_UNUSUAL: Final = 0.1
"""A noisy model's deviation is told of where it is expected in at most this share of checks."""

_SHOWN: Final = 8
ADVICE: Final = (
    "Stop what relies on this model and compare the hashes of its weights, code and serving "
    "configuration with those you released. If you changed it yourself, enrol it again with "
    "`bartizan calibrate --model`."
)


class Difference(Value, frozen=True, gc=False):
    """A canary that was answered otherwise than enrolled.

    Attributes:
        canary: Its number; never its content.
        deviation: The largest seen, as a share of the output's size.
        class_changed: Whether another class was named.
    """

    canary: int
    deviation: float
    class_changed: bool


class Moved(Value, frozen=True, gc=False):
    """The model answers its canaries differently.

    Attributes:
        time: Now, seconds since the epoch.
        check: Number of the check, from 0.
        onset: Time of the first difference.
        onset_check: Its check.
        differences: Canaries concerned, farthest first.
        reproduced: Whether one canary was asked again and again and always differed.
        log_evidence: Natural logarithm of the evidence.
        rate: False alarms expected per check.
    """

    time: float
    check: int
    onset: float
    onset_check: int
    differences: tuple[Difference, ...]
    reproduced: bool
    log_evidence: float
    rate: float

    @property
    def summary(self) -> str:
        """One sentence for a person."""
        found = self.differences
        named = ", ".join(str(d.canary) for d in found[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")
        classes = sum(d.class_changed for d in found)
        words = f"{len(found)} canaries (numbers {named})" if len(found) > 1 else f"canary {named}"
        said = f"the model answers {words} differently than enrolled, by up to {_share(found)} of an output"
        said += f"; it names another class for {classes} of them" if classes else "; the classes are the same"
        said += f"; {self.check - self.onset_check + 1} checks since the first difference"
        if found and found[0].deviation <= ROUNDING:
            said += "; so small a change may come from other hardware, libraries or number formats"
        return said

    def ground(self) -> Ground:
        """Return the evidence as an alarm's ground."""
        return Ground("canary", Answer.YES, self.rate, self.summary)


def alarm_of(moved: Moved, system: str, digest: str) -> Alarm:
    """Return the alarm of a model that moved.

    Args:
        moved: What was seen.
        system: The protected system.
        digest: The fingerprint's.
    """
    name = hashlib.sha256(f"{system}|{digest}|{moved.check}".encode()).hexdigest()[:16]
    return Alarm(
        id=f"model-{name}",
        system=system,
        time=moved.time,
        index=moved.check,
        cause=Cause.MODEL_CHANGED,
        onset=moved.onset,
        onset_index=moved.onset_check,
        streams=(),
        principals=(),
        grounds=(moved.ground(),),
        log_evidence=moved.log_evidence,
        error=moved.rate,
        promise=f"at most 1 false alarm expected in {1 / moved.rate:,.0f} checks of an unchanged model",
        advice=ADVICE,
    )


class _State(msgspec.Struct):
    digest: str
    drawn: int
    checks: int
    calm: int
    moved: bool
    unsteady: float
    onset: tuple[int, float] | None
    differences: list[Difference]
    evidence: bytes
    last: Moved | None = None
    unrepeated: int = 0


class ModelWatch:
    """Checks one model.

    Args:
        fingerprint: From enrolment.
        key: Secret; makes the order of the canaries unpredictable.
        rate: False alarms expected per check, at most.
    """

    def __init__(self, fingerprint: Fingerprint, key: bytes, rate: float = RATE) -> None:
        self.fingerprint = fingerprint
        self.rate = rate
        self._key = key
        noise = fingerprint.noise
        rates = np.array([fingerprint.sometimes]) if noise is None else noise.rates
        # Two ways to an alarm share the promise where there are two.
        share = rate if noise is not None else rate / 2
        self._detector = EDetector([exceedance_bets(rates)], 1.0 / share)
        self._telling = min(int(np.searchsorted(-rates, -_UNUSUAL)) + 1, len(rates))
        self._reasks = 0 if noise is not None else reasks(fingerprint, share)
        self._state = _State(fingerprint.digest, 0, 0, 0, False, 0.0, None, [], b"")

    @property
    def checks(self) -> int:
        """How many checks have been answered."""
        return self._state.checks

    @property
    def moved(self) -> bool:
        """Whether the model has moved and not come back."""
        return self._state.moved

    @property
    def last(self) -> Moved | None:
        """What was last said."""
        return self._state.last

    @property
    def unrepeated(self) -> int:
        """How often a steady model gave another answer once and, asked again, did not."""
        return self._state.unrepeated

    @property
    def unsteady(self) -> float:
        """Largest deviation, as a share, that a steady model showed and did not repeat; 0: none.

        Only deviations that arithmetic may explain count. The model should then be watched as
        a noisy one (:func:`bartizan.monitoring.enrolment.renewing`).
        """
        return self._state.unsteady

    def steadied(self) -> None:
        """Forget that the model was unsteady: it has been looked into."""
        self._state.unsteady = 0.0

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the evidence so far; minus infinity before the first check."""
        return self._detector.log_evidence

    def checking(self, now: float) -> Asking[Moved | None]:
        """Check once: ask, compare, and ask again at once where it matters.

        Returns:
            That the model has moved, once per episode. An episode ends when as many checks in
            a row as there are canaries are answered as enrolled.
        """
        state, print_ = self._state, self.fingerprint
        chosen = self._drawn()
        outputs = yield print_.inputs[chosen]
        number = state.checks
        state.checks += 1
        exceeded = print_.exceeded(chosen, outputs)
        crossings = self._detector.run(np.array([[exceeded]]))
        if exceeded < self._telling and not crossings:
            self._calmed()
            return None
        self._note(chosen, outputs, number, now)
        reproduced = False
        if print_.steady and not state.moved:
            reproduced = yield from self._again(chosen, outputs)
        if state.moved or not (crossings or reproduced):
            return None
        state.moved = True
        log_evidence = crossings[0].log_evidence if crossings else -math.log(self.rate)
        state.last = self._moved(number, now, log_evidence, reproduced=reproduced)
        return state.last

    def snapshot(self) -> bytes:
        """Return the state; it holds no canary."""
        self._state.evidence = self._detector.evidence.astype("<f8").tobytes()
        return msgspec.msgpack.encode(self._state)

    def restore(self, data: bytes) -> bool:
        """Take a snapshot up; return whether it belongs to this fingerprint and could be."""
        try:
            state = msgspec.msgpack.decode(data, type=_State)
            evidence = np.frombuffer(state.evidence, "<f8").reshape(self._detector.evidence.shape)
        except (msgspec.MsgspecError, ValueError):
            return False
        if state.digest != self.fingerprint.digest or not np.isfinite(evidence).all():
            return False
        self._state = state
        self._detector.evidence[:] = evidence
        return True

    def _drawn(self) -> IntArray:
        # Counted before the answer: a check that fails does not betray the next one.
        number = self._state.drawn
        self._state.drawn += 1
        count, own = len(self.fingerprint.inputs), range(self.fingerprint.per_check)
        drawn = [keyed_uniform(self._key, f"{self._state.digest}|{number}|{slot}") for slot in own]
        return np.array([min(int(u * count), count - 1) for u in drawn])

    def _again(self, chosen: IntArray, outputs: FloatArray) -> Asking[bool]:
        """Ask a steady model's differing canary again, alone, until it answers as enrolled."""
        worst = int(self.fingerprint.deviations(chosen, outputs).argmax())
        alone = chosen[worst : worst + 1]
        for _ in range(self._reasks):
            outputs = yield self.fingerprint.inputs[alone]
            if not self.fingerprint.exceeded(alone, outputs):
                break
        else:
            return True
        self._state.unrepeated += 1
        largest = max(d.deviation for d in self._state.differences)
        if largest <= ROUNDING and not any(d.class_changed for d in self._state.differences):
            self._state.unsteady = max(self._state.unsteady, largest)
        return False

    def _calmed(self) -> None:
        state = self._state
        state.calm += 1
        if state.calm >= len(self.fingerprint.inputs):
            if state.moved:
                self._detector.reset()  # what spoke against another model does not speak against this one
            state.moved, state.onset = False, None
            state.differences.clear()

    def _note(self, chosen: IntArray, outputs: FloatArray, number: int, now: float) -> None:
        state = self._state
        state.calm = 0
        if state.onset is None:
            state.onset = (number, now)
        known = {d.canary: d for d in state.differences}
        far = self.fingerprint.deviations(chosen, outputs).tolist()
        other = self.fingerprint.classes_changed(chosen, outputs).tolist()
        for canary, deviation, changed in zip(chosen.tolist(), far, other, strict=True):
            before = known.get(canary, Difference(canary, 0.0, False))
            known[canary] = Difference(
                canary, max(before.deviation, deviation), before.class_changed or bool(changed)
            )
        state.differences = [d for d in known.values() if d.deviation > 0]

    def _moved(self, number: int, now: float, log_evidence: float, *, reproduced: bool) -> Moved:
        onset_check, onset = self._state.onset or (number, now)
        found = sorted(self._state.differences, key=lambda d: (-d.deviation, d.canary))
        return Moved(*(now, number, onset, onset_check, tuple(found)), reproduced, log_evidence, self.rate)


def reasks(fingerprint: Fingerprint, rate: float) -> int:
    """Return how often a differing canary is asked again before a steady model has moved.

    Guarantees:
        A check of a steady model differs, and the same canary differs in all ``m`` further
        requests, with probability at most ``sometimes * again ** m <= rate``.
    """
    needed = math.log(rate / fingerprint.sometimes) / math.log(fingerprint.again)
    return max(MIN_REASKS, math.ceil(needed))


def _share(found: tuple[Difference, ...]) -> str:
    largest = found[0].deviation if found else 0.0
    if math.isinf(largest):
        return "its whole form"
    return f"{largest:.1%} of the size" if largest >= ROUNDING else f"{largest:.1e} of the size"
