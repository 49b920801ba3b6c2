import msgspec

from bartizan.detectors.sequence.volume import Volume


def test_copies_are_no_volume(strangers):
    more = msgspec.structs.replace(strangers, queries=600, repeats=540)
    assert Volume().score(more) == Volume().score(strangers)
    assert Volume().score(msgspec.structs.replace(strangers, queries=600)) > Volume().score(strangers)
