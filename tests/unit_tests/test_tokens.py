"""Token counters never download, and say when they cannot count."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports import _tokens as tokens
from langchain_chatexports._tokens import has_encoding, token_counter, tokens_by_bytes
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    tokens._encoding_counter.cache_clear()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    yield tmp_path
    tokens._encoding_counter.cache_clear()


def test_bytes_take_lone_surrogates() -> None:
    assert token_counter("bytes")("\ud83d") == 1


def test_bytes_are_an_upper_bound_of_an_emoji() -> None:
    assert token_counter("bytes")("👍🏽") >= 2


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="words"):
        token_counter("words")


def test_a_missing_file_is_not_downloaded() -> None:
    assert not has_encoding("o200k_base")
    with pytest.raises(ChatExportError, match="is not downloaded here"):
        token_counter("o200k_base")


def test_a_damaged_file_is_neither_used_nor_deleted(cache: Path) -> None:
    file = cache / tokens._FILES["o200k_base"][0]
    file.write_bytes(b"cut off")
    with pytest.raises(ChatExportError):
        token_counter("o200k_base")
    assert file.read_bytes() == b"cut off"


def test_an_empty_cache_setting_means_that_tiktoken_would_download(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert not has_encoding("o200k_base")


def test_the_older_name_of_the_cache_setting_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(tmp_path / "older"))
    assert tokens._cache_folder() == tmp_path / "older"


def test_without_tiktoken_there_is_no_encoding(
    cache: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"as good as whole"
    name = tokens._FILES["o200k_base"][0]
    digest = hashlib.sha256(data).hexdigest()
    monkeypatch.setitem(tokens._FILES, "o200k_base", (name, digest))
    (cache / name).write_bytes(data)
    assert has_encoding("o200k_base")
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    assert not has_encoding("o200k_base")


def test_a_text_has_four_bytes_a_token_rounded_up() -> None:
    assert [tokens_by_bytes("x" * n) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]
    assert tokens_by_bytes("é" * 4) == 2


def test_file_names_are_those_of_tiktoken() -> None:
    for name, (file_name, _) in tokens._FILES.items():
        url = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
        assert (
            hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest() == file_name
        )
