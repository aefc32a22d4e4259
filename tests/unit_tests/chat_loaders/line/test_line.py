"""LINE's layouts, days, times, names and phrases."""

# ruff: noqa: RUF001 - letters of other scripts

import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import LineChatLoader
from langchain_chatexports.chat_loaders.schema import keys_of, metadata_of
from langchain_chatexports.exceptions import ExportFormatError, UnknownFormatError
from tests.unit_tests.builders.sessions import open_export

NAME = "[LINE] Ann.txt"
HEAD = "[LINE] Chat history with Ann\nSaved on: 2026/03/08, 22:10\n\n"
DAY = "2026/01/25(Sun)\n"
PC_DAY = "2022.10.13 Thursday\n"
TALK = "07:53\tAnn\tHi\n07:54\tBob\tHello\n"
UTC: dict[str, Any] = {"timezone": "UTC"}
GUESSED = "ignore:.*where some names end:UserWarning"


def write(folder: Path, text: str, name: str = NAME, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def read(path: Any, **options: Any) -> list[tuple[str, str]]:
    """Return the senders and texts of the only chat."""
    (session,) = LineChatLoader(path, **(UTC | options)).load()
    return [(keys_of(m).get("sender", ""), str(m.content)) for m in session["messages"]]


def times(path: Path) -> list[str]:
    (session,) = LineChatLoader(path, **UTC).load()
    events = [m.additional_kwargs["events"][0] for m in session["messages"]]
    return [event["message_time"][:16] for event in events]


LAYOUTS = {
    "Japanese": (
        "[LINE] Annとのトーク履歴\n保存日時：2026/08/21 11:59\n\n2024/1/23(火)\n"
    ),
    "Japanese, 12 hours": (
        "[LINE] Annとのトーク履歴\n保存日時：2021/04/30 午後1:16\n\n2024/1/23(火)\n"
    ),
    "English": HEAD + DAY,
    "English, 2018": (
        "[LINE] Chat history with Ann\nSaved on: 2018/03/25 19:57\n\n2018/04/16(Mon)\n"
    ),
    "British": (
        "[LINE] Chat history with Ann\n"
        "Saved on: 26/04/2026, 04:36PM\n\nSun, 26/04/2026\n"
    ),
    "no mark": (
        "Chat history with Ann\nSaved on: 11/04/2025, 08:00\n\nMon, 11/03/2025\n"
    ),
    "Taiwan": (
        "[LINE] 與Ann的聊天記錄\n儲存日期： 2026/01/03 01:14\n\n2024/01/05（週五）\n"
    ),
    "China": "[LINE] 与Ann的聊天记录\n保存日期: 2026/1/30 10:05\n\n2026/1/30周五\n",
    "Thai": "[LINE] ประวัติการแชทกับ Ann\nบันทึกเมื่อ 04/09/2569 07:48\n\nศ. 28/11/2568\n",
    "unknown language": "[LINE] Xyz Ann\nWxyz: 2026/03/08 22:10\n\n2026/01/25\n",
    "no head": DAY,
    "unmarked spaces": PC_DAY,
    "spaces, Japanese": "2022.10.13 木曜日\n",
    "spaces, Chinese": "2025.02.15 星期六\n",
    "computer with tabs": PC_DAY,
}
SPACES = [name for name in LAYOUTS if "spaces" in name]


@pytest.mark.filterwarnings(GUESSED)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_layout(tmp_path: Path, layout: str, end: str) -> None:
    talk = TALK.replace("\t", " ") if layout in SPACES else TALK
    path = write(tmp_path, f"\ufeff{LAYOUTS[layout]}{talk}".replace("\n", end))
    assert isinstance(open_export(path).loader, LineChatLoader)
    assert read(path) == [("Ann", "Hi"), ("Bob", "Hello")]
    summary = LineChatLoader(path, **UTC).inspect()
    assert (summary.found, summary.owner) == (2, "Bob")


@pytest.mark.parametrize(
    ("day", "date"),
    [
        *(("2017.09.03 Sunday", "2017-09-03"), ("2022.10.13 木曜日", "2022-10-13")),
        *(("2025.02.15 星期六", "2025-02-15"), ("2024/1/23(火)", "2024-01-23")),
        *(("2015/12/25 Fri", "2015-12-25"), ("2022/03/31（四）", "2022-03-31")),
        *(("2024/01/05（週五）", "2024-01-05"), ("2026/1/30周五", "2026-01-30")),
        *(("2024/01/15 จันทร์", "2024-01-15"), ("Fri, 1/30/2026", "2026-01-30")),
        *(("Sun, 26/04/2026", "2026-04-26"), ("Mon, 11/03/2025", "2025-11-03")),
        *(("Tue, 11/03/2025", "2025-03-11"), ("ศ. 28/11/2568", "2025-11-28")),
        *(("Th 2, 6/4/2026", "2026-04-06"), ("CN, 05/04/2026", "2026-04-05")),
        *(("2025.05.15 วันพฤหัสบดี", "2025-05-15"), ("2026. 1. 30. (금)", "2026-01-30")),
        *(("30/1/2026（週五）", "2026-01-30"), ("Fr., 30.1.2026", "2026-01-30")),
        *(("ven. 30/01/2026", "2026-01-30"), ("vie, 30/1/2026", "2026-01-30")),
        *(("пт, 30.01.2026 г.", "2026-01-30"), ("30.1.2026 Cum", "2026-01-30")),
        *(("sex., 30/01/2026", "2026-01-30"), ("Jum, 30/1/2026", "2026-01-30")),
        *(("2021.1.1 金曜日", "2021-01-01"), ("2021/01/02(土)", "2021-01-02")),
        *(("2018/04/16(Mon)", "2018-04-16"), ("Fri, 30/1/2026", "2026-01-30")),
        *(("ven 30/01/2026", "2026-01-30"), ("2026/03/08", "2026-03-08")),
    ],
)
def test_day(tmp_path: Path, day: str, date: str) -> None:
    path = write(tmp_path, f"{HEAD}{day}\n{TALK}")
    assert times(path) == [f"{date}T07:53", f"{date}T07:54"]


def test_other_days_decide_the_order(tmp_path: Path) -> None:
    """Both 3 November and 11 March fit; the second day is certain."""
    text = f"{HEAD}2/3/2025\n{TALK}2/25/2025\n{TALK}"
    assert times(write(tmp_path, text))[0] == "2025-02-03T07:53"


@pytest.mark.parametrize(
    "line",
    ["2024/01/05(月)", "2024/01/05 meeting moved", "at 2024/01/05", "2024/99/99"],
)
def test_typed_date_is_text(tmp_path: Path, line: str) -> None:
    path = write(tmp_path, f"{HEAD}{DAY}07:53\tAnn\tHi\n{line}\n07:54\tBob\tHello\n")
    assert read(path)[0] == ("Ann", f"Hi\n{line}")


@pytest.mark.parametrize(
    ("written", "time"),
    [
        *(("07:33", "07:33"), ("9:20", "09:20"), ("9:30AM", "09:30")),
        *(("04:36PM", "16:36"), ("10:00 AM", "10:00"), ("10:00\u202fPM", "22:00")),
        *(("午前11:24", "11:24"), ("午後05:38", "17:38"), ("上午09:46", "09:46")),
        *(("下午07:04", "19:04"), ("午前0:05", "00:05"), ("24:53", "00:53")),
        *(("12:10 AM", "00:10"), ("12:10 PM", "12:10"), ("下午12:30", "12:30")),
        *(("午後0:30", "12:30"), ("午前12:03", "00:03"), ("上午12:10", "00:10")),
    ],
)
def test_time(tmp_path: Path, written: str, time: str) -> None:
    path = write(tmp_path, f"{HEAD}{DAY}{written}\tAnn\tHi\n")
    assert times(path) == [f"2026-01-25T{time}"]


def test_noon_with_the_marker_of_the_morning(tmp_path: Path) -> None:
    rows = "".join(f"{at}\tAnn\tHi\n" for at in ("午前11:27", "午前12:03", "午後5:38"))
    found = times(write(tmp_path, f"{HEAD}{DAY}{rows}"))
    assert [time[11:] for time in found] == ["11:27", "12:03", "17:38"]


QUOTED = "07:53\tAnn\t{}\n07:54\tBob\tHello\n"
TEXTS = {
    "two lines": ('"a\nb"', "a\nb"),
    "empty line": ('"a\n\nb"', "a\n\nb"),
    "line like a message": ('"a\n07:53\tAnn\tx\nb"', "a\n07:53\tAnn\tx\nb"),
    "line like a day": (f'"a\n{DAY}b"', f"a\n{DAY}b"),
    "never closed": ('"a\nb', '"a\nb'),
    "typed quotes": ('"ok"', '"ok"'),
    "one typed quote": ('"ok', '"ok'),
    "quote inside": ('"a "x" b\nc"', 'a "x" b\nc'),
    "doubled quotes": ('"a ""x""\nc"', 'a "x"\nc'),
    "tab": ("a\tb", "a\tb"),
    "typed bracket": ("[ok]", "[ok]"),
    "words of a notice": ("I added sugar to the group order", None),
    "separator": ("a\u2028b\u0085c", None),
    "LINE's emoji": ("(moon grin) a", None),
}


@pytest.mark.filterwarnings("ignore:.* whose end is missing:UserWarning")
@pytest.mark.parametrize(("text", "expected"), TEXTS.values(), ids=TEXTS)
def test_text(tmp_path: Path, text: str, expected: str | None) -> None:
    path = write(tmp_path, f"{HEAD}{DAY}{QUOTED.format(text)}")
    assert read(path) == [("Ann", expected or text), ("Bob", "Hello")]


def test_text_without_its_end_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path, f"{HEAD}{DAY}{QUOTED.format(chr(34) + 'a' + chr(10) + 'b')}")
    with pytest.warns(UserWarning, match="Ann.txt has a text of several lines"):
        assert LineChatLoader(path, **UTC).inspect().details["open_quotes"] == 1


