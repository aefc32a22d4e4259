"""Compare llama.cpp's outputs from a GGUF file with those of transformers.

It runs in a child process, because a damaged file can crash llama.cpp.
"""

# ruff: noqa: RUF001 - tests punctuation of other scripts

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.bases.chat_template import (
    ChatTemplate,
    load_tokenizer,
)
from langchain_chatexports.local_server.bases.derived_template import TemplateError
from langchain_chatexports.local_server.bases.gguf_adapter import (
    GGUFNotSupportedError,
    Matrix,
    match_matrices,
    write_gguf_adapter,
)
from langchain_chatexports.local_server.bases.gguf_header import read_header
from langchain_chatexports.local_server.bases.llama_cpp_server import (
    client_options,
    open_server,
)
from langchain_chatexports.local_server.bases.weights import (
    find_adapted_layers,
    load_base,
)
from langchain_chatexports.local_server.storage.models import save_adapter

if TYPE_CHECKING:
    import httpx

_CONTEXT = 64

_SYSTEM = {"role": "system", "content": "Be brief: 1, 2."}
_USER = {"role": "user", "content": " Ready for the race?\n"}
_ASSISTANT = {"role": "assistant", "content": "Slow and steady — ja!  "}
# Text that tokenizers split differently, in Unicode's NFC: llama.cpp does not
# normalize, unlike some transformers tokenizers.
_SCRIPTS = {
    "role": "user",
    "content": "I'VE 'twas y'all’s 0 12 345 6789 3.14 1,000,000 ½ Größe, naïve, ẞ "
    "Привет, как дела? Καλημέρα κόσμε مرحبا ١٢٣ שלום नमस्ते क्षत्रिय १२३ สวัสดีชาวโลก "
    "សួស្តី 你好，世界！「是的」 こんにちは、カタカナ 안녕하세요 "
    "👩‍👩‍👧‍👦 👍🏽 🇩🇪 ¯\\_(ツ)_/¯ https://example.com/a?b=c&d=%20 \U00013000\U0001f994",
}
_SPACES = {
    "role": "assistant",
    "content": "a  b   c    d\te\t\tf\n\ng\r\nh \n i\n\n\n\n  j\u00a0no\u200bzero\u3000"
    "def f(x):\n    return {'a': [x**2]}\n\n\n<b>&amp;</b>------====!!!!!!???",
}
_CHATS = (
    [_USER],
    [_SYSTEM, _USER],
    [_USER, _ASSISTANT, _USER],
    [_SYSTEM, _USER, _SPACES, _SCRIPTS, _ASSISTANT, _USER],
    [_ASSISTANT, _USER],
    [_USER, _SCRIPTS, _ASSISTANT, _SPACES, {"role": "user", "content": ""}],
)

# In nats. Rounding of weights and activations alone causes a few hundredths of a nat.
_MAX_DIFFERENCE = 0.02
# Maximum difference relative to the adapter's effect: 0.04 with the default base, and
# 0.40 if the rows of two matrices are swapped.
_MAX_RATIO = 0.25
_RANK = 8
_SEED = 5
_STRENGTH = 0.15
_TOP_TOKENS = 20
_MAX_FLOAT32_BYTES = 3_000_000_000


def check_gguf(file: Path, directory: Path) -> dict[str, Matrix]:
    """Compare a file with its base: tokens, chats, weights and outputs.

    Returns the base's matrices in the file. Raises a `GGUFNotSupportedError` if they
    differ.
    """
    tokenizer, _ = load_tokenizer(directory)
    try:
        template = ChatTemplate(tokenizer)
    except TemplateError as error:
        raise GGUFNotSupportedError(str(error)) from error
    header = read_header(file)
    matrices = match_matrices(directory, header)
    with tempfile.TemporaryDirectory() as folder:
        model = _with_random_adapter(directory, Path(folder))
        adapter = write_gguf_adapter(Path(folder), header, matrices)
        with _open_server(file, adapter, template) as client:
            _compare_prompts(template, client)
            prompts = [template.prompt_ids(chat) for chat in _CHATS[:3]]
            _compare_logprobs(model, client, prompts)
    return matrices


