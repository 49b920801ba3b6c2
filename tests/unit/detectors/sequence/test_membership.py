from bartizan.detectors.sequence.membership import Membership


def test_repeated_sure_records_score(strangers, cloud, climb):
    score = Membership().score
    assert score(cloud) > 3
    assert score(strangers) < 0.5
    assert score(climb) < 0.5
