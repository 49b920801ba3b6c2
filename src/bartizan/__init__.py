"""Bartizan: runtime security for AI systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bartizan.errors import BlockedError
    from bartizan.guard import Guard
    from bartizan.types import Verdict

__version__ = "0.1.0"
__all__ = ["BlockedError", "Guard", "Verdict", "__version__"]

_HOMES = {"BlockedError": "bartizan.errors", "Guard": "bartizan.guard", "Verdict": "bartizan.types"}


def __getattr__(name: str) -> Any:
    """Import public names on first use, so that ``import bartizan`` stays cheap."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
