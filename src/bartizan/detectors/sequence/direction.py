"""Queries that keep going the same way."""

from __future__ import annotations

import math
from typing import Final

from bartizan.features.sessions import Session
from bartizan.types import DetectorSpec, Evidence, Origin, PartKind, Step

SMALLEST: Final = 1e-3
"""Below this a ratio is this, in logarithms."""

SPEC: Final = DetectorSpec(
    name="sequence.direction",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    taxonomy=("AML.T0043", "OWASP ML01:2023"),
)


class Direction:
    """How far recent steps add up, against how far steps in random directions would, natural logarithm.

    Steps lead from the nearest earlier query. A cloud around one row has steps that cancel; a
    walk towards a goal has steps that add up.

    References:
        Similarity of update directions: Park et al. (GWAD), CVPR 2025.
    """

    spec = SPEC

    def score(self, session: Session) -> float:
        """Return the score; larger is stranger."""
        return math.log(max(session.persistence, SMALLEST))

    def evidence(self, session: Session) -> Evidence:
        """Say what was seen."""
        return Evidence(
            f"The last steps lead {math.sqrt(max(session.persistence, 0.0)):.1f} times as far as random ones."
        )
