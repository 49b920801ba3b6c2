"""Evidence over a sequence of bets: against "nothing happens, ever", and with restarts.

Both multiply payoffs, that is numbers that are not negative and have mean at most 1 given the past
while nothing happens; both take a step in constant time and memory, and their fields are the
whole state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bartizan.stats.elond import gamma

LARGEST = 1e12
"""Evidence beyond this says no more, and must not overflow."""


@dataclass(slots=True)
class AnyStart:
    """Evidence that something began at some step, whichever: a mixture over all starts.

    Start ``s`` has the stake ``gamma(s)`` (:func:`bartizan.stats.elond.gamma`), which lies idle until
    then: evidence that ordinary steps came first costs a factor that grows about as ``s log(s)^2``.

    Attributes:
        sums: One per kind of bet: what the stakes that are at play have become.
        idle: Share of the stake whose start is still to come.
        steps: Steps taken.

    Guarantees:
        ``P(the evidence ever reaches 1 / r) <= r``, whatever the number of steps: it is a
        non-negative supermartingale that starts at 1 (Ville's inequality).

    References:
        Ramdas, Grünwald, Vovk, Shafer, *Game-theoretic statistics and safe anytime-valid inference*,
        Statist. Sci. 38 (2023).

    >>> process = AnyStart()
    >>> [round(process.step([4.0, 2.0]), 2) for _ in range(3)]
    [1.99, 5.7, 19.57]
    """

    sums: list[float] = field(default_factory=list)
    idle: float = 1.0
    steps: int = 0

    def step(self, payoffs: Sequence[float]) -> float:
        """Take a step with one payoff per kind of bet, and return the evidence."""
        self.steps += 1
        share = min(self.idle, gamma(self.steps))
        self.idle -= share
        before = self.sums or [0.0] * len(payoffs)
        self.sums = [min(LARGEST, (s + share) * e) for s, e in zip(before, payoffs, strict=True)]
        return self.value

    @property
    def value(self) -> float:
        """The evidence."""
        return self.idle + (sum(self.sums) / len(self.sums) if self.sums else 0.0)


@dataclass(slots=True)
class Restarted:
    """Evidence that something happens now; set back to 0 whenever it was enough.

    Each sum becomes ``(sum + 1) * payoff``: steps at which nothing happens wear off what came
    before, so what was odd once is not held against anybody for ever.

    Attributes:
        sums: One per kind of bet.

    Guarantees:
        ``E[crossings within t steps] <= t / threshold`` for every ``t``; over many such detectors
        with one threshold, whatever their dependence, the sum of their steps counts. The proof is
        in :mod:`bartizan.stats.edetector`.

    >>> detector = Restarted()
    >>> [detector.step([4.0, 2.0], 10.0) for _ in range(3)]
    [False, True, False]
    """

    sums: list[float] = field(default_factory=list)

    def step(self, payoffs: Sequence[float], threshold: float) -> bool:
        """Take a step; return whether the evidence reached the threshold, and then start again."""
        before = self.sums or [0.0] * len(payoffs)
        self.sums = [min(LARGEST, (s + 1.0) * e) for s, e in zip(before, payoffs, strict=True)]
        if self.value < threshold:
            return False
        self.sums = []
        return True

    @property
    def value(self) -> float:
        """The evidence."""
        return sum(self.sums) / len(self.sums) if self.sums else 0.0
