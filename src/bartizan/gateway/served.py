"""A protected system as the data plane serves it."""

from __future__ import annotations

from dataclasses import dataclass

from bartizan.config import System
from bartizan.gateway.identify import Identifier
from bartizan.gateway.turns import TurnWatching
from bartizan.gateway.upstream import Upstream
from bartizan.gateway.watching import Watching
from bartizan.pipeline import Pipeline
from bartizan.ports import WireProtocol


@dataclass(frozen=True, slots=True)
class Served:
    """A system, ready.

    Attributes:
        config: Its configuration.
        prefix: Path prefix on the data plane; empty for the only system of its kind.
        pipeline: Judges.
        protocols: The wire protocols it speaks.
        upstream: Where requests go.
        identifier: Names callers.
        token: The upstream token to inject, or ``None``.
        watching: Watches the system over time; ``None`` where nothing does.
    """

    config: System
    prefix: str
    pipeline: Pipeline
    protocols: tuple[WireProtocol, ...]
    upstream: Upstream
    identifier: Identifier
    token: str | None
    watching: Watching | TurnWatching | None = None


def prefixes(systems: tuple[System, ...]) -> dict[str, str]:
    """Return each system's path prefix.

    A system that is the only one of its kind is found without one, so that a client changes
    its base URL and nothing else; every system is also found under ``/`` and its name.
    """
    kinds = [s.kind for s in systems]
    return {s.name: "" if kinds.count(s.kind) == 1 else f"/{s.name}" for s in systems}
