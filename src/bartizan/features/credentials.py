"""Rules for credentials: what they look like, and what tells a real one from an example.

Most patterns come from the plug-ins of ``detect-secrets``; those that RE2 can't express (they
look ahead or behind) or that only cover the start of a secret have a rule of our own. Neither
its keyword nor its entropy plug-in is used: they fire on ordinary code.

Every check is monotone: what was found in the first half of a text is still found in the whole,
because streams are judged while they grow. So no rule looks at what follows a match, and
placeholders are recognised by the part of a token that is always there.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Check = Callable[[str], float]
"""From the matched text to the weight of the match: 1 unmistakable, 0 not a secret."""

EXAMPLE: Final = 0.25
"""Weight of placeholders and of examples that documentation is full of: low, not nothing."""
MIN_VARIETY: Final = 9
"""Distinct characters that a random token has at least; ``xxxx`` and ``0000`` have fewer."""

MIN_KIND: Final = 3
MANY_DIGITS: Final = 8
PIECES_HEAD: Final = 48
"""What a token put together from pieces has of digits, capitals and small letters at its start."""

_PLACEHOLDERS: Final = (
    "example",
    "xxxx",
    "your",
    "1234567890",
    "abcdefgh",
    "placeholder",
    "redacted",
    "0000000",
    "....",
)
_PASSWORDS: Final = frozenset(
    [
        "password",
        "pass",
        "passwd",
        "pwd",
        "secret",
        "changeme",
        "user",
        "username",
        "token",
        "key",
        "postgres",
        "root",
        "admin",
        "test",
        "guest",
        "mysecretpassword",
    ]
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One sort of credential.

    Attributes:
        name: Whose it is; rules with one name count once.
        pattern: RE2 syntax; the match is what has to be masked.
        check: Weighs a match.
        whole: False where the pattern reads words or lines around the token, so that it can't be
            looked for in pieces put together.
    """

    name: str
    pattern: str
    check: Check
    whole: bool = True


def token(prefix: int) -> Check:
    """Weigh a random token by its variety; examples are told by the first ``prefix`` characters."""

    def check(match: str) -> float:
        if len(set(match)) < MIN_VARIETY:
            return 0.0
        head = match[:prefix].lower()
        return EXAMPLE if any(p in head for p in _PLACEHOLDERS) else 1.0

    return check


def aws_key_id(match: str) -> float:
    """Access key ids are base32 after the prefix, and nearly always hold a digit."""
    body = match[4:20]
    if any(c in "0189" for c in body) or len(set(body)) < 6:
        return 0.0
    return EXAMPLE if "EXAMPLE" in body or not any(c.isdigit() for c in body) else 1.0


def json_web_token(match: str) -> float:
    """A token whose header is JSON that names an algorithm."""
    header, payload = match.split(".", 2)[:2]
    try:
        decoded = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return 0.0
    if not isinstance(decoded, dict) or "alg" not in decoded:
        return 0.0
    # The example of jwt.io: {"sub":"1234567890", ...
    return EXAMPLE if payload.startswith("eyJzdWIiOiIxMjM0NTY3ODkwIiwi") else 1.0


def url_password(match: str) -> float:
    """``scheme://user:password@`` unless the password is a word that stands for one."""
    word = match[3:-1].split(":", 1)[1]
    plain = word.strip("*<>{}[]$%_-.").lower()
    return EXAMPLE if plain in _PASSWORDS or len(plain) < 4 or any(p in plain for p in _PLACEHOLDERS) else 1.0


def hexadecimal(match: str) -> float:
    """A two-letter prefix and lower-case hex: anything else in the pattern is a coincidence."""
    body = match[2:34]
    return 1.0 if len(set(body)) >= MIN_VARIETY and set(body) <= set("0123456789abcdef") else 0.0


def key_body(match: str) -> float:
    """A PEM block with at least some key in it, not only its first line."""
    body = match.split("-----", 2)[2]
    return 1.0 if len(set(body.split("-----")[0])) >= 16 else 0.0


