"""What the encoder is fitted on: token windows of canonical text with a target for each head."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from bartizan.features.encoder import FIRST, LAST, WINDOW, starts
from bartizan.features.text import canonical
from bartizan.types import Origin, Part, PartKind
from corpus import Example, data_root, load
from split import is_calibration

UNKNOWN = -1.0
"""Target of a head that an example says nothing about."""
HELD_OUT = 0.06
"""Share of the attacks kept to choose a checkpoint by."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window: its word pieces, the targets of the user and the data head, and its weight."""

    ids: np.ndarray
    user: float
    data: float
    weight: float
    example: str


def is_held_out(e: Example) -> bool:
    """Return whether an attack is kept for choosing a checkpoint."""
    return e.label == 1 and _share(e.id.split("-bare")[0].split("-task")[0]) < HELD_OUT


def _share(text: str) -> float:
    digest = hashlib.blake2b(b"checkpoint" + text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def targets(e: Example) -> tuple[float, float]:
    """Return what an example says about each head.

    An attack on the user's channel is an order to the reader in data too; a document is no attack when
    a user pastes it; a user's harmless request says nothing about data, nor an injection about users.
    """
    if e.channel == "user":
        return float(e.label), (1.0 if e.label else UNKNOWN)
    return (UNKNOWN if e.label else 0.0), float(e.label)


def windows(tokenizer: Tokenizer, e: Example, r: random.Random, most: int) -> list[Window]:
    """Return up to ``most`` windows of an example, all of them where its attack is."""
    read = canonical(Part(PartKind.TEXT, Origin.USER, text=e.text))
    span = e.span
    if span is not None and read.body.offsets is not None:
        span = tuple(int(i) for i in np.searchsorted(read.body.offsets, span))
    user, data = targets(e)
    texts = [(read.body.text, span)]
    if read.views and e.span is None:
        # What an envelope says may be an attack; that something was enveloped never is.
        texts = [*(texts if not e.label else ()), *((v.text, None) for v in read.views)]
    found = []
    for text, where in texts:
        coded = tokenizer.encode(text[:12_000], add_special_tokens=False)
        for start in starts(len(coded.ids)) if coded.ids else ():
            end = start + WINDOW
            if where is not None and not _covers(coded.offsets[start:end], where):
                continue
            found.append(np.array([FIRST, *coded.ids[start:end], LAST], np.int32))
    if len(found) > most:
        rest = r.sample(range(1, len(found)), most - 1)
        found = [found[0], *(found[i] for i in sorted(rest))]
    weight = 1.0 if len(found) < 2 or not e.label else 0.6
    return [Window(ids, user, data, weight, e.id) for ids in found]


def _covers(offsets: list[tuple[int, int]], span: tuple[int, int]) -> bool:
    if not offsets:
        return False
    shared = min(offsets[-1][1], span[1]) - max(offsets[0][0], span[0])
    return shared >= 0.6 * max(1, min(span[1] - span[0], offsets[-1][1] - offsets[0][0]))


def kept_benign(channel: str, most: int, r: random.Random) -> list[Example]:
    """Return benign texts no model is fitted on, to set thresholds by."""
    found = [e for e in load(data_root()) if e.label == 0 and e.channel == channel and is_calibration(e.id)]
    return r.sample(found, min(most, len(found)))


def tokenizer(folder: Path) -> Tokenizer:
    """Return the base model's tokenizer without padding or truncation."""
    made = Tokenizer.from_file(str(folder / "tokenizer.json"))
    made.no_padding()
    made.no_truncation()
    return made
