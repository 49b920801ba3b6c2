import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bartizan.features.ngrams import STRIDE, WINDOW, grams, windows

BITS = 18
KNOWN = [
    236688,
    54280,
    232817,
    34932,
    196717,
    202607,
    13385,
    137628,
    142482,
    17864,
    69329,
    67999,
    71700,
    112794,
]


def pieces(text: str) -> list[str]:
    found = grams(text, BITS)
    return [text[start:end] for start, end in zip(found.starts, found.ends, strict=True)]


def test_character_grams_stay_in_words_and_word_grams_do_not():
    four = {"ign", "igno", "gnor", "nore", "ore ", " all", "all"}
    five = {"igno", "ignor", "gnore", "nore ", "all"}
    assert set(pieces("ignore all")) == four | five | {"ignore", "all", "ignore all"}


def test_a_gram_has_the_same_bucket_wherever_it_stands():
    first, second = grams("ignore all", BITS), grams("please ignore all of it", BITS)
    assert set(first.buckets) <= set(second.buckets)


def test_numbers_and_whitespace_are_alike():
    assert (grams("pay 123\tnow", BITS).buckets == grams("pay 987\nnow", BITS).buckets).all()


def test_buckets_are_fixed_for_ever():
    # The artefact holds a weight per bucket: another hash would silently be another model.
    assert grams("ignore all", BITS).buckets.tolist() == KNOWN


def test_a_window_takes_each_bucket_once():
    found = grams("ha ha ha ha", BITS)
    kept = found.window(0, found.size)
    assert len(set(found.buckets[kept])) == len(kept) == len(set(found.buckets))
    assert len(found.window(5, 5)) == 0


@given(st.integers(0, 5_000))
def test_windows_cover_everything(size):
    covered = np.zeros(size, bool)
    for start, end in windows(size):
        assert end - start <= WINDOW
        covered[start:end] = True
    assert covered.all()
    assert len(windows(size)) <= max(1, size // STRIDE)


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=200))
def test_any_text_has_grams_inside_it(text):
    found = grams(text, BITS)
    assert len(found.buckets) == len(found.starts) == len(found.ends) == len(found.values)
    assert (found.buckets < 1 << BITS).all()
    assert (found.starts >= 0).all() and (found.ends <= len(text)).all()  # noqa: PT018
