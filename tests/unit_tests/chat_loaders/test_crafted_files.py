"""Crafted input of 1 MB is read or refused within 5 s of CPU and 500 MB.

Each shape repeats, nests or multiplies something of its format's grammar. Those of a
format are read in a process of their own.
"""

import json
import plistlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.crafted import PAD, SIZE, nested, until, write_files
from tests.unit_tests.builders.typedstream import PART, attributed_body

MAX_SECONDS, MAX_MB = 5, 500
START = datetime(2024, 5, 1)  # noqa: DTZ001 - local times in exports
READ = """
import sys, time, warnings
from langchain_chatexports import chat_loaders
from langchain_chatexports.exceptions import ChatExportError
warnings.simplefilter("ignore")
for path in sys.argv[2:]:
    start = time.process_time()
    try:
        result = getattr(chat_loaders, sys.argv[1])(path).inspect().found
    except ChatExportError as error:
        result = type(error).__name__
    with open("/proc/self/status") as status:
        (peak,) = (line.split()[1] for line in status if line.startswith("VmHWM"))
    print(path, result, time.process_time() - start, int(peak) / 1024)
"""
Files = Mapping[str, str | bytes]
Shape = Callable[[], Files]
SHAPES: dict[str, tuple[str, Shape]] = {}
WHATSAPP, TELEGRAM = "WhatsAppChatLoader", "TelegramChatLoader"
SLACK, DISCORD = "SlackChatLoader", "DiscordChatLoader"
SIGNAL, MESSENGER = "SignalChatLoader", "FolderFacebookMessengerChatLoader"
TABLE = "TableChatLoader"
SMS, MAIL, SKYPE = "SmsChatLoader", "EmailChatLoader", "SkypeChatLoader"
IMESSAGE = "IMessageChatLoader"
LINE, KAKAOTALK, CHATLAB = "LineChatLoader", "KakaoTalkChatLoader", "ChatLabChatLoader"


def shape(loader: str) -> Callable[[Shape], Shape]:
    def add(make: Shape) -> Shape:
        SHAPES[make.__name__] = loader, make
        return make

    return add


# WhatsApp


def layouts(number: int) -> str:
    sep, space = "/.-"[number % 3], " " * (number % 2)
    mark = chr(0x4E00 + number)
    return f"[18{sep}03{sep}2024,{space}{mark} 10:00:0{number % 10}] Ann: x\n"


@shape(WHATSAPP)
def whatsapp_layouts() -> Files:
    text = until(4500, layouts)
    return {f"WhatsApp Chat with {n}.txt": text for n in range(220)}


@shape(WHATSAPP)
def whatsapp_copies_of_a_name() -> Files:
    line = "18/03/2024, 10:0{} - Ann: {}\n"
    return {
        f"{n}/WhatsApp Chat with Ann.txt": "".join(
            line.format(i, f"{n} {i}") for i in range(9)
        )
        for n in range(2500)
    }


@shape(WHATSAPP)
def whatsapp_days_in_disorder() -> Files:
    def line(number: int) -> str:
        at = START - timedelta(days=number * 7919 % 3000)
        return f"{at:%d/%m/%Y}, 10:00 - Ann: x\n"

    return {"WhatsApp Chat with Ann.txt": until(SIZE, line)}


@shape(WHATSAPP)
def whatsapp_names() -> Files:
    text = until(SIZE, lambda n: f"18/03/2024, 10:00 - ~ {n}: {n}: {n}: <{n}>\n")
    return {"WhatsApp Chat with Ann.txt": text}


