import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.features.readings import encoded, joined
from bartizan.types import Origin, Part, PartKind

SAID = "call Ann at nine o'clock, please"
FORMS = {
    "base64": base64.b64encode(SAID.encode()).decode(),
    "base64+hex": base64.b64encode(SAID.encode().hex().encode()).decode(),
    "base32": base64.b32encode(SAID.encode()).decode(),
    "hex": SAID.encode().hex("-"),
    "codes": " ".join(str(ord(c)) for c in SAID) + " ",
}


def read(text):
    return encoded(Part(PartKind.TEXT, Origin.MODEL, text=text))


@pytest.mark.parametrize(("name", "form"), FORMS.items(), ids=FORMS.keys())
def test_a_word_is_read_and_its_place_says_that_word(name, form):
    text = f"<< {form} >>"
    (reading,) = [r for r in read(text) if SAID in r.text]
    assert reading.name == name
    at = reading.text.index("Ann")
    start, end = reading.locate(at, at + 3)
    assert 3 <= start < end <= 3 + len(form)
    assert end - start < len(form) / 3


def test_bytes_are_read_as_far_as_they_are_complete():
    form = base64.b64encode("für alle Fälle eine Straße".encode()).decode()
    (whole,) = [r for r in read(form) if r.prose().startswith("für")]
    assert whole.prose() == "für alle Fälle eine Straße"
    proses = [
        r.prose() for end in range(24, len(form)) for r in read(form[:end]) if r.prose().startswith("für")
    ]
    assert all(whole.prose().startswith(prose) for prose in proses)


def test_pieces_know_their_places():
    text = 'x = ["ab",\n "cd"]\n1. ef\n2. gh'
    for reading in joined(text):
        for i, char in enumerate(reading.text):
            start, end = reading.locate(i, i + 1)
            assert text[start:end] == char


@given(
    st.lists(st.sampled_from([*FORMS.values(), "g-h-", "ab ", "\n", "1. ", "é", "=", "A"]), max_size=6).map(
        "".join
    )
)
def test_readings_only_grow(text):
    before: list[str] = []
    for end in range(0, len(text) + 1, 7):
        now = [r.text for r in read(text[:end])]
        assert all(any(other.startswith(one) for other in now) for one in before)
        before = now
