"""Untrusted text: nothing hides, and excerpts lose nothing."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.console import text
from bartizan.console.text import Piece, excerpt, visible

HIDDEN = (0x202E, 0x2066, 0x200B, 0x200D, 0xFEFF, 0xAD, 0, 0x1B, 0x0D, 0x2028, 0xA0, 0xE0041, 0x3164)
BLANK = (0x115F, 0x2800, 0xFE0F, 0xE0100, 0x034F, 0xE000, 0xD800)


@pytest.mark.parametrize("char", [chr(point) for point in HIDDEN + BLANK])
def test_hidden_characters_become_code_points(char):
    assert visible(f"a{char}b") == f"a⟨U+{ord(char):04X}⟩b"


@pytest.mark.parametrize(
    "plain", ["", "plain text\n\twith breaks", "naïve café", "日本語", "🙂", "عربي", "<b>&amp;"]
)
def test_ordinary_text_stays(plain):
    assert visible(plain) == plain


@given(st.text())
def test_nothing_invisible_is_left(content):
    shown = visible(content)
    assert not {unicodedata.category(c) for c in shown if c not in "\n\t"} & {
        "Cf",
        "Cc",
        "Co",
        "Cs",
        "Zl",
        "Zp",
    }
    assert visible(shown) == shown


def test_the_table_does_not_grow():
    before = len(text._TABLE)
    visible("".join(map(chr, range(0x100, 0x3000))))
    assert len(text._TABLE) == before


def test_spans_are_marked():
    assert excerpt("hello world", [(6, 11)]) == (Piece("plain", "hello ", 6), Piece("mark", "world", 5))
    assert excerpt("abc", []) == (Piece("plain", "abc", 3),)
    assert excerpt("abcdef", [(4, 99), (-3, 1), (0, 2), (3, 3)]) == (
        Piece("mark", "ab", 2),
        Piece("plain", "cd", 2),
        Piece("mark", "ef", 2),
    )


def test_long_content_is_cut_around_its_spans():
    pieces = excerpt("x" * 50_000 + "HERE" + "y" * 50_000, [(50_000, 50_004)])
    assert [p.kind for p in pieces] == ["gap", "plain", "mark", "plain", "gap"]
    assert pieces[2].text == "HERE"
    assert excerpt("x" * 50_000, [])[0].length == text.WHOLE_CHARS


@given(
    st.integers(0, 30_000),
    st.lists(st.tuples(st.integers(-50, 31_000), st.integers(-50, 31_000)), max_size=40),
)
def test_an_excerpt_accounts_for_every_character(size, spans):
    content = "".join(chr(97 + i % 26) for i in range(size))
    pieces = excerpt(content, spans)
    assert sum(p.length for p in pieces) == size
    assert sum(len(p.text) for p in pieces) <= text.EXCERPT_CHARS
    at = 0
    for piece in pieces:
        if piece.kind != "gap":
            assert content[at : at + piece.length] == piece.text
        if piece.kind == "mark":
            assert all(any(a <= i < b for a, b in spans) for i in (at, at + piece.length - 1))
        at += piece.length
