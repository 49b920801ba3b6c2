"""Where a model's fingerprint is kept: a file that its owner alone can read."""

from __future__ import annotations

from pathlib import Path

from bartizan.errors import CalibrationError
from bartizan.monitoring.fingerprint import MAX_BYTES, Fingerprint, decode, encode
from bartizan.store.private_file import save_bytes


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
