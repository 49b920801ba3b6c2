"""System prompts and planted canaries in what a model answers."""

from __future__ import annotations

import codecs
import string
from collections.abc import Iterator
from typing import Any, Final

from bartizan.features.canary import canary_pattern
from bartizan.features.escapes import visible
from bartizan.features.fingerprint import Shingle, echoed, operator_fingerprint
from bartizan.features.readings import Reading, Span, encoded
from bartizan.features.wording import SHINGLE, dense, normal_words, shingles
from bartizan.ports import Features
from bartizan.types import DetectorSpec, Evidence, Origin, Part, PartKind, Scores, Step

SPEC: Final = DetectorSpec(
    name="text.leak",
    version="2",
    steps=frozenset({Step.RESPONSE}),
    kinds=frozenset({PartKind.TEXT, PartKind.TOOL_CALL}),
    origins=frozenset({Origin.MODEL}),
    # Answers that repeat so much as a tenth of a unit (some eighteen words in a row) are rare.
    unit=0.1,
    contextual=True,
    taxonomy=("OWASP LLM08:2026", "AML.T0056"),
)
FREE_WORDS: Final = 15
"""Words of the operator that an answer may repeat: names, opening lines, stock phrases."""
UNIT_WORDS: Final = 25.0
"""Repeated words beyond those that make one unit."""
CANARY_UNITS: Final = 8.0
"""A canary has no innocent way into an answer."""
MAX_SPANS: Final = 64

_CLEAN: Final = Scores((0.0,))
_ROT13: Final = str.maketrans(string.ascii_letters, codecs.encode(string.ascii_letters, "rot13"))


class Leak:
    """Finds the operator's own words, and secrets planted among them.

    Args:
        canaries: Strings that must never leave, each of at least six letters or digits. They are
            also recognised backwards, in hex and base64, and with separators put between.

    The operator's words are also looked for in rot13, backwards, and in what encoded runs say.
    Whether any of the operator's words came back is asked of a pattern first; only then is the
    answer compared word by word.

    Guarantees:
        A text's score is at least that of each of its beginnings.
    """

    spec = SPEC

    def __init__(self, canaries: tuple[str, ...] = ()) -> None:
        self._canaries = canary_pattern(canaries)

    def score(self, part: Part, features: Features) -> Scores:
        """Return the units of confidential text in a part."""
        text = _text(part)
        units = CANARY_UNITS if self._canary_spans(text) else 0.0
        known = features.of_interaction(operator_fingerprint)
        if known is not None:
            told = _readings(text, features.of_part(encoded, part), known.probe)
            secret: frozenset[Shingle] | None = None
            most = 0.0
            for reading, _, _ in told:
                secret = known.shingles - features.of_interaction(echoed) if secret is None else secret
                most = max(most, _units(reading, secret))
            units += most
        return Scores((units,)) if units else _CLEAN

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Say how many of the operator's words came back, and where."""
        read = visible(part)
        planted = self._canary_spans(read.text)
        if planted:
            spans = tuple(read.source_span(*span) for span in planted[:MAX_SPANS])
            return Evidence("A configured canary is in the answer.", spans)
        known = features.of_interaction(operator_fingerprint)
        secret = frozenset[Shingle]() if known is None else known.shingles - features.of_interaction(echoed)
        if known is not None:
            for text, how, span in _readings(read.text, features.of_part(encoded, part), known.probe):
                if how and _units(text, secret):
                    summary = f"The operator's words stand in the answer, {how}."
                    return Evidence(summary, (read.source_span(*span),))
        places = _places(read.text)
        runs = _runs(normal_words(read.text), secret)
        told = sorted((run for run in runs if run[1] <= len(places)), key=lambda run: run[0] - run[1])
        total = sum(end - start for start, end in runs)
        spans = tuple(read.source_span(places[a][0], places[b - 1][1]) for a, b in told[:MAX_SPANS])
        return Evidence(f"{total} words stand in the answer in the operator's own order.", spans)

    def _canary_spans(self, text: str) -> list[tuple[int, int]]:
        if self._canaries is None:
            return []
        if text.isascii():
            return [match.span() for match in self._canaries.finditer(text)]
        return [(0, len(text))] if self._canaries.search(dense(text)) else []


def _text(part: Part) -> str:
    return visible(part).text if part.kind is PartKind.TOOL_CALL or not part.text.isascii() else part.text


def _readings(text: str, found: tuple[Reading, ...], probe: Any) -> Iterator[tuple[str, str, Span]]:
    """Yield the ways to read a text that may hold the operator's words, how each is read, and where."""
    if not text.isascii() or probe.search(text) is not None:
        yield text, "", (0, len(text))
    turned = text.translate(_ROT13)
    if probe.search(turned) is not None:
        yield turned, "in rot13", (0, len(text))
    end = len(text)
    while end and text[end - 1].isalnum():
        end -= 1  # the beginning of a word that is not there yet
    backwards = text[:end][::-1]
    if probe.search(backwards) is not None:
        yield backwards, "backwards", (0, end)
    for reading in found:
        prose = reading.prose()
        if probe.search(prose) is not None:
            yield prose, f"in {reading.name}", reading.locate(0, len(reading.text))


def _units(text: str, secret: frozenset[Shingle]) -> float:
    """Return the units of ``secret`` in a text: its longest run and all of it, free words off."""
    words = normal_words(text)
    if text[-1:].isalnum():
        words = words[:-1]  # a stream may still complete it to another word
    lengths = [end - start for start, end in _runs(words, secret)]
    longest, total = max(lengths, default=0), sum(lengths)
    return max(0, longest - FREE_WORDS) / UNIT_WORDS + max(0, total - 2 * FREE_WORDS) / (2 * UNIT_WORDS)


def _runs(words: list[str], secret: frozenset[Shingle]) -> list[tuple[int, int]]:
    """Return the stretches ``[start, end)`` of words that repeat the operator's, in order."""
    runs: list[tuple[int, int]] = []
    for i, shingle in enumerate(shingles(words)):
        if shingle not in secret:
            continue
        if runs and i <= runs[-1][1]:
            runs[-1] = (runs[-1][0], i + SHINGLE)
        else:
            runs.append((i, i + SHINGLE))
    return runs


def _places(text: str) -> list[tuple[int, int]]:
    """Return where each of the words that :func:`normal_words` gives stands."""
    places: list[tuple[int, int]] = []
    start = -1
    for i, char in enumerate(f"{text} "):
        if char.isalnum():
            start = i if start < 0 else start
        elif start >= 0:
            places.append((start, i))
            start = -1
    return places
