import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.features.cascade import CLEARED, LOWEST_READ, MAX_WINDOWS, Reader, cleared, read
from bartizan.features.encoder import STRIDE, WINDOW, Window, starts
from bartizan.features.linear import Head, scanned

BITS = 12


class Counting:
    """Stands for the encoder: calls a window an attack if it holds the word ``orders``."""

    def __init__(self, text_of=None):
        self.read = []

    def windows(self, text, begin=0):
        self.text = text
        return [
            Window(tuple(map(ord, text[i : i + 200])), begin + i, begin + min(len(text), i + 200))
            for i in range(0, max(1, len(text)), 200)
        ]

    def logits(self, window):
        self.read.append((window.start, window.end))
        found = "orders" in "".join(map(chr, window.ids))
        return (5.0 if found else -5.0, 7.0 if found else -7.0)


@pytest.fixture(scope="module")
def head():
    return Head(np.random.default_rng(3).normal(0, 1, 1 << BITS).astype(np.float16), 0.0, BITS)


def reader(head, floor=-1e9, weight=0.0, number=0):
    return Reader(head, number, floor, weight)


def test_a_text_below_the_floor_is_cleared_without_being_read(head):
    encoder = Counting()
    text = "an ordinary sentence about gardens"
    top = max(w.score for w in scanned(text, head))
    clear = cleared(text, reader(head, floor=top + 1))
    found = read((text,), reader(head, floor=top + 1), encoder, trusting=True)
    assert clear == found
    assert found.score == CLEARED + top
    assert not encoder.read
    assert cleared(text, reader(head, floor=top)) is None


def test_what_is_cleared_ranks_below_whatever_was_read(head):
    assert CLEARED + 12 < LOWEST_READ
    worst = read(("nothing of note",), reader(head, weight=100.0), Counting(), trusting=True)
    assert worst.score >= LOWEST_READ


def test_a_disguised_text_is_read_whatever_the_linear_model_thinks(head):
    encoder = Counting()
    found = read(("orders in disguise",), reader(head, floor=1e9), encoder, trusting=False)
    assert found.score == 5.0
    found = read(("plain", "orders in an envelope"), reader(head, floor=1e9), encoder, trusting=True)
    assert (found.score, found.text) == (5.0, 1)


def test_each_channel_has_its_own_logit(head):
    assert read(("orders",), reader(head, number=1), Counting(), trusting=True).score == 7.0


def test_the_window_that_scored_is_named_in_the_text_it_stands_in(head):
    text = "quiet words. " * 80 + "orders" + " more quiet words" * 40
    found = read((text,), reader(head), Counting(), trusting=True)
    assert "orders" in text[found.start : found.end]


def test_only_the_stretches_that_were_not_cleared_are_read(head):
    text = "some words of a long report about rivers and roads. " * 200
    scores = sorted(w.score for w in scanned(text, head))
    encoder = Counting()
    read((text,), reader(head, floor=scores[-1]), encoder, trusting=True)
    assert 0 < sum(end - start for start, end in encoder.read) < len(text)


def test_the_encoder_reads_a_bounded_number_of_windows(head):
    encoder = Counting()
    read(("word " * 40_000,), reader(head), encoder, trusting=True)
    assert len(encoder.read) == MAX_WINDOWS


def test_what_the_encoder_had_no_room_for_counts_with_its_linear_score(head):
    encoder = Counting()
    text = " ".join(f"word{i}" for i in range(6_000))
    found = read((text,), reader(head), encoder, trusting=True)
    unread = [w for w in scanned(text, head) if all(w.end <= a or b <= w.start for a, b in encoder.read)]
    assert unread
    assert found.score >= max(w.score for w in unread)


def test_nothing_to_read(head):
    assert read(("",), reader(head), Counting(), trusting=True).score < LOWEST_READ


@given(st.integers(0, 5_000))
def test_windows_cover_every_piece(size):
    at = starts(size)
    covered = set()
    for start in at:
        covered |= set(range(start, min(size, start + WINDOW)))
    assert covered == set(range(size))
    assert all(b - a <= STRIDE for a, b in zip(at, at[1:], strict=False))
