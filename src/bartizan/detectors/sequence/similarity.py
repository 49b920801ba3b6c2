"""Queries near to each other."""

from __future__ import annotations

import math
from typing import Final

from bartizan.features.sessions import Session
from bartizan.types import DetectorSpec, Evidence, Origin, PartKind, Step

SPEC: Final = DetectorSpec(
    name="sequence.similarity",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    taxonomy=("AML.T0043", "OWASP ML01:2023"),
)


class Similarity:
    """Natural logarithm of the near queries, weighted by their share of all distinct ones.

    People who explain an answer send near queries too, so alone this is never an attack.

    References:
        Blacklight: Li et al., USENIX Security 2022.
    """

    spec = SPEC

    def score(self, session: Session) -> float:
        """Return the score; larger is stranger."""
        distinct = max(1, session.queries - session.repeats)
        return math.log1p(session.near) * session.near / distinct

    def evidence(self, session: Session) -> Evidence:
        """Say what was seen."""
        return Evidence(f"{session.near} of {session.queries} queries are near to an earlier one.")