@shape(WHATSAPP)
def whatsapp_brackets() -> Files:
    head = "18/03/2024, 10:00 - Ann: x"
    pieces = [" (", "<", "\u200e", '"', ": ", "@\u2068", "://", "[18/", "\r"]
    lines = [head + piece * (SIZE // 20 // len(piece)) + ".jpg)" for piece in pieces]
    return {"WhatsApp Chat with Ann.txt": "\n".join(lines)}


# Telegram

PAGE = "<title>Exported Data</title><div class='page_wrap'>chat_page"
BLOCK = '<div class="message default" id="message{}">'


@shape(TELEGRAM)
def telegram_replies() -> Files:
    text = PAGE + BLOCK.format(1) + until(SIZE, '"reply_to details">') + "</div></div>"
    return {"messages.html": text}


@shape(TELEGRAM)
def telegram_tags() -> Files:
    pieces = [
        'class="',
        "<",
        "<br ",
        "&#",
        "<div ",
        'class="emoji">',
        "&#x1",
        " via @a",
    ]
    blocks = [
        BLOCK.format(n) + until(SIZE // len(pieces), piece) + "</div></div>"
        for n, piece in enumerate(pieces)
    ]
    return {"messages.html": PAGE + "".join(blocks)}


def telegram_chat(number: int, name: str, *records: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "type": "personal_chat",
        "id": number,
        "messages": list(records),
    }


def telegram_record(number: int, text: str = "x") -> dict[str, Any]:
    return {"id": number, "type": "message", "from": "Bo", "text": text}


@shape(TELEGRAM)
def telegram_many_files_of_a_chat() -> Files:
    big = [telegram_chat(n, f"{n}") for n in range(7000)]
    files = {"0.json": json.dumps({"chats": {"list": big}})}
    for number in range(1, 6):
        chats = [telegram_chat(n, f"{n}") for n in range(number, 7000, 12)]
        files[f"{number}.json"] = json.dumps({"chats": {"list": chats}})
    return files


@shape(TELEGRAM)
def telegram_pages_of_a_name() -> Files:
    records = [telegram_record(n) for n in range(400)]
    chats = [telegram_chat(n, "Bo", *records) for n in range(20)]
    files = {"result.json": json.dumps({"chats": {"list": chats}})}
    text = f'{PAGE}<div class="text bold">Bo</div>' + BLOCK.format(1)
    text += '<div class="text">y</div></div></div>'
    return files | {f"p{n}/messages.html": text for n in range(1500)}


# JSON


@shape(SLACK)
def slack_guests() -> Files:
    def day(number: int) -> str:
        profile = {"real_name": f"a{number}"}
        record = {"ts": "1.1", "user": f"U{number}", "user_profile": profile}
        return json.dumps([{**record, "text": "x"}])

    files: Files = {f"c{n}/2024-05-01.json": day(n) for n in range(8000)}
    return {**files, "users.json": "[]", "channels.json": "[]"}


@shape(SLACK)
def slack_days() -> Files:
    record = '{"ts":"1.1","user":"U1","text":"x"}'
    return {f"general/{n:04}-05-01.json": f"[{record}]" for n in range(9000)}


@shape(SIGNAL)
def signal_edits() -> Files:
    edits = "".join('{"revisions":[' for _ in range(400)) + "]}" * 400
    line = '{"chatItem":{"chatId":"1","dateSent":"1","revisions":[' + edits + "]}}\n"
    return {"main.jsonl": '{"backupTimeMs":"1"}\n' + until(SIZE, line)}


@shape(SIGNAL)
def signal_recipients() -> Files:
    line = '{{"recipient":{{"id":"{0}","contact":{{"e164":"{0}"}}}}}}\n'
    chat = '{{"chat":{{"id":"{0}","recipientId":"{0}"}}}}\n'
    item = '{{"chatItem":{{"chatId":"{0}","dateSent":"{0}","authorId":"1"}}}}\n'
    text = until(SIZE, (line + chat + item).format)
    return {"main.jsonl": '{"backupTimeMs":"1"}\n' + text}


HEADS = {
    DISCORD: '{"guild":{"name":"g"},"channel":{"id":"1"},"messages":[',
    MESSENGER: '{"participants":[{"name":"Ada"},{"name":"Bo"}],"messages":[',
    TELEGRAM: '{"name":"Bo","type":"personal_chat","id":1,"messages":[',
    SLACK: "[",
}
NAMES = {
    DISCORD: "a.json",
    MESSENGER: "inbox/a_1/message_1.json",
    TELEGRAM: "result.json",
    SLACK: "general/2024-05-01.json",
}
ENDS = {DISCORD: "]}", MESSENGER: "]}", TELEGRAM: "]}", SLACK: "]"}
RECORDS = {
    DISCORD: '{"id":"1","author":{"id":"1","name":"a"},"reactions":[',
    MESSENGER: '{"sender_name":"Ada","timestamp_ms":1,"content":"x","reactions":[',
    TELEGRAM: '{"id":1,"type":"message","from":"Bo","text":"x","reactions":[',
    SLACK: '{"ts":"1.1","user":"U1","text":"x","reactions":[',
}


def json_shapes(loader: str) -> None:
    """Add the shapes of nested and repeated JSON for a format."""

    def write(content: str) -> Files:
        return {NAMES[loader]: HEADS[loader] + content + ENDS[loader]}

    def add(name: str, make: Callable[[], str]) -> None:
        SHAPES[f"{loader} {name}"] = loader, lambda: write(make())

    record = RECORDS[loader]
    pad = json.dumps(PAD)
    add("objects", lambda: until(20 * SIZE, "{},") + pad)
    add("numbers", lambda: until(20 * SIZE, "1,") + pad)
    add("nested", lambda: nested(SIZE, '{"a":', "}"))
    add("lists", lambda: nested(SIZE, "[", "]"))
    add("records", lambda: until(SIZE, record + "]},")[:-1])
    add("reactions", lambda: record + until(20 * SIZE, "{},") + pad + "]}")
    sparse = '{"a":"","b":""},'  # Eight bytes for each comma.
    add("sparse", lambda: record + until(20 * SIZE, sparse) + pad + "]}")
    add("sparse records", lambda: until(20 * SIZE, sparse) + pad)
    add("escapes", lambda: record + '],"a":"' + until(SIZE, r"\ud83d") + '"}')
    add("quotes", lambda: until(SIZE, '{"'))


for loader_name in HEADS:
    json_shapes(loader_name)


@shape(TABLE)
def table_ids() -> Files:
    text = until(SIZE, lambda n: f"{n},{n % 7},x\n")
    return {"desk.csv": "id,conversation,text\n" + text}


@shape(TABLE)
def table_quotes() -> Files:
    return {"desk.csv": "id,sender,text\n" + until(SIZE, '1,"a""')}


# SMS

SMS_LINE = '<sms address="{}" date="{}" type="1" body="x"/>\n'
MMS = '<mms address="1" date="1700000000000" msg_box="1">{}</mms><!--{}-->'


def smses(content: str) -> Files:
    return {"sms.xml": f"<smses>{content}</smses>"}


@shape(SMS)
def sms_long_numbers() -> Files:
    return smses(until(SIZE, lambda n: SMS_LINE.format("+" + f"{n}" * 20_000, 10**12)))


@shape(SMS)
def sms_milliseconds() -> Files:
    text = until(20 * SIZE, lambda n: SMS_LINE.format(1, 10**12 + n % 999 + 1))
    return smses(f"{text}<!--{PAD}-->")


@shape(SMS)
def sms_parts() -> Files:
    return smses(MMS.format(until(20 * SIZE, '<part ct="a/b"/>'), PAD))


@shape(SMS)
def sms_addresses() -> Files:
    parts = until(10 * SIZE, lambda n: f'<addr address="{n}" type="151"/>')
    return smses(MMS.format(parts, PAD))


# E-mail

MAIL_HEAD = "From a@x Wed May 01 10:00:00 2024\nFrom: a@x\n"


@shape(MAIL)
def mail_of_one_line() -> Files:
    text = until(20 * SIZE, f"{MAIL_HEAD}\nx\n\n")
    return {"a.mbox": text + PAD}


@shape(MAIL)
def mail_blank_lines() -> Files:
    return {"a.mbox": f"{MAIL_HEAD}\n" + "\n" * 40 * SIZE + PAD}


@shape(MAIL)
def mail_recipients() -> Files:
    pieces = ("a@b,", "(", '<",;:')
    mails = [f"{MAIL_HEAD}To: {until(SIZE // 20, p)}\n\nx\n\n" for p in pieces * 6]
    return {"a.mbox": "".join(mails)}


@shape(MAIL)
def mail_parameters() -> Files:
    kinds = ("text/plain", "message/rfc822\n\nContent-Type: multipart/mixed")
    mails = [
        f"{MAIL_HEAD}Content-Type: {kind}; {until(SIZE // 2, end)}\n\nx\n\n"
        for kind, end in zip(kinds, ('"\\;', "a*0*=x;"), strict=True)
    ]
    return {"a.mbox": "".join(mails)}


@shape(MAIL)
def mail_parts() -> Files:
    parts = "--b\n\nx\n" * 50
    text = f"{MAIL_HEAD}Content-Type: multipart/mixed; boundary=b\n\n{parts}--b--\n\n"
    return {"a.mbox": until(20 * SIZE, text) + PAD}


@shape(MAIL)
def mail_charset() -> Files:
    head = f"{MAIL_HEAD}Content-Type: text/plain; charset=punycode\n\n"
    return {"a.mbox": head + until(SIZE, "a9zZ")}


# Skype, ChatLab, KakaoTalk, LINE


@shape(SKYPE)
def skype_chats() -> Files:
    chats = until(40 * SIZE, '{"id":"8:bo"},')
    return {"messages.json": f'{{"userId":"8:a","conversations":[{chats}"{PAD}"]}}'}


@shape(CHATLAB)
def chatlab_lines() -> Files:
    line = '{"a":[' + until(15 * SIZE, "{},") + "1]}\n"
    head = '{"_type":"header","chatlab":{},"meta":{"name":"x"}}\n'
    return {"a.jsonl": f'{head}{line * 2}"{PAD}"\n'}


@shape(KAKAOTALK)
def kakaotalk_notices() -> Files:
    line = "2024년 5월 1일 오전 10:00, " + "님이 " * 27 + "님을 " * 70 + "다\n"
    head = "x 님과 카카오톡 대화\n저장한 날짜 : 2024년 5월 1일\n\n"
    return {"Talk.txt": head + line * (20 * SIZE // len(line)) + PAD}


@shape(LINE)
def line_notices() -> Files:
    line = f"10:00 {'が' * 300}\n"
    return {"a.txt": "2024.05.01 Wednesday\n" + until(10 * SIZE, line) + PAD}


# iMessage


def database(loader_shape: Callable[[ChatDb], None]) -> None:
    """Add a shape of a database, in which a few bytes are a row of a join."""

    def make() -> Files:
        with TemporaryDirectory() as folder:
            path = Path(folder, "chat.db")
            with ChatDb(path) as chats:
                loader_shape(chats)
            return {"chat.db": path.read_bytes()}

    SHAPES[loader_shape.__name__] = IMESSAGE, make


def join(chats: ChatDb, table: str, first: str, second: str, size: int) -> None:
    """Fill a table with all pairs of two lists."""
    numbers = (
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n LIMIT {size})"
    )
    pairs = f"{numbers} SELECT a.i, b.i FROM n a, n b"
    chats.connection.execute(
        f"INSERT OR IGNORE INTO {table} ({first}, {second}) {pairs}"
    )


@database
def imessage_chats_of_a_message(chats: ChatDb) -> None:
    for number in range(150):
        chats.chat(f"+1555{number:07}").message("x")
    join(chats, "chat_message_join", "chat_id", "message_id", 150)


@database
def imessage_people_of_a_chat(chats: ChatDb) -> None:
    for number in range(200):
        chats.chat(f"+1555{number:07}").message("x")
    join(chats, "chat_handle_join", "chat_id", "handle_id", 200)


@database
def imessage_files_of_a_message(chats: ChatDb) -> None:
    chat = chats.chat("+15550000001")
    for number in range(150):
        message = chat.message("x")
        chats.attachment(message, filename=f"{number}.jpg")
    join(chats, "message_attachment_join", "message_id", "attachment_id", 150)


@database
def imessage_reactions(chats: ChatDb) -> None:
    chat = chats.chat("+15550000001")
    target = f"p:0/{chats.guid(chat.message('x'))}"
    for number in range(4000):
        chat.message(
            "Loved \u201cx\u201d",
            associated_message_type=2000 + number % 2 * 1000 + number % 6,
            associated_message_guid=target,
        )


@database
def imessage_replies(chats: ChatDb) -> None:
    chat = chats.chat("+15550000001")
    guid = None
    for _ in range(4000):
        message = chat.message("x", thread_originator_guid=guid, reply_to_guid=guid)
        guid = chats.guid(message)


@database
def imessage_bodies(chats: ChatDb) -> None:
    chat = chats.chat("+15550000001")
    runs = [(1, {PART: number}) for number in range(10_000)]
    chat.message(body=attributed_body("x" * len(runs), runs))
    start = attributed_body("x")[:60]
    for piece in (b"\x84\x84", b"\x92", b"\x86", b"\x84\x01i", b"\x81\xff\x7f"):
        chat.message(body=start + piece * (SIZE // 16 // len(piece)))


@database
def imessage_edits(chats: ChatDb) -> None:
    chat = chats.chat("+15550000001")
    edits = [{"t": attributed_body("x"), "d": float(n)} for n in range(5000)]
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    wide: list[Any] = []
    for _ in range(20):
        wide = [wide] * 2  # A file has the inner list once, and both refer to it.
    for value in (edits, deep, wide):
        plist = plistlib.dumps({"ec": {"0": value}}, fmt=plistlib.FMT_BINARY)
        chat.message("x", message_summary_info=plist, payload_data=plist, date_edited=1)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize("loader", sorted({loader for loader, _ in SHAPES.values()}))
def test_crafted_input_is_read_or_refused(tmp_path: Path, loader: str) -> None:
    paths = []
    for name, (shape_loader, make) in SHAPES.items():
        if shape_loader == loader:
            folder = tmp_path / name
            folder.mkdir()
            paths.append(write_files(make(), folder))
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", READ, loader, *map(str, paths)],
        capture_output=True,
        check=True,
        text=True,
        timeout=300,
    )
    printed = done.stdout.splitlines()  # DuckDB also shows its progress.
    lines = [x.rsplit(" ", 3) for x in printed if x.startswith(str(tmp_path))]
    assert len(lines) == len(paths)
    slow = [path for path, _, seconds, _ in lines if float(seconds) > MAX_SECONDS]
    assert slow == []
    assert float(lines[-1][3]) < MAX_MB
