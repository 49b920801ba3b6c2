"""Text that people do not see and models do: tag characters, zero-width data, bidi tricks."""

from __future__ import annotations

from collections import Counter
from typing import Final

from bartizan.features.invisible import Hidden, hidden_runs
from bartizan.ports import Features
from bartizan.types import DetectorSpec, Evidence, Origin, Part, PartKind, Scores, Step

SPEC: Final = DetectorSpec(
    name="text.hidden",
    version="1",
    steps=frozenset({Step.REQUEST, Step.RESPONSE}),
    kinds=frozenset({PartKind.TEXT, PartKind.TOOL_RESULT, PartKind.TOOL_DEFINITION, PartKind.TOOL_CALL}),
    origins=frozenset({Origin.USER, Origin.MODEL, Origin.TOOL, Origin.WEB}),
    taxonomy=("OWASP LLM01:2026", "AML.T0068"),
)
WEIGHTS: Final = {"tag": 4.0, "bidi": 2.0, "selector": 1.0, "zero-width": 1.0}
"""Tag characters spell ASCII and have no other use outside flags; bidi controls reorder what is read."""
MAX_SPANS: Final = 64

_NOUNS: Final = {
    "tag": "tag characters",
    "bidi": "bidirectional controls",
    "selector": "variation selectors",
    "zero-width": "zero-width or filler characters",
}


class HiddenText:
    """Counts invisible characters that nothing around them explains, weighted by kind.

    Guarantees:
        Text in which every invisible character has its ordinary use (emoji sequences, joiners of
        Arabic and Indic scripts, balanced marks in right-to-left text, one leading byte-order
        mark, soft hyphens inside words) scores 0.
    """

    spec = SPEC

    def score(self, part: Part, features: Features) -> Scores:
        """Return the weighted number of unexplained invisible characters."""
        if part.text.isascii() and "\\u" not in part.text:
            return _CLEAN
        runs = features.of_part(hidden_runs, part)
        return Scores((sum(WEIGHTS[run.kind] * run.count for run in runs),)) if runs else _CLEAN

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Name the kinds and point at the runs."""
        runs = features.of_part(hidden_runs, part)
        return Evidence(_summary(runs), tuple((r.start, r.end) for r in runs[:MAX_SPANS]))


_CLEAN: Final = Scores((0.0,))


def _summary(runs: tuple[Hidden, ...]) -> str:
    counts: Counter[str] = Counter()
    for run in runs:
        counts[run.kind] += run.count
    if not counts:
        return "No hidden characters."
    listed = ", ".join(f"{n} {_NOUNS[kind]}" for kind, n in counts.most_common())
    return f"Invisible characters that nothing around them explains: {listed}."
