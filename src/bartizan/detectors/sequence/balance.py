"""Answers spread more evenly over the classes than chance would have it."""

from __future__ import annotations

import math
from typing import Final

from bartizan.features.sessions import Session
from bartizan.types import DetectorSpec, Evidence, Origin, PartKind, Step

SPEC: Final = DetectorSpec(
    name="sequence.balance",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    taxonomy=("AML.T0024.002", "OWASP ML05:2023"),
)


class Balance:
    """Minus the natural logarithm of the chi-squared distance from equal shares, per degree of freedom.

    Whoever copies a model wants every class equally often; people do not.
    """

    spec = SPEC

    def score(self, session: Session) -> float:
        """Return the score; larger is stranger."""
        known, total = session.known_classes, sum(session.classes)
        if known < 2 or total == 0:
            return 0.0
        expected = total / known
        squared = sum((count - expected) ** 2 for count in session.classes) / expected
        squared += expected * max(0, known - len(session.classes))
        return -math.log((squared + 0.5) / (known - 1.0))

    def evidence(self, session: Session) -> Evidence:
        """Say what was seen."""
        shares = ", ".join(str(count) for count in session.classes[:5])
        return Evidence(f"Answers by class, most first: {shares}.")