def test_messages_of_a_minute_keep_their_order(tmp_path: Path) -> None:
    rows = "".join(f"07:53\t{name}\tHi\n" for name in ("Cy", "Ann", "Bob", "Ann"))
    path = write(tmp_path, HEAD + DAY + rows)
    assert [sender for sender, _ in read(path)] == ["Cy", "Ann", "Bob", "Ann"]


@pytest.mark.parametrize("name", ["Bob: Smith", "🐢", "x" * 80, "Bob  Smith"])
def test_name(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, f"{HEAD}{DAY}07:53\t\u2068{name}\u2069\tHi\n")
    assert read(path) == [(name, "Hi")]


SKIPPED = {
    "no sender": ("07:53\t\tAnn joined the group\n", "system"),
    "two columns": ("07:53\tAnn joined the group\n", "system"),
    "call": ("07:53\tAnn\t☎ 通話時間 1:02\n", "system"),
    "Thai call": ("07:53\tAnn\tไม่ได้รับสาย\n", "system"),
    "Thai call, canceled": ("07:53\tAnn\tยกเลิกการโทร\n", "system"),
    "missed call": ("07:53\tAnn\t☎ Missed call\n", "system"),
    "empty": ("07:53\tAnn\t\n", "empty"),
    **{
        text: (f"07:53\t\t{text}\n", "unsent")
        for text in (
            *("You unsent a message.", "Ann unsent a message.", "Message unsent."),
            *("メッセージの送信を取り消しました", "小明已收回訊息", "撤回了一条消息"),
            *("ยกเลิกข้อความแล้ว", "花子がメッセージの送信を取り消しました"),
            *("You unsent a photo.", "您已收回訊息", "ยกเลิกการส่งข้อความ"),
        )
    },
    **{
        text: (f"07:53\tAnn\t{text}\n", "media")
        for text in (
            *(
                "[Photo]",
                "[写真]",
                "[照片]",
                "[视频]",
                "[スタンプ]",
                "[貼圖]",
                "[สติกเกอร์]",
            ),
            *(
                "[Voice message]",
                "[檔案]",
                "[連絡先]",
                "[プレゼント]",
                "[Albums] Sea",
                "(emoji)",
            ),
            "[null] https://maps.google.com/?q=1,2",
        )
    },
}


