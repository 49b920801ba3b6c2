import msgspec

from bartizan.detectors.sequence.balance import Balance


def test_equal_shares_score_above_uneven_ones(strangers, copying):
    assert Balance().score(copying) > Balance().score(strangers) + 2


def test_without_classes_there_is_nothing_to_say(copying):
    assert Balance().score(msgspec.structs.replace(copying, classes=(), known_classes=0)) == 0
