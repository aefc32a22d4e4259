"""What the quantization of weights costs, in bits per byte of held-out answers.

```
python -m benchmarks.quantization                    # ten minutes
```

The default base is tuned on two thirds of the Tortoise's conversations
(`samples.write_imessage`), and merged. Weights of both are then replaced by what each
type of GGUF keeps of them (`gguf.quants`, as `export-model --gguf` and `serve` write
them), and the Tortoise's turns in the other third are scored in float32. llama.cpp
rounds activations, too, which is not measured here.

The default base's own weights come from a file in Q4_1, so for the base, Q4_1 costs
less than it would for another model; the merged weights are not on its grid.
The table of the last run is in `docs/local_server.md`.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from gguf import MODEL_ARCH, get_tensor_name_map, quants
from langchain_chatexports.local_server.bases.gguf_conversion import (
    QUANTIZATIONS,
    tensor_type,
)

from benchmarks.held_out_loss import FOLDS, as_session, sessions_of, train
from langchain_chatexports import ChunkSessions, LocalServer, to_training_examples
from langchain_chatexports.local_server import export_model
from langchain_chatexports.local_server.bases.chat_template import ChatTemplate
from langchain_chatexports.local_server.bases.description import describe_base
from langchain_chatexports.local_server.bases.preparation import prepare_base
from langchain_chatexports.local_server.bases.tokenizer import load_tokenizer
from langchain_chatexports.local_server.bases.weights import load_base

if TYPE_CHECKING:
    from collections.abc import Sequence


def bits_per_byte(model: Any, template: ChatTemplate, chats: Sequence[Any]) -> float:
    """Return the bits per byte of the assistant's messages."""
    nll = size = 0.0
    for chat in chats:
        tokens, spans = template.answer_spans(chat["messages"])
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([tokens])).logits[0]
            losses = torch.nn.functional.cross_entropy(
                logits[:-1].float(), torch.tensor(tokens[1:]), reduction="none"
            )
        for span in spans:
            nll += float(losses[span.start - 1 : span.end + span.has_end - 1].sum())
            size += span.size_bytes + 1
    return nll / math.log(2) / size


def quantized(weights: dict[str, Any], layers: int, kind: str) -> dict[str, Any]:
    """Return what a type of GGUF keeps of weights."""
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, layers)
    kept = {}
    for key, values in weights.items():
        name = names.get_name(key, try_suffixes=(".weight",)) or key
        chosen = tensor_type(name, tuple(values.shape), "BF16", kind)
        plain = values.float().numpy()
        stored = quants.dequantize(quants.quantize(plain, chosen), chosen)
        kept[key] = torch.from_numpy(stored.reshape(plain.shape).copy())
    return kept


def main() -> None:
    """Print a table of bits per byte and sizes."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        examples = list(to_training_examples(sessions_of("Tortoise", root)))
        held_out = examples[::FOLDS]
        learned = [
            as_session(e["messages"]) for at, e in enumerate(examples) if at % FOLDS
        ]
        windows = list(to_training_examples(ChunkSessions().invoke(learned)))
        with LocalServer(data_dir=root / "data") as server:
            name = train(server, windows)
        merged = export_model(name, root / "merged", data_dir=root / "data")
        base = prepare_base(describe_base(None))
        print("| type | base | tuned and merged | size |")
        print("| --- | --- | --- | --- |")
        tables = {path: _measure(path, held_out) for path in (base, merged)}
        for kind in QUANTIZATIONS:
            (plain, size), (tuned, _) = (tables[path][kind] for path in (base, merged))
            print(f"| `{kind}` | {plain:.4f} | {tuned:.4f} | {size / 1e6:.0f} MB |")


def _measure(directory: Path, held_out: Sequence[Any]) -> dict[str, Any]:
    tokenizer, _ = load_tokenizer(directory)
    template = ChatTemplate(tokenizer)
    model = load_base(directory, "cpu", "float32").eval()
    layers = json.loads((directory / "config.json").read_text())["num_hidden_layers"]
    weights = {k: v.clone() for k, v in model.named_parameters()}
    table = {}
    for kind in QUANTIZATIONS:
        kept = quantized({k: v.detach() for k, v in weights.items()}, layers, kind)
        model.load_state_dict(kept, strict=False)
        table[kind] = (bits_per_byte(model, template, held_out), _size(weights, kind))
        sys.stderr.write(f"{directory.name} {kind} {table[kind]}\n")
    return table


def _size(weights: dict[str, Any], kind: str) -> int:
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, 1000)
    total = 0
    for key, values in weights.items():
        name = names.get_name(key, try_suffixes=(".weight",)) or key
        chosen = tensor_type(name, tuple(values.shape), "BF16", kind)
        total += math.prod(quants.quant_shape_to_byte_shape(values.shape, chosen))
    return total


if __name__ == "__main__":
    main()
