"""Data that name or reach a person in what a model answers, unless the conversation gave them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import re2

from bartizan.features.escapes import visible
from bartizan.features.personal import EXAMPLE, RULES, Values, given_by
from bartizan.features.readings import Span, encoded
from bartizan.ports import Features
from bartizan.types import DetectorSpec, Effect, Evidence, Origin, Part, PartKind, Scores, Step

SPEC: Final = DetectorSpec(
    name="text.personal-data",
    version="1",
    steps=frozenset({Step.RESPONSE}),
    kinds=frozenset({PartKind.TEXT, PartKind.TOOL_CALL}),
    origins=frozenset({Origin.MODEL}),
    unit=0.5,
    contextual=True,
    effect=Effect.REDACT,
    taxonomy=("OWASP LLM02:2026", "AML.T0057"),
)
MAX_SPANS: Final = 256
MATCHER_BYTES: Final = 64 << 20
"""Bound on the memory of the matcher's cache; a full cache is emptied, never an error."""
MIN_DECODED: Final = 12
"""Printable characters at the start of a decoded run that are looked at."""

_CLEAN: Final = Scores((0.0,))
Hit = tuple[str, str, float, Span]
"""Kind, normal form, weight, place."""


class PersonalData:
    """Finds e-mail addresses, phone numbers, cards, accounts, identity numbers and the like.

    Each distinct value adds its weight. What the conversation already holds is no leak. Names and
    postal addresses are not looked for.

    Args:
        given_by_tools: Whether what tools and the web said counts as given, too. An assistant
            that looks up its own user's record wants that; one whose tools read other people's
            records does not.

    Guarantees:
        A text's score is at least that of each of its beginnings. Evidence never repeats a datum.
    """

    spec = SPEC

    def __init__(self, *, given_by_tools: bool = True) -> None:
        origins = frozenset(o for o in Origin if given_by_tools or o < Origin.TOOL)
        self._given = given_by(origins)
        self._patterns = tuple((rule, re2.compile(rule.pattern, _options())) for rule in RULES)
        self._set: Any = re2.Set.SearchSet(_options())
        for rule in RULES:
            self._set.Add(rule.pattern)
        self._set.Compile()

    def score(self, part: Part, features: Features) -> Scores:
        """Return the weights of the distinct data, summed."""
        total = sum(weight for _, _, weight, _, new in self._found(part, features) if new)
        return Scores((total,)) if total else _CLEAN

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Name the kinds, and point at every datum; at examples only if there is nothing else."""
        found = list(self._found(part, features))
        if not found:
            return Evidence("No personal data.")
        read = features.of_part(visible, part)
        floor = EXAMPLE if all(weight <= EXAMPLE for _, _, weight, _, _ in found) else 2 * EXAMPLE
        told = [hit for hit in found if hit[2] >= floor]
        kinds: dict[str, int] = defaultdict(int)
        for kind, _, _, _, new in told:
            kinds[kind] += new
        named = ", ".join(f"{kind} ({n})" for kind, n in sorted(kinds.items()))
        spans = sorted({read.source_span(*span) for _, _, _, span, _ in told[:MAX_SPANS]})
        return Evidence(f"Personal data that the conversation did not hold: {named}.", tuple(spans))

    def _found(self, part: Part, features: Features) -> Iterator[tuple[str, str, float, Span, bool]]:
        """Yield the data that nobody gave, in order, and whether each is there for the first time."""
        seen: dict[str, Values] = defaultdict(Values)
        ends: dict[str, int] = defaultdict(int)
        for kind, value, weight, span in self._hits(part, features):
            if span[0] < ends[kind] or features.of_interaction(self._given).holds(kind, value):
                continue
            ends[kind] = span[1]
            new = not seen[kind].begins(value)
            if new:
                seen[kind].add(value)
            yield kind, value, weight, span, new

    def _hits(self, part: Part, features: Features) -> Iterator[Hit]:
        text = part.text
        if not text.isascii() or "\\" in text:
            text = features.of_part(visible, part).text
        yield from sorted(self._read(text), key=_place)
        for reading in features.of_part(encoded, part):
            plain = reading.text.partition("\0")[0]
            if len(plain) >= MIN_DECODED:
                for kind, value, weight, span in sorted(self._read(plain), key=_place):
                    yield f"encoded {kind}", value, weight, reading.locate(*span)

    def _read(self, text: str) -> Iterator[Hit]:
        for index in sorted(self._set.Match(text) or ()):
            rule, pattern = self._patterns[index]
            for match in pattern.finditer(text):
                first = match.start(1)
                for value, weight, start, end in rule.check(match.group(1)):
                    yield rule.kind, value, weight, (first + start, first + end)


def _place(hit: Hit) -> int:
    return hit[3][0]


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MATCHER_BYTES
    return options
