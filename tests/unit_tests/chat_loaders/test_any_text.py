"""Whatever one message's text is, the others keep number, sender, time and text."""

import csv
import html
import io
import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports import chat_loaders
from tests.unit_tests.builders import chatlab, mails, messenger, skype, sms
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.discord import ANN, DiscordChannel, author, write_package
from tests.unit_tests.builders.signal import SignalExport
from tests.unit_tests.builders.slack import workspace
from tests.unit_tests.builders.telegram import ANN as TELEGRAM_ANN
from tests.unit_tests.builders.telegram import Page, Person, TelegramChat, text_block
from tests.unit_tests.builders.whatsapp import WhatsAppChat

KEPT = ("media", "bot", "system", "channel", "unsent", "reaction")


def write_slack(folder: Path, texts: list[str]) -> Path:
    export, general = workspace()
    for user, text in zip(("U1", "U2", "U1"), texts, strict=True):
        general.says(user, html.escape(text, quote=False))
    return export.to_folder(folder)


def write_discord(folder: Path, texts: list[str]) -> Path:
    channel = DiscordChannel()
    for who, text in zip((ANN, author("12", "Bo"), ANN), texts, strict=True):
        channel.says(who, text)
    channel.write(folder / "channel.json")
    return write_package(folder)


def write_telegram(folder: Path, texts: list[str]) -> Path:
    chat = TelegramChat()
    bo = Person("user12", "Bo")
    for who, text in zip((TELEGRAM_ANN, bo, TELEGRAM_ANN), texts, strict=True):
        chat.says(who, text)
    return chat.write(folder / "result.json")


def write_telegram_page(folder: Path, texts: list[str]) -> Path:
    page = Page()
    for name, text in zip(("Ann", "Bo", "Ann"), texts, strict=True):
        page.says(name, text_block(html.escape(text).replace("\n", "<br>")))
    return page.write(folder / "messages.html")


def write_signal(folder: Path, texts: list[str]) -> Path:
    export = SignalExport()
    hare = export.contact("Hare")
    chat = export.chat(hare)
    for text in texts:
        chat.says(hare, text)
    return export.write(folder / "main.jsonl")


def write_messenger(folder: Path, texts: list[str]) -> Path:
    people = ["Ada", "Bo", "Ada"]
    messages = [
        messenger.message(name, text, at)
        for at, (name, text) in enumerate(zip(people, texts, strict=True), 1)
    ]
    thread = {
        "participants": [{"name": "Ada"}, {"name": "Bo"}],
        "messages": messages[::-1],
    }
    path = folder / "inbox" / "ada_1" / "message_1.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(messenger.meta_json(thread))
    return folder


def write_whatsapp(folder: Path, texts: list[str]) -> Path:
    chat = WhatsAppChat.ios()
    for name, text in zip(("Ann", "Bo", "Ann"), texts, strict=True):
        chat.says(name, text.replace("\r", ""))
    return chat.to_file(folder / "WhatsApp Chat with Ann.txt")


def write_chatlab(folder: Path, texts: list[str]) -> Path:
    messages = [chatlab.says("ann", text, at) for at, text in enumerate(texts)]
    return chatlab.write_json(folder / "a.json", *messages)


def write_kakaotalk(folder: Path, texts: list[str]) -> Path:
    content = io.StringIO("Date,User,Message\r\n")
    content.seek(0, io.SEEK_END)
    writer = csv.writer(content, quoting=csv.QUOTE_ALL)
    for minute, text in enumerate(texts):
        content.write(f"2026-05-24 15:0{minute}:22,")
        writer.writerow(["민지", text])
    path = folder / "KakaoTalk.csv"
    path.write_bytes(content.getvalue().encode("utf-8", "replace"))
    return path


def write_kakaotalk_phone(folder: Path, texts: list[str]) -> Path:
    lines = ["민지 님과 카카오톡 대화\r\n저장한 날짜 : 2026년 4월 25일\n\r\n"]
    for minute, text in enumerate(texts):
        # A record ends with CRLF, and a line in a text with LF.
        row = text.replace("\r", "")
        lines.append(f"2026년 4월 25일 오후 3:2{minute}, 민지 : {row}\nx\r\n")
    path = folder / "KakaoTalkChats.txt"
    path.write_bytes("".join(lines).encode("utf-8", "replace"))
    return path


def write_line(folder: Path, texts: list[str]) -> Path:
    lines = ["[LINE] Chat history with Ann", "Saved on: 2026/03/08, 22:10", ""]
    lines.append("2026/01/25(Sun)")
    for minute, text in enumerate(texts):
        # Of a text with quotation marks, the end is not certain.
        plain = text.replace("\r", "").replace('"', "") or "."
        row = f'"{plain}"' if "\n" in plain else plain
        lines.append(f"07:5{minute}\tAnn\t{row}")
    path = folder / "line.txt"
    path.write_bytes("\n".join([*lines, ""]).encode("utf-8", "replace"))
    return path


