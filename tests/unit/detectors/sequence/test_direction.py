from bartizan.detectors.sequence.direction import Direction


def test_steps_that_add_up_score_above_steps_that_cancel(cloud, climb):
    assert Direction().score(climb) > Direction().score(cloud) + 1
