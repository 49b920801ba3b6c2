"""Many different queries in one session."""

from __future__ import annotations

import math
from typing import Final

from bartizan.features.sessions import Session
from bartizan.types import DetectorSpec, Evidence, Origin, PartKind, Step

SPEC: Final = DetectorSpec(
    name="sequence.volume",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    taxonomy=("AML.T0024.002", "AML.T0040", "OWASP ML05:2023"),
)


class Volume:
    """Natural logarithm of the queries that are no copies of kept ones.

    Time plays no part: how fast honest clients ask is not known where calibration simulates them.
    """

    spec = SPEC

    def score(self, session: Session) -> float:
        """Return the score; larger is stranger."""
        return math.log(max(1, session.queries - session.repeats))

    def evidence(self, session: Session) -> Evidence:
        """Say what was seen."""
        return Evidence(f"{session.queries} queries, {session.repeats} of them copies.")
