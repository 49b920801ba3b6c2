"""Makes a system's monitor from the baseline that is configured for it."""

from __future__ import annotations

import hashlib
import hmac
import math
from contextlib import suppress
from pathlib import Path

import msgspec

from bartizan.calibration import session_file
from bartizan.calibration.sessions import SessionTable
from bartizan.config import System
from bartizan.errors import BartizanError, ConfigError
from bartizan.gateway.watcher import Watched
from bartizan.monitoring.baseline import Baseline
from bartizan.monitoring.monitor import Monitor
from bartizan.monitoring.sessions import SessionWatch
from bartizan.monitoring.stored import decode

MAX_BYTES = 2**28


class _Saved(msgspec.Struct):
    """What ``bartizan watch`` saves; how it reads recordings matters only there.

    Attributes:
        baseline: The law of the benign stream.
        sessions: What benign sessions look like; empty where that is not known.
    """

    baseline: bytes
    sessions: bytes = b""


def watched_of(system: System, key: bytes) -> Watched | None:
    """Return a system's monitor; ``None`` where no baseline is configured.

    Args:
        system: Its configuration.
        key: The installation's key; each system's monitor gets one made of it.

    Raises:
        ConfigError: The baseline can't be read.
    """
    path = system.monitoring.baseline
    if path is None:
        return None
    baseline, sessions = load_baseline(path)
    own = hmac.digest(key, f"monitor {system.name}".encode(), hashlib.sha256)
    return Watched(
        monitor=Monitor(
            baseline,
            system=system.name,
            key=own,
            sessions=None if sessions is None else SessionWatch(sessions, own),
        ),
        streams=baseline.streams,
        threshold=max(baseline.threshold, math.e),
        digest=baseline.digest,
        promise=baseline.promise,
        refused=baseline.refused,
    )


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
