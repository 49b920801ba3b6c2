"""Distances between queries that follow no benign law."""

from __future__ import annotations

import math
from typing import Final

from bartizan.features.sessions import Session
from bartizan.types import DetectorSpec, Evidence, Origin, PartKind, Step

SMALLEST: Final = 1e-3
"""Below this a ratio is this, in logarithms."""

SPEC: Final = DetectorSpec(
    name="sequence.distances",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    taxonomy=("AML.T0024.002", "OWASP ML05:2023"),
)


class Distances:
    """Likelihood ratio of the session's own law of neighbour distances against the benign one.

    Twice the log ratio is about chi-squared with one degree of freedom less than there are
    bins, and enters standardised, so that short and long sessions are on one scale.

    References:
        Distances as a sign of extraction: Juuti et al. (PRADA), arXiv 1805.02628. There a test
        of normality with a threshold set by hand; here a likelihood ratio (Wilks 1938).
    """

    spec = SPEC

    def score(self, session: Session) -> float:
        """Return the score; larger is stranger."""
        total = sum(session.distances)
        if total == 0:
            return 0.0
        pairs = zip(session.distances, session.law, strict=True)
        ratio = 2.0 * sum(n * math.log(n / (total * share)) for n, share in pairs if n)
        freedom = len(session.law) - 1.0
        return math.log(max(ratio, SMALLEST) / freedom)

    def evidence(self, session: Session) -> Evidence:
        """Say what was seen."""
        return Evidence("The distances between neighbouring queries do not follow the benign law.")
