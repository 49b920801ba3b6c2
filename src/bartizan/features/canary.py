"""The forms in which a planted secret may come back."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final

import re2

from bartizan.features.wording import dense

MIN_LETTERS: Final = 6
"""A shorter secret would be found by accident."""
_BETWEEN_FOLDED: Final = "[^A-Za-z0-9]*"


def canary_pattern(canaries: tuple[str, ...]) -> Any:
    """Return a linear-time pattern for all forms of the canaries, or ``None`` without any.

    Each is recognised as it is, backwards, in hex, and in base64 at each of its three
    alignments, whatever stands between its letters and digits. It is meant for text in ASCII;
    other text goes through :func:`~bartizan.features.wording.dense` first.

    Raises:
        ValueError: A canary with fewer than ``MIN_LETTERS`` letters and digits.
    """
    if not canaries:
        return None
    return re2.compile("|".join(dict.fromkeys(form for canary in canaries for form in _forms(canary))))


def _forms(canary: str) -> Iterator[str]:
    plain = dense(canary)
    if len(plain) < MIN_LETTERS:
        raise ValueError(f"a canary needs at least {MIN_LETTERS} letters and digits")
    raw = canary.encode()
    for form in (plain, plain[::-1], raw.hex(), canary.lower().encode().hex(), canary.upper().encode().hex()):
        yield f"(?i:{_spread(form)})"
    for form in _base64_cores(raw):
        yield _spread(form)


def _spread(form: str) -> str:
    return _BETWEEN_FOLDED.join(map(re2.escape, form))


def _base64_cores(raw: bytes) -> Iterator[str]:
    """Yield the base64 of ``raw`` without the characters that depend on its neighbours."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw).decode()
        first = (8 * shift + 5) // 6
        last = 8 * (shift + len(raw)) // 6
        yield "".join(c for c in encoded[first:last] if c.isalnum())
