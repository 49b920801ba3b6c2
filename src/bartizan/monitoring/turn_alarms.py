"""Signals over turns as alarms: what the evidence is, how often it is wrong, what to do."""

from __future__ import annotations

import hmac
import math
from typing import Final

from bartizan.alarms import Alarm, Answer, Cause, Ground
from bartizan.monitoring.turns import Kind, Rates, TurnSignal

TURNS: Final = "turns"
PROBING: Final = "probing"

BOTH: Final = (
    "Contain this caller: its turns together are too unlike benign ones, and it edits what was stopped "
    "until it passes."
)
ALONE: Final = {
    Kind.SESSION: "Read this session as a whole. An honest caller with an unusual subject looks the same, if "
    "calibration has not seen such subjects.",
    Kind.PRINCIPAL: "Read this caller's sessions side by side: an attack may be spread over them. An honest "
    "caller with an unusual subject looks the same, if calibration has not seen such subjects.",
    Kind.PROBING: "Look at the text that is varied: if it is harmless, it is a false alarm that its author "
    "tries to get past; if not, somebody looks for the wording that passes.",
}


def alarm_of(signal: TurnSignal, *, system: str, index: int, rates: Rates, key: bytes) -> Alarm:
    """Return the alarm that tells a signal.

    It is an attack where both kinds of evidence, turns and probing, were found of a principal within a
    day; one alone may as well come from somebody honest.

    Args:
        signal: The signal.
        system: The protected system.
        index: Number of the turn among those watched, from 0.
        rates: How often benign ones signal.
        key: Makes the alarm's id.
    """
    turn, both = signal.turn, _both(signal)
    own = _ground(signal, rates)
    grounds = (own, _other(signal, rates))
    name = hmac.digest(key, f"{system} {signal.kind} {turn.id}".encode(errors="replace"), "sha256").hex()
    return Alarm(
        id="al-" + name[:16],
        system=system,
        time=turn.time,
        index=index,
        cause=Cause.ATTACK if both else Cause.TENANT_CHANGE,
        onset=signal.began,
        onset_index=index,
        streams=(),
        principals=(turn.principal,),
        grounds=grounds,
        log_evidence=math.log(max(1.0, signal.evidence)),
        error=min(1.0, sum(g.error for g in grounds if g.answer is Answer.YES)),
        promise="" if turn.generic else promise_of(signal.kind, rates),
        advice=BOTH if both else ALONE[signal.kind],
    )


def promise_of(kind: Kind, rates: Rates) -> str:
    """Return how often benign ones signal, in words."""
    if kind is Kind.SESSION:
        return f"at most 1 in {1 / rates.session:,.0f} benign sessions signals"
    if kind is Kind.PRINCIPAL:
        return f"at most {1e6 / rates.turns:,.4g} signals per million turns of benign principals"
    return (
        f"at most 1 in {1 / rates.probing:,.0f} odd texts of benign principals signals, if the next "
        "distinct edit of one is odd again at most every second time"
    )


def _both(signal: TurnSignal) -> bool:
    kinds = {signal.kind, *signal.also}
    return Kind.PROBING in kinds and bool(kinds & {Kind.SESSION, Kind.PRINCIPAL})


def _ground(signal: TurnSignal, rates: Rates) -> Ground:
    p_value = min(1.0, 1 / signal.evidence)
    if signal.kind is Kind.PROBING:
        words = (
            f"{signal.turns} distinct near-duplicates of a text that was stopped or nearly, "
            f"{signal.odd} of them odd again"
        )
        return Ground(PROBING, Answer.YES, rates.probing, words, p_value)
    what = "this session's" if signal.kind is Kind.SESSION else "this caller's last"
    words = f"{what} {signal.turns} turns, {signal.odd} of them odd, are together too unlike benign ones"
    if signal.kind is Kind.SESSION:
        return Ground(TURNS, Answer.YES, rates.session, words, p_value)
    return Ground(TURNS, Answer.YES, min(1.0, signal.turns / rates.turns), words)


def _other(signal: TurnSignal, rates: Rates) -> Ground:
    if signal.kind is not Kind.PROBING:
        if Kind.PROBING in signal.also:
            return Ground(PROBING, Answer.YES, rates.probing, "it was also found probing within the last day")
        return Ground(PROBING, Answer.NO, 0.0, "it was not found editing a stopped text again and again")
    if not _both(signal):
        return Ground(TURNS, Answer.NO, 0.0, "its turns together are not too unlike benign ones")
    error = rates.session if Kind.SESSION in signal.also else 0.0
    error += 1 / rates.turns * signal.turns if Kind.PRINCIPAL in signal.also else 0.0
    words = "its turns of the last day are together too unlike benign ones"
    return Ground(TURNS, Answer.YES, error, words)
