"""What a system holds and what it takes to install it."""

from __future__ import annotations

import gc
import re
import tracemalloc
from collections.abc import Callable, Iterable
from importlib import metadata

import numpy as np

from benchmarks.monitoring.peers import FloatArray, System


def bytes_after(make: Callable[[], System], xs: FloatArray) -> int:
    """Return the memory that one stream's system has allocated after set-up and ``xs``."""
    make().update_block(xs[:100])  # imports and caches are not the stream's
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    system = make()
    system.update_block(xs)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    del system
    return held


def install_mb(packages: Iterable[str]) -> dict[str, float]:
    """Return the size on disc of distributions with all that they require, and how many they are."""
    waiting, seen, size = [_name(p) for p in packages], set(), 0
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        seen.add(name)
        size += sum(_bytes(f) for f in found.files or ())
        waiting += [_name(r) for r in found.requires or () if "extra ==" not in r]
    return {"mb": round(size / 1e6), "distributions": len(seen)}


def _bytes(file: metadata.PackagePath) -> int:
    path = file.locate()
    return path.stat().st_size if path.is_file() else 0


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-")


def array_bytes(*arrays: np.ndarray) -> int:
    return sum(a.nbytes for a in arrays)
