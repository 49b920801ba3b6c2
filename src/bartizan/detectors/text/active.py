"""What a model answers that does something where it is shown: scripts, frames, escape sequences."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, Final

import re2

from bartizan.features.active import QUOTED, RULES, Rule, Zone, code_spans, fenced
from bartizan.features.escapes import visible
from bartizan.ports import Features
from bartizan.types import DetectorSpec, Effect, Evidence, Origin, Part, PartKind, Scores, Step

SPEC: Final = DetectorSpec(
    name="text.active-content",
    version="1",
    steps=frozenset({Step.RESPONSE}),
    kinds=frozenset({PartKind.TEXT, PartKind.TOOL_CALL}),
    origins=frozenset({Origin.MODEL}),
    # Without its opening the rest of an element is plain text, so masking is enough.
    effect=Effect.REDACT,
    taxonomy=("OWASP LLM10:2026", "AML.T0077"),
)
MAX_SPANS: Final = 256
MATCHER_BYTES: Final = 64 << 20
"""Bound on the memory of the matcher's cache; a full cache is emptied, never an error."""
_CLEAN: Final = Scores((0.0,))
Hit = tuple[str, float, int, int]
"""Rule name, weight, start, end."""


class ActiveContent:
    """Finds content that browsers run or load, terminals obey, or spreadsheets calculate.

    Each kind adds its weight once. What stands in a fenced code block is shown and not run, and
    what stands in a code span nearly always; terminals know neither. In tool calls only what
    terminals and spreadsheets obey counts, because writing web pages is what tools are for.

    Guarantees:
        A text's score is at least that of each of its beginnings.
    """

    spec = SPEC

    def __init__(self) -> None:
        self._patterns = tuple((rule, re2.compile(rule.pattern, _options())) for rule in RULES)
        self._set: Any = re2.Set.SearchSet(_options())
        for rule in RULES:
            self._set.Add(rule.pattern)
        self._set.Compile()

    def score(self, part: Part, features: Features) -> Scores:
        """Return the sum over kinds of active content of the weightiest of each."""
        best: dict[str, float] = {}
        for name, weight, _, _ in self._hits(part, features):
            best[name] = max(best.get(name, 0.0), weight)
        return Scores((sum(best.values()),)) if best else _CLEAN

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Name the kinds and point at what makes each active."""
        hits = list(self._hits(part, features))
        if not hits:
            return Evidence("No active content.")
        read = features.of_part(visible, part)
        floor = min(0.5, max(weight for _, weight, _, _ in hits))
        told = [hit for hit in hits if hit[1] >= floor][:MAX_SPANS]
        names = ", ".join(sorted({name for name, *_ in told}))
        spans = sorted({read.source_span(start, end) for _, _, start, end in told})
        return Evidence(f"Content that acts where it is shown: {names}.", tuple(spans))

    def _hits(self, part: Part, features: Features) -> Iterator[Hit]:
        text = part.text
        if not text.isascii() or "\\" in text:
            text = features.of_part(visible, part).text
        found = self._set.Match(text)
        if not found:
            return
        shown = part.kind is PartKind.TEXT
        fences = fenced(text) if shown else []
        quotes = list(code_spans(text, fences)) if shown and "`" in text else []
        for index in sorted(found):
            rule, pattern = self._patterns[index]
            if not shown and not rule.everywhere:
                continue
            for match in pattern.finditer(text):
                weight = rule.weight * _factor(rule, match.start(), fences, quotes)
                if weight:
                    yield rule.name, weight, match.start(), match.end()


def _factor(rule: Rule, at: int, fences: list[Zone], quotes: list[Zone]) -> float:
    if rule.everywhere:
        return 1.0
    if _inside(at, fences):
        return 0.0
    return QUOTED if _inside(at, quotes) else 1.0


def _inside(at: int, zones: list[Zone]) -> bool:
    before = bisect_right(zones, (at, 1 << 62)) - 1
    return before >= 0 and at < zones[before][1]


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MATCHER_BYTES
    return options
