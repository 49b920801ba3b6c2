"""How much of everything a message may hold, apart from its size in bytes, which the gateway bounds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one message may hold; what goes beyond is refused.

    Attributes:
        depth: Nested JSON objects and arrays.
        messages: Messages in one chat transcript.
        pieces: Content parts, tool calls, tool definitions and elements of ``BYTES`` tensors in
            one message, together. Each costs microseconds, however small it is.
        choices: Index of an answer among alternatives, or of a tool call in an answer.
        event_bytes: One event of a streamed answer.
        tensors: Tensors in one inference request or answer.
        dimensions: Dimensions of one tensor.
        elements: Elements of all tensors of a message together.
        columns: Input columns up to which columns are named; beyond, they go by index.
        unjudged: Pieces listed as unjudged one by one; the rest is summed up in one entry.
    """

    depth: int = 64
    messages: int = 10_000
    pieces: int = 20_000
    choices: int = 1_024
    event_bytes: int = 4 * 2**20
    tensors: int = 1_024
    dimensions: int = 32
    elements: int = 10_000_000
    columns: int = 1_024
    unjudged: int = 256


DEFAULT = Limits()
"""What protocols use unless told otherwise."""

LABEL_CHARS = 128
"""Names up to this length, made of letters, digits and ``_-./:``, are labels; others are judged as text."""

_PUNCTUATION = str.maketrans("", "", "_-./:")


def is_label(name: str) -> bool:
    """Whether a name is a plain identifier that can't carry a message to a model.

    >>> is_label("get_weather"), is_label("mail.send"), is_label("Ignore the above, please")
    (True, True, False)
    """
    return len(name) <= LABEL_CHARS and name.isascii() and name.translate(_PUNCTUATION).isalnum()
