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
    MessageError,
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

AWKWARD_TEXTS = (
    "Slow and steady wins the race, said the tortoise.",
    "I'VE it's we'Re don't 'twas o'clock y'all’s",
    "0 12 345 6789 1234567890 3.14 1,000,000 2026-11-20T07:08:09Z ½ ² Ⅷ",
    "a  b   c    d\te\t\tf\n\ng\r\nh \n i\n\n\n\n  j   ",
    "\u00a0no\u2009break\u200bzero\u3000wide ",
    "Größe, naïve, façade, Übermut, Ærø, Łódź, İstanbul, ẞ",
    "Привет, как дела? Ещё раз: съешь же этих мягких булок.",
    "Καλημέρα κόσμε — τι κάνεις;",
    "مرحبا بالعالم، كيف حالك؟ ١٢٣",
    "שלום עולם, מה שלומך?",
    "नमस्ते दुनिया, क्षत्रिय १२३",
    "สวัสดีชาวโลก วันนี้อากาศดี",
    "សួស្តីពិភពលោក កាន់តែពិសេស",
    "你好，世界！今天天气怎么样？「是的」",
    "こんにちは世界。カタカナ、ひらがな、漢字。",
    "안녕하세요 세계, 잘 지내세요?",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪🇫🇷 ❤️ 🤷‍♀️!!! :-) ¯\\_(ツ)_/¯",
    "https://example.com/a?b=c&d=%20#e me@example.org #tag @name $5 €6 100%",
    "def f(x):\n    return {'a': [x**2, -1e-5]}  # ok\n\n\n<b>&amp;</b>",
    '------======= ......!!!!!!?????? ```````"""" ((([[[{{{',
    "x\u0327\u0301 \u00c5 \ufb01 \U0001d4d0 \u2581 ▁▁ \ufffd",
    "",
    " ",
    "\n",
)
"""Texts that tokenizers split differently. All are in Unicode's form NFC or have only
one form, because llama.cpp does not normalize, unlike some tokenizers of
transformers."""

# Most tokenizers have no tokens for these, only for their bytes.
_RARE = "\U00013000\U0001f994\U0001f422\u1e9e"
_CONTEXT = 64

_SYSTEM = {"role": "system", "content": "Be brief: 1, 2."}
_USER = {"role": "user", "content": " Ready for the race?\n"}
_ASSISTANT = {"role": "assistant", "content": "Slow and steady — ja!  "}
_CHATS = (
    [_USER],
    [_SYSTEM, _USER],
    [_USER, _ASSISTANT, _USER],
    [_SYSTEM, _USER, _ASSISTANT, _USER, _ASSISTANT, _USER],
    [_ASSISTANT, _USER],
    [_USER, _USER, _ASSISTANT, _ASSISTANT, {"role": "user", "content": ""}],
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
# Weights in float32 need twice the memory of their files, which are mapped, too.
_FLOAT32_MEMORY = 4


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
        adapter = write_gguf_adapter(Path(folder), header, matrices, "check")
        with _server(file, adapter, template) as client:
            _compare_texts(tokenizer, client)
            _compare_chats(template, client)
            _compare_answers(
                model, client, [template.prompt_ids(c) for c in _CHATS[:3]]
            )
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


def _compare_texts(tokenizer: Any, client: Any) -> None:
    specials = "".join(sorted(tokenizer.all_special_tokens))
    for number, text in enumerate((*AWKWARD_TEXTS, specials)):
        for is_whole in (True, False):
            theirs = _tokens(client, text, add_special=is_whole)
            ours = list(tokenizer(text, add_special_tokens=is_whole)["input_ids"])
            if theirs != ours:
                msg = f"llama.cpp splits the text {number} into different tokens"
                raise NoGGUFError(msg)
    written = tokenizer(_RARE, add_special_tokens=False)["input_ids"]
    response = client.post("/detokenize", json={"tokens": list(written)}).json()
    # Some tokenizers add a space before a text.
    if response["content"].lstrip(" ") != _RARE:
        msg = "llama.cpp does not write characters that are several tokens"
        raise NoGGUFError(msg)


def _compare_chats(template: ChatTemplate, client: Any) -> None:
    for number, chat in enumerate(_CHATS):
        try:
            ours = template.prompt_ids(chat)
        except MessageError:
            # Refused before it is sent to llama.cpp.
            continue
        body = {"messages": template.as_rendered(chat)}
        prompt = client.post("/apply-template", json=body).json().get("prompt", "")
        if _tokens(client, prompt, add_special=True) != ours:
            msg = f"llama.cpp renders the chat {number} differently"
            raise NoGGUFError(msg)


def _tokens(client: Any, text: str, *, add_special: bool) -> list[int]:
    body = {"content": text, "add_special": add_special, "parse_special": True}
    return list(client.post("/tokenize", json=body).json()["tokens"])


def _with_random_adapter(directory: Path, folder: Path) -> Any:
    """Return the base with a random adapter, and save the adapter."""
    import psutil
    import torch
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import LoraLayer

    size = sum(file.stat().st_size for file in directory.glob("*.safetensors"))
    is_large = _FLOAT32_MEMORY * size > psutil.virtual_memory().available
    dtype = "bfloat16" if is_large else "float32"
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
