"""Telegram exports in HTML."""

from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.telegram import TelegramChatLoader
from tests.unit_tests.builders.sessions import metadata_of
from tests.unit_tests.builders.telegram import (
    ANN,
    BERLIN_SUMMER,
    BO,
    Page,
    Person,
    TelegramChat,
    is_recognized,
    text_block,
)

PACIFIC = timezone(timedelta(hours=-7))


def messages_of(path: Path, **options: Any) -> list[Any]:
    (session,) = TelegramChatLoader(path, timezone=BERLIN_SUMMER, **options).load()
    return list(session["messages"])


def page_of_two() -> Page:
    page = Page()
    page.service("1 May 2024", -1)
    page.says("Bo", text_block("yours"), number=1)
    page.says(None, text_block("and &lt;more&gt;<br>lines <b>here</b>"), number=2)
    page.says("Ann", text_block("mine"), number=3, clock="10:05:00")
    return page


def test_a_page_is_a_session(tmp_path: Path) -> None:
    path = page_of_two().write(tmp_path / "messages.html")
    assert [
        (m.additional_kwargs["sender"], m.content, m.id) for m in messages_of(path)
    ] == [
        ("Bo", "yours", "Bo:1"),
        ("Bo", "and <more>\nlines here", "Bo:2"),
        ("Ann", "mine", "Bo:3"),
    ]
    summary = TelegramChatLoader(path, timezone=BERLIN_SUMMER).inspect()
    assert dict(summary.skipped) == {"system": 1}
    assert (summary.owner, summary.owner_found_by) == ("Ann", "personal chats")
    (session,) = TelegramChatLoader(path, timezone=BERLIN_SUMMER).load()
    assert metadata_of(session)["is_group"] is False
    for place in (path, tmp_path):
        assert is_recognized(place)


@pytest.mark.usefixtures("machine_in_berlin")
@pytest.mark.parametrize(
    ("zone", "option", "warning", "expected"),
    [
        (" UTC+02:00", None, "may ignore daylight saving", 1714550400),
        (" UTC-08:00", PACIFIC, None, 1714582800),
        ("", None, "are local, and read as this machine's", 1714550400),
        ("", BERLIN_SUMMER, None, 1714550400),
    ],
)
def test_an_offset_counts_only_without_the_option(
    tmp_path: Path, zone: str, option: Any, warning: str | None, expected: int | None
) -> None:
    """The offset can be the one of winter: a sample has UTC-8 in August for UTC-7."""
    page = Page(zone=zone)
    page.says("Ann", text_block("Hi"), number=1)
    loader = TelegramChatLoader(page.write(tmp_path / "messages.html"), timezone=option)
    if warning:
        with pytest.warns(UserWarning, match=warning):
            (session,) = loader.load()
    else:
        (session,) = loader.load()
    assert session["messages"][0].additional_kwargs.get("message_time") == expected


def test_a_forward_is_the_senders_with_its_author(tmp_path: Path) -> None:
    body = (
        '<div class="pull_left forwarded userpic_wrap"><div class="initials">C</div>'
        "</div>"
        '<div class="forwarded body"><div class="from_name">\nCy '
        '<span class="date details" title="01.01.2024 09:00:00 UTC+01:00"> 01.01.2024'
        f"</span>\n</div>\n{text_block('theirs')}</div>"
    )
    page = Page()
    page.says("Ann", body, number=1)
    page.says(None, text_block("mine"), number=2)
    page.says("Bo", text_block("yours"), number=3)
    first, second, third = messages_of(page.write(tmp_path / "messages.html"))
    assert (first.content, first.additional_kwargs["sender"]) == ("theirs", "Ann")
    assert first.additional_kwargs["forwarded_from"] == "Cy"
    assert first.additional_kwargs["forwarded"] is True
    assert first.additional_kwargs["message_time"] == 1714550400
    assert second.additional_kwargs["sender"] == "Ann"
    for message in (second, third):
        assert "forwarded" not in message.additional_kwargs
        assert message.additional_kwargs["message_time"] == 1714550400
    assert third.additional_kwargs["sender"] == "Bo"


@pytest.mark.parametrize("href", ["#go_to_message1", "messages2.html#go_to_message1"])
def test_a_reply_refers_to_what_it_answers(tmp_path: Path, href: str) -> None:
    reply = f'<div class="reply_to details">In reply to <a href="{href}">this</a></div>'
    page = Page()
    page.says("Ann", reply + text_block("Hi"), number=2)
    (message,) = messages_of(page.write(tmp_path / "messages.html"))
    assert message.additional_kwargs["reply_to"] == {"id": "Bo:1"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("media_photo", "photo"),
        ("media_voice_message", "audio"),
        ("sticker_wrap", "sticker"),
        ("animated_wrap", "gif"),
        ("media_poll", "poll"),
        ("media_new_kind", "file"),
    ],
)
def test_media_are_attachments_and_no_text(
    tmp_path: Path, name: str, kind: str
) -> None:
    media = (
        f'<div class="media_wrap clearfix"><a class="media clearfix {name}" '
        'href="../../../x"><div class="body"><div class="title bold">Photo</div>'
        '<div class="status details">Not included, change data exporting settings to '
        "download.</div></div></a></div>"
    )
    page = Page()
    page.says("Ann", media, number=1)
    path = page.write(tmp_path / "messages.html")
    summary = TelegramChatLoader(path, timezone=BERLIN_SUMMER).inspect()
    assert dict(summary.skipped) == {"media": 1}
    (message,) = messages_of(path, keep="media")
    assert message.content == f"[{kind}]"


