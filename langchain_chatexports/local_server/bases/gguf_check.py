"""Checks that llama.cpp with a GGUF file answers like transformers.

Runs in a child process, because damaged files can end the process of llama.cpp.
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
    Matrix,
    NoGGUFError,
    match_matrices,
    write_gguf_adapter,
)
from langchain_chatexports.local_server.bases.gguf_header import read_header
from langchain_chatexports.local_server.bases.llama_cpp_server import (
    client_options,
    open_server,
)
from langchain_chatexports.local_server.bases.weights import adapted_layers, load_base
from langchain_chatexports.local_server.storage.models import save_adapter

if TYPE_CHECKING:
    import httpx

_CONTEXT = 64

_SYSTEM = {"role": "system", "content": "Be brief: 1, 2."}
_USER = {"role": "user", "content": " Ready for the race?\n"}
_ASSISTANT = {"role": "assistant", "content": "Slow and steady — ja!  "}
# Texts that tokenizers split differently, in Unicode's form NFC: llama.cpp does not
# normalize, unlike some tokenizers of transformers.
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

# In nats. Rounding of weights and activations alone is a few hundredths of a nat.
_MAX_DIFFERENCE = 0.02
# As a share of the adapter's effect: 0.04 with the default base, and 0.40 if the rows
# of two matrices are swapped.
_MAX_RATIO = 0.25
_RANK = 8
_SEED = 5
_STRENGTH = 0.15
_LIKELIEST = 20
_MAX_FLOAT32_BYTES = 3_000_000_000


def check_gguf(file: Path, directory: Path) -> dict[str, Matrix]:
    """Compare a file with its base: tokens, chats, weights and answers.

    Returns the base's matrices in the file. A difference raises a `NoGGUFError`.
    """
    tokenizer, _ = load_tokenizer(directory)
    try:
        template = ChatTemplate(tokenizer)
    except TemplateError as error:
        raise NoGGUFError(str(error)) from error
    header = read_header(file)
    matrices = match_matrices(directory, header)
    with tempfile.TemporaryDirectory() as folder:
        model = _with_random_adapter(directory, Path(folder))
        adapter = write_gguf_adapter(Path(folder), header, matrices)
        with _server(file, adapter, template) as client:
            _compare_chats(template, client)
            prompts = [template.prompt_ids(chat) for chat in _CHATS[:3]]
            _compare_answers(model, client, prompts)
    return matrices


@contextmanager
def _server(
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
    exact = xllamacpp.ggml_type.GGML_TYPE_F32
    params.cache_type_k = params.cache_type_v = exact
    off = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.flash_attn_type = off
    try:
        with open_server(params) as address:
            key = params.api_keys[0]
            options = client_options(httpx.HTTPTransport, address, key)
            with httpx.Client(**options) as client:
                yield client
    except RuntimeError as error:
        msg = "llama.cpp cannot load it"
        raise NoGGUFError(msg) from error


def _compare_chats(template: ChatTemplate, client: Any) -> None:
    """Compare the prompts of chats, and their tokens."""
    for number, chat in enumerate(_CHATS):
        body = {"messages": template.as_rendered(chat)}
        prompt = client.post("/apply-template", json=body).json().get("prompt", "")
        text = {"content": prompt, "add_special": True, "parse_special": True}
        tokens = client.post("/tokenize", json=text).json()["tokens"]
        if list(tokens) != template.prompt_ids(chat):
            msg = f"llama.cpp renders the chat {number} differently"
            raise NoGGUFError(msg)


def _with_random_adapter(directory: Path, folder: Path) -> Any:
    """Return the base with a random adapter, and save the adapter."""
    import torch
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import LoraLayer

    # In float32, a large base needs twice the memory of its training.
    size = sum(file.stat().st_size for file in directory.glob("*.safetensors"))
    dtype = "float32" if size < _MAX_FLOAT32_BYTES else "bfloat16"
    model = load_base(directory, "cpu", dtype).eval()
    config = LoraConfig(
        r=_RANK,
        lora_alpha=_RANK,
        target_modules=adapted_layers(model),
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(_SEED)
    tuned = get_peft_model(model, config).eval()
    for layer in tuned.modules():
        if isinstance(layer, LoraLayer):
            # Its initial zeros would have no effect.
            down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
            torch.nn.init.normal_(up)
            strength = layer.get_base_layer().weight.norm() / (up @ down).norm()
            up.data *= _STRENGTH * strength
    save_adapter(tuned, folder)
    return tuned


def _compare_answers(
    model: Any, client: "httpx.Client", prompts: Sequence[Sequence[int]]
) -> None:
    """Compare the likelihoods of the next tokens with the adapter."""
    import torch

    found_by: list[float] = []
    tuned_by: list[float] = []
    plain_by: list[float] = []
    for prompt in prompts:
        found = _likeliest(client, prompt)
        tokens = torch.tensor([list(prompt)])
        with torch.inference_mode():
            tuned = torch.log_softmax(model(input_ids=tokens).logits[0, -1], dim=-1)
            with model.disable_adapter():
                plain = torch.log_softmax(model(input_ids=tokens).logits[0, -1], dim=-1)
        found_by += found.values()
        tuned_by += tuned[list(found)].tolist()
        plain_by += plain[list(found)].tolist()
    if not found_by:
        msg = "llama.cpp returns no log-probabilities"
        raise NoGGUFError(msg)
    difference, effect = math.dist(found_by, tuned_by), math.dist(tuned_by, plain_by)
    most = max(_MAX_DIFFERENCE * math.sqrt(len(found_by)), _MAX_RATIO * effect)
    if not difference <= most:
        nats = difference / math.sqrt(len(found_by))
        msg = f"its answers with an adapter are {nats:.2f} nats from transformers'"
        raise NoGGUFError(msg)


def _likeliest(client: "httpx.Client", prompt: Sequence[int]) -> dict[int, float]:
    body = {
        "prompt": list(prompt),
        "n_predict": 1,
        "n_probs": _LIKELIEST,
        "temperature": 0,
        "ignore_eos": True,
        "cache_prompt": False,
    }
    answer = client.post("/completion", json=body).json()
    # There are no likelihoods if the likeliest token is a part of a character.
    return {
        each["id"]: each["logprob"]
        for token in answer.get("completion_probabilities", ())
        for each in token["top_logprobs"]
    }
