"""Text as a sequence of words, for finding the same words again."""

from __future__ import annotations

import unicodedata
from typing import Final

SHINGLE: Final = 5
"""Words in a row that make one shingle."""

_ASCII_SPACES: Final = {c: " " for c in range(128) if not chr(c).isalnum()}
_NO_INK: Final = {c: None for c in range(128) if not chr(c).isalnum()}


def normal_words(text: str) -> list[str]:
    """Return the lower-case words of a text without punctuation; linear."""
    if not text.isascii():
        text = "".join(c if c.isalnum() else " " for c in unicodedata.normalize("NFKC", text))
    return text.translate(_ASCII_SPACES).lower().split()


def shingles(words: list[str], step: int = 1) -> zip[tuple[str, ...]]:
    """Yield runs of ``SHINGLE`` words, one at every ``step``-th word."""
    return zip(*(words[i::step] for i in range(SHINGLE)), strict=False)


def dense(text: str) -> str:
    """Return only the letters and digits of a text, accents dropped, case kept.

    Character by character, so that the dense beginning of a text begins the dense text.
    """
    if text.isascii():
        return text.translate(_NO_INK)
    return "".join(c for c in unicodedata.normalize("NFKD", text) if c.isalnum())
