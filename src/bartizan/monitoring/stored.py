"""Baselines as bytes."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
import numpy as np

from bartizan.errors import CalibrationError
from bartizan.monitoring.baseline import Baseline, Check, Settings
from bartizan.monitoring.streams import Stream
from bartizan.stats.bets import Bets
from bartizan.stats.bins import Cuts
from bartizan.types import FloatArray

FORMAT: Final = 1


def encode(baseline: Baseline) -> bytes:
    """Return a baseline as bytes; the same baseline always gives the same bytes."""
    return msgspec.msgpack.Encoder(order="deterministic").encode(
        _BaselineData(
            FORMAT,
            baseline.name,
            baseline.created,
            baseline.events,
            [_pack(s) for s in baseline.streams],
            baseline.every,
            baseline.settings,
            baseline.check,
            baseline.refused,
            baseline.epoch,
        )
    )


def decode(data: bytes) -> Baseline:
    """Read a baseline back; its digest is the SHA-256 of the bytes.

    Raises:
        CalibrationError: The bytes are no baseline of this format.
    """
    try:
        raw = msgspec.msgpack.decode(data, type=_BaselineData)
        if raw.format != FORMAT:
            raise CalibrationError(
                f"baseline format {raw.format} is not {FORMAT}", hint="learn it again with this version"
            )
        streams = tuple(_unpack(s) for s in raw.streams)
    except (msgspec.MsgspecError, ValueError) as error:
        raise CalibrationError(
            f"not a baseline: {error}", hint="make one with `bartizan watch --save-baseline`"
        ) from error
    return Baseline(
        raw.name,
        raw.created,
        raw.events,
        streams,
        raw.every,
        raw.settings,
        raw.check,
        raw.refused,
        raw.epoch,
        hashlib.sha256(data).hexdigest(),
    )


def sealed(baseline: Baseline) -> Baseline:
    """Return a baseline with the digest of its bytes."""
    return decode(encode(baseline))


class _StreamData(msgspec.Struct, array_like=True):
    name: str
    log: bytes
    weights: bytes
    changes: list[str]
    share: bytes
    categories: list[str]
    edges: bytes
    breaks: bytes
    gaps: bytes


class _BaselineData(msgspec.Struct):
    format: int
    name: str
    created: float
    events: int
    streams: list[_StreamData]
    every: int
    settings: Settings
    check: Check
    refused: str
    epoch: int


def _pack(stream: Stream) -> _StreamData:
    cuts = stream.cuts
    return _StreamData(
        stream.name,
        _bytes(stream.bets.log),
        _bytes(stream.bets.weights),
        list(stream.bets.changes),
        _bytes(stream.share),
        list(stream.categories),
        _bytes(cuts.edges) if cuts else b"",
        _bytes(cuts.breaks) if cuts else b"",
        np.ascontiguousarray(cuts.gaps, "<i8").tobytes() if cuts else b"",
    )


def _unpack(data: _StreamData) -> Stream:
    share = _floats(data.share)
    log = _floats(data.log).reshape(len(share), -1)
    bets = Bets(log, _floats(data.weights), tuple(data.changes))
    if log.shape[1] != len(bets.weights) or len(bets.changes) != len(bets.weights):
        raise ValueError("bets of different number")
    if data.categories:
        if len(data.categories) != len(share):
            raise ValueError("categories and shares of different number")
        return Stream(data.name, bets, share, categories=tuple(data.categories))
    cuts = Cuts(_floats(data.edges), _floats(data.breaks), np.frombuffer(data.gaps, "<i8"))
    if not len(cuts.edges) == len(cuts.breaks) == len(share) - 1 == len(cuts.gaps) - 1:
        raise ValueError("edges and shares of different number")
    return Stream(data.name, bets, share, cuts=cuts)


def _bytes(values: FloatArray) -> bytes:
    return np.ascontiguousarray(values, "<f8").tobytes()


def _floats(data: bytes) -> FloatArray:
    return np.frombuffer(data, "<f8")
