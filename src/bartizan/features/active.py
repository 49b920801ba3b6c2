"""Content that does something where it is shown: in a browser, a terminal or a spreadsheet.

References:
    WHATWG HTML (scripts, event handlers, refresh); CommonMark 0.31 sections 4.5, 6.1 and 6.3 (fenced
    code, code spans, links); ECMA-48 and the xterm control sequences (OSC 8, OSC 52).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import re2

RUNS: Final = 1.0
"""Runs, loads or sends something as soon as it is shown, or on one click."""
STYLES: Final = 0.5
"""Changes what is shown around it."""
COLOURS: Final = 0.25
"""Changes how a terminal shows what follows."""
QUOTED: Final = 0.25
"""Factor for what stands in a code span: most readers show it, some unclosed ones do not."""

_GAP: Final = r"(?:[\t\r\n]|&(?:Tab|NewLine);)*"


def _spelt(word: str) -> str:
    """Return a pattern of a scheme as browsers read it, which skip line breaks and tabs in one."""
    return _GAP.join(word)


_EVENTS: Final = (
    "abort|animation[a-z]+|auxclick|before[a-z]+|begin|blur|cancel|canplay[a-z]*|change|click|close|contextmenu"
    "|copy|cut|dblclick|drag[a-z]*|drop|durationchange|emptied|end|ended|error|finish|focus[a-z]*|fullscreen[a-z]*"
    "|gotpointercapture|hashchange|input|invalid|key(?:down|press|up)|load[a-z]*|message[a-z]*|mouse[a-z]+"
    "|page(?:hide|show)|paste|pause|play[a-z]*|pointer[a-z]+|popstate|progress|ratechange|readystatechange|repeat"
    "|reset|resize|scroll[a-z]*|search|seek[a-z]+|select[a-z]*|show|stalled|start|submit|suspend|timeupdate|toggle"
    "|touch[a-z]+|transition[a-z]+|unload|volumechange|waiting|webkit[a-z]+|wheel"
)
_URL_PLACE: Final = r"(?:\]\(\s{0,8}<?|\]:\s{0,8}<?|=\s{0,8}[\"']?\s{0,8}|url\(\s{0,8}[\"']?|<)"
_SCRIPT_URL: Final = (
    f"(?:{_spelt('javascript')}|{_spelt('vbscript')}){_GAP}(?::|&colon;)"
    r"|data:(?:text/(?:html|xml|javascript|x-scriptlet)|image/svg\+xml|application/(?:xhtml\+xml|xml|javascript))"
    r"|(?:ms-[a-z]{3,24}|search-ms|mhtml|view-source):"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One sort of active content.

    Attributes:
        name: What it is, for people.
        pattern: RE2 syntax.
        weight: Of one of it.
        everywhere: True where a code block does not make it harmless.
    """

    name: str
    pattern: str
    weight: float = RUNS
    everywhere: bool = False


