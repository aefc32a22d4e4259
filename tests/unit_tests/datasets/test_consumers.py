"""The library datasets loads the written sets."""

from pathlib import Path

import pytest

from langchain_chatexports.datasets.formats import FormatName
from langchain_chatexports.datasets.splits import ExampleSplits, split_examples
from langchain_chatexports.datasets.trace import trace_examples
from langchain_chatexports.datasets.write import write_dataset
from langchain_chatexports.steps import MapAIMessages
from tests.unit_tests.builders.conversations import daily_conversations

datasets = pytest.importorskip("datasets")

COLUMNS = {
    "openai": ["messages"],
    "trl-prompt-completion": ["prompt", "completion"],
}


@pytest.fixture(scope="module")
def splits() -> ExampleSplits:
    sessions = daily_conversations()
    sessions[0]["messages"][0].content = "好的 😀"
    traced = trace_examples(MapAIMessages().invoke(sessions), system="To {others}.")
    return split_examples(traced)


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_datasets_loads_every_format(
    tmp_path: Path, splits: ExampleSplits, name: FormatName
) -> None:
    written = write_dataset(splits, tmp_path / "set", format=name)
    files = [str(tmp_path / "set" / file) for file in written.files]
    loaded = datasets.load_dataset(
        "json",
        data_files=files,
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    assert loaded.column_names == COLUMNS[name]
    assert loaded.num_rows == sum(written.files.values())


def test_datasets_loads_parts_of_folder(tmp_path: Path, splits: ExampleSplits) -> None:
    write_dataset(splits, tmp_path / "set", format="openai")
    loaded = datasets.load_dataset(
        str(tmp_path / "set"), cache_dir=str(tmp_path / "cache")
    )
    sizes = {name: part.num_rows for name, part in loaded.items()}
    assert sizes == {name: len(part) for name, part in splits.non_empty().items()}
