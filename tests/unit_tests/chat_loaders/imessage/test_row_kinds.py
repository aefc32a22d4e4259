"""A slow second reader, written from the format notes, against the loader.

Kinds are decided in the order of the notes' section 7, times by section 5 and senders
by section 4, for thousands of rows in which everything is mixed.
"""

from __future__ import annotations

import plistlib
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from langchain_chatexports import IMessageChatLoader
from tests.unit_tests.builders.chat_db import ChatDb, apple_ns
from tests.unit_tests.builders.typedstream import attributed_body

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_core.messages import BaseMessage

HARE, TORTOISE = "+15550000001", "tortoise@pond.example"
SENDERS = {1: HARE, 2: TORTOISE}
ROWS = 3000
NOW = int(time.time())
APPLE_EPOCH, DAY = 978_307_200, 86_400
BODY = attributed_body("Hi")
CUT = BODY[:75]
TAKEN_BACK = plistlib.dumps(
    {"otr": {"0": {"lo": 0, "le": 2}}, "rp": [0]}, fmt=plistlib.FMT_BINARY
)
NOTHING_DONE = plistlib.dumps({"amc": 0, "ust": True}, fmt=plistlib.FMT_BINARY)
PREVIEW, POLL = "com.apple.messages.URLBalloonProvider", "com.apple.messages.Polls"
SWITCHES = {
    "reaction": "include_reactions",
    "system": "include_system",
    "draft": "include_drafts",
    "spam": "include_spam",
    "auto_reply": "include_auto_replies",
    "media": "include_media",
}
VALUES: dict[str, list[Any]] = {
    "text": [None, "", "hello", "hello", "\ufffc", "\ufffd", " \n", "a\ufffcb"],
    "attributedBody": [None, None, BODY, CUT],
    "associated_message_type": [
        *(*[0] * 12, None, 2, 3, 1000, 1001, 2000, 2003, 2006, 2007),
        *(2008, 3000, 3007, 3008, 4000),
    ],
    "associated_message_guid": [None, None, "p:0/X", "its own"],
    "balloon_bundle_id": [
        *(*[None] * 6, "", PREVIEW, POLL, "com.example.game"),
        f"com.apple.messages.MSMessageExtensionBalloonPlugin:0000000000:{POLL}",
    ],
    "item_type": [*[0] * 8, 1, 2, 3, 4, 5, 6],
    "message_summary_info": [None, NOTHING_DONE, TAKEN_BACK],
    "date_edited": [0, 0, 7],
    "date_retracted": [0, 0, 0, 5],
    "schedule_type": [*[0] * 5, 1, 2, 2],
    "is_sent": [0, 1],
    "is_spam": [*[0] * 5, 1],
    "filter_action": [*[0] * 4, 1, 2, 3],
    "is_auto_reply": [*[0] * 6, 1],
    "is_from_me": [0, 1],
    "handle_id": [1, 2, 0, 99, "trash\n", None],
    "date": [
        *(None, 0, -5, 500_000_000, 1_693_182_723, apple_ns(1_700_000_000)),
        *(apple_ns(NOW + DAY + 3600), NOW - APPLE_EPOCH + DAY - 3600),
        *(NOW - APPLE_EPOCH + DAY + 3600,),
    ],
}


class Row(NamedTuple):
    """A row as it is stored, and what the notes say of it."""

    columns: dict[str, Any]
    reason: str | None
    seconds: int | None
    sender: str


def read_slowly(row: dict[str, Any], *, has_attachment: bool) -> Row:
    seconds = seconds_of(row["date"])
    sender = "Me" if row["is_from_me"] else SENDERS.get(row["handle_id"], "unknown")
    reason = reason_of(row, seconds, has_attachment=has_attachment)
    return Row(row, reason, seconds, sender)


def seconds_of(date: int | None) -> int | None:
    if not date or date < 0:
        return None
    if date >= 10**12:
        return date // 10**9 + APPLE_EPOCH
    is_in_the_future = date + APPLE_EPOCH > NOW + DAY
    return date if is_in_the_future else date + APPLE_EPOCH


