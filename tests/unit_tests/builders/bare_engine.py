"""Log-likelihoods of the next token: by llama.cpp without the server, and by PEFT."""

import json
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from langchain_chatexports.local_server.bases.llama_cpp_server import keep_until_exit


class BareEngine:
    """A `.gguf` file in llama.cpp, with keys and values in float32."""

    def __init__(self, file: Path) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(file)
        params.n_ctx, params.n_parallel, params.warmup = 256, 1, False
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        exact = xllamacpp.ggml_type.GGML_TYPE_F32
        params.cache_type_k = params.cache_type_v = exact
        off = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.flash_attn_type = off
        self._server = xllamacpp.Server(params)
        keep_until_exit(self._server)

    def log_likelihoods(self, tokens: Sequence[int]) -> dict[int, float]:
        """Return those of the likeliest tokens; empty for parts of characters."""
        request = {
            "prompt": list(tokens),
            "n_predict": 1,
            "n_probs": 20,
            "temperature": 0,
            "ignore_eos": True,
            "cache_prompt": False,
        }
        answers: list[Any] = []
        self._server.handle_completions(json.dumps(request), answers.append)
        answer = answers[0] if isinstance(answers[0], dict) else json.loads(answers[0])
        found = answer["choices"][0]["logprobs"] or {"content": [{"top_logprobs": []}]}
        return {
            each["id"]: each["logprob"] for each in found["content"][0]["top_logprobs"]
        }


def log_likelihoods(
    base: Path, adapter: Path | None, tokens: Sequence[int], strength: float = 1.0
) -> Any:
    """Return the log-likelihoods of the next token by transformers and PEFT."""
    import torch
    from peft import PeftModel
    from peft.helpers import rescale_adapter_scale
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapter is not None:
        with warnings.catch_warnings():
            # PEFT uses an attribute that transformers deprecates.
            warnings.simplefilter("ignore", FutureWarning)
            model = PeftModel.from_pretrained(model, adapter)
    scaled = rescale_adapter_scale(model, strength) if adapter else nullcontext()
    with torch.inference_mode(), scaled:
        logits = model(input_ids=torch.tensor([[*tokens]])).logits[0, -1]
    return torch.log_softmax(logits, dim=-1)
