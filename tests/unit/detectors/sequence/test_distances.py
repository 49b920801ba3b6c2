import msgspec

from bartizan.detectors.sequence.distances import Distances


def test_distances_of_another_law_score(strangers, cloud):
    assert Distances().score(cloud) > Distances().score(strangers)


def test_the_benign_law_itself_scores_lowest(cloud):
    like_the_law = tuple(round(1000 * share) for share in cloud.law)
    benign = msgspec.structs.replace(cloud, distances=like_the_law)
    assert Distances().score(benign) < -1
