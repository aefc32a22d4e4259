"""The tokenizer of a generic class is `AutoTokenizer`'s, loaded without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from transformers import AutoTokenizer

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

_TEXT = "Ready?\n\n<|im_start|>Größe ✨ 東京<|im_end|>"
_LOAD = """
import sys
from pathlib import Path
from langchain_chatexports.local_server.bases.tokenizer import load_tokenizer
load_tokenizer(Path(sys.argv[1]))
assert "torch" not in sys.modules
"""


def test_it_is_the_one_that_transformers_chooses(tiny_base: Path) -> None:
    ours, context = load_tokenizer(tiny_base)
    theirs = AutoTokenizer.from_pretrained(tiny_base, local_files_only=True)
    assert type(ours) is type(theirs)
    assert ours.backend_tokenizer.to_str() == theirs.backend_tokenizer.to_str()
    assert ours.init_kwargs == theirs.init_kwargs
    assert ours.chat_template == theirs.chat_template
    assert ours.special_tokens_map == theirs.special_tokens_map
    assert ours(_TEXT)["input_ids"] == theirs(_TEXT)["input_ids"]
    assert context == 512


def test_it_is_loaded_without_torch(tiny_base: Path) -> None:
    subprocess.run(  # noqa: S603 - our own interpreter and package.
        [sys.executable, "-c", _LOAD, str(tiny_base)], check=True
    )


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("config.json", {"model_type": "qwen2"}),
        ("tokenizer_config.json", {"tokenizer_class": "Qwen2Tokenizer"}),
    ],
)
def test_transformers_chooses_every_other(
    tiny_base: Path, tmp_path: Path, file: str, changes: dict[str, str]
) -> None:
    base = shutil.copytree(tiny_base, tmp_path / "base")
    about = json.loads((base / file).read_text())
    (base / file).write_text(json.dumps({**about, **changes}))
    ours, _ = load_tokenizer(base)
    theirs = AutoTokenizer.from_pretrained(base)
    assert type(ours).__name__ == type(theirs).__name__ == "Qwen2Tokenizer"


def test_a_damaged_one_is_an_error(tiny_base: Path, tmp_path: Path) -> None:
    base = shutil.copytree(tiny_base, tmp_path / "base")
    (base / "tokenizer.json").write_text("{}")
    with pytest.raises(LocalServerError, match="damaged"):
        load_tokenizer(base)
