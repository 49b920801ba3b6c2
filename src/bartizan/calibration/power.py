"""Chooses which detectors are on, by what they find of synthetic attacks at the promised rate.

Every detector that is on shares one false-alarm rate with the others
(:mod:`bartizan.calibration.table`): one that finds nothing the others miss only makes them
blinder. So the choice is greedy on the power of the *combined* statistic.

Guarantees:
    None of power: attacks are synthetic. The false-alarm rate does not depend on the choice as
    long as no row used here, for fitting or for choosing, ranks interactions afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bartizan.calibration.table import Cell, Level, Reference, Selection, Table
from bartizan.features.once import OncePerInteraction
from bartizan.ports import Detector, Unavailable
from bartizan.stats.conformal import Ranking
from bartizan.types import FloatArray, Interaction, Origin, Part, PartKind, Principal, Rows, Step

MIN_ROWS: Final = 50
"""Fewer benign rows than this choose nothing: power at their level would be chance."""

MIN_GAIN: Final = 0.02
"""Mean power that a detector has to add to be on."""

MIN_GAIN_ASKING: Final = 0.04
"""The same for the first that costs an extra model call for every exchange."""

PARTS: Final = 5

TAIL_SHARE: Final = 0.1
MIN_TAIL: Final = 5
"""Where the level lies beyond what so few rows can show, the strangest tenth of them gives the tail."""

CELL: Final = "exchange"

Scored = Mapping[str, FloatArray]
"""Scores by detector, each of shape ``(n,)``."""


@dataclass(frozen=True, slots=True)
class _Surprises:
    """Surprises of benign rows and of attacks, by the ranks of other benign rows.

    Attributes:
        benign: By detector, shape ``(n,)``: each row by the ranks of the folds it is not in.
        attacks: By attack and detector, shape ``(PARTS, a)``: by the ranks without each fold.
        level: The alarm rule that will be in force.
    """

    benign: Scored
    attacks: Mapping[str, Scored]
    level: Level

    def found(self, names: Sequence[str]) -> dict[str, float]:
        """Return the share of each attack that detectors find together, as ``Cell.statistic`` does."""
        if not names or not self.level.threshold:
            return dict.fromkeys(self.attacks, 0.0)
        cut = _cut(np.max([self.benign[name] for name in names], axis=0), self.level.threshold)
        return {attack: float((self._statistic(attack, names) > cut).mean()) for attack in self.attacks}

    def power(self, names: Sequence[str]) -> float:
        """Return the mean of :meth:`found` over attacks."""
        found = self.found(names)
        return sum(found.values()) / len(found)

    def _statistic(self, attack: str, names: Sequence[str]) -> FloatArray:
        known = [self.attacks[attack][name] for name in names if name in self.attacks[attack]]
        return np.max(known, axis=0) if known else np.zeros((PARTS, 1))


def _cut(benign: FloatArray, threshold: float) -> float:
    """Return the statistic whose p-value is the threshold.

    Ranks say it where there are enough of them. A strict level lies beyond: from the strangest
    tenth on, statistics are taken to fall off exponentially, as the surprises do that they are
    made of. Measured at a laxer level instead, detectors look best that find many attacks and
    never stand out.
    """
    count = len(benign)
    ordered = np.sort(benign)
    tail = max(MIN_TAIL, int(count * TAIL_SHARE))
    rank = int(threshold * (count + 1))
    if rank >= tail:
        return float(ordered[-rank])
    top = ordered[-tail:]
    scale = float((top - top[0]).mean())
    return float(top[0]) + scale * math.log(tail / (count + 1) / threshold)


def select(
    detectors: Sequence[Detector],
    benign: Rows,
    attacks: Mapping[str, Rows],
    *,
    usual: Sequence[str],
    rate: float,
    ranked: int,
    rng: np.random.Generator,
) -> Selection | None:
    """Choose which detectors are on.

    Power is measured as a table would: benign rows rank each detector's scores, and other
    benign rows the statistics made of those ranks; every fifth of the rows in turn is ranked by
    the other four. The level is the one that will be in force.

    Args:
        detectors: Candidates, fitted on other rows than these.
        benign: Benign rows with all that is known of them; they must rank no interaction later.
        attacks: Rows of each synthetic attack, with all that is known of them.
        usual: Names of those that are on where nothing is measured. A candidate that no attack
            could be measured on (it looks at outputs, and no model was asked) stays what it was.
        rate: The false-alarm rate asked for.
        ranked: How many benign interactions will rank statistics, which decides what is certified.
        rng: Parts the benign rows.

    Returns:
        ``None`` where there are too few benign rows, or no candidate has scores for them.
    """
    if len(benign.inputs) < MIN_ROWS:
        return None
    by_name = {d.spec.name: d for d in detectors}
    own = _scores(detectors, benign)
    hostile = {attack: _scores(detectors, rows) for attack, rows in attacks.items() if len(rows.inputs)}
    if not own or not hostile:
        return None
    units = {name: by_name[name].spec.unit for name in own}
    known = _surprises(own, hostile, units, _level(rate, ranked), rng)
    measured = [name for name in own if any(name in scored for scored in hostile.values())]
    base = [name for name in own if name in usual and name not in measured]
    on = _greedy(known, by_name, measured, base) or [name for name in own if name in usual]
    alone = {name: known.found([name]) for name in measured}
    return Selection(
        on=tuple(on),
        off=tuple(name for name in measured if name not in on),
        level=known.level.rate,
        rows=len(benign.inputs),
        power={attack: {name: alone[name][attack] for name in measured} for attack in hostile},
        together=known.found(on),
        usual=known.found([name for name in own if name in usual]),
    )


def _greedy(
    known: _Surprises, by_name: Mapping[str, Detector], measured: Sequence[str], base: Sequence[str]
) -> list[str]:
    on, power = list(base), known.power(base)
    while rest := [name for name in measured if name not in on]:
        asks = any(by_name[name].spec.needs_variants for name in on)
        gains = {name: known.power([*on, name]) - power - _needed(by_name[name], asks=asks) for name in rest}
        best = max(rest, key=lambda name: gains[name])
        if gains[best] < 0.0:
            break
        on.append(best)
        power = known.power(on)
    for name in [n for n in on if n not in base]:
        # An early choice may have become idle beside later ones.
        others = [n for n in on if n != name]
        if others and known.power(others) >= power:
            on, power = others, known.power(others)
    return on if set(on) - set(base) else []


def _needed(detector: Detector, *, asks: bool) -> float:
    return MIN_GAIN_ASKING if detector.spec.needs_variants and not asks else MIN_GAIN


def _surprises(
    own: Scored,
    hostile: Mapping[str, Scored],
    units: Mapping[str, float],
    level: Level,
    rng: np.random.Generator,
) -> _Surprises:
    count = len(next(iter(own.values())))
    fold = rng.permutation(count) % PARTS
    benign = {name: np.empty(count) for name in own}
    attacks: dict[str, dict[str, FloatArray]] = {
        attack: {name: np.empty((PARTS, len(v))) for name, v in scored.items() if name in own}
        for attack, scored in hostile.items()
    }
    for part in range(PARTS):
        held = fold == part
        for name, scores in own.items():
            reference = Reference.of(scores[~held], units[name])
            benign[name][held] = _by(reference, scores[held])
            for attack, scored in attacks.items():
                if name in scored:
                    scored[name][part] = _by(reference, hostile[attack][name])
    return _Surprises(benign, attacks, level)


def _level(rate: float, ranked: int) -> Level:
    cell = Cell({}, Ranking.of(np.zeros(ranked)), "operator")
    return Table("power", 0.0, {CELL: cell}).level(CELL, rate)


def _by(reference: Reference, scores: FloatArray) -> FloatArray:
    return np.array([reference.surprise(score) for score in scores.tolist()])


def _scores(detectors: Sequence[Detector], rows: Rows) -> dict[str, FloatArray]:
    """Return the scores of every detector that can answer for these rows."""
    part = Part(PartKind.ROWS, Origin.USER, rows=rows)
    nobody = Principal("calibration", "process")
    features = OncePerInteraction(Interaction("", "", Step.EXCHANGE, nobody, (part,)))
    found: dict[str, FloatArray] = {}
    for detector in detectors:
        try:
            scores = np.asarray(detector.score(part, features).values)
        except Unavailable:
            continue
        if np.isfinite(scores).all():
            found[detector.spec.name] = scores
    return found
