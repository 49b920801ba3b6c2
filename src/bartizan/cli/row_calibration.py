"""Calibration rows of a predictive system: what is known of them, and which detectors they choose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table as Grid

from bartizan import registry
from bartizan.assembly import candidates_of, fitted_states, usual_detectors
from bartizan.calibration.attacks import Attacks
from bartizan.calibration.plan import ready
from bartizan.calibration.power import select
from bartizan.calibration.table import Selection, Table
from bartizan.cli.lines import Line
from bartizan.config import System
from bartizan.errors import CalibrationError
from bartizan.features.variants import KINDS, STATE, Model, Recipe, rows_at, with_all_variants
from bartizan.ports import Detector
from bartizan.types import FloatArray, Rows

FIT_SHARE: Final = 0.5
"""Share of reference rows that fitted detectors learn from; the others are ranked."""

States = dict[str, dict[str, FloatArray]]


@dataclass(frozen=True, slots=True)
class Learnt:
    """What reference rows taught.

    Attributes:
        names: Which detectors are on.
        states: What they learnt, and the recipe for changed copies if they need some.
        selection: Why those, if it was measured.
    """

    names: tuple[str, ...]
    states: States
    selection: Selection | None

    def asked(self, rows: Rows, model: Model | None) -> Rows:
        """Return rows with the answers to the changed copies that the detectors need, if any."""
        if STATE not in self.states:
            return rows
        recipe = Recipe.from_state(self.states[STATE])
        return _with_answers(recipe, map(registry.detector, self.names), rows, model)


def rows_of_lines(lines: Sequence[Line], model: Model | None) -> Rows:
    """Return the lines' rows with the outputs and embeddings that they give, or the model does.

    Raises:
        CalibrationError: The rows are no rectangular table of numbers.
    """
    try:
        inputs = np.asarray([line.content for line in lines], dtype=np.float64).reshape(len(lines), -1)
        outputs = _given(lines, "outputs")
        embedding = _given(lines, "embedding")
    except (TypeError, ValueError) as error:
        raise CalibrationError(
            f"the rows are no rectangular table of numbers: {error}", hint="give rows of one length"
        ) from error
    if outputs is None and model is not None:
        return model(inputs)
    return Rows(inputs, outputs, embedding=embedding)


def lines_of_rows(rows: Rows) -> list[Line]:
    """Return one line per row, with all that is known of it."""
    return [Line(i, rows_at(rows, np.array([i]))) for i in range(len(rows.inputs))]


def parted(rows: Rows, rng: np.random.Generator, share: float) -> tuple[Rows, Rows]:
    """Return two disjoint random parts, the first with this share of the rows."""
    order = rng.permutation(len(rows.inputs))
    first, second = np.split(order, [int(len(order) * share)])
    return rows_at(rows, first), rows_at(rows, second)


def learnt(
    system: System,
    learn: Rows,
    first: Rows,
    model: Model | None,
    *,
    rate: float,
    ranked: int,
    rng: np.random.Generator,
) -> Learnt:
    """Fit a system's detectors, and choose among them unless the operator did.

    Args:
        system: The system.
        learn: Rows to learn from; none of them may rank interactions later.
        first: Rows to choose on; of the interactions that are ranked, those of stage 1 only. The
            model must not have been trained on them: it is surer of what it was trained on, and
            detectors of unsure answers would look better than they are.
        model: Asks the model; without it, attacks that search are not measured, and detectors
            that compare answers can't be on.
        rate: The false-alarm rate asked for.
        ranked: How many rows will rank in stage 2.
        rng: Makes the attacks.
    """
    recipe = Recipe.of(learn.inputs)
    candidates = _loaded(system, _feedable(system, learn, recipe, model))
    learn = _with_answers(recipe, candidates, learn, model)
    states = fitted_states(candidates, learn.inputs, learn.outputs, rows=learn)
    selection = None
    if system.detectors is None:
        fitted = [ready(d, Table("being chosen", 0.0, {}, states))[0] for d in candidates]
        attacks = {
            name: _with_answers(recipe, candidates, Rows(rows) if model is None else model(rows), model)
            for name, rows in Attacks(learn.inputs, rng).made(first, model).items()
        }
        benign = _with_answers(recipe, candidates, first, model)
        usual = usual_detectors(system.kind)
        selection = select(fitted, benign, attacks, usual=usual, rate=rate, ranked=ranked, rng=rng)
        names = selection.on if selection is not None else usual
        candidates = tuple(d for d in candidates if d.spec.name in names)
    kept = {d.spec.name: states[d.spec.name] for d in candidates if d.spec.needs_fit}
    if any(d.spec.needs_variants for d in candidates):
        kept[STATE] = recipe.state()
    return Learnt(tuple(d.spec.name for d in candidates), kept, selection)


def _with_answers(recipe: Recipe, detectors: Iterable[Detector], rows: Rows, model: Model | None) -> Rows:
    """Return rows with the answers to the changed copies that detectors want, asked batch by batch."""
    wanted = {kind for d in detectors for kind in d.spec.needs_variants}
    kinds = tuple(kind for kind in KINDS if kind in wanted)
    if not kinds or model is None or rows.outputs is None:
        return rows
    return with_all_variants(model, recipe, kinds, rows)


def print_selection(console: Console, selection: Selection) -> None:
    """Print what each detector found of each attack, and which are on."""
    grid = Grid(
        title=f"found of synthetic attacks, at 1 in {1 / selection.level:,.0f} "
        f"({selection.rows:,} benign rows, none of which ranks messages)",
        title_justify="left",
    )
    attacks = sorted(selection.power)
    for heading in ("detector", *attacks, ""):
        grid.add_column(heading)
    names = dict.fromkeys(name for found in selection.power.values() for name in found)
    for name in names:
        shares = (f"{selection.power[a][name]:.0%}" for a in attacks)
        grid.add_row(name, *shares, "on" if name in selection.on else "off")
    for title, found in (("those on, together", selection.together), ("usual, together", selection.usual)):
        grid.add_row(title, *(f"{found[a]:.0%}" for a in attacks), "")
    console.print(grid)
    if unmeasured := [name for name in selection.on if name not in names]:
        console.print(f"on without being measured, as no model was asked: {', '.join(unmeasured)}")


def _feedable(system: System, rows: Rows, recipe: Recipe, model: Model | None) -> tuple[str, ...]:
    """Return the candidates, less those that what is known of the rows can't feed."""
    names = candidates_of(system)
    if system.detectors is not None:
        return names
    kept = []
    for name in names:
        spec = registry.detector(name).spec
        if spec.needs_variants and (model is None or rows.outputs is None or not recipe.rows_at_once(KINDS)):
            continue
        if not (spec.needs_embedding and rows.embedding is None):
            kept.append(name)
    return tuple(kept)


def _loaded(system: System, names: Sequence[str]) -> tuple[Detector, ...]:
    return tuple(registry.detector(name, system.options.get(name)) for name in names)


def _given(lines: Sequence[Line], name: str) -> FloatArray | None:
    given: list[Any] = [line.how.get(name) for line in lines]
    if any(g is None for g in given):
        return None
    return np.asarray([np.asarray(g, dtype=np.float64).reshape(-1) for g in given])
