from bartizan.features.fingerprint import PROBE, PROBE_STEP, echoed, operator_fingerprint
from bartizan.features.wording import dense, normal_words, shingles
from bartizan.types import Interaction, Origin, Part, PartKind, Principal, Step

WORDS = [f"word{n}" for n in range(60)]


def after(*context: tuple[Origin, str]) -> Interaction:
    parts = tuple(Part(PartKind.TEXT, origin, text=text) for origin, text in context)
    return Interaction("1", "s", Step.RESPONSE, Principal("p", "address"), (), parts)


def test_every_copied_run_of_eight_words_meets_a_probe():
    known = operator_fingerprint(after((Origin.OPERATOR, " ".join(WORDS))))
    size = PROBE + PROBE_STEP - 1
    assert size == 8
    for start in range(len(WORDS) - size - PROBE):
        assert known.probe.search("so: " + ", ".join(WORDS[start : start + size]).upper() + " ok")
    assert not known.probe.search(" ".join(reversed(WORDS)))


def test_without_an_operators_text_there_is_nothing_to_leak():
    assert operator_fingerprint(after((Origin.USER, " ".join(WORDS)))) is None
    assert operator_fingerprint(after((Origin.OPERATOR, "Be kind."))) is None


def test_what_others_said_too_is_known():
    said = echoed(after((Origin.OPERATOR, " ".join(WORDS)), (Origin.TOOL, " ".join(WORDS[10:20]))))
    assert said == set(shingles(WORDS[10:20]))


def test_words_and_letters():
    assert normal_words("Hello, WORLD! It's 5—six") == ["hello", "world", "it", "s", "5", "six"]
    assert dense("a-b_C é\u200b1") == "abCe1"
