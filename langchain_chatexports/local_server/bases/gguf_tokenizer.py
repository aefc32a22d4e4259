"""A tokenizer as the fields of a GGUF file.

llama.cpp has the regular expressions that split a text before byte pairs are merged
under names (`tokenizer.ggml.pre`); a tokenizer whose expression is none of these is
refused. Whether the two then agree is checked by tokenizing texts with both
(`gguf_check`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.bases.gguf_adapter import NoGGUFError

if TYPE_CHECKING:
    from gguf import GGUFWriter

__all__ = ["add_tokenizer", "restore_split"]

_SPACE = "\u2581"
"""What SentencePiece writes for a space."""

# The expressions of Qwen2 and Llama 3 differ in how many digits stay together.
_WORDS = (
    r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"
_EXPRESSIONS = {
    "qwen2": _CONTRACTIONS + _WORDS % "",
    "llama-bpe": _CONTRACTIONS + _WORDS % "{1,3}",
}
_SPLITS: dict[tuple[str, str | bool | None], str] = {
    **{("Split", text): name for name, text in _EXPRESSIONS.items()},
    ("Digits", True): "smollm",
    ("ByteLevel", True): "gpt-2",
}
# Tokens of merges come in the order of merging; what no merge makes is never merged.
_NO_MERGE = -1e9


def add_tokenizer(writer: GGUFWriter, tokenizer: Any, vocabulary_size: int) -> None:
    """Add a tokenizer and its chat template.

    Args:
        writer: The writer of the file.
        tokenizer: The tokenizer of transformers.
        vocabulary_size: The rows of the embedding, which may be more than the tokens.

    Raises:
        NoGGUFError: If it is of a kind that llama.cpp does not have.
    """
    from gguf import TokenType

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        msg = "its tokenizer has no tokenizer.json"
        raise NoGGUFError(msg)
    described = json.loads(backend.to_str())
    model = described["model"]
    if model["type"] != "BPE":
        msg = f"its tokenizer is of the kind {model['type']}, not BPE"
        raise NoGGUFError(msg)
    is_sentencepiece = bool(model.get("byte_fallback"))
    merges = [tuple(_pair(merge)) for merge in model["merges"]]
    tokens: list[str] = [f"[PAD{index}]" for index in range(vocabulary_size)]
    kinds = [int(TokenType.UNUSED)] * vocabulary_size
    for token, index in model["vocab"].items():
        tokens[index], kinds[index] = token, int(TokenType.NORMAL)
        if is_sentencepiece and _is_byte(token):
            kinds[index] = int(TokenType.BYTE)
    for added in described["added_tokens"]:
        index, text = added["id"], added["content"]
        kind = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
        tokens[index] = text.replace(_SPACE, " ") if is_sentencepiece else text
        kinds[index] = int(kind)
    if is_sentencepiece:
        writer.add_tokenizer_model("llama")
        scores = [_NO_MERGE] * vocabulary_size
        for rank, (left, right) in enumerate(merges):
            index = model["vocab"][left + right]
            # The same token can be merged from several pairs.
            scores[index] = max(scores[index], -float(rank))
        writer.add_token_scores(scores)
        writer.add_add_space_prefix(_adds_prefix(tokenizer))
        unknown = model["vocab"].get(model.get("unk_token"))
        if unknown is not None:
            kinds[unknown] = int(TokenType.UNKNOWN)
            writer.add_unk_token_id(unknown)
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_name_of_split(described["pre_tokenizer"]))
        writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    _add_special_tokens(writer, tokenizer)


def restore_split(tokenizer: Any, name: str) -> None:
    """Let a tokenizer that transformers read from a GGUF file split texts as it says.

    transformers ignores `tokenizer.ggml.pre` of most architectures, and then, for
    example, leaves a space and a digit together that the model never saw together.

    Args:
        tokenizer: The tokenizer, which is changed.
        name: The value of `tokenizer.ggml.pre`; an unknown one changes nothing.
    """
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split

    first: Any = None
    if name in _EXPRESSIONS:
        first = Split(Regex(_EXPRESSIONS[name]), behavior="isolated")
    elif name == "smollm":
        first = Digits(individual_digits=True)
    if first is not None:
        bytes_ = ByteLevel(add_prefix_space=False, use_regex=name == "smollm")
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence([first, bytes_])


def _add_special_tokens(writer: GGUFWriter, tokenizer: Any) -> None:
    begin, end, pad = (
        getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")
    )
    if begin is not None:
        writer.add_bos_token_id(begin)
    if end is not None:
        writer.add_eos_token_id(end)
    if pad is not None:
        writer.add_pad_token_id(pad)
    encoded = tokenizer("a")["input_ids"]
    writer.add_add_bos_token(begin is not None and encoded[0] == begin)
    writer.add_add_eos_token(end is not None and encoded[-1] == end)
    writer.add_chat_template(tokenizer.get_chat_template())


def _name_of_split(described: dict[str, Any] | None) -> str:
    parts = (described or {}).get("pretokenizers", [described])
    for part in filter(None, parts):
        kind = part["type"]
        value = {
            "Split": part.get("pattern", {}).get("Regex"),
            "Digits": part.get("individual_digits"),
            "ByteLevel": part.get("use_regex"),
        }.get(kind)
        if (kind, value) in _SPLITS:
            return _SPLITS[(kind, value)]
    msg = "its tokenizer splits texts by rules that are not among llama.cpp's"
    raise NoGGUFError(msg)


def _adds_prefix(tokenizer: Any) -> bool:
    pieces = tokenizer.convert_ids_to_tokens(
        tokenizer("a", add_special_tokens=False)["input_ids"]
    )
    return bool(pieces) and pieces[0].startswith(_SPACE)


def _pair(merge: str | list[str]) -> list[str]:
    return merge.split(" ") if isinstance(merge, str) else merge


def _is_byte(token: str) -> bool:
    return len(token) == len("<0x00>") and token.startswith("<0x") and token[-1] == ">"