def key_lines(match: str) -> float:
    """The private half of a PuTTY key file."""
    return 1.0 if len(set(match[20:])) >= 16 else 0.0


def mixed(match: str) -> float:
    """A quoted 40-character secret beside a name: random, with letters of both cases and digits."""
    body = "".join(c for c in match[-44:] if c.isalnum())
    random = any(map(str.isdigit, body)) and any(map(str.islower, body)) and any(map(str.isupper, body))
    if not random or len(set(body)) < 16:
        return 0.0
    return EXAMPLE if "EXAMPLE" in match else 1.0


OWN: Final[tuple[Rule, ...]] = (
    Rule("anthropic", r"sk-ant-[a-z]{2,10}[0-9]{0,2}-[A-Za-z0-9_\-]{32,}", token(44)),
    Rule("openai", r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_\-]{40,}", token(40)),
    Rule("openai", r"\bsk-[A-Za-z0-9]{48,}", token(51)),
    Rule("openrouter", r"sk-or-v1-[0-9a-f]{64}", token(70)),
    Rule("google", r"AIza[0-9A-Za-z_\-]{35}", token(39)),
    Rule("google-oauth", r"ya29\.[0-9A-Za-z_\-]{40,}|GOCSPX-[0-9A-Za-z_\-]{28}", token(32)),
    Rule("github", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}", token(90)),
    Rule("gitlab", r"\bgl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent)-[A-Za-z0-9_\-]{20,}", token(24)),
    Rule("gitlab", r"\bgloas-[A-Za-z0-9_\-]{64}|\bGR1348941[A-Za-z0-9_\-]{20,}", token(28)),
    Rule("huggingface", r"\bhf_[A-Za-z]{34}|\bapi_org_[A-Za-z]{34}", token(37)),
    Rule("npm", r"\bnpm_[A-Za-z0-9]{36}", token(40)),
    Rule("jwt", r"eyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{16,}", json_web_token),
    Rule("slack", r"https://hooks\.slack\.com/(?:services|workflows)/T\w{6,}/[\w/]{10,}", token(60)),
    Rule("slack", r"xapp-[0-9]-[A-Z0-9]{8,}-[0-9]{8,}-[a-f0-9]{32,}", token(60)),
    Rule("slack", r"xox[abeoprs]-[A-Za-z0-9\-]{20,}", token(25)),
    Rule(
        "discord", r"https://discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[A-Za-z0-9_\-]{60,}", token(110)
    ),
    Rule("stripe", r"\b[rs]k_live_[0-9a-zA-Z]{24,}", token(32)),
    Rule("digitalocean", r"\bdo[opr]_v1_[a-f0-9]{64}", token(71)),
    Rule("shopify", r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}", token(38)),
    Rule("docker", r"\bdckr_pat_[A-Za-z0-9_\-]{27}", token(36)),
    Rule("databricks", r"\bdapi[a-f0-9]{32}", token(36)),
    Rule("vault", r"\bhv[sb]\.[A-Za-z0-9_\-]{24,}", token(28)),
    Rule("grafana", r"\bglsa_[A-Za-z0-9]{32}_[a-f0-9]{8}", token(46)),
    Rule("postman", r"\bPMAK-[a-f0-9]{24}-[a-f0-9]{34}", token(64)),
    Rule("age", r"AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}", token(74)),
    Rule("aws-secret", r"(?i:secret|aws)[^\n]{0,30}?[=:]\s{0,4}[\"']?[A-Za-z0-9/+]{40}", mixed, whole=False),
    Rule(
        "url-password",
        r"://[^:/?#\[\]@\s\"'`<>]{1,64}:[^/?#\[\]@\s\"'`<>]{1,128}@",
        url_password,
        whole=False,
    ),
    Rule(
        "private-key",
        r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:-?[\w+/=\s:,.\\>|*()]){32,}(?:-----END [A-Z0-9 ]{3,40}-----)?",
        key_body,
        whole=False,
    ),
    Rule("putty-key", r"Private-Lines: [0-9]{1,3}\s{1,4}[A-Za-z0-9+/=\s]{32,}", key_lines, whole=False),
)


