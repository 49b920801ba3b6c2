"""Features computed once per part or per interaction, for as long as one judgement lasts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from bartizan.types import Interaction, Part

T = TypeVar("T")


class OncePerInteraction:
    """Implements :class:`bartizan.ports.Features` for one interaction."""

    __slots__ = ("_of_interaction", "_of_part", "interaction")

    def __init__(self, interaction: Interaction) -> None:
        self.interaction = interaction
        self._of_part: dict[tuple[Any, int], Any] = {}
        self._of_interaction: dict[Any, Any] = {}

    def of_part(self, make: Callable[[Part], T], part: Part) -> T:
        """Return ``make(part)``, computed at most once for this part."""
        key = (make, id(part))
        if key not in self._of_part:
            self._of_part[key] = make(part)
        return cast("T", self._of_part[key])

    def of_interaction(self, make: Callable[[Interaction], T]) -> T:
        """Return ``make(interaction)``, computed at most once."""
        if make not in self._of_interaction:
            self._of_interaction[make] = make(self.interaction)
        return cast("T", self._of_interaction[make])
