"""Encoders that undo what ``bartizan.features`` reads; the tests of the normalisation use them too."""

import base64
import codecs
import json
from collections.abc import Callable

from bartizan.features.codes import MORSE_CODE

SIGNALS = {letter: signal for signal, letter in MORSE_CODE.items()}


def caesar(text: str, by: int) -> str:
    return "".join(
        chr((ord(c) - base + by) % 26 + base) if c.isascii() and c.isalpha() else c
        for c in text
        for base in (97 if c.islower() else 65,)
    )


def units(text: str) -> list[int]:
    """Return the code units of UTF-16, of which JSON's escapes are made."""
    packed = text.encode("utf-16-be")
    return [packed[i] << 8 | packed[i + 1] for i in range(0, len(packed), 2)]


def shifted(first: int) -> Callable[[str], str]:
    return lambda text: "".join(chr(first + ord(c) - 97) if "a" <= c <= "z" else c for c in text.lower())


def pieces(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def variables(text: str) -> str:
    names = [chr(97 + i) for i in range(len(pieces(text, 9)))]
    lines = [f"{name} = {json.dumps(piece)}" for name, piece in zip(names, pieces(text, 9), strict=True)]
    return "\n".join([*lines, f"print({' + '.join(names)})"])


BYTES: dict[str, Callable[[str], str]] = {
    "base64": lambda t: base64.b64encode(t.encode()).decode(),
    "base64 for addresses": lambda t: base64.urlsafe_b64encode(t.encode()).decode().rstrip("="),
    "base64 in lines": lambda t: codecs.encode(t.encode(), "base64").decode(),
    "base32": lambda t: base64.b32encode(t.encode()).decode(),
    "base85": lambda t: base64.b85encode(t.encode()).decode(),
    "ascii85": lambda t: base64.a85encode(t.encode()).decode(),
    "hex": lambda t: t.encode().hex(),
    "hex with spaces": lambda t: t.encode().hex(" "),
    "hex with prefixes": lambda t: ", ".join(f"0x{b:02x}" for b in t.encode()),
    "binary": lambda t: " ".join(f"{b:08b}" for b in t.encode()),
    "binary in one run": lambda t: "".join(f"{b:08b}" for b in t.encode()),
    "decimal": lambda t: " ".join(map(str, t.encode())),
    "octal": lambda t: " ".join(f"{b:03o}" for b in t.encode()),
    "percent": lambda t: "".join(f"%{b:02X}" for b in t.encode()),
    "entities": lambda t: "".join(f"&#{ord(c)};" for c in t),
    "unicode escapes": lambda t: "".join(f"\\u{u:04x}" for u in units(t)),
    "octal escapes": lambda t: "".join(f"\\{b:03o}" for b in t.encode()),
    "quoted-printable": lambda t: "".join(f"={b:02X}" for b in t.encode()),
    "calls": lambda t: " + ".join(f"chr({b})" for b in t.encode()),
}
"""Encodings that hold any ASCII text and keep its case."""

WORDS: dict[str, Callable[[str], str]] = {
    "rot13": lambda t: codecs.encode(t, "rot13"),
    "reversed": lambda t: t[::-1],
    "reversed words": lambda t: " ".join(w[::-1] for w in t.split()),
    "Atbash": lambda t: "".join(chr(219 - ord(c)) if c.islower() else c for c in t.lower()),
    "Caesar 3": lambda t: caesar(t, 3),
    "Caesar 20": lambda t: caesar(t, 20),
    "rot47": lambda t: "".join(chr(33 + (ord(c) + 14) % 94) if "!" <= c <= "~" else c for c in t),
    "Morse": lambda t: " / ".join(" ".join(SIGNALS[c] for c in w) for w in t.lower().split()),
    "alphabet positions": lambda t: " ".join(
        "-".join(str(ord(c) - 96) for c in w) for w in t.lower().split()
    ),
    "tags": lambda t: "".join(chr(0xE0000 + ord(c)) for c in t),
    "variation selectors": lambda t: "a" + "".join(chr(0xE0100 + b - 16) for b in t.encode()),
    "zero-width bits": lambda t: (
        "a" + "".join("\u200b\u200c"[int(x)] for b in t.encode() for x in f"{b:08b}")
    ),
    "right-to-left override": lambda t: f"\u202e{t[::-1]}\u202c",
    "circled": shifted(0x24D0),
    "negative squared": shifted(0x1F170),
    "regional indicators": shifted(0x1F1E6),
    "joined strings": lambda t: " + ".join(map(json.dumps, pieces(t, 4))),
    "array": lambda t: json.dumps(pieces(t, 5)),
    "JSON strings": lambda t: json.dumps({f"k{i}": p for i, p in enumerate(pieces(t, 6))}),
    "joined variables": variables,
    "one word a line": lambda t: "\n".join(t.split()),
    "numbered lines": lambda t: "\n".join(f"{i}. {w}" for i, w in enumerate(t.split(), 1)),
    "hyphenated": lambda t: " ".join("-".join(pieces(w, 2)) for w in t.split()),
    "HTML comment": lambda t: f"<p>Hello</p><!-- {t} -->",
    "hidden element": lambda t: f'<p>Hello</p><div style="display:none">{t}</div>',
    "alt text": lambda t: f'<img src="a.png" alt="{t}">',
    "title attribute": lambda t: f"<a title='{t}'>Hello</a>",
    "meta content": lambda t: f'<meta name="description" content="{t}">',
    "image description": lambda t: f"![{t}](a.png)",
    "link title": lambda t: f'[a](https://x.test "{t}")',
    "Markdown comment": lambda t: f"[//]: # ({t})",
    "JSON": lambda t: json.dumps({"a": t.replace(" ", "\n")}),
    **{
        f"letters apart by {mark!r}": lambda t, mark=mark: (mark * 3 if mark == " " else "  ").join(
            mark.join(w) for w in t.split()
        )
        for mark in " .-_*|/,\u00b7"
    },
}
"""Disguises that hold a sentence of lower-case words."""