@pytest.mark.parametrize(("row", "reason"), SKIPPED.values(), ids=SKIPPED)
def test_skipped_with_a_reason(tmp_path: Path, row: str, reason: str) -> None:
    summary = LineChatLoader(write(tmp_path, HEAD + DAY + row + TALK), **UTC).inspect()
    assert (summary.kept, dict(summary.skipped)) == (2, {reason: 1})


PLACEHOLDERS = {
    word: kind
    for kind, words in {
        "photo": "Photo Photos 写真 照片 圖片 รูป ภาพ Ảnh",
        "video": "Video Videos 動画 影片 视频 วิดีโอ",
        "sticker": "Sticker Stickers スタンプ 貼圖 贴图 สติกเกอร์",
        "audio": "Audio ボイスメッセージ 語音訊息 语音信息 ข้อความเสียง",
        "file": "File ファイル 檔案 文件 ไฟล์",
        "contact": "Contact 連絡先 聯絡資訊 ผู้ติดต่อ",
        "location": "Location 位置情報 位置 ตำแหน่ง",
        "gift": "Gift プレゼント 禮物",
        "album": "Albums アルバム 相簿",
        "note": "Notes ノート 記事本 记事本",
        "poll": "Poll 投票",
    }.items()
    for word in words.split()
}
TITLED = [word for word, kind in PLACEHOLDERS.items() if kind in {"album", "note"}]


