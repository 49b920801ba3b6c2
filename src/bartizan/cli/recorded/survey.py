"""What a calibration recording says about its columns: fixed from then on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

import numpy as np

from bartizan.cli.recorded.cells import numbers, text
from bartizan.cli.recorded.formats import Block
from bartizan.cli.recorded.problems import RecordingError
from bartizan.cli.recorded.roles import KNOWN, LABELS, NONE, Options, Roles, assign, output_columns
from bartizan.types import Value

MAX_DISTINCT: Final = 1_000
"""A column of more different texts is free text or a name, not a category."""
FEW_DISTINCT: Final = 32
STRAY_SHARE: Final = 0.01
"""So few values that are no numbers leave a column numeric, if it has many different values."""
MAX_CLASSES: Final = 20
"""A numeric answer of so few different whole numbers is a class."""
SHOWN: Final = 20
"""Names shown of a kind of column."""
LEAST_RISING: Final = 100
"""So many numbers, each larger than the one before, are a counter or a clock."""


class Kind(StrEnum):
    """How a column is read."""

    NUMBER = "number"
    CATEGORY = "category"


class Schema(Value, frozen=True):
    """How recordings of one system are read.

    Attributes:
        roles: The columns that are no inputs.
        inputs: The model's inputs, in order.
        kinds: The kind of each input.
        outputs: Columns of what the model answered.
        labels: Where ``outputs`` is one column of labels: the classes, in order.
        left_out: Columns that are known and not looked at.
    """

    roles: Roles
    inputs: tuple[str, ...]
    kinds: tuple[Kind, ...]
    outputs: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(slots=True)
class _Column:
    """What has been seen of one column."""

    present: int = 0
    strays: int = 0
    whole: bool = True
    rising: bool = True
    last: float = -np.inf
    distinct: set[str] = field(default_factory=set)

    def see(self, cells: Sequence[Any]) -> None:
        values = numbers(cells)
        known = values[~np.isnan(values)]
        proper = known[np.isfinite(known)]
        self.present += len(known)
        self.strays += len(known) - len(proper)
        self.whole = self.whole and bool((proper == np.floor(proper)).all())
        if self.rising and len(proper):
            self.rising = bool(proper[0] > self.last and (np.diff(proper) > 0).all())
            self.last = float(proper[-1])
        if len(self.distinct) <= MAX_DISTINCT:
            self._collect(cells)

    def _collect(self, cells: Sequence[Any]) -> None:
        for cell in set(map(text, cells)):
            if cell is not None and len(self.distinct) <= MAX_DISTINCT:
                self.distinct.add(cell)

    @property
    def kind(self) -> Kind:
        few = len(self.distinct) <= FEW_DISTINCT
        numeric = self.strays == 0 or (not few and self.strays <= STRAY_SHARE * self.present)
        return Kind.NUMBER if numeric else Kind.CATEGORY

    @property
    def why_not(self) -> str:
        """Why this is nothing to watch, or nothing."""
        many = len(self.distinct)
        if not self.present:
            return "it is empty"
        if self.kind is Kind.CATEGORY and (
            many > MAX_DISTINCT or 2 * many > max(self.present, FEW_DISTINCT * 2)
        ):
            return (
                "nearly every text in it is another one"
                if many <= MAX_DISTINCT
                else (f"it has more than {MAX_DISTINCT:,} different texts")
            )
        if self.kind is Kind.NUMBER and not self.strays and self.rising and self.present >= LEAST_RISING:
            return "it only ever rises, as counters and clocks do"
        return ""


def survey(blocks: Iterable[Block], options: Options, *, file: str) -> tuple[Schema, list[str]]:
    """Read a calibration recording once, to learn how to read it.

    Args:
        blocks: The recording.
        options: What the user said about columns.
        file: Its name, for messages.

    Returns:
        The schema, and what was decided, a sentence each.

    Raises:
        RecordingError: The recording is empty, or lacks a column that the user named.
    """
    columns: dict[str, _Column] = {}
    events = 0
    for block in blocks:
        events += len(block)
        for name, cells in block.cells.items():
            columns.setdefault(name, _Column()).see(cells)
    if not events:
        raise RecordingError(f"{file} holds no events", hint="give a recording of benign events")
    names = list(columns)
    # Whom an event came from need not be known in the calibration.
    roles = assign(names, _present(options, names), file=file)
    outputs = output_columns(names, options, roles.named(), file=file)
    labels, answer = _labels(outputs, columns, options)
    schema, notes = _inputs(columns, roles, outputs, options, file=file)
    return (
        Schema(roles, schema.inputs, schema.kinds, tuple(outputs), labels, schema.left_out),
        [*_said(roles, options), *answer, *notes],
    )


def _present(options: Options, names: Sequence[str]) -> Options:
    """Return what the user said, as far as a recording has the columns."""

    def kept(said: str | None) -> str | None:
        return said if said is None or said in names else NONE

    return replace(
        options,
        time=kept(options.time),
        principal=kept(options.principal),
        trusted=kept(options.trusted),
        id=kept(options.id),
        groups=tuple(g for g in options.groups if g in names),
    )


def _labels(
    outputs: Sequence[str], columns: dict[str, _Column], options: Options
) -> tuple[tuple[str, ...], list[str]]:
    """Return the classes, where the answer is one label."""
    if len(outputs) != 1:
        found = f"outputs, of classes 0 to {len(outputs) - 1}: {_listed(outputs)}"
        return (), [found if outputs else "outputs: none; --output names them"]
    name, column = outputs[0], columns[outputs[0]]
    numeric = column.kind is Kind.NUMBER and name not in options.categorical
    few = 2 <= len(column.distinct) <= MAX_CLASSES and column.present > 2 * len(column.distinct)
    if numeric and not (column.whole and few and not column.strays):
        return (), [f"outputs: {name}, a number"]
    if not 1 <= len(column.distinct) <= MAX_DISTINCT:
        how_many = f"more than {MAX_DISTINCT:,}" if column.distinct else "no"
        raise RecordingError(
            f"the output {name!r} has {how_many} classes",
            hint="--output names the columns of the model's answer, --output - says that there are none",
        )
    classes = tuple(sorted(column.distinct, key=_in_order))
    return classes, [f"outputs: {name}, classes 0 to {len(classes) - 1}: {_listed(classes)}"]


def _inputs(
    columns: dict[str, _Column], roles: Roles, outputs: Sequence[str], options: Options, *, file: str
) -> tuple[Schema, list[str]]:
    for name in (*options.categorical, *options.ignore):
        if name not in columns:
            raise RecordingError(
                f"{file} has no column {name!r}", hint=f"it has {', '.join(list(columns)[:20])}"
            )
    kept: dict[str, Kind] = {}
    left: dict[str, str] = {}
    for name, column in columns.items():
        if name in roles.named() or name in outputs:
            continue
        if name in options.ignore:
            left[name] = ""
        elif len(outputs) > 1 and not options.outputs and name.lower() in LABELS:
            left[name] = "the outputs say it"
        elif name in options.categorical:
            kept[name] = Kind.CATEGORY
        elif why := column.why_not:
            left[name] = why
        else:
            kept[name] = column.kind
    notes = [f"left out: {name}, {why}" for name, why in left.items() if why]
    notes += [
        f"{name} is read as numbers; {columns[name].strays:,} of its values are none"
        for name, kind in kept.items()
        if kind is Kind.NUMBER and columns[name].strays
    ]
    found = [
        f"{what}: {_listed(named)}"
        for kind, what in ((Kind.NUMBER, "inputs, numbers"), (Kind.CATEGORY, "inputs, categories"))
        if (named := [name for name, k in kept.items() if k is kind])
    ]
    schema = Schema(roles, tuple(kept), tuple(kept.values()), left_out=tuple(left))
    return schema, [*(found or ["inputs: none"]), *notes]


def _said(roles: Roles, options: Options) -> list[str]:
    """Return which columns have which role, where the user did not say so."""
    found = [f"{role}: {getattr(roles, role) or 'none'}" for role in KNOWN if getattr(options, role) is None]
    return ["; ".join(found)] if found else []


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if names[SHOWN:] else "")


def _in_order(label: str) -> tuple[bool, float, str]:
    """Order labels as numbers where they are numbers, as texts behind them."""
    try:
        return False, float(label), label
    except ValueError:
        return True, 0.0, label
