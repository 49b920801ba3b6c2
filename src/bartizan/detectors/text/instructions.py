"""Text that gives orders it has no right to give: injections, jailbreaks, prompt extraction."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import numpy as np

from bartizan.features.cascade import Reader, Reading, cleared, read, scanned_only
from bartizan.features.encoder import encoder
from bartizan.features.linear import Head, Strongest, contributions
from bartizan.features.text import LIMIT, CanonicalText, canonical
from bartizan.ports import Features, Unavailable
from bartizan.types import DetectorSpec, Evidence, Origin, Part, PartKind, Scores, Step

ARTEFACT: Final = "instructions.npz"
FORMAT: Final = 1
TOP_GRAMS: Final = 24
"""N-grams that evidence points at, besides the window."""

SPEC: Final = DetectorSpec(
    name="text.instructions",
    version="2",
    steps=frozenset({Step.REQUEST}),
    kinds=frozenset({PartKind.TEXT, PartKind.TOOL_RESULT, PartKind.TOOL_DEFINITION}),
    origins=frozenset({Origin.USER, Origin.TOOL, Origin.WEB}),
    learned=True,
    by_origin=True,
    limit_chars=LIMIT,
    taxonomy=("OWASP LLM01:2026", "AML.T0051.000", "AML.T0051.001", "AML.T0054"),
)


class Instructions:
    """A linear model over n-grams and, for data that it can't clear, a small transformer.

    There is one head for what users type and one for data: the same sentence may be a plain
    request from a user and an attack in a tool's answer, so the origin chooses the head. The score
    is that of the strongest window of the canonical text and of what its envelopes say. How it was
    made, what it was fitted on and how it measures: ``training/README.md``.

    Guarantees:
        Same text and origin, same score, whatever else is judged: the artefacts are read once,
        and every window is read by itself.
    """

    spec = SPEC

    def prepare(self) -> None:
        """Read the artefacts, so that the first text does not wait for it."""
        _readers()
        encoder()

    def first(self, part: Part, features: Features) -> Scores | None:
        """Return the score of a part in which the linear model alone finds nothing, else ``None``.

        Raises:
            Unavailable: An artefact is missing or not of this format.
        """
        found, reader = features.of_part(canonical, part), _reader(part.origin)
        if not reader.reads:
            return self.score(part, features)
        if found.views or found.flags:
            return None
        clear = cleared(found.body.text, reader)
        return None if clear is None else Scores((clear.score,))

    def score(self, part: Part, features: Features) -> Scores:
        """Return the logit of the strongest window.

        Raises:
            Unavailable: An artefact is missing or not of this format.
        """
        return Scores((_reading(part, features.of_part(canonical, part)).score,))

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Point at the n-grams that made the strongest window, or at the envelope it came from."""
        found = features.of_part(canonical, part)
        best = _reading(part, found)
        undone = f" Disguises undone: {', '.join(sorted(found.flags))}." if found.flags else ""
        if best.text:
            view = found.views[best.text - 1]
            return Evidence(
                f"Text inside {view.name} reads like instructions to the model.{undone}", (view.span,)
            )
        spans = _spans(found, _reader(part.origin).linear, best)
        return Evidence(f"A passage reads like instructions to the model.{undone}", spans)


def _reading(part: Part, found: CanonicalText) -> Reading:
    texts = (found.body.text, *(view.text for view in found.views))
    reader = _reader(part.origin)
    if not reader.reads:
        return scanned_only(texts, reader)
    return read(texts, reader, encoder(), trusting=not found.views and not found.flags)


def _spans(found: CanonicalText, head: Head, best: Reading) -> tuple[tuple[int, int], ...]:
    """Return the strongest n-grams, joined where they touch, in the part's own offsets."""
    joined: list[tuple[int, int]] = []
    window = Strongest(best.score, best.start, best.end)
    for start, end in contributions(found.body.text, head, window, TOP_GRAMS):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    spans = (found.body.source_span(*span) for span in joined or [(best.start, best.end)])
    return tuple((start, end) for start, end in spans if start < end)


def _reader(origin: Origin) -> Reader:
    return _readers()["user" if origin <= Origin.USER else "data"]


@lru_cache(maxsize=1)
def _readers() -> Mapping[str, Reader]:
    about, heads = encoder().about, _heads()
    return {
        name: Reader(heads[name], number, about["floor"][name], about["weight"][name], name in about["reads"])
        for number, name in enumerate(("user", "data"))
    }


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
