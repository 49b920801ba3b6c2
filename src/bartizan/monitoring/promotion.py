"""The nouns of recalibration: what is allowed, what is known, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bartizan.alarms import Alarm, Events, Ground
from bartizan.errors import CalibrationError
from bartizan.monitoring.baseline import Baseline


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator allows.

    Attributes:
        quarantine_s: How many seconds the newest event of a window must have waited.
        eta: How much of a promoted baseline is the window; the rest is the one in force.
        principal_share: Largest share of a window that one principal, or group, may supply.
        trusted_share: Smallest share of a window that trusted sources supply; 0: none is needed.
        step: Largest total variation distance, on any stream, to the baseline in force.
        total: Largest one to the anchor; beyond it a person must sign a new anchor.
    """

    quarantine_s: float = 86_400.0
    eta: float = 0.25
    principal_share: float = 0.005
    trusted_share: float = 0.0
    step: float = 0.02
    total: float = 0.1

    def __post_init__(self) -> None:
        shares = (self.eta, self.principal_share, self.step, self.total)
        if self.quarantine_s < 0 or not all(0 < s <= 1 for s in shares) or not 0 <= self.trusted_share < 1:
            raise CalibrationError(
                "recalibration can't keep these limits",
                hint="shares lie between 0 and 1, seconds aren't negative",
            )


@dataclass(frozen=True, slots=True)
class Replay:
    """An attack on file, which every baseline must still find.

    Attributes:
        name: For people.
        events: The attack, from its first event on.
        within: Events after which the alarm must have been raised.
    """

    name: str
    events: Events
    within: int


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What else is known when a window is proposed.

    Attributes:
        open_alarms: Alarms that nobody has closed yet.
        canary: What the model's canaries say; ``None``: there are none.
        replays: Attacks on file.
        trusted_before: What trusted sources sent when the anchor was learnt.
    """

    open_alarms: Sequence[Alarm] = ()
    canary: Ground | None = None
    replays: Sequence[Replay] = ()
    trusted_before: Events | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """How far one stream would move.

    Attributes:
        stream: Its name.
        step: Total variation distance to the baseline in force.
        total: The one to the anchor.
    """

    stream: str
    step: float
    total: float


@dataclass(frozen=True, slots=True)
class Promotion:
    """A baseline that may take over.

    Attributes:
        baseline: The baseline.
        movements: How far it has moved, one per stream.
        until: Time of the window's last event; no later window may begin before it.
        said: What was not checked, for want of something to check it with.
    """

    baseline: Baseline
    movements: tuple[Movement, ...]
    until: float
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a window is not taken in.

    Attributes:
        reasons: All of them.
        human: Whether the window lies too far away for any promotion: a person has to look, and to sign
            a new anchor if it stays there.
        movements: How far it would have moved; empty where it was not asked.
    """

    reasons: tuple[str, ...]
    human: bool = False
    movements: tuple[Movement, ...] = ()
