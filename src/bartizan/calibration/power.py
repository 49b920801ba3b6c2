"""Chooses which detectors are on, by what they find of synthetic attacks at the promised rate.

Every detector that is on shares one false-alarm rate with the others
(:mod:`bartizan.calibration.table`): one that finds nothing the others miss only makes them
blinder. So the choice is greedy on the power of the *combined* statistic.

Guarantees:
    None of power: attacks are synthetic. The false-alarm rate does not depend on the choice as
    long as no row used here, for fitting or for choosing, ranks interactions afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bartizan.calibration.build import REFERENCE_SHARE
from bartizan.calibration.table import Cell, Reference, Selection, Table
from bartizan.features.once import OncePerInteraction
from bartizan.ports import Detector, Unavailable
from bartizan.stats.conformal import Ranking
from bartizan.types import FloatArray, Interaction, Origin, Part, PartKind, Principal, Rows, Step

MIN_ROWS: Final = 60
"""Fewer benign rows than this choose nothing: power at their level would be chance."""

MIN_GAIN: Final = 0.01
"""Mean power that a detector has to add to be on."""

MIN_GAIN_ASKING: Final = 0.03
"""The same for the first that costs an extra model call for every exchange."""

PARTS: Final = round(1 / REFERENCE_SHARE)
REPEATS: Final = 2

CELL: Final = "exchange"

Scored = Mapping[str, FloatArray]
"""Scores by detector, each of shape ``(n,)``."""


@dataclass(frozen=True, slots=True)
class _Fold:
    """Surprises of most benign rows, and of attacks, by the ranks of the others.

    Attributes:
        benign: By detector, shape ``(m,)``.
        attacks: By attack and detector, shape ``(a,)``.
        rank: An alarm is a statistic above all but ``rank - 1`` benign ones.
        rate: The certified rate in force at that rank.
    """

    benign: Scored
    attacks: Mapping[str, Scored]
    rank: int
    rate: float

    def found(self, names: Sequence[str]) -> dict[str, float]:
        """Return the share of each attack that detectors find together, as ``Cell.statistic`` does."""
        if not names or not self.rank:
            return dict.fromkeys(self.attacks, 0.0)
        benign = np.max([self.benign[name] for name in names], axis=0)
        cut = float(np.sort(benign)[-self.rank])
        return {attack: float((self._statistic(attack, names) > cut).mean()) for attack in self.attacks}

    def _statistic(self, attack: str, names: Sequence[str]) -> FloatArray:
        known = [self.attacks[attack][name] for name in names if name in self.attacks[attack]]
        return np.max(known, axis=0) if known else np.zeros(1)


def select(
    detectors: Sequence[Detector],
    benign: Rows,
    attacks: Mapping[str, Rows],
    *,
    usual: Sequence[str],
    rate: float,
    rng: np.random.Generator,
) -> Selection | None:
    """Choose which detectors are on.

    Power is measured as a table is built: a fifth of the benign rows gives each detector's
    ranks, the others rank statistics, at the level that they certify for the rate; every fifth
    in turn, twice over.

    Args:
        detectors: Candidates, fitted on other rows than these.
        benign: Benign rows with all that is known of them; they must rank no interaction later.
        attacks: Rows of each synthetic attack, with all that is known of them.
        usual: Names of those that are on where nothing is measured. A candidate that no attack
            could be measured on (it looks at outputs, and no model was asked) stays what it was.
        rate: The false-alarm rate asked for.
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
    folds = []
    for _ in range(REPEATS):
        parts = np.array_split(rng.permutation(len(benign.inputs)), PARTS)
        for i, first in enumerate(parts):
            second = np.concatenate([p for j, p in enumerate(parts) if j != i])
            folds.append(_fold(own, hostile, units, first, second, rate))
    measured = [name for name in own if any(name in scored for scored in hostile.values())]
    base = [name for name in own if name in usual and name not in measured]
    on = _greedy(folds, by_name, measured, base) or [name for name in own if name in usual]
    return Selection(
        on=tuple(on),
        off=tuple(name for name in measured if name not in on),
        level=max(fold.rate for fold in folds),
        rows=len(benign.inputs),
        power=_by_attack(folds, {name: [name] for name in measured}),
        together=_together(folds, on),
        usual=_together(folds, [name for name in own if name in usual]),
    )


def _greedy(
    folds: Sequence[_Fold], by_name: Mapping[str, Detector], measured: Sequence[str], base: Sequence[str]
) -> list[str]:
    on, power = list(base), _mean(_together(folds, base))
    while rest := [name for name in measured if name not in on]:
        asks = any(by_name[name].spec.needs_variants for name in on)
        gains = {
            name: _mean(_together(folds, [*on, name])) - power - _needed(by_name[name], asks=asks)
            for name in rest
        }
        best = max(rest, key=lambda name: gains[name])
        if gains[best] < 0.0:
            break
        on.append(best)
        power = _mean(_together(folds, on))
    for name in [n for n in on if n not in base]:
        # An early choice may have become idle beside later ones.
        others = [n for n in on if n != name]
        if others and _mean(_together(folds, others)) >= power:
            on, power = others, _mean(_together(folds, others))
    return on if set(on) - set(base) else []


def _needed(detector: Detector, *, asks: bool) -> float:
    return MIN_GAIN_ASKING if detector.spec.needs_variants and not asks else MIN_GAIN


def _together(folds: Sequence[_Fold], names: Sequence[str]) -> dict[str, float]:
    found = [fold.found(names) for fold in folds]
    return {attack: _mean({i: f[attack] for i, f in enumerate(found)}) for attack in found[0]}


def _by_attack(folds: Sequence[_Fold], sets: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    found = {name: _together(folds, names) for name, names in sets.items()}
    return {attack: {name: found[name][attack] for name in sets} for attack in folds[0].attacks}


def _mean(values: Mapping[Any, float]) -> float:
    return sum(values.values()) / len(values) if values else 0.0


def _fold(
    own: Scored,
    hostile: Mapping[str, Scored],
    units: Mapping[str, float],
    first: npt.NDArray[np.int64],
    second: npt.NDArray[np.int64],
    rate: float,
) -> _Fold:
    references = {name: Reference.of(scores[first], units[name]) for name, scores in own.items()}

    def surprises(scored: Scored) -> dict[str, FloatArray]:
        return {
            name: np.array([references[name].surprise(s) for s in scores.tolist()])
            for name, scores in scored.items()
            if name in references
        }

    cell = Cell(references, Ranking.of(np.zeros(len(second))), "operator")
    level = Table("power", 0.0, {CELL: cell}).level(CELL, rate)
    rank = round(level.threshold * (len(second) + 1))
    benign = surprises({name: scores[second] for name, scores in own.items()})
    return _Fold(benign, {a: surprises(scored) for a, scored in hostile.items()}, rank, level.rate)


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
