"""Near-duplicates of a principal's odd texts: sent again they prove nothing, edited on and on they do.

Somebody who looks for a wording that passes sends small edits of a text that did not. Somebody
honest whose text was stopped wrongly may edit it, too, and a program that fills a template sends
near-duplicates all day. What neither does is to have edit after edit found odd again, many times
in a row: the honest one soon writes something ordinary or gives up, and of a template's
texts most are ordinary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from bartizan.features.likeness import Sketch, likeness, plain, sketch

NEAR: Final = 0.4
"""Share of n-grams in common from which two texts are near-duplicates: a few changed words leave more."""

AGAIN: Final = 0.5
"""The null hypothesis: given the past, the next distinct near-duplicate of a benign principal's odd
text is odd again with at most this probability. It is declared, not measured."""

BETS: Final = ((1.5, 0.5), (2.0, 0.0))
"""What an odd and an ordinary near-duplicate pay: ``AGAIN`` of the one and the rest of the other make 1."""

KEPT: Final = 16
"""Texts kept of a principal, as sketches; of more, ordinary ones leave first."""

VARIANTS: Final = 64
"""Digests kept of one text's distinct variants."""

_DIGEST: Final = 8


class Remembered(msgspec.Struct, array_like=True):
    """A text that counted as evidence, and its variants. No content is kept.

    Attributes:
        first: Its sketch.
        latest: The sketch of its latest variant, because small edits add up; empty before there is one.
        digests: Keyed digests of the text and its distinct variants, newest last.
        odd: Whether it, or a variant of it, was stopped or nearly.
        since: When it was met, seconds since the epoch.
        variants: Distinct variants since it was odd.
        again: How many of those were odd again.
        bets: What each of :data:`BETS` has become.
        told: Whether it was reported.
    """

    first: bytes
    digests: list[bytes]
    odd: bool
    since: float
    latest: bytes = b""
    variants: int = 0
    again: int = 0
    bets: list[float] = msgspec.field(default_factory=lambda: [1.0] * len(BETS))
    told: bool = False

    @property
    def evidence(self) -> float:
        """An e-value against "at most :data:`AGAIN` of the variants are odd again"."""
        return sum(self.bets) / len(self.bets)


class Met(msgspec.Struct, frozen=True):
    """What is known of a text.

    Attributes:
        known: Whether the principal has sent it, or a near-duplicate, before.
        probing: The text that it varies, if that has just become evidence enough.
    """

    known: bool
    probing: Remembered | None = None


def meet(
    memory: list[Remembered], text: str, time: float, key: bytes, *, odd: bool, counts: bool, rate: float
) -> Met:
    """Take note of a principal's text.

    The same text again is a retry: it is known, and no variant.

    Args:
        memory: What is remembered of the principal; changed in place.
        text: As it was sent.
        time: Seconds since the epoch.
        key: At least 16 bytes.
        odd: Whether it was stopped or nearly.
        counts: Whether it is to be remembered.
        rate: A text's variants are reported when their evidence reaches ``1 / rate``.

    Guarantees:
        Of the odd texts of benign principals at most ``rate`` are ever reported, under the null
        hypothesis that :data:`AGAIN` states: each bet is a non-negative supermartingale from 1.
    """
    read = plain(text)
    digest = hashlib.blake2b(read.encode(), key=key[:64], digest_size=_DIGEST).digest()
    for entry in memory:
        if digest in entry.digests:
            entry.odd = entry.odd or odd
            return Met(known=True)
    drawn = sketch(read, key)
    nearest = _nearest(memory, drawn)
    if nearest is None:
        if odd or counts:
            _keep(memory, Remembered(drawn.tobytes(), [digest], odd, time))
        return Met(known=False)
    nearest.latest = drawn.tobytes()
    nearest.digests = [*nearest.digests[1 - VARIANTS :], digest]
    if not nearest.odd:
        nearest.odd = odd
        return Met(known=True)
    nearest.variants += 1
    nearest.again += odd
    nearest.bets = [b * (win if odd else lose) for b, (win, lose) in zip(nearest.bets, BETS, strict=True)]
    if nearest.told or nearest.evidence < 1 / rate:
        return Met(known=True)
    nearest.told = True
    return Met(known=True, probing=nearest)


def _nearest(memory: Sequence[Remembered], drawn: Sketch) -> Remembered | None:
    """Return the text most like a new one, if it is a near-duplicate."""
    best, share = None, 0.0
    hashes = set(drawn.tolist())
    for entry in memory:
        for known in (entry.first, entry.latest):
            other = np.frombuffer(known, np.uint32)
            # What is in both bounds the estimate, and is much cheaper to count.
            if len(hashes.intersection(other.tolist())) < NEAR * max(len(hashes), len(other)):
                continue
            alike = likeness(other, drawn)
            if alike >= NEAR and alike > share:
                best, share = entry, alike
    return best


def _keep(memory: list[Remembered], entry: Remembered) -> None:
    memory.append(entry)
    if len(memory) > KEPT:
        leaves = next((i for i, e in enumerate(memory[:-1]) if not e.odd), 0)
        del memory[leaves]
