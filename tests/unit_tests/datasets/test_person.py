"""The person to imitate is found while an export is read, in one pass."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.recognition import open_exports
from langchain_chatexports.datasets.person import MissedNamesError
from langchain_chatexports.report import build_report
from langchain_chatexports.samples import write_discord, write_telegram
from langchain_chatexports.workflows.preparation import Preparation, PrepareOptions
from langchain_chatexports.workflows.prepare import read_examples
from tests.unit_tests.builders.discord import ANN, BO, DiscordChannel

ANNIE = {**ANN, "nickname": "Annie"}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often each file of an export is opened."""
    counts: Counter[str] = Counter()
    original = ExportFile.open

    @contextmanager
    def counted_open(file: ExportFile) -> Iterator[IO[bytes]]:
        counts[file.label] += 1
        with original(file) as stream:
            yield stream

    monkeypatch.setattr(ExportFile, "open", counted_open)
    return counts


@pytest.mark.parametrize("write", [write_discord, write_telegram])
def test_choosing_a_person_reads_no_file_again(
    tmp_path: Path, opened: Counter[str], write: Callable[[Path], Path]
) -> None:
    path = write(tmp_path / "export")
    open_exports([path])[0].loader.load()
    needed = opened.copy()
    opened.clear()
    preparation = Preparation([path], PrepareOptions(ai=("tortoise",)))
    assert list(preparation.iter_examples([]))
    assert opened == needed
    opened.clear()
    report = build_report(open_exports([path])[0].loader, ai="tortoise")
    assert [person.name for person in report.people if person.is_ai] == ["Tortoise"]
    assert opened == needed


def write_channels(folder: Path) -> Path:
    """Write two channels; in the second, Ann has another nickname."""
    for number, person in enumerate((ANN, ANNIE)):
        channel = DiscordChannel(channel_id=str(number))
        for text in ("one", "two", "three", "four"):
            channel.says(BO, f"{text}?")
            channel.says(person, f"{text}.")
        channel.write(folder / f"{number}.json")
    return folder


@pytest.mark.parametrize("person", ["ann", "Annie", "11", "@ann.ode"])
def test_person_has_all_nicknames(tmp_path: Path, person: str) -> None:
    path = write_channels(tmp_path)
    options = PrepareOptions(ai=(person,), size=4, overlap=0)
    preparation, examples = read_examples([path], options)
    roles = Counter(m["role"] for e in examples for m in e.example["messages"])
    assert roles["assistant"] == 8
    assert preparation.exports_without_ai() == []


def test_late_name_is_an_error_with_all_names(tmp_path: Path) -> None:
    """The first channel has passed when the second shows that Annie is Ann."""
    path = write_channels(tmp_path)
    preparation = Preparation([path], PrepareOptions(ai=("Annie",), size=4, overlap=0))
    with pytest.raises(MissedNamesError) as caught:
        list(preparation.iter_examples([]))
    assert caught.value.names == ("Ann", "Annie")
