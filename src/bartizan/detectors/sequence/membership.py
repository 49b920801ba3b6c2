"""The same or nearly the same records scored again while the model is sure (a heuristic)."""

from __future__ import annotations

import math
from typing import Final

from bartizan.features.sessions import Session
from bartizan.types import DetectorSpec, Evidence, Origin, PartKind, Step

SPEC: Final = DetectorSpec(
    name="sequence.membership",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    taxonomy=("AML.T0024.000", "OWASP ML04:2023"),
)


class Membership:
    """Near queries and copies on which the model is confident, natural logarithm, times their share.

    A heuristic: nobody has published how well membership inference shows in queries at run
    time, and one query per record does not show at all.
    """

    spec = SPEC

    def score(self, session: Session) -> float:
        """Return the score; larger is stranger."""
        return math.log1p(session.sure) * session.sure / max(1, session.queries)

    def evidence(self, session: Session) -> Evidence:
        """Say what was seen."""
        return Evidence(
            f"{session.sure} of {session.queries} queries repeat a record on which the model is sure."
        )
