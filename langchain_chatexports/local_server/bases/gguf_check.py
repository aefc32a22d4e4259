"""Whether llama.cpp reads a GGUF file, and its texts as transformers does.

It runs in a child process: some damage to a file makes llama.cpp end its process.
"""

# ruff: noqa: RUF001 - punctuation of other scripts is what is tested.

from pathlib import Path
from typing import Any

from langchain_chatexports.local_server.bases.chat_template import ChatTemplate
from langchain_chatexports.local_server.bases.derived_template import TemplateError
from langchain_chatexports.local_server.bases.gguf_adapter import NoGGUFError
from langchain_chatexports.local_server.bases.llama_cpp_server import (
    http_options,
    open_server,
    transport_options,
)
from langchain_chatexports.local_server.bases.template_messages import MessageError
from langchain_chatexports.local_server.bases.tokenizer import load_tokenizer

__all__ = ["AWKWARD_TEXTS", "check_gguf"]

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
"""Texts that tokenizers split in different ways. All are in Unicode's form NFC or have
no other: llama.cpp does not normalize, as some tokenizers of transformers do."""

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


def check_gguf(file: Path, directory: Path) -> None:
    """Load a file in this process, and compare its tokens with transformers'.

    Args:
        file: The GGUF file.
        directory: The same base in transformers' format.

    Raises:
        NoGGUFError: If llama.cpp does not load it, or tokens of texts or chats differ.
    """
    import httpx
    import xllamacpp

    tokenizer, _ = load_tokenizer(directory)
    try:
        template = ChatTemplate(tokenizer)
    except TemplateError as error:
        raise NoGGUFError(str(error)) from error
    params = xllamacpp.CommonParams()
    params.model.path = str(file.absolute())
    params.n_ctx, params.n_parallel, params.warmup = _CONTEXT, 1, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.check_tensors = True
    params.chat_template = template.source
    params.prefill_assistant = False
    try:
        with open_server(params) as address:
            transport = httpx.HTTPTransport(**transport_options(address))
            options = http_options(address, params.api_keys[0])
            with httpx.Client(transport=transport, **options) as client:
                _compare_texts(tokenizer, client)
                _compare_chats(template, client)
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
                msg = f"llama.cpp splits the text {number} into other tokens"
                raise NoGGUFError(msg)
    written = tokenizer(_RARE, add_special_tokens=False)["input_ids"]
    response = client.post("/detokenize", json={"tokens": list(written)}).json()
    # Some tokenizers put a space before a text, which is not a part of it.
    if response["content"].lstrip(" ") != _RARE:
        msg = "llama.cpp does not write characters that are several tokens"
        raise NoGGUFError(msg)


def _compare_chats(template: ChatTemplate, client: Any) -> None:
    for number, chat in enumerate(_CHATS):
        try:
            ours = template.prompt_ids(chat)
        except MessageError:
            # It is refused before llama.cpp sees it.
            continue
        body = {"messages": template.as_rendered(chat)}
        prompt = client.post("/apply-template", json=body).json().get("prompt", "")
        if _tokens(client, prompt, add_special=True) != ours:
            msg = f"llama.cpp renders the chat {number} in another way"
            raise NoGGUFError(msg)


def _tokens(client: Any, text: str, *, add_special: bool) -> list[int]:
    body = {"content": text, "add_special": add_special, "parse_special": True}
    return list(client.post("/tokenize", json=body).json()["tokens"])
