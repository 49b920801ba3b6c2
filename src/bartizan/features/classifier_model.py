"""Runs a classifier from a local folder: logits of one window of word pieces at a time.

One window is one batch, on one thread: quantised and padded batches would make the score of a
text depend on what it is judged with.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np

from bartizan.features.classifier_folder import GRAPH, PIECES, Folder, opened_folder
from bartizan.features.encoder import Window, starts
from bartizan.ports import Unavailable
from bartizan.types import FloatArray

EXTRA: Final = "safetensors need the extra: pip install 'bartizan[classifier]', or export to ONNX"
KNOWN: Final = frozenset({"input_ids", "attention_mask", "token_type_ids"})
"""Inputs that a graph may ask for."""
KINDS: Final = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}

Forward = Callable[[Sequence[int]], Any]

_LOADING = threading.Lock()


class Model:
    """A tokenizer and what reads its pieces.

    Args:
        folder: Where both are.

    Raises:
        Unavailable: They can't be loaded here.
    """

    def __init__(self, folder: Folder) -> None:
        self._labels = len(folder.labels)
        try:
            self._pieces = _tokenizer(folder)
            self._first, self._last = _frame(self._pieces)
            self._forward = _graph(folder) if folder.onnx else _network(folder)
        except Unavailable:
            raise
        except ImportError as error:
            raise Unavailable(EXTRA) from error
        except Exception as error:  # each library raises its own kinds
            raise Unavailable(f"the classifier can't be loaded: {type(error).__name__}") from error

    @property
    def frame(self) -> int:
        """How many pieces frame a window."""
        return len(self._first) + len(self._last)

    def windows(self, text: str, size: int, stride: int, most: int) -> list[Window]:
        """Return the windows that cover a text; one for a text without pieces.

        Raises:
            Unavailable: There would be more than ``most``.
        """
        coded = self._pieces.encode(text, add_special_tokens=False)
        ids, offsets = coded.ids, coded.offsets
        begins = starts(len(ids), size, stride)
        if len(begins) > most:
            raise Unavailable(f"{len(begins):,} windows, of which {most:,} are read")
        made = []
        for at in begins:
            where = offsets[at : at + size] or [(0, 0)]
            framed = (*self._first, *ids[at : at + size], *self._last)
            made.append(Window(framed, where[0][0], where[-1][1]))
        return made

    def logits(self, window: Window) -> FloatArray:
        """Return one finite logit per class.

        Raises:
            Unavailable: The model gave something else.
        """
        found = np.asarray(self._forward(window.ids), np.float64)
        if found.shape != (1, self._labels) or not np.isfinite(found).all():
            raise Unavailable(f"the classifier gave no {self._labels} finite logits")
        return np.asarray(found[0])


def model_of(folder: Folder) -> Model:
    """Return the model in a folder, loaded once.

    Raises:
        Unavailable: It can't be loaded, or is not what it was when the folder was opened.
    """
    with _LOADING:
        return _model(folder)


@lru_cache(maxsize=2)
def _model(folder: Folder) -> Model:
    made = Model(folder)
    if opened_folder(folder.path).digest != folder.digest:
        raise Unavailable("the classifier's files changed after it was configured")
    return made


def _tokenizer(folder: Folder) -> Any:
    from tokenizers import Tokenizer

    pieces = Tokenizer.from_file(str(folder.path / PIECES))
    pieces.no_padding()
    pieces.no_truncation()
    pieces.encode_special_tokens = True  # a text that spells out [SEP] must not end its window
    return pieces


def _frame(pieces: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the pieces that a tokenizer puts before and after a text."""
    probe = pieces.encode("a")
    own = [i for i, framing in enumerate(probe.special_tokens_mask) if not framing]
    if not own:
        raise Unavailable("the tokenizer makes no piece of a letter")
    return tuple(probe.ids[: own[0]]), tuple(probe.ids[own[-1] + 1 :])


def _graph(folder: Folder) -> Forward:
    """Return the forward pass of an ONNX graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(folder.path / GRAPH), options, providers=["CPUExecutionProvider"]
    )
    wanted = {given.name: KINDS.get(given.type) for given in session.get_inputs()}
    if not set(wanted) <= KNOWN or "input_ids" not in wanted or None in wanted.values():
        raise Unavailable(f"{GRAPH} asks for other inputs than {', '.join(sorted(KNOWN))}")
    names = [given.name for given in session.get_outputs()]
    logits = "logits" if "logits" in names else names[0]

    def forward(ids: Sequence[int]) -> Any:
        fixed = {"input_ids": ids, "attention_mask": [1] * len(ids), "token_type_ids": [0] * len(ids)}
        return session.run([logits], {name: np.array([fixed[name]], wanted[name]) for name in wanted})[0]

    return forward


def _network(folder: Folder) -> Forward:
    """Return the forward pass of a safetensors folder; needs PyTorch and transformers."""
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(1)
    network, report = AutoModelForSequenceClassification.from_pretrained(
        str(folder.path),
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        output_loading_info=True,
    )
    # What is not in the file would be drawn at random, such as the head of a model never fine-tuned.
    if report["missing_keys"] or report["mismatched_keys"]:
        raise Unavailable("the safetensors do not hold all of the classifier's weights")
    network = network.float().eval()

    def forward(ids: Sequence[int]) -> Any:
        with torch.inference_mode():
            given = torch.tensor([list(ids)])
            return network(input_ids=given, attention_mask=torch.ones_like(given)).logits.numpy()

    return forward