def put_together(rule: Rule) -> Rule:
    """Return a rule for pieces that were put together: it may start anywhere, and must look random.

    Running text without its spaces is one long run of letters; but it seldom has several digits
    and capitals within the length of a key.
    """

    def check(match: str) -> float:
        head = match[:PIECES_HEAD]
        digits = sum(map(str.isdigit, head))
        capitals, small = sum(map(str.isupper, head)), sum(map(str.islower, head))
        random = digits >= MIN_KIND and (min(capitals, small) >= MIN_KIND or digits >= MANY_DIGITS)
        return rule.check(match) if random else 0.0

    return Rule(rule.name, rule.pattern.replace(r"\b", ""), check)


PIECES: Final[tuple[Rule, ...]] = (
    *(put_together(rule) for rule in OWN if rule.whole),
    put_together(Rule("aws", r"(?:AKIA|ASIA)[A-Z2-7]{16}", aws_key_id)),
    put_together(Rule("github", r"gh[pousr]_[A-Za-z0-9]{36,}", token(40))),
    put_together(Rule("sendgrid", r"SG\.[A-Za-z0-9_\-]{22}\.[A-Za-z0-9_\-]{43}", token(69))),
    put_together(Rule("pypi", r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_\-]{70,}", token(80))),
    put_together(Rule("telegram", r"[0-9]{8,10}:AA[A-Za-z0-9_\-]{33}", token(44))),
    Rule(
        "private-key",
        r"-----BEGIN(?:[A-Z0-9]{2,12}){0,3}PRIVATEKEY(?:BLOCK)?-----[A-Za-z0-9/=]{32,}",
        key_body,
    ),
)
"""Rules for pieces put together, as :func:`~bartizan.features.readings.joined` does."""

BACKWARDS: Final = (
    r"[A-Za-z0-9_\-.]{16,}?(?:-tna-ks|-jorp-ks|-tccacvs-ks|-nimda-ks|-1v-ro-ks|AIKA|AISA|azIA|_[pousr]hg"
    r"|_tap_buhtig|-taplg|_fh|_mpn|-[abeoprs]xox|_evil_k[sr]|\.GS|-ipyp|_tap_rkcd|ipad)"
)
"""A token spelt backwards, up to the first of the beginnings that tokens have."""

BORROWED: Final[tuple[tuple[str, str, str, str, Check], ...]] = (
    # module, class, name, what to add so that the whole token is masked, check
    ("aws", "AWSKeyDetector", "aws", "", aws_key_id),
    ("azure_storage_key", "AzureStorageKeyDetector", "azure-storage", "", token(99)),
    ("cloudant", "CloudantDetector", "cloudant", "", token(80)),
    ("discord", "DiscordBotTokenDetector", "discord", "", token(58)),
    ("github_token", "GitHubTokenDetector", "github", "[A-Za-z0-9_]*", token(40)),
    ("mailchimp", "MailchimpDetector", "mailchimp", "", token(36)),
    ("openai", "OpenAIDetector", "openai", "[A-Za-z0-9_-]*", token(23)),
    ("pypi_token", "PypiTokenDetector", "pypi", "", token(80)),
    ("sendgrid", "SendGridDetector", "sendgrid", "", token(69)),
    ("slack", "SlackDetector", "slack", "[A-Za-z0-9-]*", token(30)),
    ("softlayer", "SoftlayerDetector", "softlayer", "", token(80)),
    ("square_oauth", "SquareOAuthDetector", "square", "", token(50)),
    ("telegram_token", "TelegramBotTokenDetector", "telegram", "", token(44)),
    ("twilio", "TwilioKeyDetector", "twilio", "", hexadecimal),
)
