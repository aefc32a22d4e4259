"""The tokenizer, the chat template and the context length of a base model."""

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.chat_template import ChatTemplate
from langchain_chatexports.local_server.bases.derived_template import TemplateError
from langchain_chatexports.local_server.storage.data_directory import read_json

_DEFAULT_CONTEXT = 2048


class ChatTokenizer:
    """A base's tokenizer and chat template, loaded on first use."""

    def __init__(self, directory: Path) -> None:
        """Initialize with the base in transformers' format."""
        self._directory = directory
        self._loading = threading.Lock()
        self._tokenizer: Any = None
        self._template: ChatTemplate | None = None
        self._template_error: TemplateError | None = None
        self._context = 0

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of transformers."""
        self._load()
        return self._tokenizer

    @property
    def template(self) -> ChatTemplate:
        """The base's chat template."""
        self._load()
        if self._template is None:  # pragma: no cover - loading sets it or raises.
            raise RuntimeError
        return self._template

    @property
    def context(self) -> int:
        """The context length in tokens."""
        self._load()
        return self._context

    @property
    def end_tokens(self) -> set[int]:
        """The tokens that end an answer, of template and tokenizer."""
        ends = (self.template.end_of_turn, self._tokenizer.eos_token_id)
        return {token for token in ends if token is not None}

    def _load(self) -> None:
        with self._loading:
            if self._template is not None:
                return
            if self._template_error is not None:
                raise self._template_error
            self._tokenizer, self._context = load_tokenizer(self._directory)
            try:
                self._template = ChatTemplate(self._tokenizer)
            except TemplateError as error:
                # Trying again could take as long as a template may take to render.
                self._template_error = error
                raise


def load_tokenizer(directory: Path) -> tuple[Any, int]:
    """Return the tokenizer of a base, and its context length in tokens."""
    quick = _load_generic_tokenizer(directory)
    if quick is not None:
        return quick
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


def _load_generic_tokenizer(directory: Path) -> tuple[Any, int] | None:
    """Load the tokenizer of a Llama whose class says no more than its files do.

    `AutoTokenizer` would return the same object, and import torch and most of
    transformers for it: five CPU seconds, and 300 MB in a server that needs neither.
    The default base and each `.gguf` file of a Llama have such a tokenizer once they
    are converted.
    """
    config = read_json(directory / "config.json") or {}
    about = read_json(directory / "tokenizer_config.json") or {}
    context: Any = config.get("max_position_embeddings")
    is_generic = (
        config.get("model_type") == "llama"
        and about.get("tokenizer_class") == "TokenizersBackend"
        and "auto_map" not in about
        and isinstance(context, int)
    )
    if not is_generic:
        return None
    from transformers import TokenizersBackend

    # Where it cannot be read, `AutoTokenizer` says why.
    with suppress(Exception):
        return TokenizersBackend.from_pretrained(
            directory, local_files_only=True
        ), context
    return None
