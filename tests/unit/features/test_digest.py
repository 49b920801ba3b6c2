from __future__ import annotations

from hashlib import blake2b

import numpy as np

from bartizan.features.digest import digest_rows, digest_text
from bartizan.types import Origin, PartKind, Rows


def test_the_digest_is_blake2b_128_of_the_framed_fields() -> None:
    framed = "tool-result|3|6|lookup|rain, 12 °C".encode()
    expected = blake2b(framed, digest_size=16).hexdigest()
    assert digest_text(PartKind.TOOL_RESULT, Origin.TOOL, "lookup", "rain, 12 °C") == expected


def test_every_field_counts_and_none_can_stand_for_another() -> None:
    digests = {
        digest_text(PartKind.TEXT, Origin.USER, "", "a"),
        digest_text(PartKind.TOOL_RESULT, Origin.USER, "", "a"),
        digest_text(PartKind.TEXT, Origin.WEB, "", "a"),
        digest_text(PartKind.TEXT, Origin.USER, "a", ""),
        digest_text(PartKind.TEXT, Origin.USER, "a|b", "c"),
        digest_text(PartKind.TEXT, Origin.USER, "a", "b|c"),
        digest_text(PartKind.TEXT, Origin.USER, "", "|a"),
    }
    assert len(digests) == 7


def test_text_with_lone_surrogates_has_a_digest() -> None:
    assert len(digest_text(PartKind.TEXT, Origin.USER, "\ud800", "\udfff")) == 32


def test_rows_differ_by_values_shape_answers_and_columns() -> None:
    inputs = np.arange(6.0).reshape(2, 3)
    outputs = np.ones((2, 2))
    variants = [
        Rows(inputs),
        Rows(inputs.reshape(3, 2)),
        Rows(inputs + 1),
        Rows(inputs, outputs),
        Rows(inputs, None, ("a", "b", "c")),
        Rows(inputs, None, ("a|1|b", "", "c")),
        Rows(inputs, None, ("a", "1|b|", "c")),
    ]
    assert len({digest_rows(rows) for rows in variants}) == len(variants)
    assert digest_rows(Rows(np.asfortranarray(inputs))) == digest_rows(Rows(inputs))