def test_a_call_is_what_the_app_wrote(tmp_path: Path) -> None:
    call = (
        '<div class="media_wrap clearfix"><div class="media clearfix media_call">'
        '<div class="body"><div class="title bold">Bo</div>'
        '<div class="status details">Outgoing (12 seconds)</div></div></div></div>'
    )
    page = Page()
    page.says("Ann", call, number=1)
    path = page.write(tmp_path / "messages.html")
    summary = TelegramChatLoader(path, timezone=BERLIN_SUMMER).inspect()
    assert dict(summary.skipped) == {"system": 1}
    assert summary.details["system"] == {"phone_call": 1}


@pytest.mark.parametrize("is_forwarded", [False, True])
def test_the_inline_bot_is_no_part_of_a_name(
    tmp_path: Path, *, is_forwarded: bool
) -> None:
    page = page_of_two()
    text = text_block("of the bot")
    name = '<div class="from_name">\nCy via @rhymes \n       </div>\n'
    forwarded = f'<div class="forwarded body">\n{name}{text}</div>'
    page.says(
        "Ann" if is_forwarded else "Ann via @rhymes",
        forwarded if is_forwarded else text,
        number=4,
    )
    path = page.write(tmp_path / "messages.html")
    summary = TelegramChatLoader(path, timezone=BERLIN_SUMMER).inspect()
    assert summary.skipped["bot"] == 1
    (last,) = (m for m in messages_of(path, keep="bot") if m.text == "of the bot")
    assert last.additional_kwargs["sender"] == "Ann"
    assert last.additional_kwargs.get("forwarded_from") == (
        "Cy" if is_forwarded else None
    )


def test_reactions_are_read(tmp_path: Path) -> None:
    reaction = (
        '<span class="reactions"><span class="reaction"><span class="emoji">👍</span>'
        '<span class="count">2</span></span></span>'
    )
    page = Page()
    page.says("Ann", text_block("Hi") + reaction, number=1)
    (message,) = messages_of(page.write(tmp_path / "messages.html"))
    assert message.additional_kwargs["reactions"] == [
        {"reaction": "👍", "sender": "unknown", "count": 2}
    ]


def test_pages_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 1, 9):
        page = Page()
        # The first message of a page may be joined to the last of the one before.
        name = "Ann" if number == 1 else None
        page.says(name, text_block(str(number)), number=number)
        page.write(tmp_path / f"messages{number if number > 1 else ''}.html")
    messages = messages_of(tmp_path)
    assert [m.content for m in messages] == ["1", "2", "9", "10"]
    assert {m.additional_kwargs["sender"] for m in messages} == {"Ann"}


def test_chats_of_an_account_are_sessions(tmp_path: Path) -> None:
    for number in (1, 2):
        page_of_two().write(tmp_path / "chats" / f"chat_00{number}" / "messages.html")
    page_of_two().write(tmp_path / "lists" / "chats.html")
    (tmp_path / "lists" / "chats.html").write_text("<title>Exported Data</title>")
    loader = TelegramChatLoader(tmp_path, timezone=BERLIN_SUMMER)
    ids = [metadata_of(session)["id"] for session in loader.load()]
    assert ids == ["Bo", "Bo (chat_002)"]
    assert loader.inspect().details["other_files"] == 1


@pytest.mark.parametrize("place", ["messages.html", "chats/chat_001/messages.html"])
def test_html_beside_json_is_not_read(tmp_path: Path, place: str) -> None:
    chat = TelegramChat()
    chat.says(BO, "yours")
    chat.says(ANN, "mine")
    chat.write(tmp_path / "result.json")
    page_of_two().write(tmp_path / place)
    summary = TelegramChatLoader(tmp_path).inspect()
    assert (summary.found, summary.details["other_files"]) == (2, 1)


def test_a_chat_in_two_exports_is_one_session(tmp_path: Path) -> None:
    page = page_of_two()
    page.write(tmp_path / "ChatExport_2024-05-02" / "messages.html")
    page.says("Bo", text_block("later"), number=4, clock="10:10:00")
    page.write(tmp_path / "ChatExport_2024-06-02" / "messages.html")
    namesake = Page()
    namesake.says("Bo", text_block("another"), number=7)
    namesake.write(tmp_path / "ChatExport_2024-07-02" / "messages.html")
    loader = TelegramChatLoader(tmp_path, timezone=BERLIN_SUMMER)
    first, second = loader.load()
    assert [m.id for m in first["messages"]] == ["Bo:1", "Bo:2", "Bo:3", "Bo:4"]
    assert [m.content for m in second["messages"]] == ["another"]
    assert loader.inspect().skipped["duplicate"] == 4  # And the day's line.


