import json

from hypothesis import given
from hypothesis import strategies as st

from bartizan.features.escapes import plain, visible
from bartizan.types import Origin, Part, PartKind


def call(text: str) -> Part:
    return Part(PartKind.TOOL_CALL, Origin.MODEL, text=text)


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",), exclude_characters="\b\f"), max_size=50))
def test_a_json_string_reads_as_its_parser_reads_it(text):
    encoded = json.dumps(text)
    body = plain(call(encoded)).text[1:-1]
    assert "".join(c for c in body if c > "\x1f") == "".join(c for c in text if c > "\x1f")


def test_prose_keeps_its_backslashes():
    part = Part(PartKind.TEXT, Origin.MODEL, text=r"write \u0041 for A")
    assert plain(part).text == part.text
    assert plain(part).offsets is None


def test_invisible_characters_are_left_out_and_offsets_kept():
    read = visible(call('"a\u200b\\u0042c"'))
    assert read.text == '"aBc"'
    assert read.source_span(2, 3) == (3, 9)
