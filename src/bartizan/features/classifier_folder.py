"""A folder with a sequence classifier in Hugging Face's layout: found, checked and named, not run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from bartizan.errors import ConfigError

CONFIG: Final = "config.json"
PIECES: Final = "tokenizer.json"
GRAPH: Final = "model.onnx"
MAX_CONFIG_BYTES: Final = 1 << 20
MAX_PIECES_BYTES: Final = 64 << 20
MAX_LABELS: Final = 64
DEFAULT_POSITIONS: Final = 512
PICKLED: Final = frozenset({".bin", ".pt", ".pth", ".pkl", ".ckpt"})
"""Endings of weights that run code when they are read."""
BENIGN: Final = frozenset({"benign", "safe", "legit", "legitimate", "normal", "clean"})
ATTACK: Final = frozenset(
    {"injection", "prompt_injection", "prompt-injection", "jailbreak", "malicious", "attack", "unsafe"}
)

_GUIDE: Final = "docs/guides/classifier.md says what the folder holds"


@dataclass(frozen=True, slots=True)
class Folder:
    """A classifier on disk.

    Attributes:
        path: The folder.
        labels: Its classes, in the order of its logits.
        positions: Pieces that it can read at once, frame included.
        onnx: Whether an ONNX graph is there; otherwise there are safetensors.
        digest: SHA-256 over everything that decides a score, in hex.
    """

    path: Path
    labels: tuple[str, ...]
    positions: int
    onnx: bool
    digest: str


def opened_folder(path: str | Path) -> Folder:
    """Return the classifier in a local folder.

    Raises:
        ConfigError: No such folder, a file is missing or unreadable, or its weights are pickled.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise ConfigError(f"text.classifier: {folder} is not a folder", hint="nothing is loaded from a hub")
    try:
        about = _about(folder)
        weights = _weights(folder)
        digest = hashlib.sha256()
        for file in (folder / CONFIG, folder / PIECES, *weights):
            state = file.stat()
            digest.update(f"{file.name} {_hash(file, state.st_size, state.st_mtime_ns)}\n".encode())
    except OSError as error:
        raise ConfigError(
            f"text.classifier: can't read {error.filename}: {error.strerror}", hint=_GUIDE
        ) from error
    positions = about.get("max_position_embeddings", DEFAULT_POSITIONS)
    positions = positions if isinstance(positions, int) and positions > 0 else DEFAULT_POSITIONS
    onnx = weights[0].name == GRAPH
    return Folder(folder, _labels(folder, about), positions, onnx, digest.hexdigest())


def attack_index(labels: tuple[str, ...], label: str | int | None) -> int:
    """Return which class is the attack.

    Args:
        labels: The classes, in the order of the logits.
        label: Its name in any case, or its index; ``None``: found by the usual names.

    Raises:
        ConfigError: There is no such class, or the names leave it open.

    >>> attack_index(("SAFE", "INJECTION"), None)
    1
    """
    if label is None:
        return _usual_attack(labels)
    if isinstance(label, int) and not isinstance(label, bool):
        found = [label] if 0 <= label < len(labels) else []
    else:
        found = [i for i, name in enumerate(labels) if name.lower() == str(label).lower()]
    if len(found) != 1:
        raise ConfigError(f"text.classifier: no class {label!r}", hint=f"its classes are {_told(labels)}")
    return found[0]


def _usual_attack(labels: tuple[str, ...]) -> int:
    names = [name.lower() for name in labels]
    attacks = [i for i, name in enumerate(names) if name in ATTACK]
    others = [i for i, name in enumerate(names) if name not in BENIGN]
    for found in (attacks, others):
        if len(found) == 1 and (len(labels) == 2 or attacks == others):
            return found[0]
    raise ConfigError(
        "text.classifier: which class is the attack is not clear from the names",
        hint=f"set options.text.classifier.label to one of {_told(labels)}",
    )


def _told(labels: tuple[str, ...]) -> str:
    return ", ".join(f"{i}: {name}" for i, name in enumerate(labels))


def _about(folder: Path) -> dict[str, Any]:
    for name, most in ((CONFIG, MAX_CONFIG_BYTES), (PIECES, MAX_PIECES_BYTES)):
        if (folder / name).stat().st_size > most:
            raise ConfigError(f"text.classifier: {folder / name} is larger than {most:,} bytes")
    try:
        about = json.loads((folder / CONFIG).read_bytes())
    except ValueError as error:
        raise ConfigError(f"text.classifier: {folder / CONFIG} is not JSON", hint=_GUIDE) from error
    if not isinstance(about, dict):
        raise ConfigError(f"text.classifier: {folder / CONFIG} is not an object", hint=_GUIDE)
    return about


def _labels(folder: Path, about: dict[str, Any]) -> tuple[str, ...]:
    named = about.get("id2label", {"0": "LABEL_0", "1": "LABEL_1"})  # what is left out there is this
    keys = [str(i) for i in range(len(named))] if isinstance(named, dict) else []
    if not 1 <= len(keys) <= MAX_LABELS or set(named) != set(keys):
        raise ConfigError(
            f"text.classifier: id2label in {folder / CONFIG} does not number its classes", hint=_GUIDE
        )
    return tuple(str(named[key]) for key in keys)


def _weights(folder: Path) -> list[Path]:
    """Return the files with the weights: an ONNX graph and what stands beside it, or safetensors."""
    files = sorted(file for file in folder.iterdir() if file.is_file())
    if (folder / GRAPH).is_file():
        return [file for file in files if file.name.startswith(GRAPH)]
    found = [file for file in files if file.suffix == ".safetensors"]
    if found:
        return found
    if any(file.suffix in PICKLED for file in files):
        raise ConfigError(
            f"text.classifier: the weights in {folder} are pickled; reading them would run what they hold",
            hint="convert them to model.onnx or model.safetensors elsewhere",
        )
    raise ConfigError(f"text.classifier: neither {GRAPH} nor safetensors in {folder}", hint=_GUIDE)


@lru_cache(maxsize=64)
def _hash(file: Path, _size: int, _changed_ns: int) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
