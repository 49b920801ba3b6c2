"""A detector for tests: a text's score is the number that stands in it between brackets, else 0."""

from __future__ import annotations

from bartizan.ports import Features
from bartizan.types import DetectorSpec, Evidence, Origin, Part, PartKind, Scores, Step

SPEC = DetectorSpec(
    name="text.marks",
    version="1",
    steps=frozenset({Step.REQUEST}),
    kinds=frozenset({PartKind.TEXT}),
    origins=frozenset({Origin.USER}),
)


class Marks:
    """Scores what the text says that it scores."""

    spec = SPEC

    def score(self, part: Part, features: Features) -> Scores:
        """Return the number."""
        return Scores((float(part.text.partition("[")[2].partition("]")[0] or 0.0),))

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Return next to nothing."""
        return Evidence("The text says so.")
