"""Telegram exports in HTML."""

from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.schema import metadata_of
from langchain_chatexports.chat_loaders.telegram import TelegramChatLoader
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


def make_loader(path: Path, **options: Any) -> TelegramChatLoader:
    return TelegramChatLoader(path, timezone=BERLIN_SUMMER, **options)


def load(path: Path, **options: Any) -> list[Any]:
    (session,) = make_loader(path, **options).load()
    return list(session["messages"])


def write_page(
    folder: Path, *messages: tuple[str | None, str], title: str = "Bo"
) -> Path:
    """Write a page of messages, given as names and bodies."""
    page = Page(title)
    for name, body in messages:
        page.says(name, body)
    return page.write(folder / "messages.html")


def make_page() -> Page:
    page = Page()
    page.service("1 May 2024", -1)
    page.says("Bo", text_block("yours"), 1)
    page.says(None, text_block("and &lt;more&gt;<br>lines <b>here</b>"), 2)
    page.says("Ann", text_block("mine"), 3, clock="10:05:00")
    return page


def test_page_is_a_session(tmp_path: Path) -> None:
    path = make_page().write(tmp_path / "messages.html")
    assert [(m.additional_kwargs["sender"], m.content, m.id) for m in load(path)] == [
        ("Bo", "yours", "Bo:1"),
        ("Bo", "and <more>\nlines here", "Bo:2"),
        ("Ann", "mine", "Bo:3"),
    ]
    summary = make_loader(path).inspect()
    assert dict(summary.skipped) == {"system": 1}
    assert (summary.owner, summary.owner_found_by) == ("Ann", "personal chats")
    (session,) = make_loader(path).load()
    assert metadata_of(session)["is_group"] is False
    assert is_recognized(path)
    assert is_recognized(tmp_path)


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
def test_time_zone_option_overrides_offset(
    tmp_path: Path, zone: str, option: Any, warning: str | None, expected: int | None
) -> None:
    """The offset may ignore daylight saving: a sample has UTC-8 in August."""
    page = Page(zone=zone)
    page.says("Ann", text_block("Hi"))
    loader = TelegramChatLoader(page.write(tmp_path / "messages.html"), timezone=option)
    if warning:
        with pytest.warns(UserWarning, match=warning):
            (session,) = loader.load()
    else:
        (session,) = loader.load()
    assert session["messages"][0].additional_kwargs.get("message_time") == expected


def test_forward_has_sender_and_author(tmp_path: Path) -> None:
    body = (
        '<div class="pull_left forwarded userpic_wrap"><div class="initials">C</div>'
        "</div>"
        '<div class="forwarded body"><div class="from_name">\nCy '
        '<span class="date details" title="01.01.2024 09:00:00 UTC+01:00"> 01.01.2024'
        f"</span>\n</div>\n{text_block('theirs')}</div>"
    )
    mine, yours = (None, text_block("mine")), ("Bo", text_block("yours"))
    first, second, third = load(write_page(tmp_path, ("Ann", body), mine, yours))
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
def test_replies_have_a_reference(tmp_path: Path, href: str) -> None:
    reply = f'<div class="reply_to details">In reply to <a href="{href}">this</a></div>'
    (message,) = load(write_page(tmp_path, ("Ann", reply + text_block("Hi"))))
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
def test_media_become_attachments(tmp_path: Path, name: str, kind: str) -> None:
    media = (
        f'<div class="media_wrap clearfix"><a class="media clearfix {name}" '
        'href="../../../x"><div class="body"><div class="title bold">Photo</div>'
        '<div class="status details">Not included, change data exporting settings to '
        "download.</div></div></a></div>"
    )
    path = write_page(tmp_path, ("Ann", media))
    assert make_loader(path).inspect().skipped == {"media": 1}
    (message,) = load(path, keep="media")
    assert message.content == f"[{kind}]"


def test_call_is_a_system_message(tmp_path: Path) -> None:
    call = (
        '<div class="media_wrap clearfix"><div class="media clearfix media_call">'
        '<div class="body"><div class="title bold">Bo</div>'
        '<div class="status details">Outgoing (12 seconds)</div></div></div></div>'
    )
    summary = make_loader(write_page(tmp_path, ("Ann", call))).inspect()
    assert summary.skipped == {"system": 1}
    assert summary.details["system"] == {"phone_call": 1}