def write_skype(folder: Path, texts: list[str]) -> Path:
    messages = [
        skype.says("8:ben", html.escape(text), at) for at, text in enumerate(texts)
    ]
    return skype.write_export(folder / "a.json", skype.chat("8:ben", *messages))


def write_mail(folder: Path, texts: list[str]) -> Path:
    bodies = (json.dumps(text)[1:-1].replace("\\n", "\n") for text in texts)
    quoted = (
        "\n".join(f">{line}" if line.startswith("From ") else line for line in lines)
        for lines in (body.split("\n") for body in bodies)
    )
    path = folder / "a.mbox"
    mail = (mails.mail(body, str(at), at=at) for at, body in enumerate(quoted))
    path.write_bytes(mails.mbox(*mail))
    return path


def write_sms(folder: Path, texts: list[str]) -> Path:
    elements = [sms.sms(quoteattr(text), at=1000 * at) for at, text in enumerate(texts)]
    path = folder / "sms.xml"
    path.write_bytes(sms.backup(*elements))
    return path


def write_table(folder: Path, texts: list[str]) -> Path:
    path = folder / "desk.jsonl"
    rows = (
        {"chat_id": "1", "sender": "Ann", "timestamp": 1_714_550_400 + at, "text": text}
        for at, text in enumerate(texts)
    )
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def write_imessage(folder: Path, texts: list[str]) -> Path:
    with ChatDb(folder / "chat.db") as database:
        chat = database.chat("+15550000001")
        for text in texts:
            chat.message(text.encode("utf-8", "replace").decode())
    return folder / "chat.db"


WRITERS: dict[str, tuple[Any, Callable[[Path, list[str]], Path]]] = {
    "chatlab": (chat_loaders.ChatLabChatLoader, write_chatlab),
    "discord": (chat_loaders.DiscordChatLoader, write_discord),
    "imessage": (chat_loaders.IMessageChatLoader, write_imessage),
    "kakaotalk": (chat_loaders.KakaoTalkChatLoader, write_kakaotalk),
    "kakaotalk phone": (chat_loaders.KakaoTalkChatLoader, write_kakaotalk_phone),
    "line": (chat_loaders.LineChatLoader, write_line),
    "mail": (chat_loaders.EmailChatLoader, write_mail),
    "messenger": (chat_loaders.FolderFacebookMessengerChatLoader, write_messenger),
    "signal": (chat_loaders.SignalChatLoader, write_signal),
    "skype": (chat_loaders.SkypeChatLoader, write_skype),
    "slack": (chat_loaders.SlackChatLoader, write_slack),
    "sms": (chat_loaders.SmsChatLoader, write_sms),
    "table": (chat_loaders.TableChatLoader, write_table),
    "telegram": (chat_loaders.TelegramChatLoader, write_telegram),
    "telegram page": (chat_loaders.TelegramChatLoader, write_telegram_page),
    "whatsapp": (chat_loaders.WhatsAppChatLoader, write_whatsapp),
}
PIECES = st.sampled_from(
    [
        *(
            "\n",
            "\n\n",
            "\r\n",
            " ",
            '"',
            ",",
            "\t",
            ": ",
            "<",
            ">",
            "&",
            "\\",
            "}",
            "]",
        ),
        *("[18/03/2022, 14:56:30] Bob: ", "18/03/2022, 14:56 - Bob: ", "07:53\tAnn\tx"),
        *(
            "2026/01/25(Sun)",
            '2026-05-24 15:03:22,"민지","',
            "2026년 4월 25일 오후 3:25, 수아 : x",
            "2026년 4월 25일 오후 3:25",
            "From 1@x Mon Jan 01",
            "> ",
        ),
        *("On Mon, 1 Jan 2024, Ann wrote:", "--", "</div>", '<div class="message">'),
        *(
            "</sms>",
            "<sms body='",
            '"},{"text":"',
            "<quote>",
            "<@U1>",
            "\u200e",
            "\ufffc",
        ),
        *("one", "three", "You deleted this message", "null", "Ann"),
    ]
)


def load(name: str, text: str) -> list[tuple[str, Any, str]]:
    loader, write = WRITERS[name]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        path = write(Path(folder), ["This is one.", text, "This is three."])
        sessions = loader(path, keep=KEPT).load()
    return [
        (
            m.additional_kwargs["sender"],
            m.additional_kwargs.get("events"),
            str(m.content),
        )
        for session in sessions
        for m in session["messages"]
    ]


@pytest.mark.parametrize("name", WRITERS)
@given(text=st.lists(PIECES | st.text(max_size=3), max_size=8).map("".join))
def test_any_text_leaves_other_messages_alone(name: str, text: str) -> None:
    expected, found = load(name, "This is two."), load(name, text)
    assert len(expected) == 3
    # The message itself may be empty, or of the app.
    assert len(found) in {2, 3}
    assert [found[0], found[-1]] == [expected[0], expected[-1]]
    # An iPhone's own lines begin with U+200E, so that such a text may be nobody's.
    assert all(sender in {expected[1][0], "unknown"} for sender, _, _ in found[1:-1])
