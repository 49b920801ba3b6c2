"""Answers that change between near queries."""

from __future__ import annotations

import math
from typing import Final

from bartizan.features.sessions import Session
from bartizan.types import DetectorSpec, Evidence, Origin, PartKind, Step

SPEC: Final = DetectorSpec(
    name="sequence.flips",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    taxonomy=("AML.T0043", "OWASP ML01:2023"),
)


class Flips:
    """How many near pairs are answered differently, each counted by how near it is, natural logarithm.

    A search for the nearest other answer halves the distance across the boundary again and
    again; explanations cross it rarely and at the size of their own perturbation.
    """

    spec = SPEC

    def score(self, session: Session) -> float:
        """Return the score; larger is stranger."""
        return math.log1p(session.flip_depth)

    def evidence(self, session: Session) -> Evidence:
        """Say what was seen."""
        return Evidence(
            f"{session.flips} of {session.near} near queries are answered differently from their nearest."
        )
