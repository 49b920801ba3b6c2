"""Baselines for ``bartizan watch``: learnt from a benign recording, saved, and loaded again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from bartizan.calibration import session_file
from bartizan.calibration.sessions import SessionTable
from bartizan.cli.benign_sessions import learn_from_principals
from bartizan.cli.recorded.convert import Converter
from bartizan.cli.recorded.formats import Block
from bartizan.cli.recorded.problems import Tally
from bartizan.cli.recorded.recording import SUFFIXES, Recording, whole
from bartizan.cli.recorded.roles import NONE, Options, Roles
from bartizan.cli.recorded.survey import Kind, Schema, survey
from bartizan.errors import CalibrationError
from bartizan.monitoring.baseline import Baseline, Settings
from bartizan.monitoring.learning import learn
from bartizan.monitoring.stored import decode, encode

FORMAT: Final = "bartizan-watch"
VERSION: Final = 1
MAX_BYTES: Final = 2**28
SKETCH_KEY: Final = b"bartizan watch"
"""Sessions are sketched with another key when they are watched: what is learnt does not depend on it."""
_INPUT: Final = "input."
_GROUPED: Final = "input.mean of "


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a recording is held against.

    Attributes:
        schema: How recordings of the system are read.
        baseline: The law of its benign stream.
        notes: What was decided on the way, a sentence each.
        sessions: What benign sessions look like, where that is known.
    """

    schema: Schema
    baseline: Baseline
    notes: list[str] = field(default_factory=list)
    sessions: SessionTable | None = None


class _Saved(msgspec.Struct):
    format: str
    version: int
    schema: Schema
    baseline: bytes
    sessions: bytes = b""


def is_recording(source: str) -> bool:
    """Whether a calibration file is a recorded stream, and not a saved baseline."""
    return Path(source).suffix.lower() in SUFFIXES


def learn_from(
    recording: Recording,
    options: Options,
    settings: Settings,
    *,
    arrival_order: bool,
    sessions: bool,
    rng: np.random.Generator,
    shown: Callable[[Iterable[Block], str], Iterable[Block]],
) -> Learnt:
    """Learn a baseline from a benign recording, read twice: once to see what its columns are.

    Args:
        recording: The recording.
        options: What the user said about columns.
        settings: What is to be promised.
        arrival_order: Whether events may go back in time.
        sessions: Whether to learn what benign sessions look like, too.
        rng: Breaks ties.
        shown: Shows the progress of reading, under a name.

    Raises:
        RecordingError: It can't be read.
        CalibrationError: Nothing can be learnt from it.
    """
    seen = shown(recording.blocks(Tally()), "looking at the calibration")
    schema, notes = survey(seen, options, file=recording.name)
    tally = Tally()
    converter = Converter(
        schema, options, file=recording.name, tally=tally, skip=recording.skip, arrival_order=arrival_order
    )
    events = whole(shown(recording.blocks(tally), "reading the calibration"), converter, recording.name)
    notes += [*converter.notes, *tally.report()]
    # As old as the newest event in it: the same recording and seed give the same baseline.
    baseline = learn(events, name=recording.name, created=float(events.times[-1]), rng=rng, settings=settings)
    table = None
    if sessions:
        table, said = learn_from_principals(
            events, key=SKETCH_KEY, name=recording.name, created=baseline.created, rng=rng
        )
        notes.append(said)
    return Learnt(schema, baseline, notes, table)


def save(learnt: Learnt, path: Path) -> None:
    """Write a baseline, with how recordings are read, for ``--calibration``.

    Raises:
        CalibrationError: The name would be taken for a recording, or can't be written.
    """
    if is_recording(str(path)):
        raise CalibrationError(
            f"{path} would be taken for a recording", hint="choose another ending, such as .baseline"
        )
    sessions = b"" if learnt.sessions is None else session_file.encode(learnt.sessions)
    saved = _Saved(FORMAT, VERSION, learnt.schema, encode(learnt.baseline), sessions)
    try:
        path.write_bytes(msgspec.msgpack.encode(saved))
    except OSError as error:
        raise CalibrationError(f"can't write {path}: {error.strerror}") from error


def load(path: Path, options: Options) -> Learnt:
    """Read a saved baseline: one of ``--save-baseline``, or a bare one of the gateway.

    Raises:
        CalibrationError: It is neither, or is of another version.
    """
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_BYTES + 1)
    except OSError as error:
        raise CalibrationError(
            f"can't read {path}: {error.strerror}", hint="--calibration takes a recording or a baseline"
        ) from error
    if len(data) > MAX_BYTES:
        raise CalibrationError(f"{path} is too large for a baseline", hint=_endings())
    try:
        saved = msgspec.msgpack.decode(data, type=_Saved)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        saved = None
    if saved is None or saved.format != FORMAT:
        return _bare(path, data, options)
    if saved.version != VERSION:
        raise CalibrationError(
            f"{path} has version {saved.version}, not {VERSION}", hint="learn it again with this version"
        )
    sessions = session_file.decode(saved.sessions) if saved.sessions else None
    return Learnt(saved.schema, decode(saved.baseline), sessions=sessions)


def _bare(path: Path, data: bytes, options: Options) -> Learnt:
    try:
        baseline = decode(data)
    except CalibrationError as error:
        raise CalibrationError(f"{path} is neither a baseline nor a recording", hint=_endings()) from error
    schema = _schema_of(baseline, options)
    return Learnt(schema, baseline, [f"inputs: the {len(schema.inputs)} columns of the baseline"])


def _schema_of(baseline: Baseline, options: Options) -> Schema:
    """Return how to read a recording for a baseline that came without saying so."""
    inputs = {
        s.name.removeprefix(_INPUT): Kind.CATEGORY if s.cuts is None else Kind.NUMBER
        for s in baseline.streams
        if s.name.startswith(_INPUT)
    }
    if any(s.name.startswith(_GROUPED) for s in baseline.streams):
        raise CalibrationError(
            "this baseline watches groups of columns and does not say which",
            hint="save one with `bartizan watch --save-baseline`",
        )
    outputs = tuple(name for name in options.outputs if name != NONE)
    if not outputs and any(s.name.startswith("output.") for s in baseline.streams):
        raise CalibrationError(
            "this baseline watches outputs and does not say in which columns they are",
            hint="name the columns with --output, in the model's order",
        )
    return Schema(Roles(), tuple(inputs), tuple(inputs.values()), outputs)


def _endings() -> str:
    return f"recordings end in {', '.join(sorted(SUFFIXES))}; baselines come from --save-baseline"
