"""found = kept + skipped, for any database and options."""

import json
import tempfile
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from langchain_chatexports import IMessageChatLoader
from tests.unit_tests.builders.chat_db import ChatDb, apple_ns
from tests.unit_tests.builders.typedstream import attributed_body

ADDRESSES = ("+15550000001", "tortoise@pond.example", "me@fables.example")
BODY = attributed_body("from the body")

KINDS = (
    *("reaction", "system", "unsent", "media", "deleted", "draft"),
    *("orphan", "spam", "auto_reply"),
)

Entry: TypeAlias = tuple[dict[str, Any], tuple[set[int], int]]
texts = st.sampled_from(
    [None, "", " ", "hello", "\ufffc", "Loved “hello”", "a\rb", "\ufffd"]
)
times = st.sampled_from([None, 0, -1, 500_000_000, 1_693_182_723, 10**12 - 1, "x"]) | (
    st.integers(1_600_000_000, 1_700_000_000).map(apple_ns)
)


def mostly(*values: Any) -> SearchStrategy[Any]:
    """Draw the first value most of the time."""
    return st.one_of(st.just(values[0]), st.just(values[0]), st.sampled_from(values))


rows = st.fixed_dictionaries(
    {
        "text": texts,
        "date": times,
        "is_from_me": st.sampled_from([0, 1]),
        "handle_id": st.sampled_from([0, 1, 2, 3, 99, "trash\n"]),
        "attributedBody": st.sampled_from([None, BODY, BODY[:90], b"foreign"]),
        "associated_message_type": mostly(0, None, 2, 3, 1000, 2000, 2006, 3001, 4000),
        "associated_message_guid": mostly(None, "p:0/A", "A"),
        "item_type": mostly(0, 1, 2, 3, 4, 5, 6),
        "other_handle": mostly(0, 1),
        "balloon_bundle_id": mostly(
            None,
            "com.apple.messages.URLBalloonProvider",
            "com.apple.messages.Polls",
            "com.example.game",
        ),
        "payload_data": mostly(None, b"", b"bplist00"),
        "is_spam": mostly(0, 1),
        "filter_action": mostly(0, 1, 2, 3),
        "is_auto_reply": mostly(0, 1),
        "schedule_type": mostly(0, 2),
        "is_sent": mostly(1, 0),
        "date_edited": mostly(0, 1),
        "date_retracted": mostly(0, 1),
        "cache_has_attachments": mostly(0, 1),
        "subject": mostly(None, "about"),
        "thread_originator_guid": mostly(None, "A"),
        "destination_caller_id": mostly(None, "me@fables.example"),
    }
)
# The chats of a message, and a digit: 0 and 1 delete it, 9 adds an attachment.
places = st.tuples(st.sets(st.integers(0, 3), max_size=3), st.integers(0, 9))
loader_options = st.fixed_dictionaries(
    {},
    optional={
        "keep": st.sets(st.sampled_from(KINDS)),
        "include": st.sampled_from(["", ADDRESSES[0]]).map(
            lambda name: [name] * bool(name)
        ),
        "exclude": st.sampled_from([(), (ADDRESSES[1],)]),
        "start": st.sampled_from([None, date(2022, 1, 1)]),
        "end": st.sampled_from([None, date(2023, 1, 1)]),
        "owner": st.sampled_from(["Me", ADDRESSES[1]]),
        "people": st.sampled_from([{}, {"Hare": ADDRESSES[:2]}]),
    },
)


def write(path: Path, entries: list[Entry]) -> None:
    with ChatDb(path, "27") as db:
        chats = [
            db.chat(ADDRESSES[0]),
            db.chat(ADDRESSES[0], service="SMS"),
            db.chat(*ADDRESSES[:2], name="Race"),
            db.chat(ADDRESSES[2]),
        ]
        for row, (chat_numbers, digit) in entries:
            message_id = db.message(**row)
            for number in chat_numbers:
                chats[number].add(message_id)
            if digit < 2:
                chats[digit].delete(message_id)
            if digit == 9:
                db.attachment(message_id, mime_type="image/png")


@given(entries=st.lists(st.tuples(rows, places), max_size=12), options=loader_options)
def test_every_message_is_kept_or_skipped(
    entries: list[Entry], options: dict[str, Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chat.db"
        write(path, entries)
        loader = IMessageChatLoader(path, **options)
        summary = loader.inspect()
        messages = [m for session in loader for m in session["messages"]]
    kept = sum("weight" not in m.additional_kwargs for m in messages)
    assert summary.kept == kept
    assert summary.found == kept + sum(summary.skipped.values()) == len(entries)
    assert all(count > 0 for count in summary.skipped.values())
    assert all(str(m.content).strip() for m in messages)
    json.dumps([m.additional_kwargs for m in messages])
    json.dumps(summary.to_dict())
