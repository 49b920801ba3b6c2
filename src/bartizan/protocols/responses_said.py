"""What a streamed answer has said at each place, so that a repetition is known from something new."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from bartizan.protocols.gathered import refuse

MAX_VERSIONS = 4
"""Different texts that one place of an answer may be said to hold."""


def _digest() -> Any:
    return blake2b(digest_size=16)


@dataclass(slots=True)
class _Text:
    length: int = 0
    digest: Any = field(default_factory=_digest)

    def add(self, text: str) -> None:
        self.length += len(text)
        self.digest.update(text.encode())

    def begins(self, text: str) -> bool:
        """Whether a text begins with this one."""
        if len(text) < self.length:
            return False
        digest = _digest()
        digest.update(text[: self.length].encode())
        return bool(digest.digest() == self.digest.digest())


class Said:
    """Remembers each text by its length and a digest.

    Args:
        limit: How many places an answer may have.

    Guarantees:
        Constant memory per place; time linear in what is added and stated.
    """

    __slots__ = ("_limit", "_places", "_texts")

    def __init__(self, limit: int) -> None:
        self._texts: dict[str, _Text] = {}
        self._places: dict[str, str] = {}
        self._limit = limit

    def add(self, path: str, text: str) -> None:
        """Append to the text at a path.

        Raises:
            ProtocolError: There are too many places.
        """
        self._at(path).add(text)

    def state(self, path: str, text: str) -> tuple[str, str]:
        """Take a text that an event states in full.

        Returns:
            The name of the text, and what is new in it. A text that does not begin as the one
            said before is a text of its own: its name is the path with a number.

        Raises:
            ProtocolError: The place has been said to hold too many different texts.
        """
        names = (f"{path}/{number}" if number else path for number in range(MAX_VERSIONS))
        name = next((n for n in names if self._at(n).begins(text)), None)
        if name is None:
            refuse("one place of the answer holds several different texts", path)
        self._places[name] = path
        known = self._texts[name]
        new = text[known.length :]
        known.add(new)
        return name, new

    def place(self, name: str) -> str:
        """Return the path of a text in the answer, given its name."""
        return self._places.get(name, name)

    def _at(self, name: str) -> _Text:
        known = self._texts.get(name)
        if known is None:
            if len(self._texts) >= self._limit:
                refuse("the answer has too many places")
            known = self._texts[name] = _Text()
        return known
