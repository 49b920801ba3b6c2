"""Is what pieces or numbers spell a message, or one more envelope around it?"""

from __future__ import annotations

from typing import Final

from bartizan.features.bases import bases
from bartizan.features.ciphers import ciphers
from bartizan.features.latin import FROM_LEET
from bartizan.features.legible import MIN_WORDS, fluent
from bartizan.features.spellings import spellings
from bartizan.features.triggers import Trigger, triggers

MIN_CARRIER: Final = 16
"""Characters below which nothing is taken for an envelope."""

_CODED: Final = frozenset(Trigger) - {Trigger.RUN, Trigger.ESCAPES}


def meaningful(text: str, least: int = MIN_WORDS) -> bool:
    """Return whether a text reads like a sentence of ``least`` words, or holds something encoded."""
    if sentence(text, least):
        return True
    return len(text) >= MIN_CARRIER and not triggers(text).isdisjoint(_CODED)


def sentence(text: str, least: int = MIN_WORDS) -> bool:
    """Return the same, but where character codes don't count: programs are full of lists of numbers."""
    if fluent(text, least) or fluent(text.lower().translate(FROM_LEET), least):
        return True
    if len(text) < MIN_CARRIER:
        return False
    return any(True for _ in bases(text)) or bool(spellings(text)) or any(True for _ in ciphers(text))
