"""What the operator said in confidence, in a form that its words can be recognised by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import re2

from bartizan.features.wording import SHINGLE, normal_words, shingles
from bartizan.types import Interaction, Origin

MAX_CHARS: Final = 262_144
"""Characters of the operator's text that are fingerprinted."""
REMEMBERED: Final = 64
"""Operator texts whose fingerprints are kept."""

PROBE: Final = 3
PROBE_STEP: Final = 6
"""Words of one probe, and words from one probe to the next: a copied run of eight words or more
holds a whole probe, and an answer that holds none needs no closer look."""
MAX_PROBES: Final = 4_096

Shingle = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The operator's text as shingles.

    Attributes:
        shingles: Every run of ``SHINGLE`` words.
        probe: Pattern that is in every ASCII text which repeats eight words in a row.
    """

    shingles: frozenset[Shingle]
    probe: Any


def operator_fingerprint(interaction: Interaction) -> Fingerprint | None:
    """Return the fingerprint of the operator's text before this interaction, if there is one."""
    texts = [p.text for p in interaction.context if p.origin is Origin.OPERATOR and p.text]
    return _fingerprint("\n".join(texts)[:MAX_CHARS]) if texts else None


def echoed(interaction: Interaction) -> frozenset[Shingle]:
    """Return the operator's shingles that users, tools or earlier answers said too: no secret."""
    known = operator_fingerprint(interaction)
    if known is None:
        return frozenset()
    said: set[Shingle] = set()
    for part in interaction.context:
        if part.origin is not Origin.OPERATOR and len(part.text) > SHINGLE:
            said.update(known.shingles.intersection(shingles(normal_words(part.text))))
    return frozenset(said)


@lru_cache(maxsize=REMEMBERED)
def _fingerprint(text: str) -> Fingerprint | None:
    words = normal_words(text)
    probes = (words[i : i + PROBE] for i in range(0, max(1, len(words) - PROBE + 1), PROBE_STEP))
    ascii_only = dict.fromkeys(tuple(probe) for probe in probes if "".join(probe).isascii())
    step = 1 + len(ascii_only) // MAX_PROBES
    forms = ["[^a-z0-9]+".join(probe) for probe in list(ascii_only)[::step]]
    if len(words) < SHINGLE:
        return None
    return Fingerprint(frozenset(shingles(words)), re2.compile(f"(?i){'|'.join(forms)}"))
