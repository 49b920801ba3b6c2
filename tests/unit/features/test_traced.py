import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bartizan.features.traced import Traced


def fresh(text: str) -> Traced:
    return Traced(text, None, len(text))


def test_untouched_text_leads_to_itself():
    assert fresh("hello").source_span(1, 3) == (1, 3)
    assert fresh("hello").splice([]).offsets is None


def test_a_replacement_leads_to_what_it_replaced():
    traced = fresh("a&amp;b").splice([(1, 6, "&")])
    assert traced.text == "a&b"
    assert traced.source_span(1, 2) == (1, 6)
    assert traced.source_span(2, 3) == (6, 7)


def test_edits_of_edits_lead_to_the_source():
    traced = fresh("xx12yy34zz").splice([(2, 4, ""), (6, 8, "long")])
    again = traced.splice([(0, 2, "")])
    assert again.text == "yylongzz"
    assert again.source_span(2, 6) == (6, 8)
    assert again.source_span(0, 2) == (4, 6)


def test_pieces_of_any_length():
    traced = fresh("aﬁ\u200bb").mapped(["a", "fi", "", "b"])
    assert traced.text == "afib"
    assert traced.source_span(1, 3) == (1, 3)


@given(
    st.text(max_size=40),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5), st.text(max_size=3)), max_size=5),
)
def test_offsets_never_fall_and_stay_inside(text, wanted):
    edits, at = [], 0
    for start, size, new in sorted(wanted):
        if start >= at and start + size <= len(text):
            edits.append((start, start + size, new))
            at = start + size
    traced = fresh(text).splice(edits)
    if traced.offsets is not None:
        assert len(traced.offsets) == len(traced.text)
        assert (np.diff(traced.offsets) >= 0).all()
    for i in range(len(traced.text)):
        start, end = traced.source_span(i, i + 1)
        assert 0 <= start <= end <= len(text)
