"""Margins that fall along a chain of near queries."""

from __future__ import annotations

import math
from typing import Final

from bartizan.features.sessions import Session
from bartizan.types import DetectorSpec, Evidence, Origin, PartKind, Step

SPEC: Final = DetectorSpec(
    name="sequence.margin",
    version="1",
    steps=frozenset({Step.EXCHANGE}),
    kinds=frozenset({PartKind.ROWS}),
    origins=frozenset(Origin),
    taxonomy=("AML.T0043", "OWASP ML01:2023"),
)


class MarginTrend:
    """Larger of two standardised sums: new lowest margins, and margins ranked low among the kept ones.

    Both average to 0 when the order of a chain's queries means nothing, whatever their margins
    are: in a cloud around one row the ``k``-th is the lowest so far with probability ``1/k``.

    References:
        Records: Renyi (1962). Sequential ranks: Barndorff-Nielsen, Ann. Math. Stat. 34 (1963).
    """

    spec = SPEC

    def score(self, session: Session) -> float:
        """Return the score; larger is stranger."""
        records = session.records / math.sqrt(session.record_variance + 1.0)
        trend = -session.margin_trend / math.sqrt(session.rank_variance + 1.0)
        return max(records, trend)

    def evidence(self, session: Session) -> Evidence:
        """Say what was seen."""
        return Evidence(
            f"Along chains of near queries the margin reached a new low {session.records:.0f} times "
            "more often than chance would have it."
        )
