"""On clean exports, senders and texts are langchain-community's.

Where they differ is measured in `tests/integration_tests/docs/test_migration_table.py`.
"""

from pathlib import Path
from typing import Any

import langchain_chatexports as ours
from tests.integration_tests import community
from tests.unit_tests.builders.messenger import Export
from tests.unit_tests.builders.slack import SlackExport
from tests.unit_tests.builders.telegram import ANN, BO, TelegramChat
from tests.unit_tests.builders.whatsapp import WhatsAppChat

TALK = [(0, "Ready?"), (0, "One more thing:"), (1, "Always."), (0, "Go!"), (1, "Bye")]


def said(loader: Any) -> list[tuple[str, str]]:
    # Of Slack's lists of people and channels, they make empty sessions.
    (session,) = [one for one in loader.load() if one["messages"]]
    return [(m.additional_kwargs["sender"], m.content) for m in session["messages"]]


def test_a_telegram_chat_gives_the_same(tmp_path: Path) -> None:
    chat = TelegramChat()
    for side, text in TALK:
        chat.says((ANN, BO)[side], text)
    path = chat.write(tmp_path / "result.json")
    theirs = said(community.TelegramChatLoader(path))
    assert said(ours.TelegramChatLoader(path)) == theirs
    assert theirs == [(("Ann", "Bo")[side], text) for side, text in TALK]


def test_a_messenger_thread_gives_the_same(tmp_path: Path) -> None:
    export = Export()
    chat = export.thread("ada_1")
    for at, (side, text) in enumerate(TALK):
        chat.says(chat.people[side], text, 1_700_000_000_000 + at)
    folder = export.to_folder(tmp_path / "export")
    theirs = said(community.FolderFacebookMessengerChatLoader(folder / export.root))
    assert said(ours.FolderFacebookMessengerChatLoader(folder)) == theirs
    assert [text for _, text in theirs] == [text for _, text in TALK]


def test_a_whatsapp_chat_gives_the_same(tmp_path: Path) -> None:
    chat = WhatsAppChat(lambda at: f"[{at:%m/%d/%y}, 2:{at:%M:%S} PM] ")
    for side, text in TALK:
        chat = chat.says(("Ann", "Bo")[side], text)
    path = chat.to_file(tmp_path / "_chat.txt")
    theirs = said(community.WhatsAppChatLoader(str(path)))
    assert said(ours.WhatsAppChatLoader(path)) == theirs
    assert len(theirs) == len(TALK)


def test_a_day_of_slack_gives_the_same_runs_by_name(tmp_path: Path) -> None:
    export = SlackExport()
    names = {export.user(f"U{n}", name): name for n, name in enumerate(("Ann", "Bo"))}
    general = export.channel("C1", "general")
    for side, text in TALK:
        general.says(list(names)[side], text)
    path = export.to_zip(tmp_path / "export.zip")
    theirs = said(community.SlackChatLoader(path))
    # They leave ids in the place of names, and join what one person writes in a row.
    merged = ours.SlackChatLoader(path) | ours.MergeChatRuns()
    assert said(merged) == [(names[user], text) for user, text in theirs]
    assert len(theirs) == len(TALK) - 1
