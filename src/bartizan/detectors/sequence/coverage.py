"""Queries that keep reaching new regions."""

from __future__ import annotations

import math
from typing import Final

from bartizan.features.sessions import Session
from bartizan.types import DetectorSpec, Evidence, Origin, PartKind, Step

SPEC: Final = DetectorSpec(
    name="sequence.coverage",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    taxonomy=("AML.T0024.002", "OWASP ML05:2023"),
)


class Coverage:
    """Different cells visited, natural logarithm, plus their share of the queries.

    Compared with benign sessions of about equal length, as all sessions are.
    """

    spec = SPEC

    def score(self, session: Session) -> float:
        """Return the score; larger is stranger."""
        return math.log1p(session.cells) + session.cells / max(1, session.queries)

    def evidence(self, session: Session) -> Evidence:
        """Say what was seen."""
        return Evidence(f"{session.queries} queries reached {session.cells} different regions.")
