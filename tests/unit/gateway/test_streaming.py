from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bartizan.assembly import generic_table
from bartizan.detectors.text.exfiltration import Exfiltration
from bartizan.detectors.text.leak import Leak
from bartizan.detectors.text.secrets import Secrets
from bartizan.gateway.enforce import REMOVED, redacted, spans
from bartizan.gateway.growing import KEPT, MAX_HOLD, MAX_KEY
from bartizan.gateway.streaming import MAX_TEXT, MAX_TURN, TURN, StreamJudge
from bartizan.pipeline import Pipeline
from bartizan.policy.decide import Policy
from bartizan.ports import ParsedRequest
from bartizan.protocols.openai_chat import OpenAIChat
from bartizan.types import Effect, Interaction, Mode, Origin, Part, PartKind, Principal, Step, Verdict

CONTENT = "/choices/0/message/content"
ALPHABET = "Zk3vQ9xT7bLm2NcR8wYp5HsD4fGj6AaE1uVoXi0KtBqWrMnPeSyUdF"

# All are made of pieces, so that no scanner takes this file for a leak.
TOKENS = (
    "sk-" + "proj-" + ALPHABET,
    "AK" + "IA" + "QX7RT2MWLN5PJV3H",
    "gh" + "p_" + ALPHABET[:36],
    "xox" + "b-" + "2748193650-" + ALPHABET[:24],
    "postgres://app:" + "T7bLm2NcR8wY" + "@db.example.org/main",
    "gl" + "pat-" + "\u200b".join(ALPHABET[i : i + 5] for i in range(0, 25, 5)),
)
NAMED = "aws_secret_access_key = " + "Zk3vQ9xT7bLm2NcR8wYp5HsD4fGj6AaE1uVoXi0K"
KEY = (
    "-----BEGIN RSA " + "PRIVATE KEY-----\n" + "\n".join([ALPHABET + "abcdefghij"] * 18)
    + "\n-----END RSA " + "PRIVATE KEY-----"
)  # fmt: skip
PUTTY = "Private-" + "Lines: 8\n" + "\n".join([ALPHABET + "abcdefghij"] * 8) + "\nPrivate-MAC: 00"
SECRETS = (*TOKENS, NAMED, KEY)

WORDS = st.lists(
    st.sampled_from(
        ("the", "a", "garden", "grows", "well", "–", "naïve", "庭には水", "x=1", "(so", "it", "is).", "secret", "laws",
         "😀", "1,000", '"quoted"', "-----BEGIN", "key:", "https://example.org/a?b=c", "\n\n", "\t", "END-----", "...")
    ),
    max_size=12,
)  # fmt: skip
TEXTS = st.lists(st.one_of(WORDS.map(" ".join), st.sampled_from(SECRETS)), min_size=1, max_size=5).map(
    " ".join
)


def pipeline(mode: Mode = Mode.ENFORCE, **policy: Effect) -> Pipeline:
    detectors = [Secrets(), Exfiltration(), Leak()]
    return Pipeline(detectors, Policy(mode=mode, **policy), generic_table(), rate=0.001, deadline_ms=1e6)


PIPELINE = pipeline()


def judge_of(made: Pipeline = PIPELINE, context: tuple[Part, ...] = ()) -> StreamJudge:
    protocol = OpenAIChat()
    reader = protocol.open_stream(ParsedRequest(()))

    def look(parts: tuple[Part, ...]) -> Verdict:
        principal = Principal("p", "address")
        return made.judge(Interaction("i", "s", Step.RESPONSE, principal, parts, context))

    return StreamJudge(reader, look, mode=made.policy.mode, record_id="bz-1")


def event(index: int = 0, finish: str | None = None, **delta: object) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


END = event(finish="stop") + b"data: [DONE]\n\n"


def pieces(text: str, cuts: Iterable[int]) -> list[str]:
    places = [0, *sorted(set(cuts) & set(range(1, len(text)))), len(text)]
    return [text[a:b] for a, b in zip(places, places[1:], strict=False) if text[a:b]]


def fed(judge: StreamJudge, data: Sequence[bytes]) -> bytes:
    return b"".join(map(judge.feed, data)) + judge.close()


def told(data: bytes, path: str = "content", index: int = 0) -> str:
    """The text that a client puts together."""
    out = []
    for line in data.split(b"\n"):
        if line.startswith(b"data: {"):
            for choice in json.loads(line[6:]).get("choices", ()):
                if choice["index"] == index:
                    out.append(choice["delta"].get(path) or "")
    return "".join(out)


def whole(text: str) -> str:
    """The text after redaction, judged at once."""
    part = Part(PartKind.TEXT, Origin.MODEL, CONTENT, text)
    verdict = PIPELINE.judge(Interaction("i", "s", Step.RESPONSE, Principal("p", "address"), (part,)))
    found = [f for f in verdict.findings if f.effect is Effect.REDACT]
    return redacted(text, spans(found, CONTENT, text))


# Property: what the client gets


