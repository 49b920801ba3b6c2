import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.detectors.text.personal import PersonalData
from bartizan.types import Origin, Part, PartKind

DATA = {
    "e-mail": ("maria.lopez@acme-corp.io", 0.5),
    "phone with country": ("+49 30 90182034", 0.5),
    "phone with trunk prefix": ("+44 (0)20 7946 1958", 0.5),
    "phone with zeros": ("0049 30 90182034", 0.5),
    "American phone": ("(212) 867-5309", 0.5),
    "card": ("4539 1488 0343 6467", 1.0),
    "card in one piece": ("5425233430109903", 1.0),
    "American Express": ("3742 454554 00126", 1.0),
    "IBAN": ("DE02 1203 0000 0000 2020 51", 1.0),
    "IBAN in one piece": ("FR7630006000011234567890189", 1.0),
    "SSN": ("536-90-4399", 1.0),
    "NINO": ("JG 10 37 59 A", 1.0),
    "CPF": ("529.982.247-25", 1.0),
    "NIE": ("X1234567L", 1.0),
    "hetu": ("131052-308T", 1.0),
    "codice fiscale": ("MRTMTT91D08F205J", 1.0),
    "NIR": ("1 84 12 76 451 089 46", 1.0),
    "resident identity": ("110101199003074514", 1.0),
}
LABELLED = {
    "phone": ("phone: ", "030 12345679", 0.5),
    "NHS": ("NHS number ", "943 476 5870", 1.0),
    "BSN": ("BSN: ", "111222333", 1.0),
    "PESEL": ("PESEL ", "44051401359", 1.0),
    "Steuer-ID": ("Steuer-ID: ", "36574261809", 1.0),
    "Aadhaar": ("Aadhaar ", "2341 2341 2346", 1.0),
    "birth": ("Date of birth: ", "12 March 1981", 0.5),
    "passport": ("passport no. ", "C01X00T47", 1.0),
    "account": ("account number ", "12345679", 0.5),
}
EXAMPLES = ("4111 1111 1111 1111", "GB82 WEST 1234 5698 7654 32", "078-05-1120", "AB123456C")
HARMLESS = (
    "Write to support@acme.io or jane@example.com.",
    "Write to user@mail.example.org.",
    "Call 555-0123 or (212) 555-0123.",
    "pi is 3.141592653589793238462643383279",
    "4539 1488 0343 6468 fails its check digit",
    "DE03 1203 0000 0000 2020 51 does too",
    "000-12-3456 and 912-34-5678 were never given out",
    "id 1700000000000, commit c4539148803436467",
    "rows: 5 3 4 6 7 8 9 1 2 6 7 2 1 9 5 3 4 8",
    "from 2019-2023, pages 200-300, 1,234,567 people",
    "10.0.12.34 and 2001:db8::1",
    "git@github.com:acme/repo.git",
    "",
)


@pytest.fixture(scope="module")
def personal(judge):
    return judge(PersonalData(), Origin.MODEL)


@pytest.mark.parametrize(("datum", "weight"), DATA.values(), ids=DATA.keys())
def test_a_datum_scores_its_weight_and_exactly_it_is_marked(personal, datum, weight):
    text = f"Here: {datum}, as you asked."
    assert personal.score(text) == weight
    assert personal.pointed(text) == [datum]


@pytest.mark.parametrize(("word", "datum", "weight"), LABELLED.values(), ids=LABELLED.keys())
def test_a_word_before_a_number_says_what_it_is(personal, word, datum, weight):
    assert personal.score(f"See {word}{datum}.") == weight
    assert personal.pointed(f"See {word}{datum}.") == [datum]
    assert personal.score(f"See {datum}.") == 0.0


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_documentation_scores_little(personal, example):
    assert personal.score(f"Such as {example} here.") == 0.25


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_one_scores_nothing(personal, text):
    assert personal.score(text) == 0.0