@pytest.mark.filterwarnings(GUESSED)
@pytest.mark.parametrize("on_phone", [True, False], ids=["phone", "computer"])
@pytest.mark.parametrize(("word", "kind"), PLACEHOLDERS.items(), ids=PLACEHOLDERS)
def test_placeholder(tmp_path: Path, word: str, kind: str, on_phone: bool) -> None:
    rows = f"07:53\tAnn\t[{word}]\n" if on_phone else f"07:53 Ann {word}\n"
    path = write(tmp_path, (HEAD + DAY if on_phone else PC_DAY) + rows)
    (session,) = LineChatLoader(path, keep="media", **UTC).load()
    (message,) = session["messages"]
    assert message.additional_kwargs["attachments"] == [{"type": kind}]
    assert (message.content, keys_of(message).get("sender")) == (f"[{kind}]", "Ann")


@pytest.mark.parametrize("word", TITLED)
def test_placeholder_with_a_title(tmp_path: Path, word: str) -> None:
    path = write(tmp_path, f"{HEAD}{DAY}07:53\tAnn\t[{word}] Sea and sun\n")
    (session,) = LineChatLoader(path, keep="media", **UTC).load()
    (item,) = session["messages"][0].additional_kwargs["attachments"]
    assert item == {"type": PLACEHOLDERS[word], "title": "Sea and sun"}


NOTICES = [
    *("Cy joined the group", "Cy left the group", "Ann added Cy to the group"),
    *("Ann invited Cy to the group", "Ann changed the group name to Sea"),
    *("Ann made an announcement", "花子がグループに参加しました"),
    *("花子がグループを退会しました", "花子が太郎を招待しました"),
    *("花子が太郎をグループに追加しました", "花子がアナウンスしました"),
    *("花子がグループ名を海に変更しました", "小明已加入群組", "小明已離開群組"),
    *("小明已新增小華至群組", "小明已設定公告", "小明加入聊天", "小明離開聊天"),
    *("小明已將小華強制退出社群", "小明已加入该群", "小明已退群", "小明发布了通告"),
    *("สมชาย เพิ่ม สมหญิง เข้ากลุ่ม", "สมชายเข้าร่วมกลุ่ม", "สมชายออกจากกลุ่ม"),
]


@pytest.mark.parametrize("on_phone", [True, False], ids=["phone", "computer"])
@pytest.mark.parametrize("notice", NOTICES)
def test_notice(tmp_path: Path, notice: str, on_phone: bool) -> None:
    rows = f"07:55\t\t{notice}\n" if on_phone else f"07:55 {notice}\n"
    talk = "".join(f"07:5{n} {'AB'[n % 2]}nn word{n} here\n" for n in range(6))
    talk = talk.replace(" ", "\t", 2) if on_phone else talk
    head = HEAD + DAY + TALK if on_phone else PC_DAY + talk
    summary = LineChatLoader(write(tmp_path, head + rows), **UTC).inspect()
    assert dict(summary.skipped) == {"system": 1}
    assert len(summary.senders) == 2


def test_message_before_a_day_is_undated(tmp_path: Path) -> None:
    summary = LineChatLoader(write(tmp_path, HEAD + TALK), **UTC).inspect()
    assert dict(summary.skipped) == {"undated": 2}


def test_place(tmp_path: Path) -> None:
    text = '"[Location]\nPark, Sea Road\nhttps://maps.google.com/?q=1,2"'
    path = write(tmp_path, f"{HEAD}{DAY}07:53\tAnn\t{text}\n")
    (session,) = LineChatLoader(path, keep="media", **UTC).load()
    (item,) = session["messages"][0].additional_kwargs["attachments"]
    uri = "https://maps.google.com/?q=1,2"
    assert item == {"type": "location", "title": "Park, Sea Road", "uri": uri}


def test_word_in_brackets_of_two_people_is_an_attachment(tmp_path: Path) -> None:
    rows = "07:53\tAnn\t[Xyzzy]\n07:54\tBob\t[Xyzzy]\n"
    summary = LineChatLoader(write(tmp_path, HEAD + DAY + rows), **UTC).inspect()
    assert dict(summary.skipped) == {"media": 2}


