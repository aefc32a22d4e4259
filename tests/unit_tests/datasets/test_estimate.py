from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import _tokens as tokens
from langchain_chatexports.datasets import estimate
from langchain_chatexports.datasets.estimate import automatic_epochs, estimate_training
from tests.unit_tests.builders.tuners import make_examples


@pytest.fixture(autouse=True)
def _no_tokenizer_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))


@pytest.mark.parametrize(
    ("examples", "epochs"),
    [
        (0, 3),
        (1, 25),
        (4, 25),
        (5, 20),
        (10, 10),
        (33, 3),
        (34, 3),
        (100, 3),
        (8333, 3),
        (8334, 2),
        (12501, 1),
        (30000, 1),
    ],
)
def test_automatic_epochs_follow_the_published_rule(examples: int, epochs: int) -> None:
    assert automatic_epochs(examples) == epochs


def test_without_the_tokenizers_file_bytes_are_counted_and_it_is_said() -> None:
    example = {"messages": [{"role": "user", "content": "x" * 40}]}
    counted = estimate_training([example], model="gpt-4o-mini", n_epochs=2)
    # 3 for the example, 3 for the message, 1 for `user`, 10 for 40 bytes.
    assert (counted.tokens, counted.billed_tokens, counted.exact) == (17, 34, False)
    assert counted.billed_tokens_at_most == 2 * (3 + 3 + 2 + 15)


def test_a_long_example_counts_up_to_the_limit() -> None:
    example = {"messages": [{"role": "user", "content": "x" * 1_000_000}]}
    assert estimate_training([example], model="tiny-1", n_epochs=1).tokens == 65_536


def test_names_tools_and_calls_count() -> None:
    def tokens(example: dict[str, Any]) -> int:
        return estimate_training([example], model="tiny-1").tokens

    plain = {"role": "user", "content": "Ready?"}
    base = tokens({"messages": [plain]})
    assert tokens({"messages": [{**plain, "name": "Hare"}]}) == base + 2
    assert tokens({"messages": [{**plain, "weight": 0}]}) == base
    assert tokens({"messages": [plain], "tools": [{"type": "function"}]}) > base
    assert tokens({"messages": [{**plain, "content": None}]}) < base


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4.1-mini-2025-04-14", "o200k_base"),
        ("ft:gpt-4.1-mini-2025-04-14:org::x", "o200k_base"),
        ("gpt-4o-mini", "o200k_base"),
        ("gpt-5", "o200k_base"),
        ("o4-mini", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("SmolLM2-135M-Instruct", None),
    ],
)
def test_each_model_has_its_encoding(
    model: str, encoding: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(estimate, "has_encoding", asked.append)
    estimate_training([], model=model)
    assert asked == ([] if encoding is None else [encoding])


def test_the_tokenizer_counts_exactly_where_its_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a tokenizer of our own in the file's place: one token a byte."""
    lines = b"\n".join(_base64(bytes([i])) + b" %d" % i for i in range(256))
    name, _ = tokens._FILES["o200k_base"]
    (tmp_path / name).write_bytes(lines)
    digest = hashlib.sha256(lines).hexdigest()
    monkeypatch.setitem(tokens._FILES, "o200k_base", (name, digest))
    monkeypatch.setattr(
        "tiktoken_ext.openai_public.load_tiktoken_bpe", _without_hash, raising=True
    )
    monkeypatch.setattr("tiktoken.registry.ENCODINGS", {})
    tokens._encoding_counter.cache_clear()
    example = {"messages": [{"role": "user", "content": "x" * 40}]}
    counted = estimate_training([example], model="gpt-4o", n_epochs=1)
    tokens._encoding_counter.cache_clear()
    assert (counted.tokens, counted.exact) == (3 + 3 + 4 + 40, True)
    assert counted.billed_tokens_at_most == counted.billed_tokens


def _base64(data: bytes) -> bytes:
    import base64

    return base64.b64encode(data)


def _without_hash(url: str, expected_hash: str | None = None) -> dict[bytes, int]:
    from tiktoken.load import load_tiktoken_bpe

    del expected_hash
    return load_tiktoken_bpe(url)


def test_a_damaged_file_is_not_used_and_nothing_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tiktoken would delete it and download another."""
    path = tmp_path / tokens._FILES["o200k_base"][0]
    path.write_bytes(b"damaged")

    def refuse(*_: Any) -> None:
        pytest.fail("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert not estimate_training(make_examples(10), model="gpt-4o").exact
    assert path.read_bytes() == b"damaged"
