"""An export read in parts is the export."""

from __future__ import annotations

import pickle
import shutil
import warnings
from datetime import date
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from langchain_chatexports import (
    FolderFacebookMessengerChatLoader,
    IMessageChatLoader,
    MergeChatRuns,
    SingleFileFacebookMessengerChatLoader,
)
from langchain_chatexports.chat_loaders.base import inspect_loader
from langchain_chatexports.chat_loaders.imessage.queries import Queries
from langchain_chatexports.chat_loaders.shares import Share, add_summaries
from langchain_chatexports.chat_loaders.table import TableChatLoader
from langchain_chatexports.exceptions import ExportFormatError
from langchain_chatexports.samples import write_imessage, write_messenger
from langchain_chatexports.steps import ChunkSessions
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.messenger import Export

if TYPE_CHECKING:
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


def test_a_snapshot_is_the_loader_also_in_parts(loader: ChatExportLoader) -> None:
    with loader.snapshot() as snapshot:
        sent = pickle.loads(pickle.dumps(snapshot))  # noqa: S301 - Ours.
        parts = sent.shares(3)

        assert sent.load() == loader.load()
        assert sent.inspect() == loader.inspect()
        assert list(chain.from_iterable(parts)) == loader.load()
        assert add_summaries(part.inspect() for part in parts) == loader.inspect()


def test_a_snapshot_of_a_database_is_surveyed_once(
    imessage: IMessageChatLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    with imessage.snapshot() as snapshot:
        monkeypatch.delattr(Queries, "survey")

        assert snapshot.stamp() == imessage.stamp()
        assert snapshot.inspect().sessions == 10
        with pytest.raises(AttributeError, match="survey"):
            imessage.load()


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


def test_a_conversation_is_in_the_part_that_its_middle_is_in() -> None:
    def parts(*weights: int) -> list[list[int]]:
        return [list(Share(index, 2).of(weights)) for index in range(2)]

    assert parts(1, 1, 1, 1) == [[0, 1], [2, 3]]
    assert parts(3, 1, 1) == [[0], [1, 2]]
    assert parts(1, 1, 3) == [[0, 1], [2]]


def test_summaries_of_other_steps_are_not_added_up(loader: ChatExportLoader) -> None:
    with pytest.raises(ValueError, match="same steps"):
        add_summaries([loader.inspect(), inspect_loader(loader, [MergeChatRuns()])])


def test_no_summary_is_no_sum() -> None:
    with pytest.raises(ValueError, match="no summary"):
        add_summaries([])


HARE, DORMOUSE = "+15550001", "+15550002"
CHATS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    ((HARE,), {}),
    ((HARE,), {"service": "SMS"}),
    ((HARE, DORMOUSE), {"name": "Tea"}),
    ((DORMOUSE,), {"listed": False}),
    ((), {}),  # Messages that are in no chat.
)
MESSAGES = st.lists(
    st.tuples(
        st.integers(0, len(CHATS) - 1),
        st.booleans(),
        st.sampled_from(["hi", "", None]),
        st.sampled_from([None, 1_600_000_000, 1_700_000_000]),
    ),
    max_size=25,
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "include": st.sampled_from(["Tea", HARE]),
        "exclude": st.sampled_from(["Tea", HARE, DORMOUSE]),
        "start": st.just(date(2021, 1, 1)),
        "end": st.just(date(2021, 1, 1)),
        "include_media": st.booleans(),
    },
)


@settings(max_examples=25, deadline=None)
@given(MESSAGES, FILTERS, st.booleans(), st.booleans(), st.integers(2, 6))
def test_any_database_with_any_filter_is_its_parts(
    messages: list[tuple[int, bool, str | None, int | None]],
    filters: dict[str, Any],
    include_orphans: bool,
    merge_services: bool,
    count: int,
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "chat.db"
        with ChatDb(path) as db:
            chats = [db.chat(*who, **how) if who else None for who, how in CHATS]
            for number, mine, text, at in messages:
                chat = chats[number]
                if chat is None:
                    db.message(text, handle_id=1)
                else:
                    chat.message(text, mine=mine, at=at)
        loader = IMessageChatLoader(
            path,
            include_orphans=include_orphans,
            merge_services=merge_services,
            **filters,
        )
        _assert_is_its_parts(loader, count)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.booleans()), max_size=25),
    st.sets(st.integers(0, 4)),
    st.booleans(),
    st.integers(2, 6),
)
@pytest.mark.filterwarnings("ignore:Left out")
def test_any_messenger_export_is_its_parts(
    messages: list[tuple[int, bool, bool]],
    damaged: set[int],
    as_zip: bool,
    count: int,
) -> None:
    sections = ("inbox", "archived_threads", "message_requests", "e2ee_cutover", "x")
    export = Export()
    threads = [
        export.thread(f"{section}/friend_{number}", ["Ann", f"F{number}"])
        for number, section in enumerate(sections)
    ]
    for at, (number, mine, is_empty) in enumerate(messages):
        sender = "Ann" if mine else f"F{number}"
        text = None if is_empty else f"word {at}"
        threads[number].says(sender, text, 1_600_000_000_000 + 1000 * at)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "export"
        export.to_folder(path)
        for number in damaged:
            for file in path.rglob(f"friend_{number}/message_1.json"):
                file.write_bytes(b"{")
        if as_zip:
            path = Path(shutil.make_archive(folder + "/zipped", "zip", path))
        loader = FolderFacebookMessengerChatLoader(path, start=date(2020, 1, 1))
        _assert_is_its_parts(loader, count)


def _assert_is_its_parts(loader: ChatExportLoader, count: int) -> None:
    parts = loader.shares(count)
    try:
        whole = loader.inspect()
    except ExportFormatError:
        with pytest.raises(ExportFormatError):
            list(chain.from_iterable(parts))
        return
    assert add_summaries([part.inspect() for part in parts]) == whole
    assert list(chain.from_iterable(parts)) == loader.load()