def test_each_value_counts_once_and_all_of_its_places_are_marked(personal):
    text = "ann@acme.io, bob@acme.io and ann@acme.io, +49 30 90182034 or +49 (30) 90182034"
    assert personal.score(text) == 1.5
    assert len(personal.pointed(text)) == 5
    summary = personal.evidence(text).summary
    assert summary.endswith("e-mail address (2), phone number (1).")
    assert "ann" not in summary


@pytest.mark.parametrize("origin", [Origin.OPERATOR, Origin.USER, Origin.TOOL])
def test_what_the_conversation_holds_is_no_leak(judge, origin):
    said = "I am maria.lopez@acme-corp.io, 030 90182034, card 4539148803436467, SSN 536 90 4399"
    given_data = judge(PersonalData(), Origin.MODEL, (Part(PartKind.TEXT, origin, text=said),))
    answer = "Noted: Maria.Lopez@acme-corp.io, +49 30 90182034, 4539 1488 0343 6467, 536-90-4399"
    assert given_data.score(f"{answer}.") == 0.0
    assert given_data.score(f"{answer}, bob@acme-corp.io.") == 0.5
    assert given_data.pointed(f"{answer}, bob@acme-corp.io.") == ["bob@acme-corp.io"]


def test_what_tools_said_may_still_be_a_leak(judge):
    record = Part(PartKind.TOOL_RESULT, Origin.TOOL, text='{"email": "maria.lopez@acme-corp.io"}')
    answer = "Her address is maria.lopez@acme-corp.io."
    assert judge(PersonalData(), Origin.MODEL, (record,)).score(answer) == 0.0
    assert judge(PersonalData(given_by_tools=False), Origin.MODEL, (record,)).score(answer) == 0.5


def test_encoded_and_escaped_data_are_found_where_they_stand(personal):
    encoded = base64.b64encode(b"card 4539 1488 0343 6467 of Maria").decode()
    assert personal.score(f"Here: {encoded}.") == 1.0
    (marked,) = personal.pointed(f"Here: {encoded}.")
    assert marked in encoded
    call = json.dumps({"to": "maria.lopez@acme-corp.io"}).replace("@", "\\u0040")
    assert personal.score(call, PartKind.TOOL_CALL) == 0.5
    assert personal.pointed(call, PartKind.TOOL_CALL) == ["maria.lopez\\u0040acme-corp.io"]
    assert personal.score("4539 1488\u200b 0343 6467") == 1.0


def check_growth(judged, text):
    last = 0.0
    for end in range(len(text) + 1):
        value = judged.score(text[:end])
        assert value >= last, text[:end]
        last = value


TEXTS = (
    ", ".join(datum for datum, _ in DATA.values()) + "99.",
    "; ".join(word + datum for word, datum, _ in LABELLED.values()) + "12 34",
    " ".join((*EXAMPLES, *HARMLESS)),
    "a@x.de a@x.dev a@x.de, +49301234567 +493012345678, bob@acme.co bob@acme.com ann@acme.com.example.org",
    base64.b64encode("; ".join(datum for datum, _ in DATA.values()).encode()).decode(),
)


@pytest.mark.parametrize("text", TEXTS)
def test_no_beginning_of_a_text_scores_more_than_the_whole(judge, personal, text):
    check_growth(personal, text)
    said = Part(PartKind.TEXT, Origin.USER, text="bob@acme.com, 030 90182034, 4539148803436467, X1234567L")
    check_growth(judge(PersonalData(), Origin.MODEL, (said,)), text)


PIECES = [
    *(d for d, _ in DATA.values()),
    *(w for w, _, _ in LABELLED.values()),
    "+",
    "@acme.io",
    "-",
    "4",
    "é",
]


@given(
    st.lists(st.sampled_from([*PIECES, " ", ".", "0049", "\n", "\ud800", "\u200b"]), max_size=8).map("".join)
)
def test_growth_and_spans_of_anything(personal, text):
    cuts = range(0, len(text) + 1, 3)
    scores = [personal.score(text[:cut]) for cut in cuts]
    assert scores == sorted(scores)
    for start, end in personal.evidence(text).spans:
        assert 0 <= start < end <= len(text)