def reason_of(
    row: dict[str, Any], seconds: int | None, *, has_attachment: bool
) -> str | None:
    number = row["associated_message_type"] or 0
    if number == 1000 or number in range(2000, 2008) or number in range(3000, 3008):
        return "reaction"
    bundle = (row["balloon_bundle_id"] or "").split(":", 2)[-1]
    about = row["associated_message_guid"]
    is_poll_update = bundle == POLL and about and about != row["guid"]
    if number == 4000 or is_poll_update or row["item_type"]:
        return "system"
    stored = row["text"] or {BODY: "Hi"}.get(row["attributedBody"], "")
    left = stored.replace("\ufffc", "").replace("\ufffd", "" if bundle else "\ufffd")
    is_empty = not left.strip() and "\ufffc" not in stored
    was_taken_back = row["message_summary_info"] == TAKEN_BACK or row["date_retracted"]
    if is_empty and was_taken_back:
        return "unsent"
    return (
        reason_of_delivery(row, seconds)
        or ("media" if bundle not in ("", PREVIEW) else None)
        or reason_of_emptiness(row, stored, left, has_attachment=has_attachment)
    )


def reason_of_delivery(row: dict[str, Any], seconds: int | None) -> str | None:
    is_to_come = seconds is not None and seconds > NOW
    if row["schedule_type"] == 2 and (row["is_sent"] == 0 or is_to_come):
        return "draft"
    if row["is_spam"] or row["filter_action"] in (2, 3):
        return "spam"
    return "auto_reply" if row["is_auto_reply"] else None


def reason_of_emptiness(
    row: dict[str, Any], stored: str, left: str, *, has_attachment: bool
) -> str | None:
    if left.strip():
        return None
    if has_attachment or "\ufffc" in stored:
        return "media"
    is_damaged = not row["text"] and row["attributedBody"] == CUT
    return "unreadable" if is_damaged else "empty"


class Mixture(NamedTuple):
    """A database of one group, and its rows by guid."""

    path: Path
    rows: dict[str, Row]

    def read(self, **options: Any) -> dict[str | None, BaseMessage]:
        sessions = IMessageChatLoader(self.path, **options)
        return {m.id: m for session in sessions for m in session["messages"]}


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Mixture:
    path = tmp_path_factory.mktemp("mixture") / "chat.db"
    choose = random.Random(7)
    rows = {}
    with ChatDb(path, "27") as db:
        group = db.chat(HARE, TORTOISE)
        for number in range(ROWS):
            row = {name: choose.choice(values) for name, values in VALUES.items()}
            row["guid"] = f"G{number}"
            if row["associated_message_guid"] == "its own":
                row["associated_message_guid"] = row["guid"]
            message_id = db.message(**row)
            group.add(message_id)
            has_attachment = choose.random() < 0.2
            if has_attachment:
                db.attachment(message_id, mime_type="image/png")
            rows[row["guid"]] = read_slowly(row, has_attachment=has_attachment)
    return Mixture(path, rows)


def test_mixture_has_rows_of_every_reason(mixture: Mixture) -> None:
    counts = Counter(row.reason for row in mixture.rows.values())
    assert {*SWITCHES, None, "unsent", "empty", "unreadable"} == set(counts)
    assert min(counts.values()) >= 5


def test_rows_are_left_out_for_the_reasons_of_the_notes(mixture: Mixture) -> None:
    counts = Counter(row.reason for row in mixture.rows.values())
    summary = IMessageChatLoader(mixture.path).inspect()
    assert summary.kept == counts.pop(None)
    assert summary.skipped == counts


def test_the_rows_that_are_kept_are_those_of_the_notes(mixture: Mixture) -> None:
    speech = {guid for guid, row in mixture.rows.items() if row.reason is None}
    assert set(mixture.read()) == speech


@pytest.mark.parametrize("reason", SWITCHES)
def test_a_switch_brings_rows_of_its_reason_only(mixture: Mixture, reason: str) -> None:
    wanted = {guid for guid, row in mixture.rows.items() if row.reason == reason}
    speech = set(mixture.read())
    more = set(mixture.read(**{SWITCHES[reason]: True})) - speech
    assert more <= wanted
    missing = [mixture.rows[str(guid)].columns["text"] for guid in wanted - more]
    assert "hello" not in missing
    assert "a\ufffcb" not in missing


def test_senders_and_times_are_those_of_the_notes(mixture: Mixture) -> None:
    for guid, message in mixture.read(include_spam=True, include_drafts=True).items():
        row = mixture.rows[str(guid)]
        found = message.additional_kwargs
        assert found["sender"] == row.sender
        assert found["is_from_me"] is bool(row.columns["is_from_me"])
        assert found.get("message_time") == row.seconds


def test_order_is_by_time_and_then_by_row(mixture: Mixture) -> None:
    found = [mixture.rows[str(guid)] for guid in mixture.read(include_media=True)]
    order = [(row.seconds or 0, int(row.columns["guid"][1:])) for row in found]
    assert order == sorted(order)
