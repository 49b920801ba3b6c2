import pytest

from bartizan.detectors.sequence.similarity import Similarity


def test_near_queries_count_whoever_sends_them(strangers, cloud, climb):
    score = Similarity().score
    assert score(strangers) < 0.5 < score(cloud)
    assert score(climb) == pytest.approx(score(cloud), rel=0.2), "similarity alone never tells an attack"
