"""Where a model's fingerprint is kept: a file that its owner alone can read."""

from __future__ import annotations

import os
from pathlib import Path

from bartizan.errors import CalibrationError
from bartizan.monitoring.fingerprint import MAX_BYTES, Fingerprint, decode, encode


def fingerprint_path(store: Path, system: str) -> Path:
    """Return where a system's fingerprint is kept."""
    return store / "fingerprints" / f"{system}.msgpack"


def state_path(store: Path, system: str) -> Path:
    """Return where the state of its checks is kept."""
    return store / "fingerprints" / f"{system}.state.msgpack"


def load_fingerprint(path: Path) -> Fingerprint | None:
    """Read a fingerprint; ``None`` where there is none.

    Raises:
        CalibrationError: It can't be read, or is no fingerprint.
    """
    data = load_bytes(path)
    return None if data is None else decode(data)


def load_bytes(path: Path) -> bytes | None:
    """Read a file of limited size; ``None`` where there is none.

    Raises:
        CalibrationError: It can't be read.
    """
    try:
        with path.open("rb") as handle:
            return handle.read(MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CalibrationError(
            f"can't read {path}: {error.strerror}", hint="give Bartizan's user access to it"
        ) from error


def save_fingerprint(path: Path, fingerprint: Fingerprint) -> None:
    """Write a fingerprint so that a crash leaves the old one or the new one.

    Raises:
        CalibrationError: It can't be written.
    """
    save_bytes(path, encode(fingerprint))


def save_bytes(path: Path, data: bytes) -> None:
    """Write a file for its owner alone: the old content stays, or all of the new one is there.

    Raises:
        CalibrationError: It can't be written.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.unlink(missing_ok=True)  # left by a crash
        # Never readable by others, not even for a moment.
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise CalibrationError(
            f"can't write {path}: {error.strerror}", hint="give Bartizan's user access to the folder"
        ) from error