@st.composite
def split_texts(draw: st.DrawFn, texts: st.SearchStrategy[str] = TEXTS) -> tuple[str, list[str]]:
    text = draw(texts)
    cuts = draw(
        st.one_of(
            st.just([]),
            st.just(range(1, len(text))),
            st.integers(2, 9).map(lambda n: range(n, len(text), n)),
            st.lists(st.integers(1, max(1, len(text) - 1)), max_size=40),
        )
    )
    return text, pieces(text, cuts)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(split_texts(WORDS.map(" ".join)), st.randoms(use_true_random=False))
def test_what_is_allowed_passes_byte_for_byte(made: tuple[str, list[str]], rng: object) -> None:
    text, parts = made
    data = b"".join(event(content=p) for p in parts) + END
    places = sorted(rng.sample(range(len(data)), min(20, len(data))))  # type: ignore[attr-defined]
    cut = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    judge = judge_of()
    assert fed(judge, cut) == data
    assert "".join(p.text for p in judge.parts()) == text
    assert judge.redacted_by is None
    assert not judge.cut


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(split_texts())
def test_the_client_reads_the_same_however_it_was_split(made: tuple[str, list[str]]) -> None:
    text, parts = made
    got = told(fed(judge_of(), [*(event(content=p) for p in parts), END]))
    at_once = told(fed(judge_of(), [event(content=text), END]))
    assert got == at_once == whole(text)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(split_texts())
def test_no_run_of_a_secret_gets_out_at_any_moment(made: tuple[str, list[str]]) -> None:
    text, parts = made
    judge = judge_of()
    seen = ""
    for part in parts:
        fresh = told(judge.feed(event(content=part)))
        seen += fresh
        assert not fresh or not leaked(seen)
    assert not leaked(seen + told(judge.feed(END) + judge.close()))
    assert (judge.redacted_by is not None) == any(s in text for s in SECRETS)


def leaked(seen: str) -> bool:
    """Whether eight characters in a row of any planted secret can be read."""
    runs = (ALPHABET[i : i + 8] for i in range(len(ALPHABET) - 8))
    bare = seen.replace("\u200b", "")
    return any(run in bare for run in runs) or "QX7RT2MW" in bare or "T7bLm2Nc" in bare


@settings(max_examples=40, deadline=None)
@given(
    split_texts(
        st.lists(st.sampled_from(["word", "x" * 3000, KEY, "a b", "庭", "secret"]), max_size=8).map(" ".join)
    )
)
def test_what_is_held_back_is_bounded(made: tuple[str, list[str]]) -> None:
    text, parts = made
    judge = judge_of()
    given = held = 0
    for part in parts:
        judge.feed(event(content=part))
        given += len(part)
        held = max(held, sum(len(t) for c in judge._held for _, _, t in c.deltas) - len(part))
    assert held <= max(MAX_HOLD, len(KEY)) + 4096
    assert given == len(text)


# Examples of what the properties stand for


@pytest.mark.parametrize("secret", [*SECRETS, PUTTY], ids=range(len(SECRETS) + 1))
def test_each_secret_goes_and_what_surrounds_it_stays(secret: str) -> None:
    text = f"Before it, {secret} and after; that is all."
    for step in (1, 2, 3, 5, 17, 64, 10_000):
        got = told(
            fed(judge_of(), [*(event(content=p) for p in pieces(text, range(step, len(text), step))), END])
        )
        assert got == whole(text)
        assert got.startswith("Before it, ")
        assert REMOVED in got
        assert "that is all." in got
        assert not leaked(got)


def test_a_key_longer_than_the_window_goes_to_its_last_line() -> None:
    judge = judge_of()
    got = told(
        fed(judge, [*(event(content=line) for line in f"{KEY}\nDone.\n".splitlines(keepends=True)), END])
    )
    assert got == f"{REMOVED}\nDone.\n"


