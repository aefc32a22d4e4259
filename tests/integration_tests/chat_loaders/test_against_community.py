"""Clean exports have the same senders and texts as in langchain-community.

docs/migration.md lists the differences.
"""

from operator import itemgetter
from pathlib import Path
from typing import Any

import langchain_chatexports as chatexports
from tests.integration_tests import community
from tests.unit_tests.builders.messenger import Export
from tests.unit_tests.builders.slack import SlackExport
from tests.unit_tests.builders.telegram import ANN, BO, TelegramChat
from tests.unit_tests.builders.whatsapp import WhatsAppChat

LINES = [(0, "Ready?"), (0, "One more thing:"), (1, "Always."), (0, "Go!"), (1, "Bye")]


def read(loader: Any) -> list[tuple[str, str]]:
    # langchain-community makes empty sessions of Slack's lists of people and channels.
    (session,) = filter(itemgetter("messages"), loader.load())
    return [(m.additional_kwargs["sender"], m.content) for m in session["messages"]]


def test_telegram_chat_matches_community(tmp_path: Path) -> None:
    chat = TelegramChat()
    for side, text in LINES:
        chat.says((ANN, BO)[side], text)
    path = chat.write(tmp_path / "result.json")
    expected = read(community.TelegramChatLoader(path))
    assert read(chatexports.TelegramChatLoader(path)) == expected
    assert expected == [(("Ann", "Bo")[side], text) for side, text in LINES]


def test_messenger_thread_matches_community(tmp_path: Path) -> None:
    export = Export()
    chat = export.thread("ada_1")
    for at, (side, text) in enumerate(LINES):
        chat.says(chat.people[side], text, 1_700_000_000_000 + at)
    folder = export.to_folder(tmp_path / "export")
    expected = read(community.FolderFacebookMessengerChatLoader(folder / export.root))
    assert read(chatexports.FolderFacebookMessengerChatLoader(folder)) == expected
    assert [text for _, text in expected] == [text for _, text in LINES]


def test_whatsapp_chat_matches_community(tmp_path: Path) -> None:
    chat = WhatsAppChat(lambda at: f"[{at:%m/%d/%y}, 2:{at:%M:%S} PM] ")
    for side, text in LINES:
        chat = chat.says(("Ann", "Bo")[side], text)
    path = chat.to_file(tmp_path / "_chat.txt")
    expected = read(community.WhatsAppChatLoader(str(path)))
    assert read(chatexports.WhatsAppChatLoader(path)) == expected
    assert len(expected) == len(LINES)


def test_slack_runs_match_community(tmp_path: Path) -> None:
    export = SlackExport()
    names = {export.user(f"U{n}", name): name for n, name in enumerate(("Ann", "Bo"))}
    general = export.channel("C1", "general")
    for side, text in LINES:
        general.says(list(names)[side], text)
    path = export.to_zip(tmp_path / "export.zip")
    expected = read(community.SlackChatLoader(path))
    # langchain-community shows ids instead of names, and merges runs.
    merged = chatexports.SlackChatLoader(path) | chatexports.MergeChatRuns()
    assert read(merged) == [(names[user], text) for user, text in expected]
    assert len(expected) == len(LINES) - 1
