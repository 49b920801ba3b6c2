"""What the text detectors' tests share: parts, and features computed anew each time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bartizan.types import Evidence, Interaction, Origin, Part, PartKind, Principal, Step


class Anew:
    """Features without memory."""

    def __init__(self, context: tuple[Part, ...]) -> None:
        self.interaction = Interaction("1", "bank", Step.RESPONSE, Principal("p", "address"), (), context)

    def of_part(self, make, part):
        return make(part)

    def of_interaction(self, make):
        return make(self.interaction)


class Judge:
    """Scores text with one detector."""

    def __init__(self, detector, origin: Origin, context: tuple[Part, ...] = ()) -> None:
        self.detector, self.origin, self.features = detector, origin, Anew(context)

    def part(self, text: str, kind: PartKind = PartKind.TEXT) -> Part:
        return Part(kind, self.origin, text=text)

    def score(self, text: str, kind: PartKind = PartKind.TEXT) -> float:
        (value,) = self.detector.score(self.part(text, kind), self.features).values
        return value

    def evidence(self, text: str, kind: PartKind = PartKind.TEXT) -> Evidence:
        return self.detector.evidence(self.part(text, kind), self.features, 0)

    def pointed(self, text: str, kind: PartKind = PartKind.TEXT) -> list[str]:
        return [text[start:end] for start, end in self.evidence(text, kind).spans]


@pytest.fixture(scope="session")
def judge() -> Callable[..., Judge]:
    return Judge
