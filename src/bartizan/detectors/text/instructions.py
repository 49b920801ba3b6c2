"""Text that gives orders it has no right to give: injections, jailbreaks, prompt extraction."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import numpy as np

from bartizan.features.linear import Head, Strongest, contributions, strongest
from bartizan.features.text import LIMIT, CanonicalText, canonical
from bartizan.ports import Features, Unavailable
from bartizan.types import DetectorSpec, Evidence, Origin, Part, PartKind, Scores, Step

ARTEFACT: Final = "instructions.npz"
FORMAT: Final = 1
TOP_GRAMS: Final = 24
"""N-grams that evidence points at, besides the window."""

SPEC: Final = DetectorSpec(
    name="text.instructions",
    version="1",
    steps=frozenset({Step.REQUEST}),
    kinds=frozenset({PartKind.TEXT, PartKind.TOOL_RESULT, PartKind.TOOL_DEFINITION}),
    origins=frozenset({Origin.USER, Origin.TOOL, Origin.WEB}),
    learned=True,
    by_origin=True,
    limit_chars=LIMIT,
    taxonomy=("OWASP LLM01:2026", "AML.T0051.000", "AML.T0051.001", "AML.T0054"),
)


class Instructions:
    """A linear model over n-grams, with one head for what users type and one for data.

    The same sentence may be a plain request from a user and an attack in a tool's answer, so the
    origin chooses the head. The score is the highest logit of any 400-character window of the
    canonical text and of what its envelopes say. How it was made, what it was fitted on and how
    it measures: ``training/README.md``.

    Guarantees:
        Same text and origin, same score: the artefact is read once and nothing else is.
    """

    spec = SPEC

    def score(self, part: Part, features: Features) -> Scores:
        """Return the logit of the strongest window.

        Raises:
            Unavailable: The artefact is missing or not of this format.
        """
        head = _head(part.origin)
        read = features.of_part(canonical, part)
        best = max(strongest(text, head).score for text in _texts(read))
        return Scores((best,))

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Point at the n-grams that made the strongest window, or at the envelope it came from."""
        head = _head(part.origin)
        read = features.of_part(canonical, part)
        best = strongest(read.body.text, head)
        view = None
        for candidate in read.views:
            inner = strongest(candidate.text, head)
            if inner.score > best.score:
                best, view = inner, candidate
        undone = f" Disguises undone: {', '.join(sorted(read.flags))}." if read.flags else ""
        if view is not None:
            return Evidence(
                f"Text inside {view.name} reads like instructions to the model.{undone}", (view.span,)
            )
        return Evidence(f"A passage reads like instructions to the model.{undone}", _spans(read, head, best))


def _texts(read: CanonicalText) -> tuple[str, ...]:
    return (read.body.text, *(view.text for view in read.views))


def _spans(read: CanonicalText, head: Head, best: Strongest) -> tuple[tuple[int, int], ...]:
    """Return the strongest n-grams, joined where they touch, in the part's own offsets."""
    joined: list[tuple[int, int]] = []
    for start, end in contributions(read.body.text, head, best, TOP_GRAMS):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    found = (read.body.source_span(*span) for span in joined or [(best.start, best.end)])
    return tuple((start, end) for start, end in found if start < end)


def _head(origin: Origin) -> Head:
    return _heads()["user" if origin <= Origin.USER else "data"]


@lru_cache(maxsize=1)
def _heads() -> Mapping[str, Head]:
    """Read the artefact; arrays only, nothing in it runs."""
    try:
        packed = files("bartizan.detectors.text").joinpath(ARTEFACT).read_bytes()
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            meta = json.loads(bytes(arrays["meta"]))
            return {name: _one(arrays, meta, name) for name in ("user", "data")}
    except (OSError, ValueError, KeyError) as error:
        raise Unavailable(f"{ARTEFACT} can't be read: {type(error).__name__}") from error


def _one(arrays: Mapping[str, Any], meta: dict[str, Any], name: str) -> Head:
    if meta["format"] != FORMAT:
        raise ValueError("unknown format")
    weights = arrays[name]
    bits = int(meta["bits"])
    if weights.dtype != np.float16 or weights.shape != (1 << bits,) or not np.isfinite(weights).all():
        raise ValueError("unexpected weights")
    return Head(weights, float(meta["intercept"][name]), bits)