@contextmanager
def _open_server(
    file: Path, adapter: Path, template: ChatTemplate
) -> "Iterator[httpx.Client]":
    import httpx
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(file.absolute())
    params.n_ctx, params.n_parallel, params.warmup = _CONTEXT, 1, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.check_tensors = True
    params.chat_template = template.source
    params.prefill_assistant = False
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    # By default, keys and values are stored in float16.
    float32 = xllamacpp.ggml_type.GGML_TYPE_F32
    params.cache_type_k = params.cache_type_v = float32
    disabled = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.flash_attn_type = disabled
    try:
        with open_server(params) as address:
            key = params.api_keys[0]
            options = client_options(httpx.HTTPTransport, address, key)
            with httpx.Client(**options) as client:
                yield client
    except RuntimeError as error:
        msg = "llama.cpp cannot load it"
        raise GGUFNotSupportedError(msg) from error


def _compare_prompts(template: ChatTemplate, client: Any) -> None:
    """Compare the rendered prompts and their tokens."""
    for index, chat in enumerate(_CHATS):
        body = {"messages": template.prepare_messages(chat)}
        prompt = client.post("/apply-template", json=body).json().get("prompt", "")
        text = {"content": prompt, "add_special": True, "parse_special": True}
        tokens = client.post("/tokenize", json=text).json()["tokens"]
        if list(tokens) != template.prompt_ids(chat):
            msg = f"llama.cpp renders chat {index} differently"
            raise GGUFNotSupportedError(msg)


def _with_random_adapter(directory: Path, folder: Path) -> Any:
    """Load the base with a random adapter, and save the adapter."""
    import torch
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import LoraLayer

    # In float32, a large base would need twice as much memory as its training.
    size = sum(file.stat().st_size for file in directory.glob("*.safetensors"))
    dtype = "float32" if size < _MAX_FLOAT32_BYTES else "bfloat16"
    model = load_base(directory, "cpu", dtype).eval()
    config = LoraConfig(
        r=_RANK,
        lora_alpha=_RANK,
        target_modules=find_adapted_layers(model),
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(_SEED)
    tuned = get_peft_model(model, config).eval()
    for layer in tuned.modules():
        if isinstance(layer, LoraLayer):
            # The initial zeros have no effect.
            down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
            torch.nn.init.normal_(up)
            strength = layer.get_base_layer().weight.norm() / (up @ down).norm()
            up.data *= _STRENGTH * strength
    save_adapter(tuned, folder)
    return tuned


def _compare_logprobs(
    model: Any, client: "httpx.Client", prompts: Sequence[Sequence[int]]
) -> None:
    """Compare the log-probabilities of the next tokens with the adapter."""
    import torch

    llama_cpp_values: list[float] = []
    tuned_values: list[float] = []
    base_values: list[float] = []
    for prompt in prompts:
        logprobs = _top_logprobs(client, prompt)
        tokens = torch.tensor([list(prompt)])
        with torch.inference_mode():
            tuned = torch.log_softmax(model(input_ids=tokens).logits[0, -1], dim=-1)
            with model.disable_adapter():
                base = torch.log_softmax(model(input_ids=tokens).logits[0, -1], dim=-1)
        llama_cpp_values += logprobs.values()
        tuned_values += tuned[list(logprobs)].tolist()
        base_values += base[list(logprobs)].tolist()
    if not llama_cpp_values:
        msg = "llama.cpp returns no log-probabilities"
        raise GGUFNotSupportedError(msg)
    difference, effect = (
        math.dist(llama_cpp_values, tuned_values),
        math.dist(tuned_values, base_values),
    )
    limit = max(_MAX_DIFFERENCE * math.sqrt(len(llama_cpp_values)), _MAX_RATIO * effect)
    if not difference <= limit:
        nats = difference / math.sqrt(len(llama_cpp_values))
        msg = (
            f"its outputs with an adapter differ from transformers' by {nats:.2f} nats"
        )
        raise GGUFNotSupportedError(msg)


def _top_logprobs(client: "httpx.Client", prompt: Sequence[int]) -> dict[int, float]:
    body = {
        "prompt": list(prompt),
        "n_predict": 1,
        "n_probs": _TOP_TOKENS,
        "temperature": 0,
        "ignore_eos": True,
        "cache_prompt": False,
    }
    response = client.post("/completion", json=body).json()
    # A token that is only part of a character has no log-probabilities.
    return {
        candidate["id"]: candidate["logprob"]
        for token in response.get("completion_probabilities", ())
        for candidate in token["top_logprobs"]
    }
