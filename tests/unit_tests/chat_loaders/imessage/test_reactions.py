"""Reactions to messages, as rows and in words."""

from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from tests.unit_tests.builders.chat_db import ChatDb

HARE, TORTOISE = "+15550000001", "tortoise@pond.example"


def write(path: Path, *reactions: dict[str, Any]) -> None:
    """Write a message, then reactions with its guid as `{guid}` in `target`."""
    with ChatDb(path, "15") as db:
        group = db.chat(HARE, TORTOISE)
        guid = db.guid(group.message("Slow and steady.", sender=TORTOISE))
        for columns in reactions:
            target = columns.pop("target", None)
            if target:
                columns["associated_message_guid"] = target.format(guid=guid)
            group.message(**columns)


def reactions(path: Path) -> list[dict[str, Any]] | None:
    """Return the reactions to the first message."""
    (session,) = IMessageChatLoader(path)
    return session["messages"][0].additional_kwargs.get("reactions")


def tapback(number: int, target: str = "p:0/{guid}", **columns: Any) -> dict[str, Any]:
    return {"associated_message_type": number, "target": target, **columns}


@pytest.mark.parametrize(
    ("number", "expected"),
    [*enumerate(("❤️", "👍", "👎", "😂", "‼️", "❓"), start=2000), (2007, "sticker")],
)
def test_reaction_is_added_to_its_message(
    path: Path, number: int, expected: str
) -> None:
    write(path, tapback(number, text="Loved “…”"))
    assert reactions(path) == [{"reaction": expected, "sender": HARE}]


@pytest.mark.parametrize("target", ["p:0/{guid}", "p:12/{guid}", "bp:{guid}", "{guid}"])
def test_target_may_have_a_prefix(path: Path, target: str) -> None:
    write(path, tapback(2000, target))
    assert reactions(path) == [{"reaction": "❤️", "sender": HARE}]


def test_removal_removes_the_reaction_of_one_person(path: Path) -> None:
    write(path, tapback(2000), tapback(2000, sender=TORTOISE), tapback(3000))
    assert reactions(path) == [{"reaction": "❤️", "sender": TORTOISE}]


def test_kept_reaction_refers_to_its_message(path: Path) -> None:
    write(path, tapback(2000, text="Loved “Slow and steady.”"))
    (session,) = IMessageChatLoader(path, keep="reaction")
    target, reaction = session["messages"]
    assert reaction.content == "Loved “Slow and steady.”"
    assert reaction.additional_kwargs["reply_to"] == {"id": target.id}


@pytest.mark.parametrize(
    ("added", "removed", "expected"),
    [
        ("Loved", "a heart", "❤️"),
        ("Liked", "a like", "👍"),
        ("Disliked", "a dislike", "👎"),
        ("Laughed at", "a laugh", "😂"),
        ("Emphasized", "an exclamation", "‼️"),
        ("Emphasised", "an exclamation", "‼️"),
        ("Questioned", "a question mark", "❓"),
        ("Reacted 🐢 to", "a 🐢 reaction", "🐢"),
    ],
)
def test_text_reaction_is_added_and_removed(
    path: Path, added: str, removed: str, expected: str
) -> None:
    addition = {"text": f"{added} “Slow and steady.”"}
    write(path, addition)
    assert IMessageChatLoader(path).inspect().skipped == {"reaction": 1}
    assert reactions(path) == [{"reaction": expected, "sender": HARE}]
    path.unlink()
    write(path, addition, {"text": f"Removed {removed} from “Slow and steady.”"})
    assert IMessageChatLoader(path).inspect().skipped == {"reaction": 2}
    assert reactions(path) is None


def test_text_reaction_applies_to_the_latest_match(path: Path) -> None:
    write(path, {"text": "Slow and steady."}, {"text": "Loved “Slow and steady.”"})
    (session,) = IMessageChatLoader(path)
    first, second = (m.additional_kwargs.get("reactions") for m in session["messages"])
    assert first is None
    assert second == [{"reaction": "❤️", "sender": HARE}]


@pytest.mark.parametrize(
    "text",
    [
        "Loved “another text”",
        "Liked an image",
        "Edited to “Slow and steady.”",
        "I loved “Slow and steady.”",
        "Loved “Slow and steady.” so much",
        "Loved Slow and steady.",
        "“Slow and steady.”",
    ],
)
def test_similar_texts_are_not_reactions(path: Path, text: str) -> None:
    write(path, {"text": text})
    assert IMessageChatLoader(path).inspect().kept == 2


def test_text_reaction_needs_an_earlier_message(path: Path) -> None:
    with ChatDb(path) as db:
        chat = db.chat(HARE)
        chat.message("Loved “later”")
        chat.message("later")
    assert IMessageChatLoader(path).inspect().kept == 2
