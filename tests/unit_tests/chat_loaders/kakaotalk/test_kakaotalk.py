"""KakaoTalk's layouts, phrases, names and line ends."""

import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from langchain_chatexports import KakaoTalkChatLoader
from langchain_chatexports.chat_loaders.schema import keys_of, metadata_of
from langchain_chatexports.exceptions import ExportFormatError, UnknownFormatError
from tests.unit_tests.builders.sessions import open_export

KO_HEAD = "민지 님과 카카오톡 대화\r\n저장한 날짜 : 2026년 4월 25일 오후 4:40\n\r\n"
KO_DAY = "\r\n2026년 4월 25일 오후 3:20\r\n"
EN_HEAD = "KakaoTalk Chats with Minji\r\nDate Saved : 1:05pm, August 3, 2015\r\n"
PC_HEAD = "민지 님과 카카오톡 대화\r\n저장한 날짜 : 2026-06-13 18:17:31\r\n\r\n"
KO_DASHES = "--------------- 2026년 5월 24일 일요일 ---------------\r\n"
EN_DASHES = "--------------- Sunday, May 24, 2026 ---------------\r\n"
MAC = "Date,User,Message\n"
MAY = "2026-05-24T15:03:00+00:00"
APRIL = "2026-04-25T15:20:00+00:00"
UTC: dict[str, Any] = {"timezone": "UTC"}


def write(folder: Path, text: str, name: str = "KakaoTalkChats.txt") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def read(path: Any, **options: Any) -> list[tuple[str, str]]:
    """Return the senders and texts of the only chat."""
    (session,) = KakaoTalkChatLoader(path, **(UTC | options)).load()
    return [(keys_of(m).get("sender", ""), str(m.content)) for m in session["messages"]]


class Layout(NamedTuple):
    """An export with the messages `안녕` of 민지 and `hi` of Sua."""

    text: str
    iso_time: str