BOT_TEXT = text_block("of the bot")
FORWARDED = (
    '<div class="forwarded body">\n<div class="from_name">\nCy via @rhymes \n'
    f"       </div>\n{BOT_TEXT}</div>"
)


@pytest.mark.parametrize(
    ("name", "body", "author"),
    [("Ann via @rhymes", BOT_TEXT, None), ("Ann", FORWARDED, "Cy")],
)
def test_inline_bot_is_split_from_name(
    tmp_path: Path, name: str, body: str, author: str | None
) -> None:
    path = write_page(tmp_path, (name, body))
    assert make_loader(path).inspect().skipped == {"bot": 1}
    (message,) = load(path, keep="bot")
    assert message.additional_kwargs["sender"] == "Ann"
    assert message.additional_kwargs.get("forwarded_from") == author


def test_reaction_counts_its_pictures(tmp_path: Path) -> None:
    picture = (
        '<div class="userpic userpic2" style="width: 20px"><div class="initials" '
        'title="Bo">B</div></div>'
    )
    reaction = (
        '<span class="reactions"><span class="reaction"><span class="emoji">👍</span>'
        f'<span class="userpics">{picture * 3}</span></span></span>'
    )
    (message,) = load(write_page(tmp_path, ("Ann", text_block("Hi") + reaction)))
    assert message.additional_kwargs["reactions"] == [
        {"reaction": "👍", "sender": "unknown", "count": 3}
    ]


def test_reactions_are_read(tmp_path: Path) -> None:
    reaction = (
        '<span class="reactions"><span class="reaction"><span class="emoji">👍</span>'
        '<span class="count">2</span></span></span>'
    )
    (message,) = load(write_page(tmp_path, ("Ann", text_block("Hi") + reaction)))
    assert message.additional_kwargs["reactions"] == [
        {"reaction": "👍", "sender": "unknown", "count": 2}
    ]


def test_pages_are_sorted_by_number(tmp_path: Path) -> None:
    for number in (10, 2, 1, *range(3, 10)):
        page = Page()
        # The first message of a page may be joined to the last one of the page before.
        name = "Ann" if number == 1 else None
        page.says(name, text_block(str(number)), number)
        page.write(tmp_path / f"messages{number if number > 1 else ''}.html")
    messages = load(tmp_path)
    assert [m.content for m in messages] == [str(n) for n in range(1, 11)]
    assert {m.additional_kwargs["sender"] for m in messages} == {"Ann"}


def test_chats_of_an_account_are_sessions(tmp_path: Path) -> None:
    for number in (1, 2):
        make_page().write(tmp_path / "chats" / f"chat_00{number}" / "messages.html")
    make_page().write(tmp_path / "lists" / "chats.html")
    (tmp_path / "lists" / "chats.html").write_text("<title>Exported Data</title>")
    loader = make_loader(tmp_path)
    ids = [metadata_of(session)["id"] for session in loader.load()]
    assert ids == ["Bo", "Bo (chat_002)"]
    assert loader.inspect().details["other_files"] == 1


@pytest.mark.parametrize("page", ["messages.html", "chats/chat_001/messages.html"])
def test_html_next_to_json_is_ignored(tmp_path: Path, page: str) -> None:
    chat = TelegramChat()
    chat.says(BO, "yours")
    chat.says(ANN, "mine")
    chat.write(tmp_path / "result.json")
    make_page().write(tmp_path / page)
    summary = TelegramChatLoader(tmp_path).inspect()
    assert (summary.found, summary.details["other_files"]) == (2, 1)


def test_chat_in_two_exports_is_one_session(tmp_path: Path) -> None:
    page = make_page()
    page.write(tmp_path / "ChatExport_2024-05-02" / "messages.html")
    page.says("Bo", text_block("later"), 4, clock="10:10:00")
    page.write(tmp_path / "ChatExport_2024-06-02" / "messages.html")
    namesake = Page()
    namesake.says("Bo", text_block("another"), 7)
    namesake.write(tmp_path / "ChatExport_2024-07-02" / "messages.html")
    loader = make_loader(tmp_path)
    first, second = loader.load()
    assert [m.id for m in first["messages"]] == ["Bo:1", "Bo:2", "Bo:3", "Bo:4"]
    assert [m.content for m in second["messages"]] == ["another"]
    assert loader.inspect().skipped["duplicate"] == 4  # Including the service message.


