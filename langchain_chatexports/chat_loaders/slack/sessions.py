"""The sessions of a conversation: its main line, and its threads."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.base import (
    UNKNOWN_SENDER,
    export_message,
    message_time,
)
from langchain_chatexports.chat_loaders.slack.record_kinds import BOT, DELETED, PERSON

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from langchain_core.messages import HumanMessage

    from langchain_chatexports.chat_loaders.base import (
        ChatExportLoader,
        ExportSession,
        SessionMetadata,
    )
    from langchain_chatexports.chat_loaders.ledger import Tally
    from langchain_chatexports.chat_loaders.slack.export import Conversation
    from langchain_chatexports.chat_loaders.slack.people import People
    from langchain_chatexports.chat_loaders.slack.records import Record

__all__ = ["ConversationSessions"]


class ConversationSessions:
    """Builds the sessions of one conversation, and counts."""

    def __init__(
        self,
        loader: ChatExportLoader,
        conversation: Conversation,
        people: People,
        *,
        are_threads_apart: bool,
        include_bots: bool,
        owner: str | None,
        owner_name: str | None,
    ) -> None:
        """Initialize it for one conversation.

        Args:
            loader: Whose options say what to keep.
            conversation: Which one.
            people: Who is in the workspace.
            are_threads_apart: Whether a channel's threads are sessions of their own.
            include_bots: Keep what bots and apps wrote.
            owner: The owner's id, if known.
            owner_name: The owner's name, if known.
        """
        self.found = 0
        self.skipped: Counter[str] = Counter()
        self.subtypes: Counter[str] = Counter()
        """Records that no person wrote, by subtype."""

        self._loader = loader
        self._are_threads_apart = are_threads_apart and not conversation.is_direct
        self._include_bots = include_bots
        self._conversation = conversation
        self._people = people
        self._owner = owner
        self._owner_name = owner_name

    def sessions(self, records: Iterable[Record]) -> Iterator[ExportSession]:
        """Yield the main line, then the threads in order of their first message.

        Args:
            records: All messages, in any order.
        """
        ordered = self._without_duplicates(records)
        threads: dict[str, list[Record]] = defaultdict(list)
        main = ordered
        if self._are_threads_apart:
            main = []
            for record in ordered:
                if record.thread is None:
                    main.append(record)
                    continue
                threads[record.thread].append(record)
                if record.is_first_of_thread:
                    # In its thread, and in the main line, where people saw it.
                    main.append(record)
        del ordered
        title = self._title(main)
        if session := self._session(main, self._conversation.id, title):
            yield session
        del main
        for ts in sorted(threads, key=_thread_order):
            session_id = f"{self._conversation.id}:{ts}"
            thread_title = f"{title}, thread of {_day(ts)}"
            if session := self._session(threads.pop(ts), session_id, thread_title):
                yield session

    def count_into(self, tally: Tally) -> None:
        """Count what was found and left out since the last call."""
        tally.found += self.found
        for reason, number in self.skipped.items():
            tally.skip(reason, number)
        self.found = 0
        self.skipped.clear()

    def _without_duplicates(self, records: Iterable[Record]) -> list[Record]:
        by_time: dict[int, Record] = {}
        timeless: list[Record] = []
        for record in records:
            time = record[0]
            if time is None:
                timeless.append(record)
                continue
            known = by_time.setdefault(time, record)
            if known is not record:
                self.found += 1
                self.skipped["duplicate"] += 1
                if record.weight > known.weight:
                    by_time[time] = record
        # Those without a time stand first.
        return timeless + [by_time[time] for time in sorted(by_time)]

    def _session(
        self, records: list[Record], session_id: str, title: str
    ) -> ExportSession | None:
        self.found += len(records)
        people = self._participants(records)
        conversation = self._conversation
        names = [*people, conversation.id, conversation.name, f"#{conversation.name}"]
        if not self._loader.keeps_conversation(session_id, title, names):
            self.skipped["excluded"] += len(records)
            return None
        messages = list(self._messages(records))
        if not messages:
            return None
        metadata: SessionMetadata = {
            "id": session_id,
            "title": title,
            "platform": self._loader.platform,
            "participants": people,
            "owner": self._owner_name,
            "is_group": conversation.kind != "dm",
        }
        return {"messages": messages, "metadata": metadata}

    def _messages(self, records: Iterable[Record]) -> Iterator[HumanMessage]:
        loader, prefix = self._loader, f"{self._conversation.id}:"
        owner, owner_name = self._owner, self._owner_name
        has_bounds = loader.start is not None or loader.end is not None
        for record in records:
            time, ts, sender, user, text, kind, _, thread, extra, _ = record
            if kind != PERSON and (reason := self._reason_to_skip(record)):
                self.skipped[reason] += 1
                continue
            if not text and not (text := self._placeholder(extra)):
                continue
            moment = None if time is None else message_time(time)
            if has_bounds and not loader.keeps_time(moment):
                self.skipped["excluded"] += 1
                continue
            if thread is not None or kind != PERSON:
                extra = self._with_thread(record, extra)
            yield export_message(
                text,
                sender=sender,
                moment=moment,
                is_from_me=None if owner_name is None else user == owner,
                message_id=prefix + ts if ts else None,
                extra=extra,
            )

    def _placeholder(self, extra: Mapping[str, Any]) -> str:
        """Return what stands for a message without text, empty if it is left out."""
        attachments = extra.get("attachments", ())
        if attachments and self._loader.include_media:
            return " ".join(f"[{item['type']}]" for item in attachments)
        self.skipped["media" if attachments else "empty"] += 1
        return ""

    def _reason_to_skip(self, record: Record) -> str | None:
        self.subtypes[record.subtype or "bot_id"] += 1
        if record.kind == BOT:
            return None if self._include_bots else "bot"
        if record.kind == DELETED:
            return "unsent"
        is_kept = self._loader.include_system and record.text
        return None if is_kept else "system"

    def _with_thread(self, record: Record, extra: dict[str, Any]) -> dict[str, Any]:
        if record.kind not in {PERSON, BOT}:
            extra = {**extra, "system": record.subtype}
        if record.thread is None:
            return extra
        thread = f"{self._conversation.id}:{record.thread}"
        if record.is_first_of_thread:
            return {**extra, "thread": thread}
        return {**extra, "reply_to": {"id": thread}}

    def _participants(self, records: Iterable[Record]) -> list[str]:
        listed = (
            [*self._conversation.members, self._conversation.partner]
            if self._conversation.is_direct
            else []
        )
        names = [self._people.name(user) for user in listed if user]
        kinds = {PERSON, BOT} if self._include_bots else {PERSON}
        wrote = [record[2] for record in records if record[5] in kinds]
        return [n for n in dict.fromkeys([*names, *wrote]) if n != UNKNOWN_SENDER]

    def _title(self, records: list[Record]) -> str:
        conversation = self._conversation
        if not conversation.is_direct:
            return f"#{conversation.name}"
        people = self._participants(records)
        others = [name for name in people if name != self._owner_name] or people
        return ", ".join(f"@{name}" for name in others) or conversation.name


def _thread_order(ts: str) -> tuple[int, str]:
    whole, _, part = ts.partition(".")
    return (len(whole), whole + part) if whole.isdigit() else (0, ts)


def _day(ts: str) -> str:
    # Not its first words, which are somebody's text.
    try:
        moment = datetime.fromtimestamp(int(ts.partition(".")[0]), timezone.utc)
    except (ValueError, OverflowError, OSError):
        return "an unknown day"
    return f"{moment:%Y-%m-%d %H:%M}"