PC = {
    "spaces in the text": (["16:23 Ann I am here", "16:24 Bob ok"], {}, ["Ann", "Bob"]),
    "name of the file": (
        ["16:23 Bob Smith hi there", "16:24 Ann ok"],
        {"name": "[LINE] Bob Smith.txt"},
        ["Bob Smith", "Ann"],
    ),
    "placeholder": (
        ["16:23 Bob Smith hi there", "16:24 Bob Smith Stickers", "16:25 Ann ok"],
        {},
        ["Bob Smith", "Ann"],
    ),
    "common words": (
        [f"16:{20 + n} Bob Smith word{n} there" for n in range(3)],
        {},
        ["Bob Smith"] * 3,
    ),
    "option": (
        ["16:23 Bob Smith hi", "16:24 Bob Jones hi"],
        {"senders": ["Bob Smith", "Bob Jones"]},
        ["Bob Smith", "Bob Jones"],
    ),
    "only a first name": (["16:23 Bob Smith hi"], {}, ["Bob"]),
    "wrote once": (["16:23 Ann hi", "16:24 Zoe hello"], {}, ["Ann", "Zoe"]),
    "marks": (["16:23 \u2068Bob\u2069 hi", "16:24 Bob hi"], {}, ["Bob", "Bob"]),
    "tabs in the text": (
        ["16:23 Ann a\tb", "x\ty", "16:24 Bob ok"],
        {},
        ["Ann", "Bob"],
    ),
    "line like a time": (["16:23 Ann at", "16:30 is fine"], {}, ["Ann"]),
    "pasted table": (["16:23 Ann a", "10:15 Acetyl 200 mg"], {}, ["Ann"]),
    "notice without a space": (
        ["16:23 Ann a", "16:24 Bobがメッセージの送信を取り消しました"],
        {},
        ["Ann"],
    ),
    "Thai notice": (["16:23 Ann a", "08:40 ยกเลิกข้อความแล้ว"], {}, ["Ann"]),
    "notice": (["16:23 Ann a", "16:24 Bob Smith joined the group"], {}, ["Ann"]),
    "typed like a notice": (
        [f"16:2{n} Ann word{n} there" for n in range(3)]
        + ["16:29 Ann Bob unsent a message."],
        {},
        ["Ann"] * 4,
    ),
}


@pytest.mark.filterwarnings(GUESSED)
@pytest.mark.parametrize(("rows", "options", "senders"), PC.values(), ids=PC)
def test_computer(tmp_path: Path, rows: Any, options: Any, senders: list[str]) -> None:
    name = options.pop("name", "[LINE] Weekend.txt")
    path = write(tmp_path, PC_DAY + "\n".join(rows) + "\n", name)
    assert isinstance(open_export(path).loader, LineChatLoader)
    found = read(path, **options)
    assert [sender for sender, _ in found] == senders
    kept = " ".join(text for _, text in found)
    for word in ("is fine", "200 mg", "x\ty"):
        assert (word in kept) == any(word in row for row in rows)


def test_guessed_name_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path, f"{PC_DAY}16:23 Bob Smith hi\n", "[LINE] Weekend.txt")
    with pytest.warns(UserWarning, match="first word is read as the name.*`senders`"):
        assert LineChatLoader(path, **UTC).inspect().details["guessed_names"] == 1
    assert read(path, senders=["Bob Smith"]) == [("Bob Smith", "hi")]


OWNERS = {
    "head": (HEAD + DAY + TALK, NAME, "Bob", "Ann", False),
    "file's name": (DAY + TALK, NAME, "Bob", "Ann", False),
    "copy's name": (DAY + TALK, "[LINE] Ann (1).txt", "Bob", "Ann", False),
    "group": (
        HEAD.replace("with Ann", "in Trip") + DAY + TALK + "08:00\tCy\tHi\n",
        NAME,
        None,
        "Trip",
        True,
    ),
}


@pytest.mark.parametrize(
    ("text", "name", "owner", "title", "is_group"), OWNERS.values(), ids=OWNERS
)
def test_owner_and_title(
    tmp_path: Path, text: str, name: str, owner: str, title: str, is_group: bool
) -> None:
    loader = LineChatLoader(write(tmp_path, text, name), **UTC)
    (session,) = loader.load()
    assert loader.inspect().owner == owner
    metadata = metadata_of(session)
    assert (metadata["title"], metadata["is_group"]) == (title, is_group)


