"""A message found inside another text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message found inside another text.

    Attributes:
        name: How it was written there, such as ``base64`` or ``HTML comment``.
        text: What it says.
        start: Where the written form starts in the text it was found in.
        end: Where it ends.
    """

    name: str
    text: str
    start: int
    end: int
