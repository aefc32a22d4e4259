"""The tokenizer, the chat template and the context length of a base model."""

from functools import cached_property
from pathlib import Path
from typing import Any

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.chat_template import (
    ChatTemplate,
    Vocabulary,
)
from langchain_chatexports.local_server.bases.gguf_header import GGUFHeader
from langchain_chatexports.local_server.bases.preparation import (
    complete_base,
    gguf_header_of,
)

_DEFAULT_CONTEXT = 2048
_CONTROL = 3
"""llama.cpp's type of control tokens."""


class ChatTokenizer:
    """A base's tokenizer and chat template, loaded on first use.

    The template and context of a `.gguf` file are known without the tokenizer.
    """

    def __init__(self, directory: Path) -> None:
        """Initialize with the base's directory."""
        self._directory = directory
        self._header = gguf_header_of(directory)

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of transformers."""
        return self._loaded[0]

    @property
    def context(self) -> int:
        """The context length in tokens."""
        if self._header is None:
            return self._loaded[1]
        return self._header.dimension("context_length")

    @cached_property
    def template(self) -> ChatTemplate:
        """The base's chat template."""
        if self._header is None:
            return ChatTemplate(self.tokenizer)
        return ChatTemplate(lambda: self.tokenizer, _vocabulary_of(self._header))

    @property
    def end_tokens(self) -> set[int]:
        """The tokens that end an answer, from template and tokenizer."""
        end = self.template.derived.end_token
        ends = (self.tokenizer.convert_tokens_to_ids(end), self.tokenizer.eos_token_id)
        return {token for token in ends if token is not None}

    @cached_property
    def _loaded(self) -> tuple[Any, int]:
        return load_tokenizer(self._directory)


def load_tokenizer(directory: Path) -> tuple[Any, int]:
    """Return the tokenizer of a base, and its context length in tokens."""
    complete_base(directory)
    from transformers import AutoConfig, AutoTokenizer

    # By default transformers asks on standard input whether to trust remote code.
    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(directory, **options)
        longest = getattr(config.get_text_config(), "max_position_embeddings", None)
        tokenizer = AutoTokenizer.from_pretrained(directory, **options)
        return tokenizer, int(longest or _DEFAULT_CONTEXT)
    except Exception as error:
        msg = (
            f"The base model in {directory} cannot be used ({type(error).__name__}): "
            "its config.json or tokenizer is damaged or of a kind that transformers "
            "does not know, or needs code of its own, which is never run."
        )
        raise LocalServerError(msg) from error


def _vocabulary_of(header: GGUFHeader) -> Vocabulary:
    tokens = header.values("tokenizer.ggml.tokens")
    kinds = header.values("tokenizer.ggml.token_type")
    special = {}
    for name, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown")):
        token = header.fields.get(f"tokenizer.ggml.{key}_token_id")
        if isinstance(token, int) and 0 <= token < len(tokens):
            special[f"{name}_token"] = tokens[token]
    control = {
        token for token, kind in zip(tokens, kinds, strict=False) if kind == _CONTROL
    }
    return Vocabulary(
        template=header.fields.get("tokenizer.chat_template"),
        special_tokens=special,
        control_tokens=sorted({*control, *special.values()} - {""}),
    )
