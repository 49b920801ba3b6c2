"""Session tables as bytes."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import msgspec
import numpy as np

from bartizan.calibration.contrast import Contrast
from bartizan.calibration.sessions import SessionTable
from bartizan.calibration.table import RankingData, Reference, pack_ranking, unpack_ranking
from bartizan.errors import CalibrationError
from bartizan.features.sketch import Scale
from bartizan.types import FloatArray

FORMAT = 1

_Array = tuple[list[int], bytes]


class _TableData(msgspec.Struct):
    format: int
    name: str
    created: float
    centre: bytes
    spread: bytes
    unit: float
    near: float
    law: list[float]
    references: dict[str, list[RankingData | None]]
    contrasts: dict[str, tuple[dict[str, _Array], RankingData]]
    statistics: RankingData
    kinds: dict[str, RankingData]
    versions: dict[str, str]
    power: dict[str, tuple[float, float]]


def encode(table: SessionTable) -> bytes:
    """Return a table as bytes; the same table always gives the same bytes."""
    scale = table.scale
    raw = _TableData(
        FORMAT,
        table.name,
        table.created,
        np.asarray(scale.centre, "<f8").tobytes(),
        np.asarray(scale.spread, "<f8").tobytes(),
        scale.unit,
        scale.near,
        list(scale.law),
        {
            name: [None if r is None else pack_ranking(r.ranking, r.tail) for r in by_length]
            for name, by_length in table.references.items()
        },
        {
            name: ({k: _array(v) for k, v in contrast.state().items()}, pack_ranking(r.ranking, r.tail))
            for name, (contrast, r) in table.contrasts.items()
        },
        pack_ranking(table.statistics),
        {kind: pack_ranking(ranking) for kind, ranking in table.kinds.items()},
        dict(table.versions),
        dict(table.power),
    )
    return msgspec.msgpack.Encoder(order="deterministic").encode(raw)


def decode(data: bytes) -> SessionTable:
    """Read a table back; its digest is the SHA-256 of the bytes.

    Raises:
        CalibrationError: The bytes are no table of sessions of this format.
    """
    try:
        return _table(msgspec.msgpack.decode(data, type=_TableData), data)
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError, IndexError) as error:
        raise CalibrationError(
            f"not a calibration of sessions: {error}", hint="simulate benign sessions again"
        ) from error


def identified(table: SessionTable) -> SessionTable:
    """Return a table with its digest."""
    return replace(table, digest=hashlib.sha256(encode(table)).hexdigest())


def _table(raw: _TableData, data: bytes) -> SessionTable:
    if raw.format != FORMAT:
        raise ValueError(f"format {raw.format} is not {FORMAT}")
    centre, spread = np.frombuffer(raw.centre, "<f8"), np.frombuffer(raw.spread, "<f8")
    if centre.shape != spread.shape:
        raise ValueError("scales of different length")
    contrasts = {
        name: (
            Contrast.of_state({k: np.frombuffer(b, "<f8").reshape(shape) for k, (shape, b) in state.items()}),
            Reference(unpack_ranking(ranking), ranking.tail),
        )
        for name, (state, ranking) in raw.contrasts.items()
    }
    return SessionTable(
        raw.name,
        raw.created,
        Scale(centre, spread, raw.unit, raw.near, tuple(raw.law)),
        {
            name: tuple(None if r is None else Reference(unpack_ranking(r), r.tail) for r in by_length)
            for name, by_length in raw.references.items()
        },
        contrasts,
        unpack_ranking(raw.statistics),
        {kind: unpack_ranking(ranking) for kind, ranking in raw.kinds.items()},
        raw.versions,
        raw.power,
        hashlib.sha256(data).hexdigest(),
    )


def _array(values: FloatArray) -> _Array:
    return list(values.shape), np.ascontiguousarray(values, "<f8").tobytes()