LAYOUTS = {
    "Android": Layout(
        f"{KO_HEAD}{KO_DAY}2026년 4월 25일 오후 3:20, 민지 : 안녕\r\n"
        "2026년 4월 25일 오후 3:22, Sua : hi\r\n",
        APRIL,
    ),
    "Android, time first": Layout(
        f"{EN_HEAD}8:34pm, July 9, 2015\r\n8:34pm, July 9, 2015, 민지 : 안녕\r\n"
        "8:35pm, July 9, 2015, Sua : hi\r\n",
        "2015-07-09T20:34:00+00:00",
    ),
    "Android, 2016": Layout(
        f"{EN_HEAD}February 10, 2016, 2:33 AM\r\n"
        "February 10, 2016, 2:33 AM, 민지 : 안녕\r\n"
        "February 10, 2016, 2:34 AM, Sua : hi\r\n",
        "2016-02-10T02:33:00+00:00",
    ),
    "Android, 2023": Layout(
        f"{EN_HEAD}March 24, 2023 at 9:31\u202fp.m., 민지 : 안녕\r\n"
        "March 24, 2023 at 9:32\u00a0p.m., Sua : hi\r\n",
        "2023-03-24T21:31:00+00:00",
    ),
    "iOS": Layout(
        "Talk_2026.2.10 08:50-1.txt\r\n저장한 날짜 : 2026. 2. 10. 오후 12:16\n\r\n"
        "2026년 2월 1일 일요일\r\n2026. 2. 1. 오후 8:29, 민지 : 안녕\r\n"
        "2026. 2. 1. 오후 8:30, Sua : hi\r\n",
        "2026-02-01T20:29:00+00:00",
    ),
    "iOS, time only": Layout(
        "주말 모임 (4명)과 카카오톡 대화-1.txt\r\n"
        "저장한 날짜 : 2026. 2. 10. 오후 12:16\n\r\n"
        "2026년 2월 1일 일요일\r\n오후 8:36, 민지 : 안녕\r\n오후 8:37, Sua : hi\r\n",
        "2026-02-01T20:36:00+00:00",
    ),
    "iOS in English": Layout(
        "KakaoTalk Chats with Weekend (4 people)-1.txt\r\nDate Saved : Aug 3, 2015\r\n"
        "Thursday, July 9, 2015\r\nJul 9, 2015, 8:34 PM, 민지 : 안녕\r\n"
        "Jul 9, 2015, 8:35 PM, Sua : hi\r\n",
        "2015-07-09T20:34:00+00:00",
    ),
    "iOS with 24 hours": Layout(
        "Talk_2026.4.25 10:20-1.txt\r\nDate Saved : Apr 25, 2026 at 10:38\r\n"
        "Apr 25, 2026 at 20:35, 민지 : 안녕\r\nApr 25, 2026 at 20:36, Sua : hi\r\n",
        "2026-04-25T20:35:00+00:00",
    ),
    "Windows": Layout(
        f"{PC_HEAD}{KO_DASHES}[민지] [오후 3:03] 안녕\r\n[Sua] [오후 3:04] hi\r\n", MAY
    ),
    "Windows in English": Layout(
        "Weekend with KakaoTalk Chats\r\nDate Saved : 2026-06-13 18:17:31\r\n"
        f"{EN_DASHES}[민지] [3:03 PM] 안녕\r\n[Sua] [3:04 PM] hi\r\n",
        MAY,
    ),
    "Windows, marker first": Layout(
        "A with KakaoTalk Chats\r\nDate Saved: 2026-06-13 18:17:31\r\n"
        f"{KO_DASHES}[민지] [PM 3:03] 안녕\r\n[Sua] [PM 3:04] hi\r\n",
        MAY,
    ),
    "Windows, 24 hours": Layout(
        f"{PC_HEAD}{EN_DASHES}[민지] [15:03] 안녕\r\n[Sua] [15:04] hi\r\n", MAY
    ),
    "Mac": Layout(
        f'{MAC}2026-05-24 15:03:00,"민지","안녕"\n2026-05-24 15:04:10,"Sua","hi"\n', MAY
    ),
    "Mac, unquoted": Layout(
        f"{MAC}2026-05-24 15:03,민지,안녕\n2026-05-24 15:04,Sua,hi\n", MAY
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["", "byte order mark"])
def test_layout(tmp_path: Path, layout: Layout, mark: str) -> None:
    path = write(tmp_path, mark + layout.text)
    assert isinstance(open_export(path).loader, KakaoTalkChatLoader)
    assert read(path) == [("민지", "안녕"), ("Sua", "hi")]
    (session,) = KakaoTalkChatLoader(path, **UTC).load()
    event = session["messages"][0].additional_kwargs["events"][0]
    assert event["message_time"] == layout.iso_time
    summary = KakaoTalkChatLoader(path, **UTC).inspect()
    assert (summary.found, summary.details) == (2, {"time_zone": ["UTC"]})


@pytest.mark.parametrize(
    ("clock", "hour"),
    [("오전 12:05", 0), ("오후 12:10", 12), ("12:10 AM", 0), ("12:10 PM", 12)],
)
def test_twelve_o_clock(tmp_path: Path, clock: str, hour: int) -> None:
    rows = f"[민지] [{clock}] a\r\n[민지] [{clock}] b\r\n"
    path = write(tmp_path, f"{PC_HEAD}{KO_DASHES}{rows}")
    (session,) = KakaoTalkChatLoader(path, **UTC).load()
    event = session["messages"][0].additional_kwargs["events"][0]
    assert int(event["message_time"][11:13]) == hour
    assert [m.content for m in session["messages"]] == ["a", "b"]


def phone(*rows: str, head: str = KO_HEAD, end: str = "\r\n") -> str:
    """A phone's export; each row follows the time."""
    stamp = "2026년 4월 25일 오후 3:20"
    text = f"{head}{KO_DAY}" + "".join(f"{stamp}{row}\r\n" for row in rows)
    return text.replace("\r\n", end)


def windows(*rows: str) -> str:
    return f"{PC_HEAD}{KO_DASHES}" + "".join(f"{row}\r\n" for row in rows)


HEADER = "2026년 4월 25일 오후 3:30, 수아 : x"
PLACES = {
    "line break": (phone(", 민지 : a\nb"), [("민지", "a\nb")]),
    "pasted header": (phone(f", 민지 : a\n{HEADER}"), [("민지", f"a\n{HEADER}")]),
    "pasted header, saved again": (
        phone(f", 민지 : a\n{HEADER}", end="\n"),
        [("민지", "a"), ("수아", "x")],
    ),
    "empty line before a day": (
        phone(", 민지 : a") + KO_DAY + "2026년 4월 25일 오후 3:25, 민지 : b\r\n",
        [("민지", "a"), ("민지", "b")],
    ),
    "colon in the text": (phone(", 민지 : a : b"), [("민지", "a : b")]),
    "comma in the name": (phone(", Kim, Minji : hi"), [("Kim, Minji", "hi")]),
    "colon in the name": (
        phone(", 민지 : 팀장 : a", ", 민지 : 팀장 : b"),
        [("민지 : 팀장", "a"), ("민지 : 팀장", "b")],
    ),
    "brackets in the name": (
        windows("[[팀장] 민지] [오후 3:03] a", "[민지[2]] [오후 3:03] b"),
        [("[팀장] 민지", "a"), ("민지[2]", "b")],
    ),
    "pasted line of Windows": (
        windows("[민지] [오후 3:03] a [수아] [오후 3:04] b"),
        [("민지", "a [수아] [오후 3:04] b")],
    ),
    "second line on Windows": (
        windows("[민지] [오후 3:03] a", "좋겠다."),
        [("민지", "a\n좋겠다.")],
    ),
    "typed sentence like a notice": (
        phone(", 민지 : She left."),
        [("민지", "She left.")],
    ),
    "typed second line like a notice": (
        windows("[민지] [오후 3:03] a", "He invited me."),
        [("민지", "a\nHe invited me.")],
    ),
    "typed on the Mac like a notice": (
        f'{MAC}2026-05-24 15:03:22,"민지","She left."\n',
        [("민지", "She left.")],
    ),
    "other line separators": (
        phone(", 민지 : a\u2028b\u0085c"),
        [("민지", "a\u2028b\u0085c")],
    ),
    "quotes on the Mac": (
        f'{MAC}2026-05-24 15:03:22,"민지","a ""b""\n2026-05-24 15:03:22,c"\n',
        [("민지", 'a "b"\n2026-05-24 15:03:22,c')],
    ),
    "photo is mentioned": (phone(", 민지 : 사진 보내줘"), [("민지", "사진 보내줘")]),
    "sticker and text": (phone(", 민지 : (이모티콘) 고마워"), [("민지", "고마워")]),
    "emoticon in text": (phone(", 민지 : (하트) 응"), [("민지", "(하트) 응")]),
}


@pytest.mark.parametrize(("text", "expected"), PLACES.values(), ids=PLACES)
def test_text(tmp_path: Path, text: str, expected: list[tuple[str, str]]) -> None:
    assert read(write(tmp_path, text)) == expected


SKIPPED = {
    "notice on Android": (phone(", 민지님이 수아님을 초대했습니다."), "system"),
    "notice on iOS": (phone(": 민지님이 수아님을 초대했습니다."), "system"),
    "notice on Windows": (windows("민지님이 들어왔습니다."), "system"),
    "notice on the Mac": (
        f'{MAC}2026-05-24 15:03:22,"민지","민지님이 나갔습니다."\n',
        "system",
    ),
    "notice with a colon": (
        phone(", 민지님이 채팅방 이름을 a : b로 변경했습니다."),
        "system",
    ),
    "no sender": (phone(",  : text"), "system"),
    "call": (phone(", 민지 : 보이스톡 1:02"), "system"),
    "deleted": (phone(", 민지 : 삭제된 메시지입니다."), "unsent"),
    "deleted on the Mac": (f'{MAC},"","메시지가 삭제되었습니다."\n', "unsent"),
    "deleted on Windows": (windows("The message has been deleted."), "unsent"),
    "no day": (f"{PC_HEAD}[민지] [오후 3:03] a\r\n", "undated"),
    **{
        text: (phone(f", 민지 : {text}"), "media")
        for text in (
            *("사진", "<사진>", "사진 3장", "<사진 읽지 않음>", "Photo", "동영상"),
            *("이모티콘", "음성메시지", "파일: a.pdf", "연락처: 수아", "지도: 서울"),
            *("투표: 언제?", "20260425_152003.jpg", "샵검색: #날씨"),
            *("<동영상 읽지 않음>", "videos", "3 photos", "Photos", "<Photo>", "Video"),
            *("(이모티콘)", "(emoticon)", "Emoticons", "Sticker", "Voice Message"),
            *("Voice Note", "File: a.pdf", "Contact: Sua", "Map: Seoul", "Poll: When?"),
            *("[장소]\n서울", "일정: 생일", "Event: Birthday", "톡게시판 '공지': 내일"),
        )
    },
    **{
        text: (phone(f", 민지 : {text}"), "system")
        for text in (
            *(
                "보이스톡 해요",
                "페이스톡 해요",
                "보이스톡 부재중",
                "라이브톡 종료 1:02",
            ),
            *("Voice Call 1:02", "Voice Call 1:02:03", "Video Call 1:02"),
            *("Live Talk ended 1:02", "Face Talk", "선물과 메시지를 보냈습니다."),
        )
    },
    **{
        text: (phone(f", 민지 : {text}"), "unsent")
        for text in (
            "채팅방 관리자가 메시지를 가렸습니다.",
            "This message was deleted.",
        )
    },
    **{
        text: (windows(text), "system")
        for text in (
            *("민지님이 수아님을 초대하였습니다.", "민지님이 나갔습니다."),
            *("민지님을 내보냈습니다.", "민지님이 방장이 되었습니다."),
            *(
                "채팅방 관리자가 메시지를 삭제했습니다.",
                "민지님이 부방장이 되었습니다.",
            ),
            *(
                "관리자만 말하기 기능이 활성화되었습니다.",
                "민지님이 채팅방 이름을 변경했습니다",
            ),
            "타인, 기관 등의 사칭에 유의해 주세요. 운영정책 보기",
        )
    },
}


@pytest.mark.parametrize(("text", "reason"), SKIPPED.values(), ids=SKIPPED)
def test_skipped_with_a_reason(tmp_path: Path, text: str, reason: str) -> None:
    is_mac = text.startswith(MAC)
    rest = "2026-05-24 15:03:22,민지,a\n" if is_mac else ""
    is_phone = text.startswith(KO_HEAD)
    rest = "2026년 4월 25일 오후 3:20, 민지 : a\r\n" if is_phone else rest
    rest = rest or f"{KO_DASHES}[민지] [오후 3:03] a\r\n"
    summary = KakaoTalkChatLoader(write(tmp_path, text + rest), **UTC).inspect()
    assert (summary.kept, dict(summary.skipped)) == (1, {reason: 1})


NOTICES = ["invited Jun.", "joined this chatroom.", "left this chatroom.", "left."]
NOTICES += ["has been removed from this chatroom.", "invited Jun and Cy."]


@pytest.mark.parametrize("notice", NOTICES)
def test_english_notice(tmp_path: Path, notice: str) -> None:
    stamp = "Jul 9, 2015, 8:34 PM"
    files = {
        "phone.txt": f"{EN_HEAD}{stamp}, Minji : a\r\n{stamp}: Minji {notice}\r\n",
        "pc.txt": f"{PC_HEAD}{EN_DASHES}[Minji] [2:37 PM] a\r\nMinji {notice}\r\n",
        "mac.csv": (
            f"{MAC}2026-05-24 15:03:22,Minji,a\n"
            f"2026-05-24 15:03:23,Minji,Minji {notice}\n"
        ),
    }
    for name, text in files.items():
        loader = KakaoTalkChatLoader(write(tmp_path, text, name), **UTC)
        assert dict(loader.inspect().skipped) == {"system": 1}
        assert read(loader.path) == [("Minji", "a")]


def test_messages_of_a_minute_keep_their_order(tmp_path: Path) -> None:
    rows = [f", {name} : Hi" for name in ("수아", "민지", "준", "민지")]
    senders = [sender for sender, _ in read(write(tmp_path, phone(*rows)))]
    assert senders == ["수아", "민지", "준", "민지"]


TITLES = {
    "members": ("모임 4 님과 카카오톡 대화", "Talk.txt", "모임", True),
    "group": ("주말 모임 카카오톡 대화", "Talk.txt", "주말 모임", None),
    "iOS": ("주말 모임 (4명)과 카카오톡 대화-1.txt", "Talk.txt", "주말 모임", True),
    "iOS in English": (
        "KakaoTalk Chats with Trip (4 people)-1.txt",
        "Talk.txt",
        "Trip",
        True,
    ),
    "English": ("KakaoTalk Chats with Minji,Sua (4)", "Talk.txt", "Minji,Sua", True),
    "Windows": ("Sua saved KakaoTalk Chats with Trip", "Talk.txt", "Trip", None),
    "file's name": ("Talk_2026.2.10 08:50-1.txt", "Talk_2026_group.txt", None, True),
}


@pytest.mark.parametrize(
    ("line", "name", "title", "is_group"), TITLES.values(), ids=TITLES
)
def test_title_is_in_the_head(
    tmp_path: Path, line: str, name: str, title: str | None, is_group: bool | None
) -> None:
    head = f"{line}\r\n저장한 날짜 : 2026년 4월 25일\r\n\r\n"
    rows = (", 민지 : a", ", 수아 : b")
    path = write(tmp_path, phone(*rows, head=head), name)
    (session,) = KakaoTalkChatLoader(path, **UTC).load()
    metadata = metadata_of(session)
    assert metadata["title"] == title
    assert metadata["is_group"] == bool(is_group)


def test_title_of_the_mac_is_in_the_file_s_name(tmp_path: Path) -> None:
    name = "KakaoTalk_Chat_주말 모임_2026-07-16-10-30-12.csv"
    path = write(tmp_path, LAYOUTS["Mac"].text, name)
    (session,) = KakaoTalkChatLoader(path, **UTC).load()
    assert metadata_of(session)["title"] == "주말 모임"


def test_file_has_a_name(tmp_path: Path) -> None:
    path = write(tmp_path, phone(", 민지 : 파일: 여행 계획.pdf"))
    (session,) = KakaoTalkChatLoader(path, keep="media", **UTC).load()
    (item,) = session["messages"][0].additional_kwargs["attachments"]
    assert item == {"type": "file", "name": "여행 계획.pdf"}


OWNERS = {
    "Korean phone": (phone(", 회원님 : a", ", 민지 : 회원님"), "회원님", "민지"),
    "English phone": (
        LAYOUTS["iOS in English"].text.replace("Sua", "You"),
        "You",
        None,
    ),
    "older English phone": (
        LAYOUTS["Android, time first"].text.replace("Sua", "you"),
        "you",
        None,
    ),
    "Windows": (LAYOUTS["Windows"].text, "Sua", "민지"),
    "group": (
        phone(
            ", 민지 : a",
            ", 수아 : b",
            ", 준 : c",
            head=KO_HEAD.replace("민지", "모임 4"),
        ),
        None,
        "모임",
    ),
}


@pytest.mark.parametrize(("text", "owner", "title"), OWNERS.values(), ids=OWNERS)
def test_owner(tmp_path: Path, text: str, owner: str | None, title: str | None) -> None:
    path = write(tmp_path, text)
    loader = KakaoTalkChatLoader(path, **UTC)
    assert loader.inspect().owner == owner
    if title:
        (session,) = loader.load()
        assert metadata_of(session)["title"] == title
        assert metadata_of(session)["is_group"] == (owner is None)
    renamed = KakaoTalkChatLoader(path, owner="수아", **UTC).inspect()
    assert (renamed.owner or "수아") == "수아"


@pytest.mark.filterwarnings("ignore:.* is not UTF-8:UserWarning")
@pytest.mark.parametrize("encoding", ["cp949", "utf-16"])
def test_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "KakaoTalkChats.txt"
    path.write_bytes(phone(", 민지 : 안녕").encode(encoding))
    assert isinstance(open_export(path).loader, KakaoTalkChatLoader)
    assert read(path) == [("민지", "안녕")]


def test_legacy_encoding_is_read_and_reported(tmp_path: Path) -> None:
    text = "KakaoTalk Chats with Zoë\r\nDate Saved : Apr 25, 2026 at 10:38\n\r\n"
    text += "Jul 9, 2015, 8:34 PM, Zoë : Schöne Grüße\r\n"
    (tmp_path / "Talk.txt").write_bytes(text.encode("cp1252"))
    with pytest.warns(UserWarning, match="read as Windows-1252"):
        assert read(tmp_path / "Talk.txt") == [("Zoë", "Schöne Grüße")]


def test_file_cut_within_a_character_is_utf_8(tmp_path: Path) -> None:
    path = write(tmp_path, phone(", 민지 : 안녕", ", 민지 : 그래 응"))
    path.write_bytes(path.read_bytes()[:-3])
    assert read(path) == [("민지", "안녕"), ("민지", "그래 \ufffd")]


def test_parts_and_repeated_exports_are_joined(tmp_path: Path) -> None:
    rows = [f", 민지 : {n}" for n in range(6)]
    head = "Talk_2026.2.10 08:50-1.txt\r\n저장한 날짜 : 2026. 2. 10. 오후 12:16\n\r\n"
    parts = {"-1": rows[:3], "-2": rows[2:]}
    for part, part_rows in parts.items():
        write(tmp_path, phone(*part_rows, head=head), f"Talk_2026.2.10 08_50{part}.txt")
    summary = KakaoTalkChatLoader(tmp_path, **UTC).inspect()
    assert (summary.found, summary.kept, summary.sessions) == (7, 6, 1)


@pytest.mark.parametrize("name", ["a.zip", "a.eml"])
def test_zip_and_mail(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, phone(", 민지 : 안녕"), name)
    if name == "a.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("KakaoTalkChats.txt", phone(", 민지 : 안녕"))
            archive.writestr("1.jpg", b"")
    assert open_export(path).loader.inspect().kept == 1


def test_time_zone(tmp_path: Path) -> None:
    path = write(tmp_path, LAYOUTS["Windows"].text)
    (session,) = KakaoTalkChatLoader(path, timezone="Asia/Seoul").load()
    event = session["messages"][0].additional_kwargs["events"][0]
    assert event["message_time"] == "2026-05-24T06:03:00+00:00"


OTHERS = {
    "WhatsApp": "2026. 2. 1. 오후 8:29 - 민지: 안녕\n" * 2,
    "empty": "",
    "text": "안녕\n",
    "table": "Date,Sender,Text\n2026-05-24,a,b\n",
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_other_files_are_not_recognized(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with suppress(UnknownFormatError):
        assert not isinstance(open_export(path).loader, KakaoTalkChatLoader)
    if "," not in text:
        with pytest.raises(ExportFormatError, match="KakaoTalkChats"):
            KakaoTalkChatLoader(path, **UTC).load()


def test_dates_of_a_spreadsheet_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, f"{MAC}5/24/26 15:03,민지,a\n", "a.csv")
    with pytest.raises(ExportFormatError, match=r"a\.csv has dates that are not"):
        KakaoTalkChatLoader(path, **UTC).load()


def test_a_long_number_is_part_of_the_name(tmp_path: Path) -> None:
    head = KO_HEAD.replace("민지", "민지 " + "1" * 5000)
    path = write(tmp_path, phone(", 민지 : 안녕", head=head))
    assert read(path) == [("민지", "안녕")]
