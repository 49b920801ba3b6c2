"""Evidence over turns: what a session, and a principal, sent is taken together.

Each new turn has a p-value among benign messages. It becomes bets (:mod:`bartizan.stats.conditional`)
that accumulate over the session and over everything that the principal sends
(:mod:`bartizan.stats.eprocess`), so that many turns of which none is odd enough alone are found, and one
odd turn wears off. Near-duplicates of earlier turns never add to that evidence, because their p-values
say nothing new; they count as probing instead (:mod:`bartizan.monitoring.probing`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import msgspec

from bartizan.errors import CalibrationError
from bartizan.features.principals import IDLE_SECONDS, MAX_NAME, Tiers
from bartizan.monitoring.probing import Remembered, meet
from bartizan.stats.conditional import conditional_payoffs
from bartizan.stats.eprocess import AnyStart, Restarted

ODD: Final = 0.05
"""A turn with this p-value or a smaller one, or one that policy stops, is odd: its variants are watched."""

ACCOUNTS: Final = 10_000
SESSIONS: Final = 20_000
MAX_SESSION_TURNS: Final = 4_096
"""A session that goes on for longer is a new one: its promise starts again."""

FORMAT: Final = 1
_AFRESH: Final = "remove it to start watching afresh"


class Kind(StrEnum):
    """What a signal is about."""

    SESSION = "session"
    PRINCIPAL = "principal"
    PROBING = "probing"


@dataclass(frozen=True, slots=True)
class Turn:
    """One judged turn.

    Attributes:
        id: The exchange's id.
        time: Seconds since the epoch.
        principal: Who sent it.
        session: The session's name; empty where there is none.
        text: What was new in it, cut to a limit; held only until it was watched.
        p_value: Among benign messages.
        n: Calibration points behind that.
        trimmed: Share of the strangest points left out of the calibration.
        stopped: Whether something was found in it that policy does not let pass.
        generic: Whether the calibration is the shipped one, which promises nothing on this traffic.
    """

    id: str
    time: float
    principal: str
    session: str
    text: str
    p_value: float
    n: int
    trimmed: float = 0.0
    stopped: bool = False
    generic: bool = False

    @property
    def elements(self) -> int:
        """How much it takes while it waits, in numbers of eight bytes."""
        return 16 + len(self.text) // 2


@dataclass(frozen=True, slots=True)
class TurnSignal:
    """Something that is too unlikely for a benign session or principal.

    Attributes:
        kind: What about.
        turn: The turn at which it was.
        turns: How many turns that rests on; of probing, how many variants.
        odd: How many of those were odd.
        began: When the first of them came, seconds since the epoch.
        evidence: How many times more likely than among benign ones, in the sense of a bet.
        also: Other kinds signalled of the same principal within :data:`TOGETHER_S`.
    """

    kind: Kind
    turn: Turn
    turns: int
    odd: int
    began: float
    evidence: float
    also: frozenset[Kind] = frozenset()


TOGETHER_S: Final = 86_400.0
"""Signals of a principal this near to each other belong together."""


class Talk(msgspec.Struct):
    """What is remembered of a session."""

    began: float
    last: float
    evidence: AnyStart
    odd: int = 0
    told: bool = False


class Account(msgspec.Struct):
    """What is remembered of a principal."""

    began: float
    evidence: Restarted
    turns: int = 0
    odd: int = 0
    texts: list[Remembered] = msgspec.field(default_factory=list)
    signalled: dict[Kind, float] = msgspec.field(default_factory=dict)


class _Memory(msgspec.Struct):
    format: int
    accounts: tuple[dict[str, Account], dict[str, Account]]
    talks: tuple[dict[str, Talk], dict[str, Talk]]


@dataclass(frozen=True, slots=True)
class Rates:
    """How often benign ones may signal.

    Attributes:
        session: Share of benign sessions that ever signal.
        turns: Turns, of all principals together, for each expected signal of a benign principal.
        probing: Share of the odd texts of benign principals whose variants signal.
    """

    session: float = 1e-3
    turns: float = 1e5
    probing: float = 1e-3


class TurnWatch:
    """Keeps the evidence of every session and principal.

    Args:
        key: The secret behind sketches; at least 16 bytes.
        rates: How often benign ones may signal.
        accounts: Principals remembered.
        sessions: Sessions remembered.

    Guarantees:
        With 95% confidence over the draw of a calibration set, given that set: of benign sessions
        at most ``rates.session`` ever signal (Ville's inequality), and among ``t`` turns of benign
        principals, all together, at most ``t / rates.turns`` signals are expected (the e-detector's
        bound); if each turn, given the earlier ones of its session and principal, is drawn like the
        calibration's messages. Near-duplicates of earlier turns need not be: their bets are cut at 1,
        which only lowers evidence. A session that was silent for half an hour, or that was forgotten
        because too many others came, begins anew as another one.
        For probing see :func:`bartizan.monitoring.probing.meet`.
    """

    def __init__(
        self,
        key: bytes,
        rates: Rates | None = None,
        *,
        accounts: int = ACCOUNTS,
        sessions: int = SESSIONS,
    ) -> None:
        self.rates = rates if rates is not None else Rates()
        self._key = key
        self._accounts = Tiers[Account](max(4, accounts))
        self._talks = Tiers[Talk](max(4, sessions))
        self._suspect = 1 / math.sqrt(self.rates.session)

    def observe(self, turn: Turn) -> list[TurnSignal]:
        """Take one judged turn, and return what is to be said: at most one signal of each kind."""
        name = turn.principal[:MAX_NAME]
        account = self._accounts.get(name)
        if account is None:
            account = Account(turn.time, Restarted())
            self._accounts.put(name, account)
        odd = turn.stopped or turn.p_value <= ODD
        payoffs = conditional_payoffs(turn.n, turn.trimmed).of(turn.p_value)
        signals: list[TurnSignal] = []
        if turn.text and (odd or max(payoffs) > 1 or any(t.odd for t in account.texts)):
            met = meet(
                account.texts,
                turn.text,
                turn.time,
                self._key,
                odd=odd,
                counts=max(payoffs) > 1,
                rate=self.rates.probing,
            )
            if met.known:
                payoffs = tuple(min(1.0, e) for e in payoffs)
            if met.probing is not None:
                found = met.probing
                signals.append(
                    TurnSignal(Kind.PROBING, turn, found.variants, found.again, found.since, found.evidence)
                )
            if odd:
                self._accounts.protect(name)
        talk = self._talk(turn, name)
        signals += self._session(turn, talk, name, payoffs, odd=odd)
        if talk.told:  # it has been said: what it sent, and goes on to send, is no news of its principal
            if signals and signals[-1].kind is Kind.SESSION:
                account.evidence = Restarted()
            payoffs = tuple(min(1.0, e) for e in payoffs)
        signals += self._principal(turn, account, payoffs, odd=odd)
        return [self._together(account, signal) for signal in signals]

    def snapshot(self) -> bytes:
        """Return everything remembered."""
        accounts, talks = self._accounts, self._talks
        return msgspec.msgpack.encode(
            _Memory(
                FORMAT,
                (dict(accounts.common), dict(accounts.protected)),
                (dict(talks.common), dict(talks.protected)),
            )
        )

    def restore(self, data: bytes) -> None:
        """Take over what :meth:`snapshot` returned.

        Raises:
            CalibrationError: The bytes are no snapshot.
        """
        try:
            kept = msgspec.msgpack.decode(data, type=_Memory)
        except msgspec.MsgspecError as error:
            raise CalibrationError(f"not a memory of turns: {error}", hint=_AFRESH) from error
        if kept.format != FORMAT:
            raise CalibrationError(f"format {kept.format} is not {FORMAT}", hint=_AFRESH)
        for accounts, tier in zip(
            kept.accounts, (self._accounts.common, self._accounts.protected), strict=True
        ):
            tier.update(accounts)
        for talks, other in zip(kept.talks, (self._talks.common, self._talks.protected), strict=True):
            other.update(talks)

    def _talk(self, turn: Turn, principal: str) -> Talk:
        """Return the session that a turn belongs to."""
        name = _talk_name(principal, turn.session)
        talk = self._talks.get(name)
        if talk is None:
            talk = Talk(turn.time, turn.time, AnyStart())
            self._talks.put(name, talk)
        elif turn.time - talk.last > IDLE_SECONDS or talk.evidence.steps >= MAX_SESSION_TURNS:
            talk.began, talk.evidence, talk.odd, talk.told = turn.time, AnyStart(), 0, False
        talk.last = max(talk.last, turn.time)
        return talk

    def _session(
        self, turn: Turn, talk: Talk, principal: str, payoffs: tuple[float, ...], *, odd: bool
    ) -> list[TurnSignal]:
        talk.odd += odd
        value = talk.evidence.step(payoffs)
        if value >= self._suspect:
            self._talks.protect(_talk_name(principal, turn.session))
        if talk.told or value < 1 / self.rates.session:
            return []
        talk.told = True
        return [TurnSignal(Kind.SESSION, turn, talk.evidence.steps, talk.odd, talk.began, value)]

    def _principal(
        self, turn: Turn, account: Account, payoffs: tuple[float, ...], *, odd: bool
    ) -> list[TurnSignal]:
        account.turns += 1
        account.odd += odd
        if not account.evidence.step(payoffs, self.rates.turns):
            return []
        signal = TurnSignal(Kind.PRINCIPAL, turn, account.turns, account.odd, account.began, self.rates.turns)
        account.turns, account.odd, account.began = 0, 0, turn.time
        return [signal]

    def _together(self, account: Account, signal: TurnSignal) -> TurnSignal:
        now = signal.turn.time
        account.signalled[signal.kind] = now
        also = frozenset(
            kind
            for kind, when in account.signalled.items()
            if kind is not signal.kind and now - when <= TOGETHER_S
        )
        return replace(signal, also=also)


def _talk_name(principal: str, session: str) -> str:
    return f"{len(principal)}:{principal}{session[:MAX_NAME]}"
