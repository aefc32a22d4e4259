"""Records of a thread as messages, and the count of those that are left out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.base import export_message, message_time
from langchain_chatexports.chat_loaders.facebook_messenger.record_kinds import has_url

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from langchain_core.messages import HumanMessage

    from langchain_chatexports.chat_loaders.base import ChatExportLoader
    from langchain_chatexports.chat_loaders.facebook_messenger.records import Record
    from langchain_chatexports.chat_loaders.facebook_messenger.system_lines import (
        LineReader,
    )
    from langchain_chatexports.chat_loaders.message_ids import MessageIds

__all__ = ["MessageBuilder", "find_placeholders"]

_MAX_PLACEHOLDER_LENGTH = 100
_MICROSECONDS = 1000  # In a millisecond.

# What `skipped` calls the kinds of records that are left out by default; the other
# kinds are `system`.
_REASONS = {"attachment": "media", "reaction": "reaction", "unsent": "unsent"}


class MessageBuilder:
    """Turns the records of one thread into messages, and counts."""

    def __init__(
        self,
        loader: ChatExportLoader,
        lines: LineReader,
        *,
        owner: str | None,
        ids: MessageIds,
        placeholders: Collection[str] = (),
    ) -> None:
        """Initialize the builder for one thread.

        Args:
            loader: Whose options say what to keep.
            lines: Tells system lines from what people wrote.
            owner: Name of who exported, if known.
            ids: Ids for the thread's messages.
            placeholders: Texts that stand for a shared attachment in this thread.
        """
        self.left_out: Counter[str] = Counter()
        """Records that became no message, by reason."""

        self.kinds: Counter[str] = Counter()
        """Records that nobody typed, by kind."""

        self.languages: Counter[str] = Counter()
        """System lines that were recognized by their sentence, by language."""

        self._loader = loader
        self._lines = lines
        self._ids = ids
        self._placeholders = placeholders
        self._is_owner = _OwnerTest(owner) if owner else None
        switches = {
            "reaction": loader.include_reactions,
            "system": loader.include_system,
            "unsent": loader.include_unsent,
            "media": loader.include_media,
        }
        self._kept_reasons = {name for name, is_kept in switches.items() if is_kept}

    def messages(self, records: list[Record]) -> Iterator[HumanMessage]:
        """Yield records as messages, and count those that are left out.

        Args:
            records: The thread's records, oldest first. The list is used up, so that
                no record stays in memory beside its message.

        Yields:
            The messages that are kept.
        """
        loader, read_line = self._loader, self._lines.read
        is_owner = self._is_owner
        has_bounds = loader.start is not None or loader.end is not None
        prefix, id_among_equals = self._ids.prefix, self._ids.among_equals
        before: int | None = None
        records.reverse()
        while records:
            stamp, sender, text, extra, kind, _, _ = records.pop()
            if (
                stamp is None
                or stamp == before
                or (records and stamp == records[-1][0])
            ):
                message_id = id_among_equals(stamp, sender, text)
            else:
                message_id = f"{prefix}{stamp:x}"
            before = stamp
            if kind is None:
                if not text or text in self._placeholders:
                    kind = "attachment"
                elif line := read_line(text, sender, extra):
                    kind = line.kind
                    self.languages[line.language] += 1
            if kind is not None:
                text, extra = self._not_typed(kind, text, extra)
                if not text:
                    continue
            moment = None
            if stamp is not None:
                moment = message_time(stamp * _MICROSECONDS)
            if has_bounds and not loader.keeps_time(moment):
                self.left_out["excluded"] += 1
                continue
            yield export_message(
                text,
                sender=sender,
                moment=moment,
                is_from_me=is_owner[sender] if is_owner else None,
                message_id=message_id,
                extra=extra,
            )

    def _not_typed(
        self, kind: str, text: str, extra: dict[str, Any] | None
    ) -> tuple[str, dict[str, Any] | None]:
        """Return the text of a record that nobody typed, empty if it is left out."""
        self.kinds[kind] += 1
        reason = _REASONS.get(kind, "system")
        if reason == "media":
            text = _media_text(extra)
        if not text or reason not in self._kept_reasons:
            self.left_out[reason] += 1
            return "", None
        if reason != "media":
            extra = {**(extra or {}), reason: kind if reason == "system" else True}
        return text, extra


def find_placeholders(records: Collection[Record]) -> set[str]:
    """Find the texts that stand for a shared attachment, in whatever language.

    That is a short text that repeats on messages with a share, and on no other one.
    """
    on_shares = Counter(
        record[2]
        for record in records
        if (extra := record[3])
        and 0 < len(record[2]) <= _MAX_PLACEHOLDER_LENGTH
        and _has_share(extra)
    )
    repeated = {
        text for text, count in on_shares.items() if count > 1 and not has_url(text)
    }
    if not repeated:
        return repeated
    return repeated.difference(
        text for _, _, text, extra, *_ in records if not (extra and _has_share(extra))
    )


class _OwnerTest(dict[str, bool]):
    """Whether each sender is the owner; a sender is compared once."""

    def __init__(self, owner: str) -> None:
        super().__init__({owner: True})  # Never empty, so never false.
        self._owner = owner.casefold().strip()

    def __missing__(self, sender: str) -> bool:
        self[sender] = is_owner = sender.casefold() == self._owner
        return is_owner


def _has_share(extra: dict[str, Any]) -> bool:
    return any(item["type"] == "link" for item in extra.get("attachments", ()))


def _media_text(extra: dict[str, Any] | None) -> str:
    attachments = (extra or {}).get("attachments", ())
    return " ".join(f"[{item['type']}]" for item in attachments) or "[attachment]"
