"""SQL for what a row of `message` is: speech, a reaction, an event, a draft."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.imessage.times import time_of

if TYPE_CHECKING:
    from langchain_chatexports.chat_loaders.imessage.schema import Schema

__all__ = ["has_more", "is_from_me", "kind_of"]

_URL_PREVIEW = "com.apple.messages.URLBalloonProvider"
_POLL = "com.apple.messages.Polls"
_IS_ASSOCIATED = (
    "m.associated_message_type >= 1000 AND (m.associated_message_type IN (1000, 4000) "
    "OR m.associated_message_type BETWEEN 2000 AND 2007 "
    "OR m.associated_message_type BETWEEN 3000 AND 3007)"
)
_KIND_OF_ASSOCIATED = (
    "CASE m.associated_message_type WHEN 1000 THEN 'sticker' WHEN 4000 THEN 'vote' "
    "ELSE 'reaction' END"
)
_POLL_COLUMNS = ("balloon_bundle_id", "associated_message_guid", "guid")
# A bundle id can stand behind a prefix: `com.apple.messages.MSMessageExtension…:…:id`.
_IS_POLL_UPDATE = (
    "m.associated_message_guid <> '' AND m.associated_message_guid IS NOT m.guid "
    f"AND m.balloon_bundle_id LIKE '%{_POLL}'"
)
_IS_APP = (
    f"m.balloon_bundle_id <> '' AND m.balloon_bundle_id NOT LIKE '%{_URL_PREVIEW}'"
)


def is_from_me(schema: Schema) -> str:
    """Return the expression for whether the owner sent a message: 0 or 1."""
    return f"coalesce({schema.column('message', 'is_from_me')} = 1, 0)"


def kind_of(schema: Schema) -> str:
    """Return the expression for what a row is if not ordinary speech, else `NULL`.

    The order decides: what reacts is no event, what is an event no draft, and so on.
    """
    tests = (
        (("associated_message_type",), _IS_ASSOCIATED, _KIND_OF_ASSOCIATED),
        (_POLL_COLUMNS, _IS_POLL_UPDATE, "'vote'"),
        (("item_type",), "m.item_type <> 0", "'event'"),
        (("schedule_type",), _is_draft(schema), "'draft'"),
        (("is_spam",), "m.is_spam = 1", "'spam'"),
        (("filter_action",), "m.filter_action IN (2, 3)", "'spam'"),
        (("is_auto_reply",), "m.is_auto_reply = 1", "'auto_reply'"),
        (("balloon_bundle_id",), _IS_APP, "'app'"),
    )
    whens = [
        f"WHEN {test} THEN {kind}"
        for columns, test, kind in tests
        if schema.has("message", *columns)
    ]
    return f"CASE {' '.join(whens)} END" if whens else "NULL"


def _is_draft(schema: Schema) -> str:
    sent = schema.column("message", "is_sent")
    return (
        "m.schedule_type = 2 AND "
        f"(coalesce({sent}, 0) = 0 OR {time_of(schema)} > {int(time())}000000)"
    )


def has_more(schema: Schema) -> str:
    """Return the expression for whether `Details` have more to say than the text.

    A message without a text is looked at closely anyway.
    """
    tests = (
        ("subject", "m.subject <> ''"),
        ("cache_has_attachments", "m.cache_has_attachments = 1"),
        ("balloon_bundle_id", "m.balloon_bundle_id <> ''"),
        ("payload_data", "m.payload_data IS NOT NULL"),
        ("thread_originator_guid", "m.thread_originator_guid <> ''"),
        ("date_edited", "m.date_edited <> 0"),
    )
    present = [test for column, test in tests if schema.has("message", column)]
    return f"coalesce({' OR '.join(present)}, 0)" if present else "0"
