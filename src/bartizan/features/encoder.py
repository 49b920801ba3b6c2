"""A small transformer over word pieces: logits of one window at a time.

Runs an int8 ONNX graph with onnxruntime on one thread. A window is always a batch of its own:
activations are quantised by the batch, so a text's score would otherwise depend on what it
happened to be judged with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import numpy as np

from bartizan.ports import Unavailable

FOLDER: Final = "bartizan.detectors.text"
GRAPH: Final = "encoder.onnx"
PIECES: Final = "tokenizer.json"
ABOUT: Final = "encoder.json"
FORMAT: Final = 1
WINDOW: Final = 126
"""Word pieces of a window, besides the two that frame it."""
STRIDE: Final = 94
FIRST: Final = 101
LAST: Final = 102
"""Numbers of the pieces that frame a window (``[CLS]`` and ``[SEP]``)."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of text that the encoder reads at once.

    Attributes:
        ids: Its word pieces, framed.
        start: Where it starts in the text.
        end: Where it ends, exclusive.
    """

    ids: tuple[int, ...]
    start: int
    end: int


def starts(size: int, window: int = WINDOW, stride: int = STRIDE) -> list[int]:
    """Return where the windows of ``size`` word pieces begin; together they cover all of them.

    >>> starts(200)
    [0, 74]
    """
    if size <= window:
        return [0]
    return [*range(0, size - window, stride), size - window]


class Encoder:
    """Two logits for a window: does it read like an attack from a user, and like one in data?

    Args:
        graph: The ONNX file's bytes.
        pieces: The tokenizer's JSON.
        about: What goes with them: floors and weights of the cascade, for each head.

    Guarantees:
        Same window, same logits, on the same processor; other processors round differently
        (``training/README.md`` says by how much).
    """

    def __init__(self, graph: bytes, pieces: str, about: dict[str, Any]) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._pieces = Tokenizer.from_str(pieces)
        self._pieces.no_padding()
        self._pieces.no_truncation()
        # A text that spells a frame piece says just that; it doesn't end a window.
        self._pieces.encode_special_tokens = True
        self.about = about

    def windows(self, text: str, begin: int = 0) -> list[Window]:
        """Return the windows of a text whose first character stands at ``begin`` of a longer one."""
        coded = self._pieces.encode(text, add_special_tokens=False)
        ids, offsets = coded.ids, coded.offsets
        made = []
        for at in starts(len(ids)):
            where = offsets[at : at + WINDOW]
            if where:
                window = (FIRST, *ids[at : at + WINDOW], LAST)
                made.append(Window(window, begin + where[0][0], begin + where[-1][1]))
        return made

    def logits(self, window: Window) -> Sequence[float]:
        """Return the logits of the user head and of the data head."""
        found = self._session.run(None, {"ids": np.array([window.ids], np.int64)})[0][0]
        return [float(value) for value in found]


@lru_cache(maxsize=1)
def encoder() -> Encoder:
    """Return the shipped encoder, read once.

    Raises:
        Unavailable: An artefact is missing, is not what was shipped, or can't be run here.
    """
    try:
        folder = files(FOLDER)
        about = json.loads(folder.joinpath(ABOUT).read_text())
        graph, pieces = folder.joinpath(GRAPH).read_bytes(), folder.joinpath(PIECES).read_text()
        for name, data in ((GRAPH, graph), (PIECES, pieces.encode())):
            if hashlib.sha256(data).hexdigest() != about["sha256"][name]:
                raise Unavailable(f"{name} is not the file that was shipped")
        if about["format"] != FORMAT:
            raise Unavailable(f"{ABOUT} has format {about['format']}, not {FORMAT}")
        return Encoder(graph, pieces, about)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise Unavailable(f"the encoder can't be read: {type(error).__name__}") from error
