"""Credentials in what a model answers: keys, tokens, passwords in links, private keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Final

import re2

from bartizan.features.credentials import BACKWARDS, BORROWED, EXAMPLE, OWN, PIECES, Rule, mixed
from bartizan.features.escapes import visible
from bartizan.features.readings import Span, encoded, joined
from bartizan.ports import Features
from bartizan.types import DetectorSpec, Effect, Evidence, Origin, Part, PartKind, Scores, Step

SPEC: Final = DetectorSpec(
    name="text.secrets",
    version="2",
    steps=frozenset({Step.RESPONSE}),
    kinds=frozenset({PartKind.TEXT, PartKind.TOOL_CALL}),
    origins=frozenset({Origin.MODEL}),
    # One secret is one too many, whatever else the answer holds.
    unit=0.2,
    effect=Effect.REDACT,
    taxonomy=("OWASP LLM02:2026", "AML.T0057"),
)
MAX_SPANS: Final = 256
MATCHER_BYTES: Final = 64 << 20
"""Bound on the memory of the matcher's cache; a full cache is emptied, never an error."""
IGNORE_CASE: Final = 2
VERBOSE: Final = 64
"""Flags of the standard library's expressions, which the borrowed rules come as."""

_CLEAN: Final = Scores((0.0,))
Hit = tuple[str, float, Span, bool]
"""Rule name, weight, place, and whether it stands there as it is."""


class _Rules:
    """Rules, and one pattern that says in one pass which of them match at all."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple((rule, re2.compile(rule.pattern, _options())) for rule in rules)
        self._set: Any = re2.Set.SearchSet(_options())
        for rule in rules:
            self._set.Add(rule.pattern)
        self._set.Compile()

    def any(self, text: str) -> bool:
        """Return whether any rule matches."""
        return bool(self._set.Match(text))

    def hits(self, text: str) -> Iterator[tuple[str, float, Span]]:
        """Yield what is found in a text, rule by rule."""
        for index in self._set.Match(text) or ():
            rule, pattern = self._rules[index]
            for match in pattern.finditer(text):
                weight = rule.check(match.group())
                if weight:
                    yield rule.name, weight, match.span()


class Secrets:
    """Finds credentials by rule; each kind found adds its weight, examples of documentation little.

    They are looked for as they stand, in what encoded runs say, in pieces put together, and
    backwards (:mod:`bartizan.features.readings`). However a secret is found, it counts once.

    Guarantees:
        A text's score is at least that of each of its beginnings, so a growing stream may be
        judged as it comes. Evidence never repeats a secret.
    """

    spec = SPEC

    def __init__(self) -> None:
        self._plain = _Rules((*OWN, *_borrowed()))
        self._pieces = _Rules(PIECES)
        self._backwards = re2.compile(BACKWARDS, _options())

    def score(self, part: Part, features: Features) -> Scores:
        """Return the sum over kinds of credential of the weightiest match of each."""
        best: dict[str, float] = {}
        for name, weight, _, _ in self._hits(part, features):
            best[name] = max(best.get(name, 0.0), weight)
        return Scores((sum(best.values()),)) if best else _CLEAN

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Name the kinds, and point at every match; at examples only if there is nothing else."""
        read = features.of_part(visible, part)
        hits = list(self._hits(part, features))
        if not hits:
            return Evidence("No credential.")
        floor = max(EXAMPLE, min(1.0, max(hit[1] for hit in hits)))
        told = [hit for hit in hits if hit[1] >= floor][:MAX_SPANS]
        names = ", ".join(sorted({name for name, *_ in told}))
        word = "Credentials" if floor > EXAMPLE else "Well-known example credentials"
        spans = sorted({read.source_span(*span) for span in _apart(told)})
        return Evidence(f"{word} by the rules: {names}.", tuple(spans))

    def _hits(self, part: Part, features: Features) -> Iterator[Hit]:
        """Yield what is found in any reading, with its place in the visible text."""
        text = part.text
        if not text.isascii() or "\\" in text:
            text = features.of_part(visible, part).text
        yield from ((*hit, True) for hit in self._plain.hits(text))
        yield from self._reversed(text)
        for reading in joined(text):
            for name, weight, span in self._pieces.hits(reading.text):
                yield name, weight, reading.locate(*span), False
        found = features.of_part(encoded, part)
        if found and self._suspicious("\n".join(reading.text for reading in found)):
            for reading in found:
                for name, weight, span in self._plain.hits(reading.text):
                    yield name, weight, reading.locate(*span), False
                for name, weight, span, _ in self._reversed(reading.text):
                    yield name, weight, reading.locate(*span), False

    def _suspicious(self, texts: str) -> bool:
        return self._plain.any(texts) or self._backwards.search(texts) is not None

    def _reversed(self, text: str) -> Iterator[Hit]:
        for match in self._backwards.finditer(text):
            for name, weight, _ in self._pieces.hits(match.group()[::-1]):
                yield name, weight, match.span(), False


def _apart(hits: list[Hit]) -> list[Span]:
    """Return the places of hits; where one stands as it is, other readings of it tell nothing more."""
    exact = [span for _, _, span, plain in hits if plain]
    others = (span for _, _, span, plain in hits if not plain)
    return exact + [(a, b) for a, b in others if all(b <= start or end <= a for start, end in exact)]


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MATCHER_BYTES
    return options


def _borrowed() -> tuple[Rule, ...]:
    """Return the rules that ``detect-secrets`` brings and RE2 can express.

    Imported here: its plug-ins load an HTTP client (0.15 s), which nobody needs before a
    detector is built.
    """
    rules: list[Rule] = []
    for module, plugin, name, rest, check in BORROWED:
        listed = getattr(import_module(f"detect_secrets.plugins.{module}"), plugin).denylist
        for regex in listed:
            flags = "(?i)" if regex.flags & IGNORE_CASE else ""
            pattern = f"{flags}{regex.pattern}{rest}"
            weigh = mixed if plugin == "AWSKeyDetector" and flags else check
            if not regex.flags & VERBOSE and _expressible(pattern):
                rules.append(Rule(name, pattern, weigh))
    return tuple(rules)


def _expressible(pattern: str) -> bool:
    try:
        re2.compile(pattern, _options())
    except re2.error:
        return False
    return True
