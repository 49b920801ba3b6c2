"""A session as a short vector, for what is learned from sessions as a whole."""

from __future__ import annotations

import math
from typing import Final

from bartizan.features.sessions import Session

NAMES: Final = (
    "length", "near", "near share", "repeats", "longest chain", "flips", "flip depth", "depth per flip",
    "new lowest margins", "margin trend", "reach trend", "step trend", "ranked", "persistence", "turn",
    "cells", "cell share", "classes", "balance", "law ratio", "mean distance", "spread of distances",
    "sure", "sure share", "parent trend", "lead trend", "apart trend", "hop trend", "parent lead trend",
)  # fmt: skip
"""What each number is."""


def signature(session: Session) -> tuple[float, ...]:
    """Return the session as one number per name in :data:`NAMES`, all finite."""
    s, log, log1p, sqrt = session, math.log, math.log1p, math.sqrt
    queries = max(1, s.queries)
    distinct = max(1, queries - s.repeats)
    scale = sqrt(s.rank_variance + 3.0)
    whole = sqrt(s.whole_variance + 3.0)
    answers = max(1, sum(s.classes))
    entropy = -sum(c / answers * log(c / answers) for c in s.classes)
    expected = answers / max(1, s.known_classes)
    uneven = sum((c - expected) ** 2 for c in s.classes) / expected
    uneven += expected * max(0, s.known_classes - len(s.classes))
    apart = max(1, sum(s.distances))
    ratio = sum(n * log(n / (apart * q)) for n, q in zip(s.distances, s.law, strict=True) if n)
    mean = sum(k * n for k, n in enumerate(s.distances)) / apart
    spread = sum((k - mean) ** 2 * n for k, n in enumerate(s.distances)) / apart
    return (
        log(queries),
        log1p(s.near),
        s.near / distinct,
        s.repeats / queries,
        log1p(s.longest),
        log1p(s.flips),
        log1p(s.flip_depth),
        s.flip_depth / (s.flips + 3.0),
        s.records / sqrt(s.record_variance + 1.0),
        s.margin_trend / scale,
        s.reach_trend / scale,
        s.step_trend / scale,
        log1p(s.ranked),
        log(s.persistence + 0.1),
        s.turn / (s.turns + 1.0),
        log1p(s.cells),
        s.cells / queries,
        entropy,
        log1p(uneven),
        log1p(max(0.0, ratio)),
        mean,
        sqrt(spread),
        log1p(s.sure),
        s.sure / queries,
        s.parent_trend / scale,
        s.lead_trend / whole,
        s.apart_trend / whole,
        s.hop_trend / whole,
        s.parent_lead_trend / whole,
    )
