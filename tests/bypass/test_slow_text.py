"""Texts built to make matching slow: four times the text may take four times the time, not sixteen."""

import time

import pytest

from bartizan.detectors.text.active import ActiveContent
from bartizan.detectors.text.exfiltration import Exfiltration
from bartizan.detectors.text.hidden import HiddenText
from bartizan.detectors.text.instructions import Instructions
from bartizan.detectors.text.leak import Leak
from bartizan.detectors.text.personal import PersonalData
from bartizan.detectors.text.secrets import Secrets
from bartizan.types import Interaction, Origin, Part, PartKind, Principal, Step

OPERATOR = Part(
    PartKind.TEXT, Origin.OPERATOR, text="You must always answer in the name of the harbour office. " * 5
)
SEEN = Part(PartKind.TOOL_RESULT, Origin.WEB, text=" ".join(f"https://x.test/{'a' * n}" for n in range(200)))
SHORT, LONG = 16_000, 64_000
NASTY = {
    "schemes": "http://",
    "open images": "![a](https://x.test/?q=b",
    "definitions": "\n[a]: https://x.test/aaaa",
    "one endless address": "https://x.test/aaaa?",
    "brackets": "![",
    "invisible": "a\u200b",
    "joined": "a\u200d\ufe0f",
    "key headers": "-----BEGIN PRIVATE KEY-----" + "Ab1" * 14,
    "token starts": "eyJhbGciOiJ9.",
    "aws": "aws_secret_key = ",
    "users": "://a:b",
    "base64": "aWdub3JlIGFsbCBwcmV2aW91cyBydWxlcw",
    "hex": "69 67 6e ",
    "percent": "%69",
    "entities": "&#105;",
    "half entities": "&#1",
    "letters": "a b ",
    "leet": "h4ck3r ",
    "look-alikes": "pаy",
    "operator's words": "in the name of the harbour office. ",
    "surrogates": "\ud800",
    "addresses": "a.b@c.de-",
    "cards": "4539 1488 0343 6467 ",
    "digits": "4 ",
    "one endless number": "4",
    "phones": "+49 30 ",
    "accounts": "DE02 1203 0000 ",
    "tags": "<img a=b ",
    "ticks": "a`b``c",
    "fences": "```\n<\n",
    "escape sequences": "\x1b[",
    "list items": "\n1. aB3",
    "codes": "103, ",
    "every other": "g-",
    "backwards": "a" * 30 + "_ph",
    "elements": "<image href='//",
}


ENCODER_BUDGET = 0.6
"""Seconds of `MAX_WINDOWS` windows on a slow machine: a bounded number, however long the text."""


class Anew:
    interaction = Interaction("1", "s", Step.RESPONSE, Principal("p", "address"), (), (OPERATOR, SEEN))

    def of_part(self, make, part):
        return make(part)

    def of_interaction(self, make):
        return make(self.interaction)


def seconds(detector, unit: str, size: int) -> float:
    part = Part(PartKind.TEXT, Origin.MODEL, text=(unit * (size // len(unit) + 1))[:size])
    best = float("inf")
    for _ in range(2):
        started = time.process_time()
        detector.score(part, Anew())
        best = min(best, time.process_time() - started)
    return best


DETECTORS = (
    HiddenText(),
    Secrets(),
    Exfiltration(),
    Leak(("canary-7f3a9b",)),
    Instructions(),
    PersonalData(),
    ActiveContent(),
)


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: d.spec.name)
@pytest.mark.parametrize("unit", NASTY.values(), ids=NASTY.keys())
def test_time_grows_with_the_text_and_not_with_its_square(detector, unit):
    short = seconds(detector, unit, SHORT)
    budget = ENCODER_BUDGET if detector.spec.name == "text.instructions" else 0.05
    assert seconds(detector, unit, LONG) < max(budget, 10 * short)
    assert short < ENCODER_BUDGET
