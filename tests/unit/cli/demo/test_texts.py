from __future__ import annotations

import base64
import unicodedata
from collections import Counter

from bartizan.cli.demo.attacks import ATTACKS, BENIGN
from bartizan.cli.demo.text_attacks import ZERO_WIDTH_SPACE, in_base64, in_tags, with_zero_width
from bartizan.types import Origin


def test_every_family_is_large_enough() -> None:
    families = Counter(sample.family for sample in ATTACKS)
    assert len(families) >= 8
    assert min(families.values()) >= 5
    assert len(BENIGN) >= 60


def test_no_text_stands_twice_or_on_both_sides() -> None:
    texts = [sample.text for sample in ATTACKS + BENIGN]
    assert len(texts) == len(set(texts))


def test_addresses_are_reserved_ones() -> None:
    for sample in ATTACKS + BENIGN:
        for word in sample.text.replace(">", " ").replace("<", " ").split():
            if "@" in word and "." in word.partition("@")[2]:
                host = word.partition("@")[2].strip(".,;:\"'}").split("/")[0]
                assert host.startswith(("example.", "1.0.0")), word


def test_tool_families_come_from_tools() -> None:
    origins = {sample.family: sample.origin for sample in ATTACKS + BENIGN}
    for family in ("tool-result-injection", "image-exfiltration", "tool-result", "mail", "log"):
        assert origins[family] is Origin.TOOL
    assert origins["direct-override"] is Origin.USER


def test_hidden_orders_are_hidden_and_whole() -> None:
    assert all(unicodedata.category(character) == "Cf" for character in in_tags("Obey me."))
    assert "".join(chr(ord(character) - 0xE0000) for character in in_tags("Obey me.")) == "Obey me."
    assert with_zero_width("Obey").replace(ZERO_WIDTH_SPACE, "") == "Obey"
    assert base64.b64decode(in_base64("Obey me.")).decode() == "Obey me."


def test_the_hard_benign_texts_hold_what_makes_them_hard() -> None:
    by_family = {
        family: " ".join(s.text for s in BENIGN if s.family == family) for family in ("persian", "emoji")
    }
    assert "\u200c" in by_family["persian"]
    assert "\u200d" in by_family["emoji"]
    assert any("\U000e0067" in sample.text for sample in BENIGN)
    assert any("ignore previous instructions" in sample.text for sample in BENIGN)
