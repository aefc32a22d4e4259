"""Nothing is left out of an export silently: records, files, ends of files."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports import (
    DiscordChatLoader,
    FolderFacebookMessengerChatLoader,
    SignalChatLoader,
    SlackChatLoader,
    TelegramChatLoader,
    WhatsAppChatLoader,
)
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.table import TableChatLoader
from tests.unit_tests.builders.discord import ANN, DiscordChannel, author
from tests.unit_tests.builders.messenger import Export, message, meta_json
from tests.unit_tests.builders.sessions import texts
from tests.unit_tests.builders.signal import SignalExport
from tests.unit_tests.builders.slack import workspace
from tests.unit_tests.builders.tables import write_csv
from tests.unit_tests.builders.telegram import (
    USER,
    Page,
    Person,
    TelegramChat,
    account_text,
    text_block,
)
from tests.unit_tests.builders.whatsapp import WhatsAppChat

NOON = 1_700_000_000_000


def loaded(loader: ChatExportLoader) -> list[str]:
    return [text for session in loader.load() for text in texts(session)]


def read_with_warning(loader: ChatExportLoader, match: str) -> tuple[list[str], Any]:
    with pytest.warns(UserWarning, match=match):
        found = loaded(loader)
    with pytest.warns(UserWarning, match=match):
        return found, loader.inspect().details


@pytest.mark.parametrize("column", ["conversation", "sender"])
def test_id_column_may_be_of_something_else(tmp_path: Path, column: str) -> None:
    rows = [
        {"conversation": "race", "sender": "Hare" if n % 2 else "Fox", "text": text}
        for n, text in enumerate(["Yes", "No", "Yes", "Go", "Yes", "No", "Go"])
    ]
    table = [{**row, "id": row[column]} for row in rows]
    summary = TableChatLoader(write_csv(tmp_path / "desk.csv", table)).inspect()
    assert (summary.found, summary.kept) == (7, 7)


@pytest.mark.parametrize("name", ["2024-05-01 (1)", "2024-05-01(2)", "2024-05-01 2"])
def test_copies_of_slack_days_are_read(tmp_path: Path, name: str) -> None:
    export, general = workspace()
    first = general.says("U1", "one")
    second = {**first, "text": "two", "ts": "1714550499.000100"}
    export.others = {f"general/{name}.json": json.dumps([first, second])}
    loader = SlackChatLoader(export.to_folder(tmp_path))
    assert loaded(loader) == ["one", "two"]
    assert loader.inspect().skipped == {"duplicate": 1}


def test_unknown_file_beside_slack_days_is_reported(tmp_path: Path) -> None:
    export, general = workspace()
    general.says("U1", "one")
    export.others = {"general/2024-05-01_old.json": "[]", "integration_logs.json": ""}
    loader = SlackChatLoader(export.to_folder(tmp_path))
    found, details = read_with_warning(loader, "1 file beside the chats.*_old.json")
    assert (found, details["ignored_files"]) == (["one"], 1)


@pytest.mark.parametrize("missing", [1, 2])
def test_missing_messenger_file_is_reported(tmp_path: Path, missing: int) -> None:
    folder = tmp_path / "inbox" / "ada_1"
    folder.mkdir(parents=True)
    for number in {1, 2, 3} - {missing}:
        people = [{"name": "Ada"}, {"name": "Grace"}]
        messages = [message("Ada", str(number), NOON - number)]
        thread = {"participants": people, "messages": messages}
        (folder / f"message_{number}.json").write_bytes(meta_json(thread))
    loader = FolderFacebookMessengerChatLoader(tmp_path, owner="Grace")
    found, details = read_with_warning(loader, f"1 file is missing: {missing}")
    assert (len(found), details["missing_files"]) == (2, 1)


def test_missing_telegram_page_is_reported(tmp_path: Path) -> None:
    for number in ("", 3):
        page = Page()
        page.says("Bo", text_block(f"page {number}"), number=int(number or 1))
        page.write(tmp_path / f"messages{number}.html")
    loader = TelegramChatLoader(tmp_path, timezone="UTC")
    found, details = read_with_warning(loader, "1 file is missing: 2")
    assert (found, details["missing_files"]) == (["page", "page 3"], 1)


def test_cut_discord_file_is_reported(tmp_path: Path) -> None:
    channel = DiscordChannel()
    for text in ("one", "two", "three"):
        channel.says(ANN, text)
    path = tmp_path / "general.json"
    text = channel.text()
    path.write_text(text[: text.index('"three"')])
    found, details = read_with_warning(DiscordChatLoader(path), "is truncated")
    assert (found, details["cut_files"]) == (["one", "two"], 1)


def test_cut_signal_file_is_reported(tmp_path: Path) -> None:
    export = SignalExport()
    hare = export.contact("Hare")
    chat = export.chat(hare)
    chat.says(hare, "one")
    chat.says(hare, "two")
    path = export.write(tmp_path / "main.jsonl")
    path.write_text(path.read_text()[:-40])
    found, details = read_with_warning(SignalChatLoader(path), "is truncated")
    assert (found, details["cut_files"]) == (["one"], 1)


def test_comments_on_shares_are_kept(tmp_path: Path) -> None:
    """Messenger's own sentence names its sender; people repeat themselves, too."""
    texts_on_shares = ["So true!", "So true!", "Ada sendis ion.", "Ada sendis ion."]
    messages = [
        message("Ada Byron", text, NOON + n, share={"link": f"https://x.org/{n}"})
        for n, text in enumerate(texts_on_shares)
    ]
    people = [{"name": "Ada Byron"}, {"name": "Grace"}]
    folder = tmp_path / "inbox" / "ada_1"
    folder.mkdir(parents=True)
    thread = {"participants": people, "messages": messages}
    (folder / "message_1.json").write_bytes(meta_json(thread))
    loader = FolderFacebookMessengerChatLoader(tmp_path, owner="Grace")
    assert loaded(loader) == ["So true!", "So true!"]


