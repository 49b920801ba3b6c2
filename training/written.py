"""Reads ``written/*.jsonl``: texts written for training, with slots filled at random.

A line is ``{"text", "channel", "label", "family", "lang"}`` or a pool ``{"pool", "values"}``. A slot
``{name}`` is replaced by a random entity or by a value of a pool; an attack inside a carrier stands
between double brackets; literal braces are written in full width.
"""

from __future__ import annotations

import json
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import re2

import families

FOLDER = Path(__file__).with_name("written")
OPEN, CLOSE = "\u27e6", "\u27e7"
DEPTH = 3
"""A pool's value may hold slots in turn, this deep."""
_SLOT = re2.compile(r"\{([A-Za-z_][\w.\-]*)\}")
_BRACES = str.maketrans({"\uff5f": "{", "\uff60": "}"})
_CITIES = (
    "Lagos",
    "Lyon",
    "Osaka",
    "Quito",
    "Riga",
    "Perth",
    "Leeds",
    "Izmir",
    "Pune",
    "Turin",
    "Graz",
    "Cork",
)
_COMPANIES = ("Nordlys", "Halden", "Quarry Lane", "Brightwell", "Tessera", "Oakfield", "Mirano", "Kestrel")
_FILES = ("report.pdf", "notes.txt", "budget.xlsx", "main.py", "config.yaml", "backup.zip", "invoice.docx")
_BOTS = ("Nova", "Orbit", "Milo", "Sage", "Atlas", "Pixel", "Ember", "Luna", "Echo", "Zeno", "Kiko", "Rex")


@dataclass(frozen=True, slots=True)
class Line:
    """One written text, before its slots are filled."""

    number: str
    text: str
    channel: str
    label: int
    family: str
    lang: str


def lines() -> tuple[list[Line], dict[str, list[str]]]:
    """Return the written texts and the pools; a line that can't be read ends the run."""
    found, pools = [], {}
    for path in sorted(FOLDER.glob("*.jsonl")):
        for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                r = json.loads(raw)
                if "pool" in r:
                    # A file's own pool comes first: two files may mean different things by a name.
                    pools[f"{path.stem}/{r['pool']}"] = pools[r["pool"]] = list(r["values"])
                else:
                    name = f"written-{path.stem}-{number:04}"
                    found.append(Line(name, r["text"], r["channel"], int(r["label"]), r["family"], r["lang"]))
            except (ValueError, KeyError) as error:
                raise SystemExit(f"{path.name}, line {number}: {error}") from error
    return found, pools


def filled(r: random.Random, copies: int) -> Iterator[tuple[Line, str, tuple[int, int] | None]]:
    """Yield every written line up to ``copies`` times, with fresh entities, and its attack's span."""
    found, pools = lines()
    for line in found:
        own = f"{line.number.removeprefix('written-').rpartition('-')[0]}/"
        mine = pools | {k.removeprefix(own): v for k, v in pools.items() if k.startswith(own)}
        texts = {fill(r, line.text, mine) for _ in range(copies)}
        for text in sorted(texts):
            plain = text.translate(_BRACES)
            start, end = plain.find(OPEN), plain.find(CLOSE)
            span = (start, end - 1) if 0 <= start < end else None
            yield line, plain.replace(OPEN, "").replace(CLOSE, ""), span


def fill(r: random.Random, text: str, pools: dict[str, list[str]], depth: int = DEPTH) -> str:
    """Return the text with every known slot replaced; the same slot is the same entity throughout."""
    chosen: dict[str, str] = {}

    def value(match: object) -> str:
        name = match.group(1)  # type: ignore[attr-defined]
        if name not in chosen:
            chosen[name] = _value(r, name, pools, depth) or match.group(0)  # type: ignore[attr-defined]
        return chosen[name]

    return _SLOT.sub(value, text)


def _value(r: random.Random, name: str, pools: dict[str, list[str]], depth: int) -> str:
    if pools.get(name):
        value = r.choice(pools[name])
        return fill(r, value, pools, depth - 1) if depth else value
    make = _ENTITIES.get(name)
    return make(r) if make else ""


def _date(r: random.Random) -> str:
    day, month = r.randint(1, 28), r.randint(1, 12)
    return r.choice((f"{day:02}/{month:02}/2026", f"2026-{month:02}-{day:02}", f"{day}.{month}.2026"))


_ENTITIES = {
    "name": families.name,
    "fullname": lambda r: f"{families.name(r)} {r.choice(families.SURNAMES)}",
    "email": families.mail,
    "url": families.link,
    "iban": families.account,
    "domain": lambda r: r.choice(families.HOSTS),
    "product": lambda r: r.choice(families.PRODUCTS),
    "topic": lambda r: r.choice(families.TOPICS),
    "model": lambda r: r.choice(families.MODELS),
    "assistant": lambda r: r.choice(_BOTS),
    "city": lambda r: r.choice(_CITIES),
    "company": lambda r: r.choice(_COMPANIES),
    "file": lambda r: r.choice(_FILES),
    "amount": lambda r: f"{r.choice('$€£')}{r.randint(5, 9_000):,}",
    "number": lambda r: str(r.randint(2, 900)),
    "phone": lambda r: "+" + "".join(r.choices(string.digits, k=11)),
    "date": _date,
}
