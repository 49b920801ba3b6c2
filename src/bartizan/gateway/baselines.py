"""Makes a system's monitor from the baseline that is configured for it."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from bartizan.assembly import sessions_path
from bartizan.calibration import session_file
from bartizan.calibration.sessions import SessionTable
from bartizan.config import System
from bartizan.errors import BartizanError, ConfigError
from bartizan.gateway.beginning import Beginning
from bartizan.gateway.watcher import Watched
from bartizan.monitoring.archive import VERIFIER, Archive
from bartizan.monitoring.baseline import Baseline, Settings
from bartizan.monitoring.monitor import Monitor
from bartizan.monitoring.pair import Pair
from bartizan.monitoring.sessions import SessionWatch
from bartizan.monitoring.stored import decode
from bartizan.store.notes import parse_verifier

MAX_BYTES = 2**28


class _Saved(msgspec.Struct):
    """What ``bartizan watch`` saves; how it reads recordings matters only there.

    Attributes:
        baseline: The law of the benign stream.
        sessions: What benign sessions look like; empty where that is not known.
    """

    baseline: bytes
    sessions: bytes = b""


def watched_of(system: System, key: bytes, data: Path, clock: Callable[[], float]) -> Watched | None:
    """Return a system's monitor: of its signed baselines, the one configured, or the one learnt live.

    Args:
        system: Its configuration.
        key: The installation's key; each system's monitor gets one made of it.
        data: The data directory.
        clock: Seconds since the epoch.

    Returns:
        ``None`` where no baseline is configured and none is to be learnt.

    Raises:
        ConfigError: The baseline, or the table of sessions, can't be read.
        LedgerError: The signed baselines don't verify.
    """
    settings = system.monitoring
    archive = archive_of(data, system.name)
    if archive is not None:
        return watched(system, key, data, archive.anchor, rolling=archive.current)
    live = live_path(data, system.name)
    path = settings.baseline or (live if live.exists() else None)
    if path is not None:
        baseline, sessions = load_baseline(path)
        return watched(system, key, data, baseline, sessions)
    if not settings.learn:
        return None
    wanted = Settings(settings.events_per_alarm)
    return gathering(Beginning(system.name, settings.learn_events, live, wanted, clock))


def watched(
    system: System,
    key: bytes,
    data: Path,
    baseline: Baseline,
    sessions: SessionTable | None = None,
    rolling: Baseline | None = None,
) -> Watched:
    """Return a system's monitor of a baseline, and of the benign sessions that calibration simulated.

    Args:
        system: Its configuration.
        key: The installation's key.
        data: The data directory.
        baseline: What the stream is held against; the anchor, where there is a rolling one.
        sessions: What benign sessions look like, if that is known.
        rolling: The baseline that followed drift, beside the anchor.

    Raises:
        ConfigError: The table of sessions can't be read.
    """
    own = hmac.digest(key, f"monitor {system.name}".encode(), hashlib.sha256)
    sessions = sessions or _simulated(sessions_path(data, system.name))
    watch = None if sessions is None else SessionWatch(sessions, own)
    monitor: Monitor | Pair
    if rolling is None:
        monitor, digest = Monitor(baseline, system=system.name, key=own, sessions=watch), baseline.digest
    else:
        monitor = Pair(baseline, rolling, system=system.name, key=own, sessions=watch)
        digest = f"{baseline.digest}+{rolling.digest}"
    return Watched(
        monitor=monitor,
        streams=baseline.streams,
        threshold=max(baseline.threshold, math.e),
        digest=digest,
        promise=baseline.promise,
        refused=baseline.refused,
    )


def archive_of(data: Path, system: str) -> Archive | None:
    """Return a system's signed baselines, as ``bartizan baseline`` keeps them, or ``None``.

    Raises:
        LedgerError: They don't verify.
    """
    directory = data / "baselines" / system
    verifier = directory / VERIFIER
    if not verifier.exists():
        return None
    return Archive(directory, system, parse_verifier(verifier.read_text().strip()))


def gathering(beginning: Beginning) -> Watched:
    """Return what stands for a monitor while there is no baseline."""
    return Watched(beginning, (), math.e, "", "", beginning.said)


def renewal(system: System, key: bytes, data: Path, first: Watched) -> Callable[[], Watched | None] | None:
    """Return what tells how far gathering is and, once a baseline is learnt, gives its monitor."""
    beginning = first.monitor
    if not isinstance(beginning, Beginning):
        return None
    begun = False

    def renew() -> Watched | None:
        nonlocal begun
        if begun:
            return None
        begun = beginning.baseline is not None
        return watched(system, key, data, beginning.baseline) if beginning.baseline else gathering(beginning)

    return renew


def live_path(data: Path, system: str) -> Path:
    """Return where the baseline that live traffic taught is kept."""
    return data / "watch" / f"{system}.baseline"


def _simulated(path: Path) -> SessionTable | None:
    if not path.exists():
        return None
    try:
        return session_file.decode(path.read_bytes())
    except (BartizanError, OSError) as error:
        raise ConfigError(
            f"the table of benign sessions {path} can't be read: {error}",
            hint="make it with `bartizan calibrate --sessions`, or remove it",
        ) from error


def load_baseline(path: Path) -> tuple[Baseline, SessionTable | None]:
    """Read a baseline, alone or as ``bartizan watch`` saved it with a table of benign sessions.

    Raises:
        ConfigError: It can't be read.
    """
    hint = "make one with `bartizan watch` on benign traffic, and save it"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"the baseline {path} is larger than {MAX_BYTES:,} bytes", hint=hint)
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the baseline {path} can't be read: {error.strerror}", hint=hint) from error
    saved = _Saved(data)  # a baseline alone
    with suppress(msgspec.MsgspecError):
        saved = msgspec.msgpack.decode(data, type=_Saved)
    try:
        sessions = session_file.decode(saved.sessions) if saved.sessions else None
        return decode(saved.baseline), sessions
    except BartizanError as error:
        raise ConfigError(f"{path}: {error.message}", hint=error.hint or hint) from error
