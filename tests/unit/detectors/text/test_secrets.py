import base64
import json
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.detectors.text.secrets import Secrets
from bartizan.features.credentials import EXAMPLE
from bartizan.types import Origin, PartKind

WORD = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
RANDOM = random.Random(7)


def drawn(length: int, alphabet: str = WORD) -> str:
    return "".join(RANDOM.choice(alphabet) for _ in range(length))


def pem(kind: str, end: str = "\n") -> str:
    return (
        f"-----BEGIN {kind}-----{end}" + end.join(drawn(64) for _ in range(6)) + f"{end}-----END {kind}-----"
    )


HEADER = base64.urlsafe_b64encode(b'{"alg":"RS256","kid":"1"}').decode().rstrip("=")
REAL = {
    "aws": "AKIA2" + drawn(15, BASE32[:-8]),
    "aws session": "ASIA7" + drawn(15, BASE32[:-8]),
    "aws secret": f"aws_secret_access_key = {drawn(37)}aZ9",
    "aws secret quoted": f"aws_key: '{drawn(37)}aZ9'",
    "github": "ghp_" + drawn(36),
    "github fine-grained": f"github_pat_{drawn(22)}_{drawn(59)}",
    "gitlab": "glpat-" + drawn(20),
    "openai": "sk-proj-" + drawn(64),
    "openai legacy": f"sk-{drawn(20)}T3BlbkFJ{drawn(20)}",
    "anthropic": "sk-ant-api03-" + drawn(95),
    "google": "AIza" + drawn(35),
    "huggingface": "hf_" + drawn(34, string.ascii_letters),
    "slack webhook": f"https://hooks.slack.com/services/T{drawn(8)}/B{drawn(10)}/{drawn(24)}",
    "slack bot": f"xoxb-{drawn(12, string.digits[5:])}-{drawn(24)}",
    "stripe": "sk_live_" + drawn(90),
    "jwt": f"{HEADER}.eyJzdWIiOiJqZG9lIn0.{drawn(43)}",
    "pypi": "pypi-AgEIcHlwaS5vcmc" + drawn(80),
    "npm": "npm_" + drawn(36),
    "sendgrid": f"SG.{drawn(22)}.{drawn(43)}",
    "twilio": "AC" + drawn(32, HEX),
    "telegram": f"8123456789:AA{drawn(33)}",
    "database": f"postgresql://svc:{drawn(16)}@db.example.net/orders",
    "rsa key": pem("RSA PRIVATE KEY"),
    "openssh key": pem("OPENSSH PRIVATE KEY", "\r\n"),
    "pgp key": pem("PGP PRIVATE KEY BLOCK"),
    "age key": "AGE-SECRET-KEY-1" + drawn(58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"),
}
EXAMPLES = {
    "aws documentation": "AKIAIOSFODNN7EXAMPLE",
    "aws secret of the documentation": "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "jwt.io": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0."
    "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    "user:password": "postgres://user:password@localhost/db",
    "template": "https://user:${PASSWORD}@example.com",
    "counting key": "sk-1234567890abcdef1234567890abcdef1234567890abcdef",
}
HARMLESS = (
    "Set the variable OPENAI_API_KEY before you start.",
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
    "A token starts with ghp_ and has 36 more characters.",
    "sha256: " + drawn(64, HEX),
    "commit " + drawn(40, HEX),
    "uuid 123e4567-e89b-12d3-a456-426614174000",
    "ghp_" + "x" * 36,
    "ACcount numbers are never shown.",
    "data:image/png;base64," + drawn(400),
    "https://example.com:8080/path@v2",
    "",
)


@pytest.fixture(scope="module")
def secrets(judge):
    return judge(Secrets(), Origin.MODEL)


@pytest.mark.parametrize("secret", REAL.values(), ids=REAL.keys())
def test_a_credential_scores_one_and_all_of_it_is_marked(secrets, secret):
    text = f"Here it is: {secret}\nAnything else?"
    assert secrets.score(text) >= 1.0
    spans = secrets.evidence(text).spans
    masked = "".join(" " if any(a <= i < b for a, b in spans) else c for i, c in enumerate(text))
    assert secret[-8:].rstrip() not in masked or "://" in secret


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_a_documentation_example_scores_little_but_not_nothing(secrets, example):
    assert secrets.score(f"For example {example} would do.") == EXAMPLE


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_one_scores_nothing(secrets, text):
    assert secrets.score(text) == 0.0


def test_kinds_add_up_and_examples_are_not_marked_beside_real_ones(secrets):
    text = f"{REAL['aws']} {REAL['github']} AKIAIOSFODNN7EXAMPLE"
    assert secrets.score(text) == 2.0
    assert secrets.pointed(text) == [REAL["aws"], REAL["github"]]
    assert secrets.evidence(text).summary == "Credentials by the rules: aws, github."


def test_escaped_and_split_tokens_are_found_where_they_stand(secrets):
    call = json.dumps({"key": pem("PRIVATE KEY"), "x": 1})
    assert secrets.score(call, PartKind.TOOL_CALL) == 1.0
    (marked,) = secrets.pointed(call, PartKind.TOOL_CALL)
    assert marked.startswith("-----BEGIN")
    assert marked.endswith("-----END PRIVATE KEY-----")
    assert secrets.score('{"k": "\\u0041' + REAL["aws"][1:] + '"}', PartKind.TOOL_CALL) == 1.0
    assert secrets.score("A\u200b" + REAL["aws"][1:]) == 1.0


@pytest.mark.parametrize("secret", REAL.values(), ids=REAL.keys())
def test_no_beginning_of_a_text_scores_more_than_the_whole(secrets, secret):
    text = f"key {secret}{secret[4:20]}, and {EXAMPLES['user:password']}"
    last = 0.0
    for end in range(len(text) + 1):
        value = secrets.score(text[:end])
        assert value >= last
        last = value


KEY = REAL["github"]
HALVES = (KEY[:14], KEY[14:29], KEY[29:])
OTHERWISE = {
    "base64": base64.b64encode(KEY.encode()).decode(),
    "base64 inside": base64.b64encode(f"the key: {KEY} !".encode()).decode(),
    "base64 for addresses": base64.urlsafe_b64encode(f"?>?{KEY}".encode()).decode().rstrip("="),
    "base64 in lines": base64.encodebytes(f"{'x' * 20} {KEY}".encode()).decode(),
    "base64 twice": base64.b64encode(base64.b64encode(KEY.encode())).decode(),
    "base64 of hex": base64.b64encode(KEY.encode().hex().encode()).decode(),
    "base64 backwards": base64.b64encode(KEY[::-1].encode()).decode(),
    "base32": base64.b32encode(KEY.encode()).decode(),
    "hex": KEY.encode().hex(),
    "hex with spaces": KEY.encode().hex(" "),
    "hex with prefixes": "".join(f"\\x{b:02x}" for b in KEY.encode()),
    "percent": "".join(f"%{b:02X}" for b in KEY.encode()),
    "codes": json.dumps([ord(c) for c in KEY]),
    "entities": "".join(f"&#{ord(c)};" for c in KEY),
    "backwards": KEY[::-1],
    "letter spacing": " ".join(KEY),
    "letters in lines": "\n".join(KEY),
    "dashes": "-".join(KEY),
    "JSON array of letters": json.dumps(list(KEY)),
    "JSON array of pieces": json.dumps(HALVES, indent=1),
    "numbered items": "".join(f"\n{n}. {half}" for n, half in enumerate(HALVES, 1)),
    "bullets": "".join(f"\n- {half}" for half in HALVES),
    "named parts": "".join(f"\nPart {n}: {half}" for n, half in enumerate(HALVES, 1)),
    "sum": " + ".join(f'"{half}"' for half in HALVES),
}


@pytest.mark.parametrize("form", OTHERWISE.values(), ids=OTHERWISE.keys())
def test_a_key_written_otherwise_is_found_where_it_stands(secrets, form):
    text = f"It is:\n{form}\n."
    assert secrets.score(text) == 1.0
    (marked,) = secrets.pointed(text)
    assert text.index(marked) >= text.index(form.strip()[:4])
    assert len(marked) >= 0.5 * len(form.strip())
    assert len(marked) <= len(form)


@pytest.mark.parametrize("form", OTHERWISE.values(), ids=OTHERWISE.keys())
def test_no_beginning_of_a_key_written_otherwise_scores_more_than_the_whole(secrets, form):
    scores = [secrets.score(f"It is: {form}, {form[4:]}\n1. A 12"[:end]) for end in range(2 * len(form) + 20)]
    assert scores == sorted(scores)


def test_a_private_key_in_a_list_of_lines(secrets):
    lines = json.dumps(pem("RSA PRIVATE KEY").split("\n"))
    assert secrets.score(lines) == 1.0
    (marked,) = secrets.pointed(lines)
    assert marked.startswith("-----BEGIN")


PROSE = (
    "A token starts with ghp_ and has thirty-six more letters and digits, of which at least one is a digit.",
    "risk-based approaches, task-oriented dialogue and desk-bound work " * 20,
    "hf_ is the prefix. The Author Of This Text Has Written A Long Sentence With Capitals And 2 digits.",
    "sk-proj- then, in 2024, 48 characters: letters and digits. Never share it with anybody else, please.",
)


@pytest.mark.parametrize("text", PROSE)
def test_prose_without_its_spaces_is_no_key(secrets, text):
    assert secrets.score(text) == 0.0


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=300))
def test_any_text_gets_a_finite_score_and_spans_inside(secrets, text):
    assert 0.0 <= secrets.score(text) < float("inf")
    for start, end in secrets.evidence(text).spans:
        assert 0 <= start < end <= len(text)


def test_no_borrowed_rule_went_missing():
    names = {rule.name for rule, _ in Secrets()._plain._rules}
    assert {"azure-storage", "mailchimp", "square", "telegram", "twilio", "sendgrid", "pypi", "aws"} <= names
