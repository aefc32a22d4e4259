"""The standard tests, for exports of each kind."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from langchain_core.chat_loaders import BaseChatLoader

from langchain_chatexports import chat_loaders, samples
from langchain_chatexports.standard_tests import ChatLoaderUnitTests
from tests.unit_tests.builders import chatlab, mails, messenger, skype, sms, tables
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.typedstream import attributed_body

NOON = 1_700_000_000_000
ADA, GRACE = "Ada Byron", "Grace Hopper"
HARE, TORTOISE = "+15550000001", "tortoise@pond.example"
ROWS = tables.interleaved(
    tables.conversation_rows("one", 9), tables.conversation_rows("two", 7)
)
RACE = [
    (TORTOISE, "Slow and steady."),
    ("Me", "We start at the mill."),
    ("Me", "Are you asleep under that oak again?"),
    (HARE, "Resting. Champions rest."),
]


def imessage_with_wal(folder: Path) -> Path:
    live = folder.with_name("live")
    live.mkdir()
    with ChatDb(live / "chat.db", wal=True) as db:
        hare = db.chat(HARE)
        hare.message("Are you asleep under that oak again?", mine=True)
        hare.message(body=attributed_body("Resting. Champions rest."))
        race = db.chat(HARE, TORTOISE, name="The race")
        race.message("Slow and steady.", sender=TORTOISE)
        race.message("We start at the mill.", mine=True)
        race.message("Loved it", associated_message_type=2000)
        shutil.copytree(live, folder, dirs_exist_ok=True)
    return folder / "chat.db"


def instagram_zip(folder: Path) -> Path:
    export = messenger.Export(messenger.INSTAGRAM)
    for number, name in enumerate((ADA, "Alan Türing")):
        chat = export.thread(f"person_{number}", [name, GRACE])
        chat.per_file = 4
        for at in range(10):
            chat.says((name, GRACE)[at % 2], f"Zeile {at} für {name}", NOON + at)
        chat.says(name, f"{name} sent an attachment.", NOON + 20_000)
    spam = export.thread("spam", section="message_requests")
    spam.says("Eve", "You have won a prize", NOON)
    return export.to_zip(folder / "instagram-me.zip")


def encrypted_messenger(folder: Path) -> Path:
    export = messenger.Export()
    export.thread("ada_1", [ADA, GRACE], section="e2ee_cutover").says(
        ADA, "Davor", NOON
    )
    chat = export.encrypted(f"messages/{ADA}_1.json", [GRACE, ADA])
    for number in range(5):
        chat.says(ADA, f"Später {number} 😂", NOON + 10**8 + number)
    return export.to_folder(folder)


def messenger_file(folder: Path) -> Path:
    samples.write_messenger(folder)
    return next(folder.rglob("*.json"))


def chatlab_chat(folder: Path) -> Path:
    people = [chatlab.member("ann", "Ann"), chatlab.member("ben", "Ben")]
    rows = [
        chatlab.says(("ann", "ben")[n % 2], f"This is line {n}", 60 * n)
        for n in range(12)
    ]
    rows += [chatlab.says("ben", "[图片]", 999, 1), chatlab.says("system", "x")]
    return chatlab.write_json(folder / "ben.json", *rows, members=people, ownerId="ann")


def kakaotalk_chat(folder: Path) -> Path:
    rows = ["Ann 님과 카카오톡 대화", "저장한 날짜 : 2026년 4월 25일 오후 4:40", ""]
    names = ("Ann", "회원님")
    stamp = "2026년 4월 25일 오후 3:"
    rows += [f"{stamp}{10 + n}, {names[n % 2]} : This is line {n}" for n in range(12)]
    path = folder / "KakaoTalkChats.txt"
    path.write_bytes("\r\n".join([*rows, f"{stamp}59, Ann : 사진"]).encode())
    return path


def line_chat(folder: Path) -> Path:
    rows = ["[LINE] Chat history with Ann", "Saved on: 2026/03/08, 22:10", ""]
    rows += ["2026/01/25(Sun)", "06:00\t\tAnn unsent a message."]
    rows += [
        f"07:{10 + n}\t{('Ann', 'Bo')[n % 2]}\tThis is line {n}" for n in range(12)
    ]
    path = folder / "[LINE] Ann.txt"
    path.write_text("\n".join([*rows, "08:00\tAnn\t[Photo]"]), encoding="utf-8")
    return path


def skype_export(folder: Path) -> Path:
    people = (skype.ANN, skype.BEN)
    rows = [skype.says(people[n % 2], f"This is line {n}", n) for n in range(12)]
    rows += [skype.says(skype.BEN, "x", 20, "Event/Call")]
    talk = skype.chat(skype.BEN, *rows)
    return skype.write_export(folder / "messages.json", talk)


def mail_file(folder: Path) -> Path:
    people = (mails.ANN, mails.BEN)
    thread: Any = {"X_GM_THRID": "7"}
    rows = [
        mails.mail(f"This is line {n}", f"{n}", people[n % 2], at=n, **thread)
        for n in range(12)
    ]
    spam = mails.mail("x", "99", X_Gmail_Labels="Spam")
    path = folder / "All mail.mbox"
    path.write_bytes(mails.mbox(*rows, mails.mail("y", "100"), spam))
    return path


def sms_backup(folder: Path) -> Path:
    rows = [sms.sms(f"This is line {n}", 1 + n % 2, n * 60_000) for n in range(12)]
    group: dict[str, Any] = {"address": f"{sms.HARE}~+15550000002", "sender": sms.HARE}
    rows += [sms.mms(sms.photo(), sms.text("Look"), at=9_999, **group)]
    path = folder / "sms-20240721052035.xml"
    path.write_bytes(sms.backup(*rows, sms.sms(type=3)))
    return path


class Export(NamedTuple):
    """How to write an export, and what to expect of its loader."""

    write: Callable[[Path], Path]
    loader: type[BaseChatLoader]
    params: dict[str, Any] | None = None
    expected: list[tuple[str, str]] | None = None


UTC = {"timezone": "UTC"}
EXPORTS = {
    "iMessage": Export(
        lambda folder: samples.write_imessage(folder / "chat.db"),
        chat_loaders.IMessageChatLoader,
    ),
    "iMessage with WAL": Export(
        imessage_with_wal, chat_loaders.IMessageChatLoader, expected=RACE
    ),
    "Messenger": Export(
        samples.write_messenger, chat_loaders.FolderFacebookMessengerChatLoader
    ),
    "Instagram zip": Export(
        instagram_zip, chat_loaders.FolderFacebookMessengerChatLoader
    ),
    "encrypted Messenger": Export(
        encrypted_messenger, chat_loaders.FolderFacebookMessengerChatLoader
    ),
    "Messenger file": Export(
        messenger_file, chat_loaders.SingleFileFacebookMessengerChatLoader
    ),
    "WhatsApp": Export(samples.write_whatsapp, chat_loaders.WhatsAppChatLoader, UTC),
    "Telegram": Export(samples.write_telegram, chat_loaders.TelegramChatLoader),
    "Discord": Export(samples.write_discord, chat_loaders.DiscordChatLoader),
    "Slack": Export(
        samples.write_slack,
        chat_loaders.SlackChatLoader,
        {"people": {"Ann Ode": "Hare"}},
    ),
    "Signal": Export(samples.write_signal, chat_loaders.SignalChatLoader),
    "ChatLab": Export(chatlab_chat, chat_loaders.ChatLabChatLoader),
    "KakaoTalk": Export(kakaotalk_chat, chat_loaders.KakaoTalkChatLoader, UTC),
    "LINE": Export(line_chat, chat_loaders.LineChatLoader, UTC),
    "Skype": Export(skype_export, chat_loaders.SkypeChatLoader),
    "e-mail": Export(mail_file, chat_loaders.EmailChatLoader),
    "SMS": Export(sms_backup, chat_loaders.SmsChatLoader),
    "CSV": Export(
        lambda folder: tables.write_csv(folder / "desk.csv", ROWS),
        chat_loaders.TableChatLoader,
    ),
    "Parquet": Export(
        lambda folder: tables.write_parquet(folder / "desk.parquet", ROWS),
        chat_loaders.TableChatLoader,
        {"owner": "Agent 7"},
    ),
}


@pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS)
class TestLoaders(ChatLoaderUnitTests):
    export: Export
    time_key = "message_time"

    @pytest.fixture(autouse=True)
    def _set_export(self, export: Export) -> None:
        self.export = export

    @property
    def chat_loader_class(self) -> type[BaseChatLoader]:
        return self.export.loader

    @property
    def chat_loader_params(self) -> dict[str, Any]:
        return self.export.params or {}

    @property
    def expected(self) -> list[tuple[str, str]] | None:
        return self.export.expected

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        (tmp_path / "export").mkdir()
        return self.export.write(tmp_path / "export")