def test_unknown_phrase_for_media_is_learned(tmp_path: Path) -> None:
    phrase = "<Aŭdvidaĵo ne inkluzivita>"
    for repeats, kept in ((1, 3), (2, 1)):
        chat = WhatsAppChat.android().says("Bo", "Hi")
        for name in ["Ann", "Bo"] * repeats:
            chat.says(name, phrase)
        path = chat.to_file(tmp_path / f"WhatsApp Chat with Ann {repeats}.txt")
        assert WhatsAppChatLoader(path, timezone="UTC").inspect().kept == kept


def test_repeated_first_word_is_no_name(tmp_path: Path) -> None:
    chat = WhatsAppChat.android().says("Bo", "Hi")
    for item in ("milk", "bread", "tea"):
        chat.says("Ann", f"Reminder: {item}")
    loader = WhatsAppChatLoader(
        chat.to_file(tmp_path / "WhatsApp Chat with Bo.txt"), timezone="UTC"
    )
    assert loader.inspect().senders == {"Ann": 3, "Bo": 1}


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from("abc")),
        max_size=9,
    )
)
def test_ids_are_of_one_account(messages: list[tuple[int, int, str]]) -> None:
    """Identity is source, account and id: each account's messages are kept."""
    kept = {(account, number): text for account, number, text in messages}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for account in range(3):
            chat = TelegramChat()
            for (owner, number), text in kept.items():
                if owner == account:
                    chat.says(Person("Ann", f"user{owner}"), text, id=number)
            user = {**USER, "user_id": account + 100}
            folder.joinpath(f"{account}.json").write_text(
                account_text([chat], user=user)
            )
        loader = TelegramChatLoader(folder)
        found = [(s["metadata"]["id"], texts(s)) for s in loader.load()]
        assert loader.inspect().skipped == {}
    assert len({id_ for id_, _ in found}) == len({owner for owner, _ in kept})
    expected = [[t for (o, _), t in kept.items() if o == n] for n in range(3)]
    assert [items for _, items in found] == [items for items in expected if items]


def test_each_account_has_its_owner(tmp_path: Path) -> None:
    for number in (11, 12):
        chat = TelegramChat()
        chat.says(Person(f"Owner {number}", f"user{number}"), "Hi")
        user = {**USER, "user_id": number, "first_name": f"Owner {number}"}
        (tmp_path / f"{number}.json").write_text(account_text([chat], user=user))
    sessions = TelegramChatLoader(tmp_path).load()
    assert [s["metadata"]["owner"] for s in sessions] == ["Owner 11", "Owner 12"]
    assert all(s["messages"][0].additional_kwargs["is_from_me"] for s in sessions)


def test_names_of_a_webhook_are_people(tmp_path: Path) -> None:
    channel = DiscordChannel()
    for name in ("News", "Weather", "News"):
        channel.says(author("99", name, isBot=True), f"{name}!")
    path = tmp_path / "general.json"
    channel.write(path)
    senders = DiscordChatLoader(path, keep="bot").inspect().senders
    assert senders == {"News": 2, "Weather": 1}


def test_joining_by_name_alone_is_reported(tmp_path: Path) -> None:
    export = Export()
    export.thread("bob_1", people=["Bob", "Ada"]).says("Bob", "old", NOON)
    export.encrypted("messages/Bob_7.json", ["Bob", "Ada"]).says("Bob", "x", NOON + 1)
    loader = FolderFacebookMessengerChatLoader(export.to_folder(tmp_path), owner="Ada")
    found, details = read_with_warning(loader, "Bob_7.json and the thread bob_1 are")
    assert (found, details["joined_by_name"]) == (["old", "x"], 1)


def test_legacy_encoding_is_read_and_reported(tmp_path: Path) -> None:
    chat = WhatsAppChat.android().says("Zoë", "Schöne Grüße").says("Bo", "Oui, ça va")
    path = chat.to_file(tmp_path / "WhatsApp Chat with Bo.txt", "cp1252")
    loader = WhatsAppChatLoader(path, timezone="UTC")
    found, _ = read_with_warning(loader, "is not UTF-8")
    assert found == ["Schöne Grüße", "Oui, ça va"]


def test_old_line_ends_are_read(tmp_path: Path) -> None:
    chat = WhatsAppChat.android().says("Ann", "one").says("Bo", "two")
    chat.end = "\r"
    path = chat.to_file(tmp_path / "WhatsApp Chat with Bo.txt")
    assert loaded(WhatsAppChatLoader(path, timezone="UTC")) == ["one", "two"]


def test_signal_mentions_are_names(tmp_path: Path) -> None:
    export = SignalExport()
    hare, fox = export.contact("Hare"), export.contact("Fox")
    acis = [
        frame["recipient"]["contact"]["aci"]
        for frame in export.frames
        if isinstance(frame, dict) and "contact" in frame.get("recipient", {})
    ]
    chat = export.chat(hare)
    ranges = [
        {"start": 9, "length": 1, "mentionAci": acis[0]},
        {"start": 0, "length": 2, "style": "BOLD"},
        {"length": 1, "mentionAci": acis[1]},
    ]
    text = {"body": "\ufffc, meet \ufffc!", "bodyRanges": ranges}
    chat.add(fox, "standardMessage", {"text": text})
    path = export.write(tmp_path / "main.jsonl")
    assert loaded(SignalChatLoader(path)) == ["@Fox, meet @Hare!"]