def test_repeated_exports_are_read_once(tmp_path: Path) -> None:
    rows = [f"07:53\tAnn\t{n % 4}\n" for n in range(6)]
    write(tmp_path, HEAD + DAY + "".join(rows[:4]), "[LINE] Ann.txt")
    write(tmp_path, HEAD + DAY + "".join(rows), "[LINE] Ann (1).txt")
    summary = open_export(tmp_path).loader.inspect()
    assert (summary.found, summary.kept, summary.sessions) == (10, 6, 1)


@pytest.mark.filterwarnings("ignore:.* is not UTF-8:UserWarning")
@pytest.mark.parametrize("encoding", ["cp932", "utf-16", "cp874"])
def test_encoding(tmp_path: Path, encoding: str) -> None:
    text = "หวัดดี" if encoding == "cp874" else "元気"
    path = write(tmp_path, f"{HEAD}{DAY}07:53\tAnn\t{text}\n", encoding=encoding)
    options = {"encoding": encoding} if encoding == "cp874" else {}
    assert read(path, **options) == [("Ann", text)]
    with pytest.raises(ValueError, match="Unknown encoding 'x-y'"):
        LineChatLoader(path, encoding="x-y")


THAI = LAYOUTS["Thai"] + "07:53\tAnn\tสวัสดี\n"
THAI_PC = "2025.05.15 วันพฤหัสบดี\n07:53 Ann สวัสดี\n07:54 Ann สวัสดี\n"


@pytest.mark.parametrize("text", [THAI, THAI_PC], ids=["phone", "computer"])
def test_thai_encoding_is_recognized_by_line_s_words(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text, encoding="cp874")
    with pytest.warns(UserWarning, match='read as cp874. Pass encoding="cp874", "eu'):
        assert read(path)[0] == ("Ann", "สวัสดี")


@pytest.mark.parametrize(
    "text", ["Schöne Grüße", "Ça va, été étés", "käme öde ähnlich"]
)
def test_legacy_encoding_is_read_and_reported(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, f"{HEAD}{DAY}07:53\tZoë\t{text}\n", encoding="cp1252")
    with pytest.warns(UserWarning, match="read as Windows-1252"):
        assert read(path) == [("Zoë", text)]


def test_characters_of_another_encoding_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path, f"{HEAD}{DAY}07:53\tZoë\tfür\n", encoding="cp1252")
    loader = LineChatLoader(path, timezone="UTC", encoding="ascii")
    with pytest.warns(UserWarning, match="2 characters that are not ascii"):
        assert loader.inspect().details["unknown_characters"] == 2


def test_time_zone(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + DAY + TALK)
    (session,) = LineChatLoader(path, timezone="Asia/Tokyo").load()
    event = session["messages"][0].additional_kwargs["events"][0]
    assert event["message_time"] == "2026-01-24T22:53:00+00:00"


def test_business_file_is_refused_by_name(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "送信者タイプ,送信者名,送信日,送信時刻,内容\nUser,A,2026/01/25,07:53,x\n",
    )
    with pytest.raises(ExportFormatError, match="manager for business accounts"):
        open_export(path).loader.load()


OTHERS = {
    "WhatsApp": "[25/01/2026, 07:53:01] Ann: Hi\n[25/01/2026, 07:54:01] Bob: Hello\n",
    "KakaoTalk": "2026년 4월 25일 오후 3:20, 민지 : a\n" * 2,
    "empty": "",
    "notes": "2026/01/25\nmilk\n",
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_other_files_are_not_recognized(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text, "notes.txt")
    with suppress(UnknownFormatError):
        assert not isinstance(open_export(path).loader, LineChatLoader)
    with pytest.raises(ExportFormatError, match=r"notes\.txt"):
        LineChatLoader(path, **UTC).load()


@pytest.mark.parametrize(("text", "reports"), [("hi", 0), ("other", 1)])
def test_chats_of_namesakes_are_reported(
    tmp_path: Path, text: str, reports: int
) -> None:
    head = "[LINE] Chat history with Bo\nSaved on: 2024/5/1 10:00\n\n2024/05/01(Wed)\n"
    rows = ["10:00\tBo\thi\n10:05\tBo\tbye\n", f"10:00\tBo\t{text}\n10:04\tBo\ta\n"]
    for number, row in enumerate(rows):
        (tmp_path / f"{number}.txt").write_text(head + row)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        summary = LineChatLoader(tmp_path).inspect()
    assert summary.details.get("joined_by_name", 0) == reports
    assert len([w for w in caught if "same name" in str(w.message)]) == reports
