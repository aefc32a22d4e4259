"""Any content is loaded and counted, or raises our error, in linear time."""

import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import BaseMessage

from langchain_chatexports import chat_loaders
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.table import matches_head
from langchain_chatexports.exceptions import ChatExportError
from tests.unit_tests.builders.chatlab import head as chatlab_head
from tests.unit_tests.builders.discord import ANN, DiscordChannel, write_package
from tests.unit_tests.builders.messenger import message as messenger_message
from tests.unit_tests.builders.signal import SignalExport
from tests.unit_tests.builders.skype import chat as skype_chat
from tests.unit_tests.builders.skype import write_export as write_skype_export
from tests.unit_tests.builders.slack import workspace
from tests.unit_tests.builders.sms import element, sms
from tests.unit_tests.builders.telegram import ANN as TELEGRAM_ANN
from tests.unit_tests.builders.telegram import Page, TelegramChat, text_block
from tests.unit_tests.builders.whatsapp import LRM, RLM

KEPT = ("media", "bot", "system", "channel", "unsent", "reaction")


def any_json(keys: str, *values: str) -> st.SearchStrategy[Any]:
    """Any JSON with the keys and some values of a format."""
    leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats()
    texts = st.text(st.characters(exclude_categories=[]))
    odd = st.sampled_from([*values, "", "9" * 5_000, "\ud83d", "NaN", "1e999"])
    return st.recursive(
        leaves | st.just(10**400) | texts | odd,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(keys.split()), inner, max_size=6)
        ),
        max_leaves=10,
    )


def records(keys: str, *values: str) -> st.SearchStrategy[list[Any]]:
    """Lists of records, most of them objects with the keys of a format."""
    value = any_json(keys, *values)
    objects = st.dictionaries(st.sampled_from(keys.split()), value, max_size=8)
    return st.lists(objects | value, max_size=6)


def write_slack(folder: Path, content: Any) -> Path:
    export, general = workspace()
    general.says("U1", "Hello")
    export.others = {"general/2024-05-09.json": json.dumps(content)}
    return export.to_folder(folder)


def write_discord(folder: Path, content: Any) -> Path:
    for name, messages in {"good": [], "any": content}.items():
        for indent in (2, None):
            channel = DiscordChannel(channel_id=f"{name} {indent}")
            channel.says(ANN, "Hello")
            channel.messages += messages
            path = folder / f"{name}-{indent}.json"
            channel.write(path, indent=indent, ascii_only=True)
    return write_package(folder)


def write_telegram(folder: Path, content: Any) -> Path:
    good = TelegramChat(number=1)
    good.says(TELEGRAM_ANN, "Hello")
    good.write(folder / "good.json")
    kind, is_twice, messages = content
    chat = TelegramChat()
    chat.about["type"] = kind
    chat.messages = messages
    for name in ("a", "b")[: 1 + is_twice]:
        indent = 1 if name == "a" else None
        chat.write(folder / f"{name}.json", indent=indent, ascii_only=True)
    return folder


def write_telegram_page(folder: Path, content: Any) -> Path:
    page = Page()
    page.says("Ann", text_block("Hello"))
    page.says(None, content[0])
    page.says("Bo", text_block("Hi"))
    path = page.write(folder / "messages.html")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * content[1])])
    return folder


def write_signal(folder: Path, content: Any) -> Path:
    export = SignalExport()
    hare = export.contact("Hare")
    export.chat(hare).says(hare, "Hi")
    export.frames += content
    return export.write(folder / "main.jsonl")


def write_messenger(folder: Path, content: Any) -> Path:
    thread, profile = content
    people = [{"name": "Ada"}, {"name": "Grace"}]
    good = {"participants": people, "messages": [messenger_message("Ada", "hi", 1)]}
    thread_folder = folder / "inbox" / "ada_1"
    thread_folder.mkdir(parents=True)
    (thread_folder / "message_1.json").write_text(json.dumps(thread))
    (thread_folder / "message_2.json").write_text(json.dumps(good))
    (folder / "profile_information.json").write_text(json.dumps(profile))
    return folder


