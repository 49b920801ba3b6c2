import numpy as np
import pytest

from bartizan import registry
from bartizan.assembly import EMPTY, candidates_of, detectors_of, protocols_of, usual_detectors
from bartizan.calibration.build import build_table
from bartizan.calibration.table import Selection, Table
from bartizan.config import from_mapping
from bartizan.errors import ConfigError
from bartizan.types import Measured

USUAL = {"rows.energy", "rows.margin", "rows.neighbours", "rows.range"}


def system(tmp_path, **more):
    made = {"name": "s", "kind": "predict", "upstream": {"url": "http://x.test"}} | more
    return from_mapping({"systems": [made]}, base=tmp_path).systems[0]


def names(detectors):
    return {d.spec.name for d in detectors}


def selected(*on):
    return Selection(on, (), 0.01, 100, {}, {}, {})


def test_what_is_on_by_choice_only_is_off_until_it_is_chosen(tmp_path):
    assert set(usual_detectors("predict")) == USUAL
    assert names(detectors_of(system(tmp_path), EMPTY)) == USUAL
    assert set(usual_detectors("chat")) == set(registry.detectors_for("chat")) - {"text.classifier"}


def test_a_calibration_that_chose_is_honoured_and_a_list_is_stronger(tmp_path):
    table = Table("t", 0.0, {}, selection=selected("rows.mahalanobis", "rows.margin"))
    assert names(detectors_of(system(tmp_path), table)) == {"rows.mahalanobis", "rows.margin"}
    listed = system(tmp_path, detectors=["rows.entropy"])
    assert names(detectors_of(listed, table)) == {"rows.entropy"}


def test_of_the_chosen_those_are_on_that_could_be_calibrated(tmp_path):
    points = [Measured("exchange", 1, {"rows.margin": float(i)}) for i in range(100)]
    table = build_table(
        points, name="t", source="operator", created=0.0, units={"rows.margin": 1.0}, versions={},
        rng=np.random.default_rng(0), selection=selected("rows.mahalanobis", "rows.margin"),
    )  # fmt: skip
    assert names(detectors_of(system(tmp_path), table)) == {"rows.margin"}


def test_what_a_system_can_not_feed_is_no_candidate(tmp_path):
    asking, embedded = {"rows.squeezing", "rows.attribution"}, {"rows.embedding"}
    everything = set(registry.detectors_for("predict"))
    assert set(candidates_of(system(tmp_path))) == everything - asking - embedded
    assert set(candidates_of(system(tmp_path, extra_calls=True))) == everything - embedded
    assert set(candidates_of(system(tmp_path, extra_calls=True, embedding_output="e"))) == everything
    assert candidates_of(system(tmp_path, detectors=["rows.margin"])) == ("rows.margin",)


@pytest.mark.parametrize(
    ("name", "needs"), [("rows.squeezing", "extra_calls"), ("rows.embedding", "embedding_output")]
)
def test_what_is_listed_and_not_fed_stops_the_start(tmp_path, name, needs):
    with pytest.raises(ConfigError, match=needs) as caught:
        detectors_of(system(tmp_path, detectors=[name]), EMPTY)
    assert name in caught.value.hint


def test_an_embedding_is_for_protocols_with_outputs(tmp_path):
    (plain,) = protocols_of(system(tmp_path))
    (told,) = protocols_of(system(tmp_path, embedding_output="e"))
    assert type(plain) is type(told)
    with pytest.raises(ConfigError, match="embedding"):
        protocols_of(system(tmp_path, kind="chat", embedding_output="e"))
