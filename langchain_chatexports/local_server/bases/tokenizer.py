"""The tokenizer and the context length of a base model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import LocalServerError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["load_tokenizer"]

_DEFAULT_CONTEXT = 2048


def load_tokenizer(directory: Path) -> tuple[Any, int]:
    """Return the tokenizer of a base, and its context length in tokens.

    Raises:
        LocalServerError: If it is damaged, or needs custom code.
    """
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
