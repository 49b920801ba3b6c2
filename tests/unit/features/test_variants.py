import msgspec
import numpy as np
import pytest

from bartizan.errors import CalibrationError
from bartizan.features import variants as module
from bartizan.features.variants import (
    KINDS,
    MAX_ROWS,
    OCCLUSION,
    SQUEEZE_DEPTH,
    SQUEEZE_MEDIAN,
    Recipe,
    groups_of,
    rows_at,
    with_all_variants,
    with_answers,
    with_variants,
)
from bartizan.types import FaultReason, Rows

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 17, size=(100, 64)).astype(float)
TABLE = np.column_stack([RNG.normal(size=50) * 1000, RNG.random(50), RNG.integers(5, size=50)])


def test_a_recipe_survives_its_state():
    recipe = Recipe.of(TABLE)
    again = Recipe.from_state(recipe.state())
    np.testing.assert_array_equal(again.copies(KINDS, TABLE), recipe.copies(KINDS, TABLE))
    assert again.image is False
    assert Recipe.from_state(Recipe.of(PIXELS).state()).image is True
    with pytest.raises(CalibrationError, match="image"):
        Recipe.from_state({k: v for k, v in recipe.state().items() if k != "image"})


def test_a_square_number_of_unlike_columns_is_no_image():
    assert not Recipe.of(RNG.normal(size=(50, 64)) * np.logspace(0, 4, 64)).image
    assert not Recipe.of(PIXELS[:, :16]).image


def test_squeezed_values_are_few_and_end_at_the_reference_range():
    copies = Recipe.of(PIXELS).copies((SQUEEZE_DEPTH,), np.array([np.linspace(-5, 30, 64)]))
    assert set(copies[0, 0].tolist()) == {0.0, 16.0}
    assert len(set(copies[0, 1].tolist())) == 8
    assert set(copies[0, 1].tolist()) >= {0.0, 16.0}


def test_whole_columns_stay_whole():
    copies = Recipe.of(TABLE).copies(KINDS, TABLE[:7])
    assert (copies[:, :, 2] == np.round(copies[:, :, 2])).all()
    assert (copies[:, :, 1] != np.round(copies[:, :, 1])).any()


def test_a_lone_bright_pixel_does_not_survive_the_median():
    image = np.zeros((1, 64))
    image[0, 27] = 16.0
    assert Recipe.of(PIXELS).copies((SQUEEZE_MEDIAN,), image).max() == 0.0
    image = np.zeros((8, 8))
    image[2:6, 2:6] = 16.0
    smoothed = Recipe.of(PIXELS).copies((SQUEEZE_MEDIAN,), image.reshape(1, -1)).reshape(8, 8)
    assert smoothed[3, 3] == 16.0
    assert smoothed[0, 0] == 0.0


def test_the_median_of_a_table_compares_places_in_ranges():
    recipe = Recipe.of(np.array([[0.0, 0.0, 0.0], [1.0, 100.5, 10_000.5]]))
    copy = recipe.copies((SQUEEZE_MEDIAN,), np.array([[0.5, 100.5, 5_000.25]]))[0, 0]
    assert copy[1] == pytest.approx(50.25)


def test_each_group_is_occluded_once_by_the_centre():
    recipe = Recipe.of(PIXELS)
    row = np.full((1, 64), 99.0)
    copies = recipe.copies((OCCLUSION,), row)[0]
    changed = copies != 99.0
    assert changed.sum(axis=0).tolist() == [1] * 64
    assert [set(recipe.groups[c].tolist()) for c in changed] == [{g} for g in range(len(copies))]
    np.testing.assert_array_equal(np.where(changed, copies, 0.0).sum(axis=0), np.round(recipe.centre))


