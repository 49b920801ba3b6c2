from bartizan.detectors.sequence.coverage import Coverage


def test_reaching_new_regions_scores(cloud, strangers, copying):
    score = Coverage().score
    assert score(cloud) < score(strangers) < score(copying)
