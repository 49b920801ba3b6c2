"""Which column is what: time, principal, trusted, id, outputs, groups, inputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bartizan.cli.recorded.problems import RecordingError
from bartizan.types import Value

NONE: Final = "-"
"""What an option says when there is no such column, whatever the names look like."""

KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "time": ("time", "timestamp", "ts", "event_time", "datetime", "observed_at", "created_at", "date"),
    "principal": (
        "principal",
        "principal.id",
        "user",
        "user_id",
        "client",
        "client_id",
        "account",
        "account_id",
        "customer",
        "customer_id",
        "api_key",
    ),
    "trusted": ("trusted", "trusted_source", "is_trusted"),
    "id": ("id", "event_id", "request_id", "record_id", "exchange_id", "uuid"),
}
"""Names by which a role is recognised, in order, whatever their case."""

SCORE_PREFIXES: Final = ("output.", "outputs.", "prob_", "proba_", "probability_", "score_")
LABELS: Final = ("prediction", "predicted", "predicted_class", "predicted_label")


@dataclass(frozen=True, slots=True)
class Options:
    """What the user said about the columns; ``None`` and empty leave it to recognition.

    Attributes:
        time: Column of times, or ``-`` for none; likewise the next three.
        principal: Column of principals.
        trusted: Column that says whether an event came from a trusted source.
        id: Column of ids.
        outputs: Columns of what the model answered, in order; ``-`` for none.
        groups: Columns of coarser names for principals.
        ignore: Columns to leave out.
        categorical: Columns that are categories though they look like numbers.
    """

    time: str | None = None
    principal: str | None = None
    trusted: str | None = None
    id: str | None = None
    outputs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()


class Roles(Value, frozen=True):
    """Names of the columns that are no inputs; empty where there is none."""

    time: str = ""
    principal: str = ""
    trusted: str = ""
    id: str = ""
    groups: tuple[str, ...] = ()

    def named(self) -> set[str]:
        """Return the columns that have a role."""
        return {self.time, self.principal, self.trusted, self.id, *self.groups} - {""}


def assign(
    names: Sequence[str], options: Options, *, file: str, learnt: Roles | None = None, fixed: bool = True
) -> Roles:
    """Decide which columns have a role.

    Args:
        names: The file's columns.
        options: What the user said.
        file: The file's name, for messages.
        learnt: The roles in the calibration recording, where this is the watched one.
        fixed: Whether ``names`` are all columns that there will be.

    Raises:
        RecordingError: A column that the user named is not there.
    """
    chosen = {}
    for role, known in KNOWN.items():
        said: str | None = getattr(options, role)
        usual = getattr(learnt, role) if learnt is not None else ""
        if said is not None:
            chosen[role] = "" if said == NONE else _present(said, names, file, f"--{role}", fixed=fixed)
        elif usual and (usual in names or not fixed):
            chosen[role] = usual
        else:
            taken = {*options.outputs, *options.groups, *options.categorical, *chosen.values()}
            chosen[role] = recognised(names, known, taken)
    groups = options.groups or (learnt.groups if learnt is not None else ())
    for name in groups:
        _present(name, names, file, "--group", fixed=fixed)
    return Roles(**chosen, groups=groups)


def output_columns(names: Sequence[str], options: Options, taken: Collection[str], *, file: str) -> list[str]:
    """Return the columns of what the model answered: scores in order, or one of labels or values.

    Raises:
        RecordingError: A column that the user named is not there.
    """
    if options.outputs:
        if options.outputs == (NONE,):
            return []
        return [_present(name, names, file, "--output", fixed=True) for name in options.outputs]
    free = [n for n in names if n not in taken and n not in options.ignore]
    for prefix in SCORE_PREFIXES:
        scores = [n for n in free if n.lower().startswith(prefix)]
        if scores:
            return scores
    label = recognised(free, LABELS, ())
    return [label] if label else []


def recognised(names: Sequence[str], known: Sequence[str], taken: Collection[str]) -> str:
    """Return the first column that has one of the known names, or nothing."""
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[k] for k in known if k in lower and lower[k] not in taken), "")


def _present(name: str, names: Sequence[str], file: str, option: str, *, fixed: bool) -> str:
    if fixed and name not in names:
        shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        raise RecordingError(f"{file} has no column {name!r} ({option})", hint=f"it has {shown}")
    return name
