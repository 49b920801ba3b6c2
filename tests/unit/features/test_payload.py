import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.features.payload import decoded, information, numeric, shared, spoken, words
from bartizan.types import Interaction, Origin, Part, PartKind, Principal, Step


def test_random_characters_tell_more_than_words():
    assert information("/learn/python/asyncio/") < 0.3 * information("/x9Kq/Zb81mPq/77aQ0zz/")
    assert information("") == 0.0


@given(st.text(max_size=60), st.text(max_size=20))
def test_a_longer_address_never_tells_less(start, more):
    assert information(start) <= information(start + more)


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, lambda b: b.hex().encode()])
def test_encoded_runs_are_read(encode):
    assert "my secret code" in decoded("/p/" + encode(b"my secret code 42").decode())


def test_words_are_compared_by_their_beginning():
    said = frozenset({"wonderly", "99887766"})
    assert shared(words("?q=Wonderlys+99887766x+won"), said) == said


def test_the_conversation_is_remembered_without_its_addresses_and_common_words():
    part = Part(
        PartKind.TEXT, Origin.USER, text="Please use https://x.test/hidden for Wonderly 4711 and this"
    )
    said = spoken(Interaction("1", "s", Step.RESPONSE, Principal("p", "address"), (), (part,)))
    assert said == {"wonderly", "4711"}


def test_a_long_number_names_something():
    assert numeric("a1b2c3d4")
    assert not numeric("mp3")
