from bartizan.detectors.sequence.flips import Flips


def test_changes_of_answer_across_ever_smaller_gaps_score(strangers, cloud, bisection):
    score = Flips().score
    assert score(strangers) == score(cloud) == 0
    assert score(bisection) > 2
