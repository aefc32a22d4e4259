"""An export read in parts is the export."""

from __future__ import annotations

import warnings
from itertools import chain
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langchain_chatexports import (
    FolderFacebookMessengerChatLoader,
    IMessageChatLoader,
    MergeChatRuns,
    SingleFileFacebookMessengerChatLoader,
)
from langchain_chatexports.chat_loaders.base import inspect_loader
from langchain_chatexports.chat_loaders.shares import Share, add_summaries
from langchain_chatexports.chat_loaders.table import TableChatLoader
from langchain_chatexports.exceptions import ExportFormatError
from langchain_chatexports.samples import write_imessage, write_messenger
from langchain_chatexports.steps import ChunkSessions
from tests.unit_tests.builders.messenger import Export

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_chatexports.chat_loaders.base import ChatExportLoader

COUNTS = (1, 2, 3, 7, 50)


@pytest.fixture(scope="module")
def imessage(tmp_path_factory: pytest.TempPathFactory) -> IMessageChatLoader:
    return IMessageChatLoader(write_imessage(tmp_path_factory.mktemp("im") / "chat.db"))


@pytest.fixture(scope="module")
def messenger(
    tmp_path_factory: pytest.TempPathFactory,
) -> FolderFacebookMessengerChatLoader:
    folder = write_messenger(tmp_path_factory.mktemp("fb") / "export")
    return FolderFacebookMessengerChatLoader(folder)


@pytest.fixture(scope="module", params=["imessage", "messenger"])
def loader(request: pytest.FixtureRequest) -> ChatExportLoader:
    named: ChatExportLoader = request.getfixturevalue(request.param)
    return named


@pytest.fixture
def untidy(tmp_path: Path) -> FolderFacebookMessengerChatLoader:
    """An export with an unreadable file, a settings file and a left-out section."""
    export = Export()
    for number in range(5):
        thread = export.thread(f"inbox/friend{number}_{number}", ["Ann", f"F{number}"])
        for at in range(number + 1):
            thread.says(f"F{number}", f"word {at}", 1_600_000_000_000 + at * 1000)
            thread.says("Ann", f"answer {at}", 1_600_000_000_500 + at * 1000)
    export.thread("message_requests/x_9", ["Ann", "Spam"]).says(
        "Spam", "win", 1_600_000_000_000
    )
    export.file("your_facebook_activity/messages/autofill.json", {"a": 1})
    folder = export.to_folder(tmp_path / "untidy")
    broken = next(folder.rglob("friend2_2/message_1.json"))
    broken.write_bytes(broken.read_bytes()[:-20])
    return FolderFacebookMessengerChatLoader(folder)


@pytest.mark.parametrize("count", COUNTS)
def test_the_parts_give_the_sessions_of_the_whole(
    loader: ChatExportLoader, count: int
) -> None:
    assert list(chain.from_iterable(loader.shares(count))) == loader.load()


@pytest.mark.parametrize("count", COUNTS)
def test_the_counts_of_the_parts_add_up(loader: ChatExportLoader, count: int) -> None:
    parts = [part.inspect() for part in loader.shares(count)]

    assert add_summaries(parts) == loader.inspect()


@pytest.mark.parametrize("count", COUNTS)
def test_what_belongs_to_no_conversation_is_counted_once(
    untidy: FolderFacebookMessengerChatLoader, count: int
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = [part.inspect() for part in untidy.shares(count)]
        whole = untidy.inspect()

    assert whole.skipped["unreadable"] == 1
    assert add_summaries(parts) == whole


def test_each_bad_file_is_warned_of_once(
    untidy: FolderFacebookMessengerChatLoader,
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for part in untidy.shares(4):
            part.load()

    assert len(caught) == 1


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.filterwarnings("ignore:Left out")
def test_an_export_of_damaged_files_alone_is_an_error_of_a_part_too(
    count: int, untidy: FolderFacebookMessengerChatLoader
) -> None:
    for file in untidy.path.rglob("message_1.json"):
        file.write_bytes(file.read_bytes()[:-20])

    with pytest.raises(ExportFormatError, match="no Messenger thread that can be read"):
        list(chain.from_iterable(untidy.shares(count)))


def test_the_rows_of_the_steps_add_up(loader: ChatExportLoader) -> None:
    steps = (MergeChatRuns(), ChunkSessions(size=4, overlap=1))
    parts = [inspect_loader(part, steps) for part in loader.shares(3)]

    assert add_summaries(parts) == inspect_loader(loader, steps)


def test_the_parts_are_of_about_the_same_size(
    messenger: FolderFacebookMessengerChatLoader,
) -> None:
    kept = [part.inspect().kept for part in messenger.shares(2)]

    assert min(kept) > sum(kept) / 4


def test_a_part_of_a_part_is_not_cut_again(
    messenger: FolderFacebookMessengerChatLoader,
) -> None:
    first, _ = messenger.shares(2)

    assert first.shares(2) == [first]


def test_no_part_at_all_is_refused(loader: ChatExportLoader) -> None:
    with pytest.raises(ValueError, match="one part or more"):
        loader.shares(0)


def test_a_table_is_read_in_one_part(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text('{"conversation_id": "a", "text": "hi", "sender": "Ann"}\n')
    table = TableChatLoader(path)

    assert table.shares(4) == [table]


def test_a_thread_file_is_read_in_one_part(tmp_path: Path) -> None:
    single = SingleFileFacebookMessengerChatLoader(tmp_path / "message_1.json")

    assert single.shares(4) == [single]


def test_the_loader_itself_goes_on_reading_everything(
    loader: ChatExportLoader,
) -> None:
    before = loader.load()
    loader.shares(3)

    assert loader.load() == before


@given(st.lists(st.integers(0, 50)), st.integers(1, 9))
@example([1, 0], 2)
def test_each_conversation_is_in_one_part(weights: list[int], count: int) -> None:
    shared = [Share(index, count).of(weights) for index in range(count)]

    assert list(chain.from_iterable(shared)) == list(range(len(weights)))


def test_summaries_of_other_steps_are_not_added_up(loader: ChatExportLoader) -> None:
    with pytest.raises(ValueError, match="same steps"):
        add_summaries([loader.inspect(), inspect_loader(loader, [MergeChatRuns()])])


def test_no_summary_is_no_sum() -> None:
    with pytest.raises(ValueError, match="no summary"):
        add_summaries([])