def json_of_two() -> TelegramChat:
    """The chat of `page_of_two`, as JSON."""
    chat = TelegramChat()
    chat.says(BO, "yours")
    chat.says(BO, "and <more>\nlines here")
    chat.says(ANN, "mine, edited")
    return chat


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_json_and_html_of_one_chat_are_learned_once(tmp_path: Path, order: str) -> None:
    page = page_of_two()
    page.says("Ann", text_block("only in HTML"), number=4, clock="10:10:00")
    json_of_two().write(tmp_path / order[0] / "result.json")
    page.write(tmp_path / order[1] / "messages.html")
    loader = TelegramChatLoader(tmp_path, timezone=BERLIN_SUMMER)
    (session,) = loader.load()
    assert [(m.id, m.additional_kwargs["sender"]) for m in session["messages"]] == [
        *(("user22:1", "Bo"), ("user22:2", "Bo"), ("user22:3", "Ann")),
        ("user22:4", "Ann"),
    ]
    assert session["messages"][2].content == "mine, edited"
    assert metadata_of(session)["participants"] == ["Bo", "Ann"]
    assert loader.inspect().skipped == {"duplicate": 3, "system": 1}


def test_html_does_not_say_which_of_two_namesakes_wrote(tmp_path: Path) -> None:
    chat = TelegramChat("Meadow", "private_group", 99)
    page = Page("Meadow")
    people = [ANN, BO, Person("Ann", "user77")]
    for number, person in enumerate(people, 1):
        chat.says(person, f"text {number}")
        page.says(person.name, text_block(f"text {number}"), number=number)
    page.says("Ann", text_block("only in HTML"), number=4)
    chat.write(tmp_path / "a" / "result.json")
    page.write(tmp_path / "b" / "messages.html")
    (session,) = TelegramChatLoader(tmp_path, timezone=BERLIN_SUMMER).load()
    senders = {m.content: m.additional_kwargs["sender"] for m in session["messages"]}
    assert senders == {
        "text 1": "Ann (user11)",
        "text 2": "Bo",
        "text 3": "Ann (user77)",
        "only in HTML": "Ann",
    }


def test_html_of_a_namesake_is_a_chat_of_its_own(tmp_path: Path) -> None:
    json_of_two().write(tmp_path / "a" / "result.json")
    page = Page()
    page.says("Bo", text_block("another one"), number=1)
    page.write(tmp_path / "b" / "messages.html")
    sessions = TelegramChatLoader(tmp_path, timezone=BERLIN_SUMMER).load()
    assert [metadata_of(session)["id"] for session in sessions] == ["user22", "Bo"]


def test_html_of_another_chat_below_is_read(tmp_path: Path) -> None:
    chat = TelegramChat("Cy", number=33)
    chat.says(ANN, "mine")
    chat.write(tmp_path / "result.json")
    page_of_two().write(tmp_path / "ChatExport_2024-05-01" / "messages.html")
    assert len(TelegramChatLoader(tmp_path, timezone=BERLIN_SUMMER).load()) == 2


def test_deleted_accounts_are_unknown(tmp_path: Path) -> None:
    page = Page("Deleted Account")
    page.says("Deleted Account", text_block("Hi"), number=1)
    path = page.write(tmp_path / "messages.html")
    (session,) = TelegramChatLoader(path, timezone=BERLIN_SUMMER).load()
    (message,) = session["messages"]
    assert message.additional_kwargs["sender"] == "unknown"
    assert metadata_of(session)["title"] is None


def test_of_a_page_that_was_cut_off_the_whole_messages_stay(tmp_path: Path) -> None:
    path = page_of_two().write(tmp_path / "messages.html")
    text = path.read_text()
    path.write_text(text[: text.index("mine")])
    assert messages_of(path)[0].content == "yours"
    summary = TelegramChatLoader(path, timezone=BERLIN_SUMMER).inspect()
    assert summary.skipped["unreadable"] == 1
    assert summary.found == summary.kept + sum(summary.skipped.values())


def test_a_message_joined_to_a_call_is_of_the_caller(tmp_path: Path) -> None:
    call = '<div class="media clearfix pull_left media_call success"></div>'
    page = Page()
    page.says("Bo", text_block("yours"), number=1)
    page.says("Ann", f'<div class="media_wrap clearfix">{call}</div>', number=2)
    page.says(None, text_block("mine"), number=3)
    messages = messages_of(page.write(tmp_path / "messages.html"), keep="system")
    assert [m.additional_kwargs["sender"] for m in messages] == ["Bo", "Ann", "Ann"]


def test_the_name_of_a_class_in_a_text_is_no_medium(tmp_path: Path) -> None:
    page = Page()
    page.says("Ann", text_block("div.media_wrap is red"), number=1)
    (message,) = messages_of(page.write(tmp_path / "messages.html"))
    assert "attachments" not in message.additional_kwargs
