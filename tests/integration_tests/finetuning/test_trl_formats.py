"""TRL's functions accept the sets that are written for it."""

import warnings
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.datasets.write import write_dataset
from tests.unit_tests.builders.dialogues import dialogue
from tests.unit_tests.builders.tiny_base import tiny_tokenizer

pytest.importorskip("trl")
datasets = pytest.importorskip("datasets")


@pytest.fixture(scope="module")
def data_utils() -> Any:
    with warnings.catch_warnings():
        # Deprecation warnings of other packages, at import.
        warnings.simplefilter("ignore")
        from trl import data_utils
    return data_utils


def _load(tmp_path: Path, records: Any, name: Any) -> Any:
    path = tmp_path / "set.jsonl"
    write_dataset(records, path, format=name)
    return datasets.load_dataset(
        "json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
    )


@pytest.mark.parametrize("name", ["openai", "trl-prompt-completion"])
def test_trl_accepts_the_rows(tmp_path: Path, data_utils: Any, name: Any) -> None:
    for row in _load(tmp_path, [dialogue("suaua")], name):
        assert data_utils.is_conversational(row)
        assert data_utils.apply_chat_template(row, tiny_tokenizer())


def test_completion_follows_the_prompt(tmp_path: Path, data_utils: Any) -> None:
    rows = _load(tmp_path, [dialogue("suauaa")], "trl-prompt-completion")
    tokenizer = tiny_tokenizer()
    texts = [data_utils.apply_chat_template(row, tokenizer) for row in rows]
    assert [text["completion"] for text in texts] == [
        "a2<|im_end|>\n",
        "a4<|im_end|>\n<|im_start|>assistant\na5<|im_end|>\n",
    ]
    assert texts[0]["prompt"].endswith("u1<|im_end|>\n<|im_start|>assistant\n")


def test_prompt_may_end_with_context(tmp_path: Path, data_utils: Any) -> None:
    (row,) = _load(tmp_path, [dialogue("uca")], "trl-prompt-completion")
    text = data_utils.apply_chat_template(row, tiny_tokenizer())
    assert "c1" in text["prompt"]
    assert "a2" in text["completion"]
    assert "c1" not in text["completion"]
