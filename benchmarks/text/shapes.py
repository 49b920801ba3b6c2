"""Write the peers' shapes as int8 ONNX: random weights, a small vocabulary, exported as ours is.

    python -m benchmarks.text.shapes OUT        needs training/requirements.txt

Weights and vocabulary change what a model says and how large it is, not how long it takes.
``base`` is DeBERTa-v3-base (LLM Guard, PIGuard, Prompt Guard 2 86M), ``xsmall`` is DeBERTa-v3-xsmall
(Prompt Guard 2 22M).
"""

from __future__ import annotations

import sys
from pathlib import Path

SHAPES = {
    "base": {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
    },
    "xsmall": {
        "hidden_size": 384,
        "num_hidden_layers": 12,
        "num_attention_heads": 6,
        "intermediate_size": 1536,
    },
}
VOCABULARY = 2_000


def main() -> None:
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for name, shape in SHAPES.items():
        config = DebertaV2Config(
            vocab_size=VOCABULARY,
            max_position_embeddings=512,
            relative_attention=True,
            position_buckets=256,
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            pos_att_type=["p2c", "c2p"],
            type_vocab_size=0,
            position_biased_input=False,
            num_labels=2,
            **shape,
        )
        model = DebertaV2ForSequenceClassification(config).eval()
        ids = torch.randint(5, VOCABULARY, (1, 64))
        torch.onnx.export(
            model,
            (ids, torch.ones_like(ids)),
            out / f"{name}.plain.onnx",
            input_names=["ids", "mask"],
            output_names=["logits"],
            dynamic_axes={"ids": {0: "batch", 1: "length"}, "mask": {0: "batch", 1: "length"}},
            opset_version=17,
            dynamo=False,
        )
        quantize_dynamic(
            out / f"{name}.plain.onnx", out / f"{name}.onnx", weight_type=QuantType.QInt8, per_channel=True
        )
        (out / f"{name}.plain.onnx").unlink()
        print(name, (out / f"{name}.onnx").stat().st_size)


if __name__ == "__main__":
    main()
