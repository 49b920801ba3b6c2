"""What watching remembers over a restart: two files, each replaced whole."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bartizan.policy.containment import Contained

MAX_BYTES = 1 << 30
"""A larger file is none of ours."""

_contained = msgspec.msgpack.Decoder(list[Contained])


class MonitorState(msgspec.Struct, frozen=True):
    """A monitor's state, and the baseline that it belongs to."""

    digest: str
    state: bytes


_monitor = msgspec.msgpack.Decoder(MonitorState)


def save_contained(path: Path, entries: Sequence[Contained]) -> None:
    """Keep who is contained.

    Raises:
        OSError: It can't be written; what was there before is whole.
    """
    if entries or path.exists():
        _replace(path, msgspec.msgpack.encode(entries))


def load_contained(path: Path) -> tuple[list[Contained], str]:
    """Return who was contained, and why that is not known, if so."""
    try:
        data = _read(path)
        return ([] if data is None else _contained.decode(data)), ""
    except (OSError, ValueError) as error:
        return [], f"who was contained is not known: {_why(error)}"


def save_monitor(path: Path, digest: str, state: bytes) -> None:
    """Keep a monitor's state.

    Raises:
        OSError: It can't be written; what was there before is whole.
    """
    _replace(path, msgspec.msgpack.encode(MonitorState(digest, state)))


def load_monitor(path: Path, digest: str) -> tuple[bytes | None, str]:
    """Return a monitor's state under a baseline, and why there is none, if something is wrong.

    A state under another baseline is no mistake: the monitor starts anew.
    """
    try:
        data = _read(path)
        kept = None if data is None else _monitor.decode(data)
    except (OSError, ValueError) as error:
        return None, f"the monitor starts anew: its state can't be read: {_why(error)}"
    return (kept.state if kept is not None and kept.digest == digest else None), ""


def _read(path: Path) -> bytes | None:
    if not path.exists():
        return None
    if path.stat().st_size > MAX_BYTES:
        raise ValueError("it is too large")
    return path.read_bytes()


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(path.suffix + ".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
