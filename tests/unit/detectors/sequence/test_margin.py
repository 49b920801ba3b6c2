from bartizan.detectors.sequence.margin import MarginTrend


def test_a_falling_margin_scores_and_a_cloud_does_not(cloud, climb):
    assert MarginTrend().score(climb) > 5 > 2.5 > MarginTrend().score(cloud)
