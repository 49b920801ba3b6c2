"""Plug-ins by entry point. What is configured and does not load stops start-up."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from bartizan.errors import ExtensionError
from bartizan.ports import Detector, SequenceDetector, WireProtocol
from bartizan.protocols.limits import DEFAULT, Limits

DETECTORS = "bartizan.detectors"
SEQUENCE = "sequence."
"""Detectors whose names begin so judge sessions, never one interaction."""
PROTOCOLS = "bartizan.protocols"
USUAL = "openai-chat"
"""The protocol that is meant where several are spoken and nothing says which."""

_KINDS = {"chat": "text.", "predict": "rows."}


@lru_cache(maxsize=8)
def names(group: str) -> Mapping[str, EntryPoint]:
    """Return the registered plug-ins of a group by name.

    Raises:
        ExtensionError: Two packages register the same name.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        if point.name in found and found[point.name].value != point.value:
            other = found[point.name].value
            raise ExtensionError(
                f"two plug-ins are called {point.name!r} in {group}: {other} and {point.value}",
                hint="uninstall one of the packages",
            )
        found[point.name] = point
    return dict(sorted(found.items()))


def detectors_for(kind: str) -> tuple[str, ...]:
    """Return the names of the registered detectors that fit a kind of system."""
    return tuple(n for n in names(DETECTORS) if n.startswith(_KINDS[kind]))


def detector(name: str, options: Mapping[str, Any] | None = None) -> Detector:
    """Load one detector and construct it with its options.

    Raises:
        ExtensionError: Unknown, does not import, or does not take the options.
    """
    made = _load(DETECTORS, name)(**dict(options or {}))
    if made.spec.name != name:
        raise ExtensionError(f"detector {name!r} calls itself {made.spec.name!r}", hint="fix its entry point")
    return cast("Detector", made)


def sequence_detectors() -> tuple[SequenceDetector, ...]:
    """Load every registered detector of sequences, in the order of their names.

    Raises:
        ExtensionError: One does not load.
    """
    found = (n for n in names(DETECTORS) if n.startswith(SEQUENCE))
    return tuple(cast("SequenceDetector", detector(n)) for n in found)


def protocol(name: str, limits: Limits = DEFAULT) -> WireProtocol:
    """Load one wire protocol.

    Args:
        name: Its name.
        limits: What one message may hold; every protocol takes it by this name.

    Raises:
        ExtensionError: Unknown or does not import.
    """
    return cast("WireProtocol", _load(PROTOCOLS, name)(limits=limits))


def protocols_for(kind: str, limits: Limits = DEFAULT) -> tuple[WireProtocol, ...]:
    """Load every registered protocol that speaks for a kind of system; limits as in :func:`protocol`.

    The usual one comes first: bodies without a path, and errors on unknown paths, are in its form.
    """
    loaded = (protocol(n, limits) for n in names(PROTOCOLS))
    return tuple(sorted((p for p in loaded if p.kind == kind), key=lambda p: p.name != USUAL))


def _load(group: str, name: str) -> Any:
    point = names(group).get(name)
    if point is None:
        known = ", ".join(names(group))
        raise ExtensionError(f"no {group} plug-in called {name!r}", hint=f"installed are: {known}")
    try:
        loaded = point.load()
    except Exception as error:
        raise ExtensionError(
            f"plug-in {name!r} ({point.value}) does not load: {type(error).__name__}: {error}",
            hint="reinstall its package or remove it from the configuration",
        ) from error

    def construct(**options: Any) -> Any:
        try:
            return loaded(**options)
        except (TypeError, ValueError) as error:
            raise ExtensionError(
                f"plug-in {name!r} does not take its options: {error}", hint=f"see options.{name}"
            ) from error

    return construct
