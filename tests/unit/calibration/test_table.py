import contextlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.assembly import generic_table
from bartizan.calibration.build import MIN_POINTS, REFERENCE_SHARE, build_table, with_missing_cells
from bartizan.calibration.cells import CELLS
from bartizan.calibration.holdout import realised_rates
from bartizan.calibration.table import Reference, decode, encode
from bartizan.errors import CalibrationError
from bartizan.types import Measured


def points(n, cell="request.user", seed=0, names=("text.a", "text.b")):
    rng = np.random.default_rng(seed)
    return [Measured(cell, 1, {name: float(rng.normal()) for name in names}) for _ in range(n)]


def table_of(measured, source="operator", seed=0, **how):
    return build_table(
        measured,
        name="t",
        source=source,
        created=1.0,
        units={"text.a": 1.0, "text.b": 1.0},
        versions={"text.a": "1"},
        rng=np.random.default_rng(seed),
        **how,
    )


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=60), st.floats(-100, 100), st.floats(-100, 100))
def test_surprise_never_falls_as_the_score_grows(benign, a, b):
    reference = Reference.of(np.asarray(benign), 1.0)
    low, high = sorted((a, b))
    assert 0 <= reference.surprise(low) <= reference.surprise(high) + 1e-9
    assert math.isfinite(reference.surprise(high))


def test_one_unmistakable_instance_is_worth_a_score_no_benign_one_reached():
    reference = Reference.of(np.zeros(1000), 1.0)
    assert reference.surprise(0.0) == 0.0
    assert reference.surprise(1.0) == pytest.approx(math.log(1001) + 1)


def test_a_stray_benign_score_does_not_set_the_level_for_everybody():
    benign = np.zeros(1000)
    benign[:12] = np.linspace(0, 0.01, 12)
    assert Reference.of(benign, 1.0).tail == 1.0


def test_a_table_survives_its_bytes_and_is_named_by_them():
    table = table_of(points(400), fitted={"rows.x": {"state": np.arange(6.0).reshape(2, 3)}})
    again = decode(encode(table))
    assert again.digest == table.digest
    assert again.cells == table.cells
    np.testing.assert_array_equal(again.fitted["rows.x"]["state"], np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize("damage", [b"", b"x", b"\x80", b"\x81\xa6format\x01"])
def test_bytes_that_are_no_table_are_refused_with_a_hint(damage):
    with pytest.raises(CalibrationError) as caught:
        decode(damage)
    assert "calibrate" in caught.value.hint


def test_every_single_bit_flip_is_refused_or_renames_the_table():
    data = encode(table_of(points(60)))
    digest = decode(data).digest
    for at in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[at] ^= 4
        with contextlib.suppress(CalibrationError):
            assert decode(bytes(damaged)).digest != digest


def test_too_few_points_are_refused():
    with pytest.raises(CalibrationError, match="too few"):
        table_of(points(MIN_POINTS - 1))


def test_the_two_stages_share_no_interaction():
    table = table_of(points(500))
    cell = table.cells["request.user"]
    assert cell.statistics.n + cell.references["text.a"].ranking.n == 500
    assert cell.references["text.a"].ranking.n == int(500 * REFERENCE_SHARE)


def test_cells_missing_here_come_from_elsewhere_and_keep_their_source():
    own = table_of(points(100))
    other = table_of(points(100, "response", seed=1) + points(100, seed=2), source="generic")
    both = with_missing_cells(own, other)
    assert {n: c.source for n, c in both.cells.items()} == {"request.user": "operator", "response": "generic"}
    assert both.cells["request.user"] == own.cells["request.user"]


def test_cells_lend_each_other_references_they_have_not():
    table = table_of(points(100, names=("text.a",)) + points(100, "request.data", seed=1, names=("text.b",)))
    user, data = table.cells["request.user"], table.cells["request.data"]
    assert set(user.references) == set(data.references) == {"text.a", "text.b"}
    assert data.references["text.a"] == user.references["text.a"]


def test_a_rate_that_cannot_be_certified_is_not_claimed():
    table = table_of(points(500))
    level = table.level("request.user", 1e-4)
    assert not level.kept
    assert level.rate == pytest.approx(1 - 0.01 ** (1 / 400), rel=1e-6)
    assert level.threshold == pytest.approx(1 / 401)
    assert table.level("response", 0.01).threshold == 0.0


def test_held_out_rates_stay_within_the_promise():
    held = realised_rates(
        points(3_000), rate=0.02, units={"text.a": 1.0, "text.b": 1.0}, rng=np.random.default_rng(1)
    )
    assert [r.cell for r in held] == ["request.user"]
    assert held[0].total == 3_000
    assert held[0].low <= 0.02
    assert held[0].certified == 0.02


def test_the_shipped_table_covers_every_chat_cell_and_every_text_detector():
    table = generic_table()
    assert set(table.cells) == set(CELLS) - {"exchange"}
    assert all(c.source == "generic" for c in table.cells.values())
    assert table.calibrated() == {
        "text.active-content",
        "text.hidden",
        "text.personal-data",
        "text.instructions",
        "text.secrets",
        "text.exfiltration",
        "text.leak",
    }