@pytest.mark.parametrize("columns", [1, 3, 16, 17, 64, 256, 257, 784, 1024, 3000, 10_000])
@pytest.mark.parametrize("image", [False, True])
def test_groups_are_few_and_small(columns, image):
    if image and int(columns**0.5) ** 2 != columns:
        return
    groups = groups_of(columns, image=image)
    assert groups.shape == (columns,)
    assert set(groups.tolist()) == set(range(groups.max() + 1))
    assert groups.max() < 81
    if columns <= 1024:
        assert np.bincount(groups).max() <= 16


def test_answers_come_back_by_kind():
    recipe = Recipe.of(PIXELS)
    asked = []

    def model(inputs):
        asked.append(len(inputs))
        return Rows(inputs, inputs.sum(axis=1, keepdims=True) * [1.0, 2.0])

    rows = with_variants(model, recipe, KINDS, Rows(PIXELS[:3], np.zeros((3, 2))))
    assert asked == [3 * sum(recipe.counts(KINDS).values())]
    for kind in KINDS:
        expected = recipe.copies((kind,), PIXELS[:3]).sum(axis=2)
        np.testing.assert_allclose(rows.variants[kind][:, :, 0], expected)
        np.testing.assert_allclose(rows.variants[kind][:, :, 1], 2 * expected)


def test_what_can_not_be_asked_says_why(monkeypatch):
    recipe = Recipe.of(PIXELS)

    def never(inputs):
        raise AssertionError

    many = with_variants(never, recipe, KINDS, Rows(np.zeros((MAX_ROWS + 1, 64))))
    assert "more than 64 rows" in many.lacking
    assert many.failed is None
    assert "64 columns" in with_variants(never, recipe, KINDS, Rows(np.zeros((1, 3)))).lacking
    monkeypatch.setattr(module, "MAX_VALUES", 1000)
    assert "1,000 values" in with_variants(never, recipe, KINDS, Rows(np.zeros((1, 64)))).lacking
    assert recipe.rows_at_once(KINDS) == 0
    assert recipe.rows_at_once((SQUEEZE_MEDIAN,)) == 15


def test_many_rows_are_asked_about_in_batches(monkeypatch):
    recipe = Recipe.of(PIXELS)
    asked = []

    def model(inputs):
        asked.append(len(inputs))
        return Rows(inputs, inputs[:, :2])

    monkeypatch.setattr(module, "MAX_ROWS", 32)
    known = Rows(PIXELS, np.zeros((100, 2)), embedding=PIXELS[:, :3])
    rows = with_all_variants(model, recipe, (SQUEEZE_MEDIAN,), known)
    assert asked == [32, 32, 32, 4]
    np.testing.assert_array_equal(
        rows.variants[SQUEEZE_MEDIAN], recipe.copies((SQUEEZE_MEDIAN,), PIXELS)[:, :, :2]
    )
    some = rows_at(rows, np.array([7, 3]))
    np.testing.assert_array_equal(some.embedding, PIXELS[[7, 3], :3])
    np.testing.assert_array_equal(some.variants[SQUEEZE_MEDIAN], rows.variants[SQUEEZE_MEDIAN][[7, 3]])
    with pytest.raises(CalibrationError, match="match"):
        with_all_variants(lambda inputs: Rows(inputs), recipe, (SQUEEZE_MEDIAN,), known)


@pytest.mark.parametrize("answers", [None, np.zeros((3, 2)), np.zeros((6, 3))])
def test_an_answer_of_another_shape_is_a_failed_call(answers):
    rows = with_answers(Rows(PIXELS[:3], np.zeros((3, 2))), Recipe.of(PIXELS), (SQUEEZE_DEPTH,), answers)
    assert rows.failed is FaultReason.UNAVAILABLE
    assert not rows.variants


def test_missing_values_make_copies_without_gaps():
    gaps = TABLE.copy()
    gaps[:, 1] = np.nan
    recipe = Recipe.of(gaps)
    assert np.isfinite(recipe.copies(KINDS, gaps[:2])).all()


def test_rows_are_values_that_can_be_replaced():
    rows = Rows(PIXELS[:1])
    assert rows.variants == {}
    assert msgspec.structs.replace(rows, lacking="x").lacking == "x"
