"""A monitor's state as bytes: what it has seen survives a restart, and the alarms stay the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from bartizan.alarms import Cause, Ground, SessionSignal
from bartizan.errors import CalibrationError
from bartizan.monitoring.direction import Direction
from bartizan.monitoring.episode import Episode
from bartizan.monitoring.histories import Histories
from bartizan.monitoring.recent import Names, Recent, Stretch
from bartizan.stats.bets import BETS

if TYPE_CHECKING:
    from bartizan.monitoring.monitor import Monitor

FORMAT: Final = 1


def snapshot(monitor: Monitor) -> bytes:
    """Return the state of a monitor."""
    episode = monitor.episode
    return msgspec.msgpack.encode(
        _State(
            FORMAT,
            monitor.baseline.digest,
            monitor.count,
            monitor.fed_from,
            monitor.untrusted,
            monitor.absorbed,
            monitor.detector.evidence.tobytes(),
            None if episode is None else _pack_episode(episode),
            _pack_recent(monitor.recent),
            _pack_recent(monitor.trusted),
            [(name, counts.tobytes()) for name, counts in monitor.histories.items()],
            [(name, index, signal) for name, (index, signal) in monitor.signals.items()],
            monitor.canary,
            monitor.suspects,
            b"" if monitor.sessions is None else monitor.sessions.snapshot(),
        )
    )


def restore(monitor: Monitor, data: bytes) -> None:
    """Give a new monitor the state of an earlier one.

    Raises:
        CalibrationError: The bytes are no state, or one of another baseline.
    """
    try:
        raw = msgspec.msgpack.decode(data, type=_State)
        if raw.format != FORMAT or raw.baseline != monitor.baseline.digest:
            raise CalibrationError(
                "the saved state belongs to another baseline", hint="remove it to start watching afresh"
            )
        _restore(monitor, raw)
    except (msgspec.MsgspecError, ValueError, IndexError) as error:
        raise CalibrationError(
            f"not a saved state: {error}", hint="remove it to start watching afresh"
        ) from error


class _EpisodeData(msgspec.Struct, array_like=True):
    id: str
    began: int
    onset: int
    beyond: bool
    streams: tuple[int, ...]
    shares: tuple[float, ...]
    bets: tuple[int, ...]
    log_evidence: float
    last: int
    crossings: int
    looks: list[int]
    said: tuple[Cause, bool] | None


class _StretchData(msgspec.Struct, array_like=True):
    index: bytes
    times: bytes
    bins: bytes
    fed: bytes
    principals: list[str | None]
    groups: dict[str, list[str | None]]


class _State(msgspec.Struct):
    format: int
    baseline: str
    count: int
    fed_from: int
    untrusted: int
    absorbed: int
    evidence: bytes
    episode: _EpisodeData | None
    recent: _StretchData
    trusted: _StretchData
    histories: list[tuple[str, bytes]]
    signals: list[tuple[str, int, SessionSignal]]
    canary: Ground | None
    suspects: list[tuple[int, str, SessionSignal]]
    sessions: bytes


def _restore(monitor: Monitor, raw: _State) -> None:
    streams = len(monitor.baseline.streams)
    monitor.count, monitor.fed_from = raw.count, raw.fed_from
    monitor.untrusted, monitor.absorbed = raw.untrusted, raw.absorbed
    monitor.detector.evidence[:] = np.frombuffer(raw.evidence, np.float64).reshape(streams, BETS)
    monitor.episode = None if raw.episode is None else _unpack_episode(raw.episode, monitor)
    for recent, kept in ((monitor.recent, raw.recent), (monitor.trusted, raw.trusted)):
        recent.extend(_unpack_stretch(kept, streams))
    _restore_histories(monitor.histories, raw.histories)
    monitor.signals.clear()
    monitor.signals.update({name: (index, signal) for name, index, signal in raw.signals})
    monitor.canary = raw.canary
    monitor.suspects = raw.suspects
    if monitor.sessions is not None and raw.sessions:
        monitor.sessions.restore(raw.sessions)


def _restore_histories(histories: Histories, kept: list[tuple[str, bytes]]) -> None:
    for name, counts in kept:
        histories.put(name, np.frombuffer(counts, np.uint32).reshape(histories.shape))


def _pack_episode(episode: Episode) -> _EpisodeData:
    direction = episode.direction
    return _EpisodeData(
        episode.id,
        episode.began,
        episode.onset,
        episode.beyond,
        direction.streams,
        direction.shares,
        direction.bets,
        episode.log_evidence,
        episode.last,
        episode.crossings,
        episode.looks,
        episode.said,
    )


def _unpack_episode(data: _EpisodeData, monitor: Monitor) -> Episode:
    streams = monitor.baseline.streams
    gains = tuple(streams[f].bets.log[:, j] for f, j in zip(data.streams, data.bets, strict=True))
    direction = Direction(data.streams, data.shares, data.bets, gains)
    return Episode(
        data.id,
        data.began,
        data.onset,
        data.beyond,
        direction,
        data.log_evidence,
        data.last,
        data.crossings,
        data.looks,
        data.said,
    )


def _pack_recent(recent: Recent) -> _StretchData:
    kept = recent.all()
    return _StretchData(
        kept.index.tobytes(),
        kept.times.tobytes(),
        kept.bins.tobytes(),
        kept.fed.tobytes(),
        kept.principals.tolist(),
        {name: column.tolist() for name, column in kept.groups.items()},
    )


def _unpack_stretch(data: _StretchData, streams: int) -> Stretch:
    return Stretch(
        np.frombuffer(data.index, np.int64),
        np.frombuffer(data.times, np.float64),
        np.frombuffer(data.bins, np.int8).reshape(-1, streams),
        np.frombuffer(data.fed, np.bool_),
        _names(data.principals),
        {name: _names(values) for name, values in data.groups.items()},
    )


def _names(values: list[Any]) -> Names:
    names: Names = np.empty(len(values), dtype=np.object_)
    names[:] = values
    return names
