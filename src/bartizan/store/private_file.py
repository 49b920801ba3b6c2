"""Files for their owner alone, replaced whole."""

from __future__ import annotations

import os
from pathlib import Path

from bartizan.errors import CalibrationError


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
