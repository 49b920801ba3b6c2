"""Credentials in what a model answers: keys, tokens, passwords in links, private keys."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import re2

from bartizan.features.credentials import BORROWED, EXAMPLE, OWN, Rule, mixed
from bartizan.features.escapes import visible
from bartizan.ports import Features
from bartizan.types import DetectorSpec, Effect, Evidence, Origin, Part, PartKind, Scores, Step

SPEC: Final = DetectorSpec(
    name="text.secrets",
    version="1",
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
Hit = tuple[str, float, int, int]
"""Rule name, weight, start, end."""


class Secrets:
    """Finds credentials by rule; each kind found adds its weight, examples of documentation little.

    Guarantees:
        A text's score is at least that of each of its beginnings, so a growing stream may be
        judged as it comes. Evidence never repeats a secret.
    """

    spec = SPEC

    def __init__(self) -> None:
        rules = (*OWN, *_borrowed())
        self._rules = tuple((rule, re2.compile(rule.pattern, _options())) for rule in rules)
        self._set = re2.Set.SearchSet(_options())
        for rule in rules:
            self._set.Add(rule.pattern)
        self._set.Compile()

    def score(self, part: Part, features: Features) -> Scores:
        """Return the sum over kinds of credential of the weightiest match of each."""
        text = part.text
        if text.isascii() and "\\" not in text:
            return self._total(text)
        return self._total(features.of_part(visible, part).text)

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Name the kinds, and point at every match; at examples only if there is nothing else."""
        read = features.of_part(visible, part)
        hits = self._hits(read.text)
        if not hits:
            return Evidence("No credential.")
        floor = max(EXAMPLE, min(1.0, max(weight for _, weight, _, _ in hits)))
        told = [hit for hit in hits if hit[1] >= floor][:MAX_SPANS]
        names = ", ".join(sorted({name for name, *_ in told}))
        word = "Credentials" if floor > EXAMPLE else "Well-known example credentials"
        spans = sorted({read.source_span(start, end) for _, _, start, end in told})
        return Evidence(f"{word} by the rules: {names}.", tuple(spans))

    def _total(self, text: str) -> Scores:
        if not self._set.Match(text):
            return _CLEAN
        best: dict[str, float] = {}
        for name, weight, _, _ in self._hits(text):
            best[name] = max(best.get(name, 0.0), weight)
        return Scores((sum(best.values()),))

    def _hits(self, text: str) -> list[Hit]:
        found: list[Hit] = []
        for index in self._set.Match(text) or ():
            rule, pattern = self._rules[index]
            for match in pattern.finditer(text):
                weight = rule.check(match.group())
                if weight:
                    found.append((rule.name, weight, match.start(), match.end()))
        return found


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
