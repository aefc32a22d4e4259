"""What both loaders give, leave out, count and refuse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from langchain_core.messages import HumanMessage

from langchain_chatexports import (
    FolderFacebookMessengerChatLoader,
    SingleFileFacebookMessengerChatLoader,
)
from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.messenger import (
    FACEBOOK,
    Export,
    Thread,
    message,
    meta_json,
)
from tests.unit_tests.builders.sessions import metadata_of

NOON = 1_700_000_000_000  # 2023-11-14 22:13:20 UTC
PHOTO = {"photos": [{"uri": "a/1.jpg"}]}
LoaderClass: TypeAlias = (
    type[FolderFacebookMessengerChatLoader]
    | type[SingleFileFacebookMessengerChatLoader]
)
LOADERS = [FolderFacebookMessengerChatLoader, SingleFileFacebookMessengerChatLoader]


@pytest.fixture
def chat(export: Export) -> Thread:
    chat = export.thread("Ada_1", ["Ada Byron", "Grace Hopper"])
    return chat.says("Ada Byron", "first words", NOON)


@pytest.fixture
def inspect(export: Export, tmp_path: Path) -> Callable[..., Any]:
    def inspect(**options: Any) -> ExportSummary:
        folder = export.to_folder(tmp_path / "x")
        return FolderFacebookMessengerChatLoader(folder, **options).inspect()

    return inspect


@pytest.fixture
def texts(export: Export, tmp_path: Path) -> Callable[..., Any]:
    def texts(**options: Any) -> list[Any]:
        folder = export.to_folder(tmp_path / "x")
        sessions = FolderFacebookMessengerChatLoader(folder, **options).load()
        return [m.content for session in sessions for m in session["messages"]]

    return texts


class TestSession:
    def test_a_session_is_what_the_design_says(
        self, export: Export, chat: Thread, tmp_path: Path
    ) -> None:
        chat.says(
            "Grace Hopper",
            "Ça va? 😂",
            NOON + 1_500,
            reactions=[{"reaction": "❤", "actor": "Ada Byron"}],
            **PHOTO,
        )
        folder = export.to_folder(tmp_path / "x")
        assert FolderFacebookMessengerChatLoader(folder).load() == [
            {
                "messages": [
                    HumanMessage(
                        "first words",
                        additional_kwargs={
                            "message_time": 1_700_000_000,
                            "sender": "Ada Byron",
                            "is_from_me": False,
                            "events": [{"message_time": "2023-11-14T22:13:20+00:00"}],
                        },
                        id="ac44bba37212-60a24181e4000",
                    ),
                    HumanMessage(
                        "Ça va? 😂",
                        additional_kwargs={
                            "message_time": 1_700_000_001,
                            "sender": "Grace Hopper",
                            "is_from_me": True,
                            "events": [
                                {"message_time": "2023-11-14T22:13:21.500000+00:00"}
                            ],
                            "attachments": [{"type": "photo", "uri": "a/1.jpg"}],
                            "reactions": [{"reaction": "❤", "sender": "Ada Byron"}],
                        },
                        id="ac44bba37212-60a2418352360",
                    ),
                ],
                "metadata": {
                    "id": "ada_1",
                    "title": "Ada Byron",
                    "platform": "facebook_messenger",
                    "participants": ["Ada Byron", "Grace Hopper"],
                    "owner": "Grace Hopper",
                    "is_group": False,
                },
            }
        ]


class TestLeftOut:
    @pytest.mark.parametrize(
        ("keys", "reason", "shown"),
        [
            ({"content": "secret", "is_unsent": True}, "unsent", "secret"),
            ({"content": "Rang.", "call_duration": 5}, "system", "Rang."),
            ({"content": "Ada left the group."}, "system", None),
            ({"content": "Liked a message"}, "reaction", None),
            (PHOTO, "media", "[photo]"),
            ({"content": "Ada sent an attachment."}, "media", "[attachment]"),
            (
                {"content": "Ada sent a link.", "share": {"link": "https://x.org"}},
                "media",
                "[link]",
            ),
        ],
    )
    def test_what_nobody_typed_is_left_out_and_can_be_asked_for(
        self,
        chat: Thread,
        inspect: Callable[..., Any],
        texts: Callable[..., Any],
        keys: dict[str, Any],
        reason: str,
        shown: str | None,
    ) -> None:
        chat.messages.append(
            {"sender_name": "Ada Byron", "timestamp_ms": NOON + 1} | keys
        )
        assert texts() == ["first words"]
        assert inspect().skipped == {reason: 1}
        assert texts(keep=reason) == ["first words", shown or keys["content"]]
        assert not inspect(keep=reason).skipped

    def test_a_link_alone_is_a_message(
        self, chat: Thread, texts: Callable[..., Any]
    ) -> None:
        share = {"link": "https://x.org/1"}
        for number in range(3):
            chat.says("Ada Byron", "https://x.org/1", NOON + 1 + number, share=share)
        assert len(texts()) == 4


class TestBadInput:
    def test_a_media_part_alone_is_an_error_that_asks_for_the_others(
        self, tmp_path: Path
    ) -> None:
        export = Export().file(f"{FACEBOOK}/inbox/ada_1/photos/1.jpg", b"\xff\xd8")
        for path in export.to_folder_and_zip(tmp_path / "x"):
            with pytest.raises(ExportFormatError, match=r"all into one folder"):
                FolderFacebookMessengerChatLoader(path).load()

    def test_an_export_in_html_is_an_error_that_asks_for_json(
        self, tmp_path: Path
    ) -> None:
        page = b"<html><body>hi</body></html>"
        export = Export().file(f"{FACEBOOK}/inbox/ada_1/message_1.html", page)
        folder = export.to_folder(tmp_path / "x")
        page_path = folder / FACEBOOK / "inbox" / "ada_1" / "message_1.html"
        for loader in (
            FolderFacebookMessengerChatLoader(folder),
            FolderFacebookMessengerChatLoader(export.to_zip(tmp_path / "x.zip")),
            FolderFacebookMessengerChatLoader(page_path),
            SingleFileFacebookMessengerChatLoader(page_path),
        ):
            with pytest.raises(ExportFormatError, match=r"HTML.*format set to JSON"):
                loader.load()

    @pytest.mark.parametrize("loader_class", LOADERS)
    @pytest.mark.parametrize("name", ["message_1.json", "Ada_1.json"])
    @pytest.mark.usefixtures("export")
    def test_a_named_file_that_is_cut_off_is_an_error(
        self, chat: Thread, tmp_path: Path, loader_class: LoaderClass, name: str
    ) -> None:
        (data,) = chat.files().values()
        path = tmp_path / name
        path.write_bytes(data[:-5])
        with pytest.raises(ExportFormatError, match=name):
            loader_class(path).load()

    @pytest.mark.usefixtures("chat")
    def test_a_corrupt_file_beside_good_ones_is_warned_about(
        self, export: Export, inspect: Callable[..., Any]
    ) -> None:
        export.file(f"{FACEBOOK}/inbox/bob_1/message_1.json", b'{"messages": [{"se')
        with pytest.warns(UserWarning, match=r"bob_1.message_1\.json"):
            summary = inspect(owner="Grace Hopper")
        assert summary.kept == 1
        assert summary.skipped == {"unreadable": 1}

    @pytest.mark.parametrize("kind", ["folder", "zip"])
    @pytest.mark.usefixtures("chat")
    def test_a_single_file_loader_is_told_of_folders_and_zips(
        self, export: Export, tmp_path: Path, kind: str
    ) -> None:
        write = export.to_folder if kind == "folder" else export.to_zip
        path = write(tmp_path / f"x.{kind}")
        with pytest.raises(ExportFormatError, match="FolderFacebookMessenger"):
            SingleFileFacebookMessengerChatLoader(path).load()


def test_a_group_of_the_tutorials_kind_loads_as_it_is(tmp_path: Path) -> None:
    """The sample of LangChain's tutorial: oldest first, ASCII, odd titles and paths."""
    people = ["Harry Potter", "Ron Weasley"]
    for folder, file, friend in (
        ("RonWeasley", "messages_Harry_Potter.json", "Ron Weasley"),
        ("draco", "messages_Draco.json", "Draco"),
    ):
        content = {
            "participants": [{"name": "Harry Potter"}, {"name": friend}],
            "messages": [
                message(people[n % 2] if friend == people[1] else friend, str(n), 5)
                for n in range(10)
            ],
            "title": "Harry Potter",
            "is_still_participant": True,
            "thread_path": f"inbox/{folder}/",
            "magic_words": [],
        }
        path = tmp_path / "hogwarts" / "inbox" / folder / file
        path.parent.mkdir(parents=True)
        path.write_bytes(meta_json(content))
    loader = FolderFacebookMessengerChatLoader(path=tmp_path / "hogwarts")
    sessions = loader.load()
    assert [metadata_of(s)["id"] for s in sessions] == [
        "ronweasley/messages_harry_potter.json",
        "draco/messages_draco.json",
    ]
    assert [m.content for m in sessions[0]["messages"]] == list("0123456789")
    assert loader.inspect().owner == "Harry Potter"