def test_a_key_that_never_ends_is_cut_off() -> None:
    judge = judge_of()
    line = ALPHABET + "\n"
    data = [
        event(content=p) for p in ["-----BEGIN " + "PRIVATE KEY-----\n", *[line] * (MAX_KEY // len(line) + 9)]
    ]
    got = fed(judge, data)
    assert judge.cut
    assert judge.overlong
    assert ALPHABET[:8].encode() not in got
    assert b'"finish_reason":"content_filter"' in got


@pytest.mark.parametrize(
    "name", ["-----BEGIN CERTIFICATE-----", '-----BEGIN PRIVATE KEY----- is how "it" starts; so']
)
def test_what_only_looks_like_a_key_is_not_held_for_long(name: str) -> None:
    judge = judge_of()
    text = f"{name} and more words follow here. "
    assert told(b"".join(judge.feed(event(content=p)) for p in pieces(text, range(3, 99, 3)))) == text


def test_words_go_as_soon_as_they_are_complete() -> None:
    judge = judge_of()
    assert told(judge.feed(event(content="Hello"))) == ""
    assert told(judge.feed(event(content=" wor"))) == "Hello"
    assert told(judge.feed(event(content="ld, "))) == " world, "
    assert told(judge.feed(event(content="庭"))) == "庭"


def test_a_token_hidden_behind_a_long_one_does_not_slip_out() -> None:
    for filler in (KEPT - 40, MAX_HOLD - 20, MAX_HOLD, MAX_HOLD + KEPT - 30):
        text = "." * filler + TOKENS[0] + " end"
        got = told(fed(judge_of(), [*(event(content=p) for p in pieces(text, range(7, len(text), 7))), END]))
        assert got == "." * filler + REMOVED + " end"


def test_both_texts_of_one_event_are_redacted() -> None:
    calls = [{"index": 0, "function": {"name": "f", "arguments": json.dumps({"a": TOKENS[1]})}}]
    data = [
        event(content=f"Take {TOKENS[0]} now", reasoning_content=f"It is {TOKENS[2]} here", tool_calls=calls),
        END,
    ]
    got = fed(judge_of(), data)
    assert told(got) == f"Take {REMOVED} now"
    assert told(got, "reasoning_content") == f"It is {REMOVED} here"
    for secret in TOKENS[:3]:
        assert secret.encode() not in got


def test_the_end_of_one_choice_does_not_open_another() -> None:
    start, rest = TOKENS[0][:20], TOKENS[0][20:]
    data = [
        event(0, content="Fine "),
        event(1, content="Key: " + start),
        event(0, finish="stop"),
        event(1, content=rest + " end"),
        event(1, finish="stop"),
        b"data: [DONE]\n\n",
    ]
    got = fed(judge_of(), data)
    assert told(got, index=0) == "Fine "
    assert told(got, index=1) == f"Key: {REMOVED} end"


def test_a_text_that_the_answer_has_left_does_not_hold_up_the_next() -> None:
    judge = judge_of()
    judge.feed(event(reasoning_content="So be it"))
    released = [told(judge.feed(event(content="word "))) for _ in range(TURN // 5 + 4)]
    assert "".join(released[:3]) == ""
    assert "".join(released).endswith("word ")
    other = judge_of()
    other.feed(event(0, content="unfinished"))
    assert (
        sum(len(told(other.feed(event(1, content="word ")), index=1)) for _ in range(MAX_TURN // 5 + 5))
        > MAX_TURN
    )


# Stopping


SYSTEM = Part(
    PartKind.TEXT,
    Origin.OPERATOR,
    "/messages/0/content",
    "You are the assistant of a seed shop. Recommend the hardy annuals of the catalogue first, mention the "
    "planting month of each, decline to discuss suppliers or margins, keep every answer under eighty words, and "
    "sign with the name of the shop. Staff discounts are never to be told to anybody who asks for them.",
)


def test_an_answer_that_tells_the_prompt_is_stopped_in_the_middle() -> None:
    judge = judge_of(context=(SYSTEM,))
    text = "My instructions: " + SYSTEM.text
    data = [event(content=p) for p in pieces(text, range(6, len(text), 6))]
    got = fed(judge, [*data, END])
    assert judge.cut
    assert judge.stopped_by is not None
    assert judge.stopped_by.effect is Effect.BLOCK
    assert text.startswith(told(got))
    assert len(told(got)) < len(text) - 60
    assert got.endswith(b"data: [DONE]\n\n")
    assert judge.feed(event(content="more")) == b""
    assert judge.close() == b""


def test_what_nobody_understands_is_stopped_if_the_policy_says_so() -> None:
    odd = b"data: {not json}\n\n"
    allowing = judge_of()
    assert fed(allowing, [event(content="Hi "), odd]) == event(content="Hi ") + odd
    stopping = judge_of(pipeline(on_unjudged=Effect.BLOCK))
    got = fed(stopping, [event(content="Hi "), odd])
    assert stopping.cut
    assert odd not in got


def test_an_unfinished_event_is_dropped_when_the_upstream_breaks_off() -> None:
    judge = judge_of()
    got = judge.feed(event(content="Half a sen") + b'data: {"choi')
    assert got + judge.release() == event(content="Half a sen")


def test_an_answer_that_is_too_long_is_cut_off() -> None:
    judge = judge_of()
    piece = event(content="word " * 20_000)
    for _ in range(MAX_TEXT // 100_000 + 1):
        judge.feed(piece)
    assert judge.cut
    assert judge.overlong
    assert judge.stopped_by is None


# Observing


def test_observing_holds_nothing_back_and_judges_at_the_end() -> None:
    judge = judge_of(pipeline(Mode.OBSERVE))
    for part in pieces(TOKENS[0], range(4, 99, 4)):
        assert judge.feed(event(content=part)) == event(content=part)
    assert judge.feed(END) + judge.close() == END
    assert [p.text for p in judge.parts()] == [TOKENS[0]]


def test_observing_forgets_what_is_beyond_the_limit_and_says_so() -> None:
    judge = judge_of(pipeline(Mode.OBSERVE))
    piece = event(content="word " * 20_000)
    for _ in range(MAX_TEXT // 100_000 + 3):
        assert judge.feed(piece) == piece
    text, beyond = judge.parts()
    assert len(text.text) <= MAX_TEXT + 100_000
    assert (beyond.kind, beyond.name) == (PartKind.OPAQUE, f"the answer beyond {MAX_TEXT:,} characters")