RULES: Final[tuple[Rule, ...]] = (
    Rule("script", r"(?i)<(?:[a-z]{1,10}:)?script[\s/>]"),
    Rule("event handler", rf"(?i)<[a-z][^<]*?[\s/\"']on(?:{_EVENTS})\s{{0,8}}="),
    Rule("script address", rf"(?i){_URL_PLACE}(?:{_SCRIPT_URL})"),
    Rule(
        "disguised address", r"(?i)\b(?:href|src|action|data)\s{0,8}=\s{0,8}[\"']?(?:&#x?[0-9a-f]{1,7};?){4}"
    ),
    Rule(
        "frame",
        r"(?i)<(?:iframe|frameset|embed|fencedframe)[\s/>]|<(?:frame|object|applet|portal)[\s/][^<>]*?=",
    ),
    Rule(
        "redirect",
        r"(?i)<meta[^<>]*?http-equiv\s{0,8}=\s{0,8}[\"']?\s{0,8}refresh|<base\s[^<>]*?href\s{0,8}=",
    ),
    Rule("form", r"(?i)<form[\s>]|<(?:input|button)\s[^<>]*?formaction\s{0,8}="),
    Rule(
        "animated address",
        r"(?i)<(?:animate|set)\s[^<>]*?attributename\s{0,8}=\s{0,8}[\"']?(?:xlink:)?href"
        r"|<(?:[a-z]{1,10}:)?use\s[^<>]*?href\s{0,8}=\s{0,8}[\"']?(?:data|https?|//)",
    ),
    Rule("style", r"(?i)<style[\s>]|<link\s[^<>]*?(?:rel|href)\s{0,8}=", STYLES),
    Rule(
        "style that runs or loads",
        r"(?i)style\s{0,8}=[^<>]*?(?:expression\s{0,8}\(|-moz-binding\s{0,8}:|behaviou?r\s{0,8}:)"
        r"|@import\s{1,8}(?:url\(|[\"'](?:https?:)?//)",
    ),
    Rule(
        "cell formula",
        r"(?i)(?:^|[\n,;\t|\"])\s{0,4}[=+\-@](?:cmd|msexcel|rundll32|dde)\s{0,4}\|",
        RUNS,
        everywhere=True,
    ),
    Rule(
        "cell formula",
        r"(?i)(?:^|[\n,;\t|\"])\s{0,4}[=+\-@]"
        r"(?:hyperlink|webservice|import(?:xml|data|html|feed|range)|image|filterxml|dde|call|register)\s{0,4}\(",
        STYLES,
    ),
    Rule("terminal command", r"(?:\x1b[\]P_^X]|[\x{90}\x{9d}\x{9e}\x{9f}])[ -~]", RUNS, everywhere=True),
    Rule(
        "terminal cursor",
        r"(?:\x1b\[|\x{9b})[0-9;?>]*[@A-HJ-Thlnrstu]|\x1b[78cDEM]|(?:\x1b\[|\x{9b})(?:[0-9]{1,3};)*8m",
        RUNS,
        everywhere=True,
    ),
    Rule("terminal colour", r"(?:\x1b\[|\x{9b})[0-9;:]*m|[^\x08\n]\x08", COLOURS, everywhere=True),
)
"""Nothing here looks at what follows a match, so that a stream may be judged as it comes."""

_TICKS: Final = re2.compile(r"`+|\n")
_RAW: Final = ("<!", "<?", "<pre", "<textarea", "<script", "<style")
"""Beginnings of lines after which HTML goes on over blank lines, code or not."""
Zone = tuple[int, int]


def fenced(text: str) -> list[Zone]:
    r"""Return where fenced code blocks stand, the last one open-ended if nothing closes it.

    Where readers differ, or a list or a piece of HTML around a fence decides, text is no code: an
    indented block ends with its indentation, and a fence right below HTML opens nothing.

    >>> fenced("a\n```html\n<b>\n```\nc")
    [(2, 17)]
    """
    if "```" not in text and "~~~" not in text:
        return []
    zones: list[Zone] = []
    start, mark, indent, at = -1, "", 0, 0
    html = False
    lines = text.split("\n")
    for number, line in enumerate(lines):
        bare = line.lstrip(" \t")
        fence = _fence(bare)
        if start >= 0 and bare and len(line) - len(bare) < indent:
            zones.append((start, at))
            start = -1
        if start >= 0:
            closes = fence[:1] == mark[:1] and len(fence) >= len(mark) and not bare[len(fence) :].strip()
            if closes and number < len(lines) - 1:
                zones.append((start, at + len(line)))
                start = -1
        elif fence and not html and (fence[0] == "~" or "`" not in bare[len(fence) :]):
            start, mark, indent = at, fence, len(line) - len(bare)
        elif bare[:9].lower().startswith(_RAW):
            return zones
        else:
            html = bool(bare) and (html or bare[0] == "<")
        at += len(line) + 1
    return zones if start < 0 else [*zones, (start, len(text))]


def _fence(bare: str) -> str:
    mark = bare[:1]
    if mark not in ("`", "~"):
        return ""
    run = len(bare) - len(bare.lstrip(mark))
    return bare[:run] if run >= 3 else ""


def code_spans(text: str, fences: list[Zone]) -> Iterator[Zone]:
    """Yield where code spans stand, of one line each, and what may still become one at the end."""
    start, width, fence = -1, 0, 0
    for match in _TICKS.finditer(text):
        at, end = match.span()
        while fence < len(fences) and fences[fence][1] <= at:
            fence += 1
        if match.group() == "\n" or (fence < len(fences) and fences[fence][0] <= at):
            start = -1
        elif start < 0:
            at += at > 0 and text[at - 1] == "\\"
            start, width = (at, end - at) if at < end else (-1, 0)
        elif end - at == width:
            yield start, end
            start = -1
    if start >= 0:
        yield start, len(text)
