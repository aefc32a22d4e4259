"""Reactions belong to the message that they are about."""

from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from tests.unit_tests.builders.chat_db import ChatDb

HARE, TORTOISE = "+15550000001", "tortoise@pond.example"


def write(path: Path, *reactions: Any, text: str = "Slow and steady.") -> None:
    """Write a message, then reactions: columns, with `{guid}` for its guid."""
    with ChatDb(path, "15") as db:
        group = db.chat(HARE, TORTOISE)
        guid = db.guid(group.message(text, sender=TORTOISE))
        for columns in reactions:
            target = columns.pop("target", None)
            if target:
                columns["associated_message_guid"] = target.format(guid=guid)
            group.message(**columns)


def reactions_of(path: Path, **options: Any) -> list[dict[str, Any]] | None:
    (session,) = IMessageChatLoader(path, **options)
    return session["messages"][0].additional_kwargs.get("reactions")


def tapback(number: int, target: str = "p:0/{guid}", **columns: Any) -> dict[str, Any]:
    return {"associated_message_type": number, "target": target, **columns}


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (2000, "❤️"),
        (2001, "👍"),
        (2002, "👎"),
        (2003, "😂"),
        (2004, "‼️"),
        (2005, "❓"),
        (2007, "sticker"),
    ],
)
def test_reaction_is_noted_on_its_target(path: Path, number: int, shown: str) -> None:
    write(path, tapback(number, text="Loved “…”"))
    assert reactions_of(path) == [{"reaction": shown, "sender": HARE}]


@pytest.mark.parametrize("target", ["p:0/{guid}", "p:12/{guid}", "bp:{guid}", "{guid}"])
def test_target_is_found_in_every_form(path: Path, target: str) -> None:
    write(path, tapback(2000, target))
    assert reactions_of(path) == [{"reaction": "❤️", "sender": HARE}]


def test_removal_takes_one_persons_reaction_only(path: Path) -> None:
    write(path, tapback(2000), tapback(2000, sender=TORTOISE), tapback(3000))
    assert reactions_of(path) == [{"reaction": "❤️", "sender": TORTOISE}]


def test_reaction_kept_as_a_message_names_its_target(path: Path) -> None:
    write(path, tapback(2000, text="Loved “Slow and steady.”"))
    (session,) = IMessageChatLoader(path, keep="reaction")
    target, reaction = session["messages"]
    assert reaction.content == "Loved “Slow and steady.”"
    assert reaction.additional_kwargs["reply_to"] == {"id": target.id}


WORDS = {
    "Loved “Slow and steady.”": "❤️",
    "Liked “Slow and steady.”": "👍",
    "Disliked “Slow and steady.”": "👎",
    "Laughed at “Slow and steady.”": "😂",
    "Emphasized “Slow and steady.”": "‼️",
    "Questioned “Slow and steady.”": "❓",
    "Reacted 🐢 to “Slow and steady.”": "🐢",
}


@pytest.mark.parametrize("text", WORDS)
def test_reaction_in_words_is_one_if_it_quotes_an_earlier_message(
    path: Path, text: str
) -> None:
    write(path, {"text": text})
    assert IMessageChatLoader(path).inspect().skipped == {"reaction": 1}
    assert reactions_of(path) == [{"reaction": WORDS[text], "sender": HARE}]


@pytest.mark.parametrize(
    ("added", "removed"),
    [
        ("Loved", "a heart"),
        ("Liked", "a like"),
        ("Disliked", "a dislike"),
        ("Laughed at", "a laugh"),
        ("Emphasized", "an exclamation"),
        ("Emphasised", "an exclamation"),
        ("Questioned", "a question mark"),
        ("Reacted 🐢 to", "a 🐢 reaction"),
    ],
)
def test_removal_in_words_takes_the_reaction_away(
    path: Path, added: str, removed: str
) -> None:
    write(
        path,
        {"text": f"{added} “Slow and steady.”"},
        {"text": f"Removed {removed} from “Slow and steady.”"},
    )
    assert IMessageChatLoader(path).inspect().skipped == {"reaction": 2}
    assert reactions_of(path) is None


def test_quoted_message_is_the_latest_of_that_text(path: Path) -> None:
    write(path, {"text": "Slow and steady."}, {"text": "Loved “Slow and steady.”"})
    (session,) = IMessageChatLoader(path)
    first, second = (m.additional_kwargs.get("reactions") for m in session["messages"])
    assert first is None
    assert second == [{"reaction": "❤️", "sender": HARE}]


@pytest.mark.parametrize(
    "text",
    [
        "Loved “something that nobody wrote”",
        "Liked an image",
        "Edited to “Slow and steady.”",
        "I loved “Slow and steady.”",
        "Loved “Slow and steady.” so much",
        "Loved Slow and steady.",
        "“Slow and steady.”",
    ],
)
def test_other_words_are_speech(path: Path, text: str) -> None:
    write(path, {"text": text})
    assert IMessageChatLoader(path).inspect().kept == 2


def test_reaction_in_words_to_a_later_message_is_speech(path: Path) -> None:
    with ChatDb(path) as db:
        chat = db.chat(HARE)
        chat.message("Loved “later”")
        chat.message("later")
    assert IMessageChatLoader(path).inspect().kept == 2