def write_whatsapp(folder: Path, content: Any) -> Path:
    path = folder / "WhatsApp Chat with Ann.txt"
    path.write_bytes(content)
    return path


def write_chatlab(folder: Path, content: Any) -> Path:
    export = {**chatlab_head(), "members": content, "messages": content}
    (folder / "a.json").write_text(json.dumps(export))
    lines = [{"_type": "header", **chatlab_head()}, *content]
    (folder / "b.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def write_skype(folder: Path, content: Any) -> Path:
    talks = [skype_chat("8:ben", *content, threadProperties=content), *content]
    return write_skype_export(folder / "messages.json", *talks)


def write_sms(folder: Path, content: str) -> Path:
    path = folder / "sms.xml"
    whole = f'<smses count="1">{sms("Hello")}{content}'
    path.write_bytes(whole.encode("utf-8", "surrogatepass"))
    return path


def write_text(folder: Path, content: bytes) -> Path:
    path = folder / "chat.txt"
    path.write_bytes(content)
    return path


def write_table(folder: Path, content: Any) -> Path:
    path = folder / "desk.csv"
    path.write_bytes(content)
    matches_head(path, content)
    return path


def texts_of(pieces: list[str]) -> st.SearchStrategy[bytes]:
    """Return files of a format's pieces, in any order and with other text."""
    texts = st.lists(st.sampled_from(pieces) | st.text(max_size=5), max_size=40)
    return texts.map(lambda parts: "".join(parts).encode("utf-8", "replace"))


SLACK_KEYS = """
type subtype user text ts thread_ts bot_id username edited reactions name users count
files file mimetype attachments is_share from_url blocks elements fields comment
user_profile display_name profile slackdump_thread_replies mode
"""
DISCORD_KEYS = """
id type timestamp timestampEdited content author name nickname isBot attachments
fileName embeds title stickers reactions emoji count users mentions reference messageId
forwardedMessage description
"""
TELEGRAM_KEYS = """
id type date date_unixtime from from_id actor actor_id action title new_title text
text_entities reply_to_message_id reply_to_peer_id forwarded_from saved_from via_bot
photo file media_type sticker_emoji poll question reactions emoji count recent edited
place_name location_information name messages
"""
SIGNAL_KEYS = """
recipient chat chatItem account id contact group self recipientId chatId authorId
dateSent standardMessage text body attachments pointer reactions quote revisions aci
"""
THREAD_KEYS = """
participants threadName title thread_path thread_type joinable_mode
is_still_participant magic_words
"""
MESSENGER_KEYS = f"""
{THREAD_KEYS} name sender_name senderName timestamp_ms timestamp content text photos uri
media share link share_text reactions reaction actor type users call_duration is_unsent
isUnsent sticker label_values profile_user string_map_data value profile_v2
"""
WHATSAPP_PIECES = [
    *("[", "] ", " - ", ": ", "\n", "\r\n", "/", ".", ", ", ":", " ", "<", ">", "("),
    ")",
    *("Ann", "Bob: ", "~ ", '"', "You deleted this message", "<Media omitted>", "null"),
    *(LRM, RLM, "\u202f", "\ufeff", "\u2068", "AM", "PM", "下午", "オ", "R4", "BE"),
    *("18/03/2022, 14:56 - Ann: ", "[3/4/22, 2:56:01 PM] Bob: ", "99/99/99, 99:99 - "),
    *("1443/8/15, 10:00 - ", "٢٧/٣/٢٠٢٢", "9999", "0", "12", "31", "65"),
    *("IMG-20220327-WA0001.jpg (file attached)", f"{LRM}<attached: a.jpg>", "😂"),
]
whatsapp_text = texts_of(WHATSAPP_PIECES)

CHATLAB_KEYS = """
_type sender accountName timestamp type content platformMessageId replyToMessageId
platformId roles aliases id groupNickname
"""
CHATLAB_VALUES = ("ann", "member", "message", "1714550400", "[图片]", "<msg>", "owner")
KAKAOTALK_PIECES = [
    *(
        "민지 님과 카카오톡 대화\r\n저장한 날짜 : 2026년 4월 25일 오후 4:40\n",
        "\r\n",
        "\n",
    ),
    *("2026년 4월 25일 오후 3:20, ", "민지 : ", "9999년 99월 99일 오전 99:99, a : b"),
    *("8:34pm, July 9, 2015, ", "Feb 10, 2016 at 2:33 AM, ", "[민지] [오후 3:03] "),
    *(
        "--------------- 2026년 5월 24일 일요일 ---------------\r\n",
        "민지님이 나갔습니다.",
    ),
    *(
        "Date,User,Message\n",
        '2026-05-24 15:03:22,"a","',
        '"',
        ",",
        "사진",
        "(이모티콘) ",
    ),
]
kakaotalk_text = texts_of(KAKAOTALK_PIECES)
LINE_PIECES = [
    *(
        "[LINE] Chat history with Ann\nSaved on: 2026/03/08, 22:10\n",
        "\n",
        '"',
        "\t",
        " ",
    ),
    *("2026/01/25(Sun)\n", "Mon, 11/03/2025\n", "9999/99/99\n", "07:53", "午前12:03"),
    *("99:99\tAnn\tx\n", "07:53\tAnn\t", "16:20 Bob Smith ", "Stickers", "[Photo]"),
    *(" joined the group", " unsent a message.", "\u2068", "☎"),
]
line_text = texts_of(LINE_PIECES)
SKYPE_KEYS = """
id displayName originalarrivaltime messagetype content from properties emotions key
users mri edittime deletetime MessageList threadProperties members MemberMri topic
"""
SKYPE_VALUES = (
    *("RichText", "8:ben", "48:notes", '<e_m ts_ms="1620123600000"/>', "<quote ", "[]"),
    *("2021-05-04T10:20:30.123Z", "1620123600000", "RichText/Media_Album", "</quote>"),
)
MAIL_PIECES = [
    *("From 1@x Mon Jan 01 10:00:00 +0000 2024\n", "From: Ann <ann@a.example>\n", "\n"),
    *(
        "To: =?utf-8?b?/w?= <b@b.example>,\n",
        "Date: 99 Jan 9999\n",
        "Message-ID: <1>\n",
    ),
    *("References: <1> <2>\n", "Content-Type: multipart/mixed; boundary=x\n", "--x\n"),
    *(
        "Content-Type: text/html; charset=\xff\n",
        "<div class=gmail_quote>",
        "> a\n",
        ":",
    ),
    *("Content-Transfer-Encoding: base64\n", "Content-Type: message/rfc822\n", "--x--"),
    *("X-Gmail-Labels: Sent\n", "In-Reply-To: <1>\n", "=?x?q?=?=", "\0", "a@b"),
]
mail_text = texts_of(MAIL_PIECES)
SMS_KEYS = "address date type body subject contact_name msg_box m_type sub ct text data"
SMS_VALUES = ["1", "2", "137", "null", "a~b", "+15550000001", "1721556000000"]
sms_attributes = st.dictionaries(
    st.sampled_from(SMS_KEYS.split()),
    st.sampled_from(SMS_VALUES) | st.text() | st.just("'&#55357;&#0;'"),
)
sms_elements = st.recursive(
    st.text()
    | st.sampled_from(["<part", "<!--", "&", " data='", "</smses>", "<![CDATA["]),
    lambda inner: st.builds(
        element,
        st.sampled_from(["sms", "mms", "part", "parts", "addr", "addrs", "x"]),
        sms_attributes,
        inner,
    ),
)


class Format(NamedTuple):
    """A loader, the content of a file, and a function that writes an export with it."""

    loader: type[ChatExportLoader]
    content: st.SearchStrategy[Any]
    write: Callable[[Path, Any], Path]
    min_messages: int = 0


SLACK_VALUES = (
    *("1.1", "1714550400.000100", "U1", "<@U1>", "<!", "bot_message", "file_comment"),
)
DISCORD_VALUES = (
    *("11", "Default", "Reply", "20", "2024-05-01T08:00:00Z", "<@11>", "<t:1:R>"),
)
TELEGRAM_VALUES = (
    *("user11", "message", "service", "topic_created"),
    *("2024-05-01T08:00:00", "1714550400", "private_supergroup"),
)
PAGES = st.text() | st.sampled_from(["</div>" * 9, "<div class='text'>", "<!--", "<a"])
FRAMES = any_json(SIGNAL_KEYS, "1", "-").map(json.dumps) | st.text()
THREADS = st.fixed_dictionaries(
    {"messages": records(MESSENGER_KEYS, "Ada").filter(bool)},
    optional=dict.fromkeys(THREAD_KEYS.split(), any_json(MESSENGER_KEYS, "Ada")),
)
TABLES = st.tuples(st.sampled_from([b"", b"chat_id;text\n1;Hi\n"]), st.binary())
FORMATS = {
    "slack": Format(
        chat_loaders.SlackChatLoader, records(SLACK_KEYS, *SLACK_VALUES), write_slack
    ),
    "discord": Format(
        chat_loaders.DiscordChatLoader,
        records(DISCORD_KEYS, *DISCORD_VALUES),
        write_discord,
    ),
    "telegram": Format(
        chat_loaders.TelegramChatLoader,
        st.tuples(
            any_json(TELEGRAM_KEYS, *TELEGRAM_VALUES),
            st.booleans(),
            records(TELEGRAM_KEYS, *TELEGRAM_VALUES),
        ),
        write_telegram,
    ),
    "telegram page": Format(
        chat_loaders.TelegramChatLoader,
        st.tuples(PAGES, st.sampled_from([1, 2 / 3])),
        write_telegram_page,
    ),
    "signal": Format(
        chat_loaders.SignalChatLoader, st.lists(FRAMES, max_size=6), write_signal
    ),
    "messenger": Format(
        chat_loaders.FolderFacebookMessengerChatLoader,
        st.tuples(THREADS, any_json(MESSENGER_KEYS, "Ada")),
        write_messenger,
        min_messages=1,
    ),
    "whatsapp": Format(
        chat_loaders.WhatsAppChatLoader,
        st.binary(max_size=300) | whatsapp_text,
        write_whatsapp,
    ),
    "chatlab": Format(
        chat_loaders.ChatLabChatLoader,
        records(CHATLAB_KEYS, *CHATLAB_VALUES),
        write_chatlab,
    ),
    "kakaotalk": Format(
        chat_loaders.KakaoTalkChatLoader,
        st.binary(max_size=300) | kakaotalk_text,
        write_text,
    ),
    "line": Format(
        chat_loaders.LineChatLoader, st.binary(max_size=300) | line_text, write_text
    ),
    "skype": Format(
        chat_loaders.SkypeChatLoader, records(SKYPE_KEYS, *SKYPE_VALUES), write_skype
    ),
    "mail": Format(
        chat_loaders.EmailChatLoader, st.binary(max_size=300) | mail_text, write_text
    ),
    "sms": Format(
        chat_loaders.SmsChatLoader, st.lists(sms_elements).map("".join), write_sms
    ),
    "table": Format(chat_loaders.TableChatLoader, TABLES.map(b"".join), write_table),
}


def check(loader: ChatExportLoader, min_messages: int) -> None:
    """Check the counts and that messages are valid JSON, unless our error is raised."""
    try:
        summary = loader.inspect()
        sessions = loader.load()
    except ChatExportError:
        return
    messages: list[BaseMessage] = [m for s in sessions for m in s["messages"]]
    counted = sum(m.additional_kwargs.get("weight") != 0 for m in messages)
    assert summary.found == summary.kept + sum(summary.skipped.values())
    assert summary.kept == counted >= min_messages
    json.dumps(summary.to_dict())
    for message in messages:
        json.dumps(message.additional_kwargs)
        assert str(message.content).strip()
        assert message.additional_kwargs["sender"]


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_any_content_loads_or_raises_our_error(name: str, data: st.DataObject) -> None:
    loader, content, write, min_messages = FORMATS[name]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        path = write(Path(folder), data.draw(content))
        check(loader(path, keep=KEPT), min_messages)