def make_json() -> TelegramChat:
    """The chat of `make_page`, as JSON."""
    chat = TelegramChat()
    chat.says(BO, "yours")
    chat.says(BO, "and <more>\nlines here")
    chat.says(ANN, "mine, edited", edited="2024-06-02T10:00:00")
    return chat


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_json_and_html_of_a_chat_are_joined(tmp_path: Path, order: str) -> None:
    page = make_page()
    page.says("Ann", text_block("only in HTML"), 4, clock="10:10:00")
    make_json().write(tmp_path / order[0] / "result.json")
    page.write(tmp_path / order[1] / "messages.html")
    loader = make_loader(tmp_path)
    (session,) = loader.load()
    assert [(m.id, m.additional_kwargs["sender"]) for m in session["messages"]] == [
        (f"user22:{number}", name)
        for number, name in enumerate(("Bo", "Bo", "Ann", "Ann"), 1)
    ]
    assert session["messages"][2].content == "mine, edited"
    assert metadata_of(session)["participants"] == ["Bo", "Ann"]
    assert loader.inspect().skipped == {"duplicate": 3, "system": 1}


def test_html_sender_may_be_ambiguous(tmp_path: Path) -> None:
    chat = TelegramChat("Meadow", "private_group", 99)
    page = Page("Meadow")
    people = [ANN, BO, Person("Ann", "user77")]
    for number, person in enumerate(people, 1):
        chat.says(person, f"text {number}")
        page.says(person.name, text_block(f"text {number}"))
    page.says("Ann", text_block("only in HTML"))
    chat.write(tmp_path / "a" / "result.json")
    page.write(tmp_path / "b" / "messages.html")
    (session,) = make_loader(tmp_path).load()
    senders = {m.content: m.additional_kwargs["sender"] for m in session["messages"]}
    assert senders == {
        "text 1": "Ann (user11)",
        "text 2": "Bo",
        "text 3": "Ann (user77)",
        "only in HTML": "Ann",
    }


def test_html_of_namesake_is_a_separate_chat(tmp_path: Path) -> None:
    make_json().write(tmp_path / "a" / "result.json")
    write_page(tmp_path / "b", ("Bo", text_block("another one")))
    sessions = make_loader(tmp_path).load()
    assert [metadata_of(session)["id"] for session in sessions] == ["user22", "Bo"]


def test_html_of_another_chat_in_subfolder_is_read(tmp_path: Path) -> None:
    chat = TelegramChat("Cy", number=33)
    chat.says(ANN, "mine")
    chat.write(tmp_path / "result.json")
    make_page().write(tmp_path / "ChatExport_2024-05-01" / "messages.html")
    assert len(make_loader(tmp_path).load()) == 2


def test_deleted_accounts_are_unknown(tmp_path: Path) -> None:
    name = "Deleted Account"
    path = write_page(tmp_path, (name, text_block("Hi")), title=name)
    (session,) = make_loader(path).load()
    assert session["messages"][0].additional_kwargs["sender"] == "unknown"
    assert metadata_of(session)["title"] is None


def test_truncated_page_keeps_complete_messages(tmp_path: Path) -> None:
    path = make_page().write(tmp_path / "messages.html")
    text = path.read_text()
    path.write_text(text[: text.index("mine")])
    assert load(path)[0].content == "yours"
    assert make_loader(path).inspect().skipped == {"system": 1, "unreadable": 1}


def test_message_after_call_is_by_the_caller(tmp_path: Path) -> None:
    call = '<div class="media clearfix pull_left media_call success"></div>'
    called = ("Ann", f'<div class="media_wrap clearfix">{call}</div>')
    path = write_page(tmp_path, called, (None, text_block("mine")))
    senders = [m.additional_kwargs["sender"] for m in load(path, keep="system")]
    assert senders == ["Ann", "Ann"]


def test_class_name_in_text_is_not_media(tmp_path: Path) -> None:
    text = text_block("div.media_wrap is red")
    (message,) = load(write_page(tmp_path, ("Ann", text)))
    assert "attachments" not in message.additional_kwargs
