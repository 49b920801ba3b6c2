"""Builds a session table from sessions that were watched to their end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bartizan.calibration.contrast import Contrast, learn_contrast
from bartizan.calibration.session_file import identified
from bartizan.calibration.sessions import STRATA, SessionTable, stratum
from bartizan.calibration.table import Reference
from bartizan.errors import CalibrationError
from bartizan.features.sessions import Session
from bartizan.features.signature import signature
from bartizan.features.sketch import Scale
from bartizan.ports import SequenceDetector
from bartizan.stats.conformal import Ranking
from bartizan.types import FloatArray

FIT_SHARE: Final = 0.1
"""Share of the benign sessions from which the contrasts are learned."""

REFERENCE_SHARE: Final = 0.1
"""Share spent on stage 1; the others rank whole sessions."""

MIN_SESSIONS: Final = 100
"""Below this many benign sessions there is nothing to promise."""

MIN_REFERENCE: Final = 30
"""Scores that a stratum needs to be a reference."""

CONTRAST_UNIT: Final = 0.5
"""Log odds beyond every benign session that are worth one natural-log unit at least."""

LEAST: Final = -10.0
"""Log odds of a session that is too short to be scored."""

HELD_OUT: Final = 4
"""One in so many simulated searches measures the power instead of teaching."""

MIN_KIND: Final = 100
"""Sessions of one kind below which it is not promised anything of its own."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A session as it looked at its checkpoints.

    Attributes:
        kind: The kind of client.
        views: What was seen whenever a session that the client took part in reached a checkpoint;
            empty if all were short.
    """

    kind: str
    views: tuple[Session, ...]


@dataclass(frozen=True, slots=True)
class _Scored:
    kind: str
    queries: tuple[int, ...]
    scores: tuple[Mapping[str, float], ...]
    vectors: FloatArray


def build_session_table(
    benign: Sequence[Watched],
    detectors: Sequence[SequenceDetector],
    *,
    searching: Mapping[str, Sequence[Watched]] | None = None,
    patient: Sequence[Watched] = (),
    scale: Scale,
    name: str,
    created: float,
    rate: float,
    rng: np.random.Generator,
) -> SessionTable:
    """Build a table.

    Args:
        benign: Whole benign sessions.
        detectors: All detectors of sequences.
        searching: Simulated searches, one group for each contrast that is to be learned; without
            them none is. Some are kept out of it to measure the power.
        patient: Further benign sessions to learn the contrasts from: of any length, because
            nothing is ranked among them.
        scale: How the rows were sketched.
        name: What the sessions are, for people.
        created: Seconds since the epoch.
        rate: Rate at which the power is measured.
        rng: Splits the sessions.

    Raises:
        CalibrationError: There are too few benign sessions.
    """
    if len(benign) < MIN_SESSIONS:
        raise CalibrationError(
            f"{len(benign)} benign sessions are too few",
            hint=f"give at least {MIN_SESSIONS}; 5,754 certify a rate of 1 in 1,000",
        )
    scored = [_score(w, detectors) for w in benign]
    order = rng.permutation(len(scored))
    cut = int(len(scored) * FIT_SHARE)
    end = cut + int(len(scored) * REFERENCE_SHARE)
    fit, reference, rest = ([scored[i] for i in part] for part in np.split(order, (cut, end)))
    taught, held_out = {}, []
    for group, found in (searching or {}).items():
        mixed = [_score(found[i], detectors) for i in rng.permutation(len(found))]
        cut = len(mixed) // HELD_OUT
        taught[group] = mixed[cut:]
        held_out += mixed[:cut]
    draft = SessionTable(
        name,
        created,
        scale,
        _references(fit + reference, detectors),
        _contrasts([*fit, *(_score(w, detectors) for w in patient)], reference, taught, rng),
        Ranking.of(()),
        {},
        {d.spec.name: d.spec.version for d in detectors},
    )
    maxima = [(s.kind, _maximum(draft, s)) for s in rest]
    by_kind: dict[str, list[float]] = defaultdict(list)
    for kind, value in maxima:
        by_kind[kind].append(value)
    kinds = {k: Ranking.of(v) for k, v in sorted(by_kind.items()) if len(v) >= MIN_KIND}
    table = replace(draft, statistics=Ranking.of(v for _, v in maxima), kinds=kinds)
    return identified(replace(table, power=_power(table, held_out, rate)))


def _score(watched: Watched, detectors: Sequence[SequenceDetector]) -> _Scored:
    return _Scored(
        watched.kind,
        tuple(view.queries for view in watched.views),
        tuple({d.spec.name: d.score(view) for d in detectors} for view in watched.views),
        np.array([signature(view) for view in watched.views]),
    )


def _contrasts(
    fit: Sequence[_Scored],
    reference: Sequence[_Scored],
    taught: Mapping[str, Sequence[_Scored]],
    rng: np.random.Generator,
) -> dict[str, tuple[Contrast, Reference]]:
    """Learn each group's contrast, and how benign sessions score that it was not learned from."""
    learned = {}
    for group, found in taught.items():
        sides = [[s for s in side if s.queries] for side in (fit, found)]
        if not all(sides):
            continue
        vectors = [np.concatenate([s.vectors for s in side]) for side in sides]
        # Each session counts once, however many checkpoints it reached.
        weights = [
            np.concatenate([np.full(len(s.queries), 1 / len(s.queries)) for s in side]) for side in sides
        ]
        contrast = learn_contrast(vectors[0], vectors[1], (weights[0], weights[1]), rng)
        # Short sessions, which are never scored, are as benign as one can be.
        largest = [contrast.scores(s.vectors).max() if s.queries else LEAST for s in reference]
        learned[group] = (contrast, Reference.of(np.maximum(largest, LEAST), CONTRAST_UNIT))
    return learned


def _references(
    sessions: Sequence[_Scored], detectors: Sequence[SequenceDetector]
) -> dict[str, tuple[Reference | None, ...]]:
    """Return each detector's benign scores by length of session."""
    found: dict[str, list[list[float]]] = defaultdict(lambda: [[] for _ in range(STRATA)])
    units = {d.spec.name: d.spec.unit for d in detectors}
    for session in sessions:
        for queries, scores in zip(session.queries, session.scores, strict=True):
            for name, score in scores.items():
                found[name][stratum(queries)].append(score)
    return {
        name: tuple(
            Reference.of(np.array(scores), units[name]) if len(scores) >= MIN_REFERENCE else None
            for scores in by_length
        )
        for name, by_length in sorted(found.items())
    }


def _course(table: SessionTable, session: _Scored) -> list[float]:
    """Return a session's statistic at each of its checkpoints."""
    return [
        table.statistic(queries, scores, vector)[0]
        for queries, scores, vector in zip(session.queries, session.scores, session.vectors, strict=True)
    ]


def _maximum(table: SessionTable, session: _Scored) -> float:
    return max(_course(table, session), default=0.0)


def _power(table: SessionTable, searching: Sequence[_Scored], rate: float) -> dict[str, tuple[float, float]]:
    threshold = table.level(rate).threshold
    found: dict[str, list[float]] = defaultdict(list)
    for session in searching:
        passed = [q for q, s in zip(session.queries, _course(table, session), strict=True) if s > threshold]
        found[session.kind].append(passed[0] if passed else np.inf)
    power = {}
    for kind, queries in sorted(found.items()):
        hits = [q for q in queries if np.isfinite(q)]
        power[kind] = (len(hits) / len(queries), float(np.median(hits)) if hits else 0.0)
    return power
