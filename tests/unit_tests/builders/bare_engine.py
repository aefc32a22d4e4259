"""llama.cpp itself, without the server: what a GGUF file says to given tokens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports.local_server.bases.llama_cpp_server import keep_until_exit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["BareEngine", "NextToken"]


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
