from __future__ import annotations

import json

import pytest

from bartizan.gateway.arguments import Arguments
from bartizan.gateway.enforce import redacted

TEXT = '{"a\\u00e9": "x\\ud83d\\ude00y", "n": -12.5e3, "b": [true, "\\\\"]}'


@pytest.mark.parametrize("step", [1, 2, 5, 100])
def test_whatever_span_goes_what_is_left_is_json(step: int) -> None:
    for start in range(len(TEXT)):
        for end in range(start + 1, len(TEXT) + 1):
            arguments = Arguments()
            for at in range(0, len(TEXT), step):
                arguments.add(TEXT[at : at + step])
            where, quoted = arguments.apart([(start, end)])
            json.loads(redacted(TEXT, where, quoted=quoted))


def test_text_that_is_no_json_is_left_as_it_is() -> None:
    arguments = Arguments()
    arguments.add('print("key")')
    assert arguments.apart([(2, 9)]) == ([(2, 9)], set())
