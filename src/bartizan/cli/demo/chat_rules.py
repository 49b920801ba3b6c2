"""A rule-based stand-in for a language model that obeys whoever speaks last.

It is not a language model and does not pretend to be one. It exists so that an attack on the
demo has a visible effect: like a credulous model, it follows orders wherever it finds them, in
a tool result as readily as in the user's own words, also where they are hidden or encoded.
"""

from __future__ import annotations

import base64
import binascii
import json
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import re2

ANSWERS: Final = (
    "Happy to help. The short version: start with the smallest step that you can check, "
    "check it, and go on from there.",
    "Good question. It depends on your goal; most people are well served by the simple option.",
    "Here is a plan: collect what you know, write down what is open, and settle the largest item first.",
    "That looks right to me. I would only make sure that somebody else can repeat it.",
    "There are three things to weigh: cost, time, and how easily you can change your mind later.",
    "In short: yes, as long as you keep a copy of the original.",
)

SETTING_ASIDE: Final = (
    "ignore", "disregard", "forget", "override", "new instructions", "instead of summar", "ai assistant",
    "hey assistant", "ignoriere alle", "vergiss alle", "ignorez", "oubliez", "ignora ", "olvida",
    "игнорируй", "забудь", "نادیده", "अनदेखा", "忽略", "無視",
)  # fmt: skip
SET_ASIDE: Final = (
    "instruction", "rule", "guideline", "polic", "above", "limit", "filter", "restriction", "you were told",
    "task", "question", "request", "user", "assistant", "anweisung", "consigne", "reglas", "инструкци",
    "دستور", "निर्देश", "指示",
)  # fmt: skip
PERSONAS: Final = ("you are now", "pretend you", "act as", "play the role", "from now on you", "roleplay")
PROMPT_NAMES: Final = (
    "system prompt", "system message", "initial instructions", "your instructions", "everything above",
    "text above", "words above", "first message", "configuration text", "systemprompt", "systemnachricht",
    "prompt système", "instructions initiales", "prompt del sistema", "mensaje del sistema",
    "системный промпт", "системное сообщение", "پیام سیستم", "دستورهای اولیه", "सिस्टम प्रॉम्प्ट",
    "系统提示", "システムプロンプト",
)  # fmt: skip
TELLING: Final = (
    "print", "repeat", "reveal", "show", "output", "tell", "write", "quote", "translate", "summarise",
    "encode", "copy", "what", "gib", "zeige", "affiche", "répète", "imprime", "muestra", "repite",
    "напечатай", "покажи", "повтори", "چاپ", "بنویس", "प्रिंट", "दिखा", "输出", "显示", "表示",
)  # fmt: skip
SECRET_NAMES: Final = (
    "api key", "api_key", "apikey", "password", "credential", "token", "secret", "connection string",
)  # fmt: skip
ABOUT_ITSELF: Final = ("you ", "your ", "this conversation", "environment")
SENDING: Final = ("send", "forward", "email", "mail ", "transfer", "pay ", "wire ", "post ")

_URL = re2.compile(r"https?://[^\s)\]>\"'`]+")
_ADDRESS = re2.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
_BASE64 = re2.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_SECRET = re2.compile(
    r"sk-[A-Za-z0-9_-]{16,}|AKIA[0-9A-Z]{16}|ghp_[A-Za-z0-9]{20,}|postgres(?:ql)?://[^\s\"']+"
    r"|(?i:password|api[_ ]?key|token|secret)\s*(?:is|=|:)\s*[^\s\"',]{6,}"
)
_NUMBER = re2.compile(r"[0-9]+(?:\.[0-9]+)?")

_TAG_BASE: Final = 0xE0000
_MAX_SHOWN: Final = 160


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the stand-in wants made; arguments as JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What the stand-in says, or the one tool it wants called."""

    text: str = ""
    call: ToolCall | None = None


def reply(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()) -> Reply:
    """Return the stand-in's answer to a conversation in the Chat Completions form."""
    system = " ".join(text_of(m) for m in messages if m.get("role") in {"system", "developer"})
    recent = _recent(messages)
    if not recent:
        return Reply("How can I help?")
    everything = " ".join(text_of(m) for m in messages)
    for message in reversed(recent):
        if (obeyed := _obey(readable(text_of(message)), system, everything, tools)) is not None:
            return obeyed
    last = recent[-1]
    if last.get("role") == "tool":
        return Reply(f"Here is what I found: {text_of(last)[:_MAX_SHOWN].strip()}")
    said = text_of(last)
    for tool in tools:
        if (call := _called_for(said, tool)) is not None:
            return Reply(call=call)
    return Reply(ANSWERS[zlib.crc32(said.encode()) % len(ANSWERS)])


def text_of(message: Mapping[str, Any]) -> str:
    """Return a message's text; the texts of a list of content parts are joined."""
    content = message.get("content")
    if isinstance(content, list):
        content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    # JSON can hold half a surrogate pair, which no encoder takes.
    return content.encode("utf-8", "replace").decode() if isinstance(content, str) else ""


