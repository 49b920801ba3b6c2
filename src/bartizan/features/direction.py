"""Text whose order on the screen is not its order in memory, and letters made of flags."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import re2

from bartizan.features.characters import REGIONAL
from bartizan.features.envelope import Envelope
from bartizan.features.traced import Edit

MIN_TURNED: Final = 8

_OVERRIDDEN: Final = re2.compile("\u202e([^\u202c\u202d\u202e\u2069\n]+)")
_REGIONAL: Final = re2.compile(f"[{REGIONAL}](?:[ \u200b\u200d\u2060]?[{REGIONAL}])*")
_CODES: Final = (
    "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm "
    "bn bo bq br bs bt bv bw by bz ca cc cd cf cg ch ci ck cl cm cn co cp cr cu cv cw cx "
    "cy cz de dg dj dk dm do dz ea ec ee eg eh er es et eu fi fj fk fm fo fr ga gb gd ge "
    "gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu ic id ie il im in io "
    "iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu "
    "lv ly ma mc md me mf mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne "
    "nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs "
    "ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr ss st sv sx sy sz ta tc td tf tg "
    "th tj tk tl tm tn to tr tt tv tw tz ua ug um un us uy uz va vc ve vg vi vn vu wf ws "
    "xk ye yt za zm zw "
)
_COUNTRIES: Final = frozenset(_CODES.split())


def turned(text: str) -> Iterator[Envelope]:
    """Yield what stands under a right-to-left override, in the order in which it is displayed."""
    if "\u202e" not in text:
        return
    for m in _OVERRIDDEN.finditer(text):
        if m.end() - m.start() > MIN_TURNED:
            yield Envelope("right-to-left override", m.group(1)[::-1], m.start(), m.end())


def flags_as_letters(text: str) -> list[Edit]:
    """Return the edits that read regional indicators as letters, where they are no countries' flags."""
    edits: list[Edit] = []
    real = True
    for m in _REGIONAL.finditer(text):
        spelt = "".join(chr(ord(c) - 0x1F1E6 + 97) if c >= "\U0001f1e6" else c for c in m.group())
        letters = "".join(c for c in spelt if c.isalpha())
        real &= _COUNTRIES.issuperset(letters[i : i + 2] for i in range(0, len(letters), 2))
        edits.append((m.start(), m.end(), spelt))
    # Where some are no flags, the others (``to`` is Tonga's) are words as well.
    return [] if real else edits
