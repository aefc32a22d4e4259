"""What comes after given tokens: by llama.cpp without the server, and by PEFT."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from langchain_chatexports.local_server.bases.llama_cpp_server import keep_until_exit


class NextToken(NamedTuple):
    """The likeliest next token, and the log-likelihoods of the likeliest ones."""

    token: int
    log_likelihoods: dict[int, float]


class BareEngine:
    """A base, with at most one adapter, as exact as llama.cpp can be."""

    def __init__(self, base: Path, adapter: Path | None = None) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(base)
        params.n_ctx, params.n_parallel, params.warmup = 256, 1, False
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        # By default, keys and values are kept in float16.
        exact = xllamacpp.ggml_type.GGML_TYPE_F32
        params.cache_type_k = params.cache_type_v = exact
        off = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.flash_attn_type = off
        if adapter is not None:
            loaded = xllamacpp.CommonAdapterLoraInfo()
            loaded.path, loaded.scale = str(adapter), 1.0
            params.lora_adapters = [loaded]
        self._server = xllamacpp.Server(params)
        keep_until_exit(self._server)

    def next_token(
        self, tokens: Sequence[int], *, scale: float = 1.0
    ) -> NextToken | None:
        """Return what comes after some tokens; `None` for a part of a character."""
        answers: list[Any] = []
        request = {
            "prompt": list(tokens),
            "n_predict": 1,
            "n_probs": 20,
            "temperature": 0,
            "ignore_eos": True,
            "cache_prompt": False,
            "lora": [{"id": 0, "scale": scale}],
        }
        self._server.handle_completions(json.dumps(request), answers.append)
        answer = answers[0] if isinstance(answers[0], dict) else json.loads(answers[0])
        if answer["choices"][0]["logprobs"] is None:
            return None
        (content,) = answer["choices"][0]["logprobs"]["content"]
        likely = {entry["id"]: entry["logprob"] for entry in content["top_logprobs"]}
        return NextToken(content["id"], likely)


def log_likelihoods(base: Path, adapter: Path | None, tokens: Sequence[int]) -> Any:
    """Return what transformers and PEFT say of the next token."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapter is not None:
        with warnings.catch_warnings():
            # PEFT uses an attribute that transformers deprecates.
            warnings.simplefilter("ignore", FutureWarning)
            model = PeftModel.from_pretrained(model, adapter)
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[*tokens]])).logits[0, -1]
    return torch.log_softmax(logits, dim=-1)
