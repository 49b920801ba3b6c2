import numpy as np
import pytest

from bartizan.monitoring.probing import KEPT, VARIANTS, meet

KEY = b"k" * 32
WORDS = [f"{a}{b}ing" for a in ("walk", "sing", "draw", "read", "cook") for b in ("er", "en", "ov", "ul")]


def variants(count, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.choice(WORDS, 20).tolist()
    return [" ".join([*base[: i % 20], f"other{i}", *base[i % 20 + 1 :]]) for i in range(count)]


def met(memory, text, *, odd=True, counts=True, rate=1e-3):
    return meet(memory, text, 5.0, KEY, odd=odd, counts=counts, rate=rate)


def test_edit_after_edit_of_an_odd_text_is_probing_and_told_once():
    memory = []
    found = [met(memory, t).probing for t in variants(40)]
    told = [i for i, f in enumerate(found) if f is not None]
    assert told == [11]
    assert (found[11].variants, found[11].again, found[11].since) == (39, 39, 5.0)
    assert found[11].evidence > 1e3
    assert len(memory) == 1


def test_a_retry_is_no_variant():
    memory, text = [], variants(1)[0]
    answers = [met(memory, text) for _ in range(50)]
    assert [a.known for a in answers] == [False] + [True] * 49
    assert memory[0].variants == 0
    assert not any(a.probing for a in answers)


def test_a_text_that_soon_passes_is_no_probing():
    memory = []
    for i, text in enumerate(variants(60)):
        assert met(memory, text, odd=i % 2 == 0).probing is None


def test_near_duplicates_of_ordinary_texts_are_known_and_no_probing():
    memory = []
    answers = [met(memory, t, odd=False) for t in variants(40)]
    assert not any(a.probing for a in answers)
    assert all(a.known for a in answers[1:])
    assert (memory[0].odd, memory[0].variants) == (False, 0)


def test_small_edits_that_add_up_stay_near():
    memory, words = [], np.random.default_rng(1).choice(WORDS, 20).tolist()
    for i in range(20):
        words[i] = f"other{i}"
        met(memory, " ".join(words))
    assert len(memory) == 1
    assert memory[0].variants == 19


def test_what_does_not_count_is_not_remembered():
    memory = []
    assert not met(memory, variants(1)[0], odd=False, counts=False).known
    assert memory == []


def test_memory_is_bounded_and_odd_texts_stay_longest():
    memory = []
    for s in range(3):
        met(memory, np.random.default_rng(s).bytes(80).hex())
    for s in range(100, 100 + 3 * KEPT):
        met(memory, np.random.default_rng(s).bytes(80).hex(), odd=False)
    assert len(memory) == KEPT
    assert sum(m.odd for m in memory) == 3
    for text in variants(3 * VARIANTS, seed=7):
        met(memory, text, odd=False)
    assert max(len(m.digests) for m in memory) <= VARIANTS


@pytest.mark.parametrize("text", ["", "x", "\ud800"])
def test_any_text_is_met(text):
    assert not met([], text).known