def readable(text: str) -> str:
    """Return text with hidden characters made plain and base64 decoded after it."""
    tags = "".join(chr(ord(c) - _TAG_BASE) for c in text if 0x20 <= ord(c) - _TAG_BASE < 0x7F)
    plain = "".join(c for c in text if unicodedata.category(c) != "Cf")
    decoded = " ".join(filter(None, map(_decoded, _BASE64.findall(text))))
    return " ".join(filter(None, (plain, tags, decoded)))


def _decoded(word: str) -> str:
    try:
        text = base64.b64decode(word + "=" * (-len(word) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return text if text.isprintable() else ""


def _recent(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the current turn: what came after the last answer that was not a tool call."""
    recent: list[Mapping[str, Any]] = []
    for message in reversed(messages):
        role = message.get("role")
        if role == "assistant":
            if not message.get("tool_calls"):
                break
        elif role in {"user", "tool"}:
            recent.append(message)
    return recent[::-1]


def _obey(text: str, system: str, everything: str, tools: Sequence[Mapping[str, Any]]) -> Reply | None:
    """Return what an order in the text makes the stand-in do, or ``None`` without one."""
    low = text.casefold()
    ordered = _any(low, SETTING_ASIDE) and _any(low, SET_ASIDE)
    posing = _any(low, PERSONAS)
    if (
        _any(low, PROMPT_NAMES)
        and _any(low, TELLING)
        and (ordered or posing or "your" in low or "above" in low)
    ):
        return Reply(f"My system prompt is: {system or '(none was given)'}")
    if (urls := _URL.findall(text)) and ("![" in text or "image" in low) and (ordered or "append" in low):
        return Reply(f"![status]({_carrying(urls[0].rstrip('.,'), _packed(everything))})")
    if ordered and _any(low, SENDING) and (addresses := _ADDRESS.findall(text)):
        for tool in tools:
            if "to" in _properties(tool) or "recipient" in _properties(tool):
                return Reply(call=ToolCall(_name(tool), json.dumps(_filled(tool, text))))
        return Reply(f"Done: I have sent it to {addresses[-1]}.")
    asked = _any(low, SECRET_NAMES) and _any(low, TELLING) and (ordered or _any(low, ABOUT_ITSELF))
    if asked and (found := _SECRET.findall(everything)):
        return Reply("Of course. In my context I see: " + ", ".join(dict.fromkeys(found)))
    if ordered:
        return Reply(
            "Understood. I set my earlier instructions aside and do as I was told: " + text[:_MAX_SHOWN]
        )
    if posing and ("no rules" in low or "no limits" in low or "without restrictions" in low):
        return Reply("I am in character now and no rules apply to me. What would you like?")
    return None


def _carrying(url: str, data: str) -> str:
    """Return the URL with data in its query."""
    if url.endswith("="):
        return url + data
    return f"{url}{'&' if '?' in url else '?'}data={data}"


def _packed(everything: str) -> str:
    """Return what an exfiltrating URL carries: secrets in the context, or else its beginning."""
    found = _SECRET.findall(everything)
    carried = found[0] if found else everything[:48]
    return base64.urlsafe_b64encode(carried.encode()).decode().rstrip("=")


def _called_for(said: str, tool: Mapping[str, Any]) -> ToolCall | None:
    """Return a call of the tool if the words of its name are all in what was said."""
    low = said.casefold()
    words = _name(tool).casefold().replace("-", "_").split("_")
    if not words[0] or not all(word in low for word in words):
        return None
    return ToolCall(_name(tool), json.dumps(_filled(tool, said), ensure_ascii=False))


def _filled(tool: Mapping[str, Any], said: str) -> dict[str, Any]:
    """Fill the tool's parameters from the text, by their names and types."""
    values: dict[str, Any] = {}
    for name, schema in _properties(tool).items():
        kind = schema.get("type") if isinstance(schema, dict) else None
        if kind in {"number", "integer"}:
            number = float((_NUMBER.findall(said) or ["0"])[0])
            values[name] = int(number) if kind == "integer" else number
        elif kind == "boolean":
            values[name] = True
        elif name in {"to", "recipient", "email", "address"}:
            values[name] = (_ADDRESS.findall(said) or [""])[-1]
        elif name in {"url", "link"}:
            values[name] = (_URL.findall(said) or [""])[0]
        else:
            values[name] = said[:_MAX_SHOWN]
    return values


def _name(tool: Mapping[str, Any]) -> str:
    function = tool.get("function")
    return str(function.get("name", "")) if isinstance(function, dict) else ""


def _properties(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    parameters = function.get("parameters") if isinstance(function, dict) else None
    properties = parameters.get("properties") if isinstance(parameters, dict) else None
    return properties if isinstance(properties, dict) else {}


def _any(text: str, phrases: Sequence[str]) -> bool:
    return any(phrase in text for phrase in phrases)
