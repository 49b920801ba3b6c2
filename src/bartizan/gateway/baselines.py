"""Makes a system's monitor from the baseline that is configured for it."""

from __future__ import annotations

import hashlib
import hmac
import math
from contextlib import suppress
from pathlib import Path

import msgspec

from bartizan.config import System
from bartizan.errors import BartizanError, ConfigError
from bartizan.gateway.watcher import Watched
from bartizan.monitoring.baseline import Baseline
from bartizan.monitoring.monitor import Monitor
from bartizan.monitoring.stored import decode

MAX_BYTES = 2**28


class _Saved(msgspec.Struct):
    """What ``bartizan watch`` saves: a baseline, and how recordings are read, which matters only there."""

    baseline: bytes


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
    baseline = load_baseline(path)
    own = hmac.digest(key, f"monitor {system.name}".encode(), hashlib.sha256)
    return Watched(
        monitor=Monitor(baseline, system=system.name, key=own),
        streams=baseline.streams,
        threshold=max(baseline.threshold, math.e),
        digest=baseline.digest,
        promise=baseline.promise,
        refused=baseline.refused,
    )


def load_baseline(path: Path) -> Baseline:
    """Read a baseline, alone or as ``bartizan watch`` saved it.

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
    with suppress(msgspec.MsgspecError):  # else it is a baseline alone
        data = msgspec.msgpack.decode(data, type=_Saved).baseline
    try:
        return decode(data)
    except BartizanError as error:
        raise ConfigError(f"{path}: {error.message}", hint=error.hint or hint) from error
