"""The session of a channel, built from the messages of all its files."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.base import (
    UNKNOWN_SENDER,
    export_message,
    message_time,
)
from langchain_chatexports.chat_loaders.discord.channel_files import read_messages
from langchain_chatexports.chat_loaders.discord.record_kinds import BOT, PERSON
from langchain_chatexports.chat_loaders.discord.records import Record, RecordReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from langchain_core.messages import HumanMessage

    from langchain_chatexports.chat_loaders.base import (
        ChatExportLoader,
        ExportSession,
    )
    from langchain_chatexports.chat_loaders.discord.channel_files import Channel
    from langchain_chatexports.chat_loaders.discord.owner import FoundOwner
    from langchain_chatexports.chat_loaders.export_files import ExportFile

__all__ = ["SessionBuilder"]


class SessionBuilder:
    """Builds the session of one channel; its files are added one by one."""

    def __init__(
        self,
        loader: ChatExportLoader,
        channel: Channel,
        owner: FoundOwner | None,
        *,
        include_bots: bool,
    ) -> None:
        """Initialize the builder for one channel.

        Args:
            loader: Whose options say what to keep.
            channel: Which channel.
            owner: Whose export it is, if known.
            include_bots: Keep what bots and apps wrote.
        """
        self.found = 0
        self.missing = 0
        """Messages that files say they hold, and do not."""

        self.skipped: Counter[str] = Counter()
        self.types: Counter[str] = Counter()
        """Records that no person wrote, by type."""

        self._loader = loader
        self._channel = channel
        self._owner = owner
        self._include_bots = include_bots
        self._reader = RecordReader()
        self._by_id: dict[str, Record] = {}
        self._without_id: list[Record] = []

    def add(self, file: ExportFile) -> None:
        """Add a file's messages; of a message in two files the earlier added stays.

        Raises:
            ChatExportError: If the file cannot be read.
        """
        before = self.found

        def compare(count: int) -> None:
            self.missing += max(0, count - (self.found - before))

        for raw in read_messages(file, compare):
            self.found += 1
            if not isinstance(raw, dict):
                self.skipped["unreadable"] += 1
                continue
            record = self._reader.record(raw)
            if not record.id:
                self._without_id.append(record)
                continue
            if self._by_id.setdefault(record.id, record) is not record:
                self.skipped["duplicate"] += 1

    def session(self) -> ExportSession | None:
        """Return the channel as a session, or `None` if nothing of it is kept."""
        records = self._without_id + sorted(self._by_id.values())
        self._by_id, self._without_id = {}, []
        shown = self._reader.names_told_apart()
        people = self._participants(records, shown)
        channel = self._channel
        title = self._title(people)
        names = [*people, channel.name, channel.guild, channel.parent]
        if not self._loader.keeps_conversation(channel.id, title, names):
            self.skipped["excluded"] += len(records)
            return None
        messages = list(self._messages(records, shown))
        if not messages:
            return None
        owner = self._owner
        return {
            "messages": messages,
            "metadata": {
                "id": channel.id,
                "title": title,
                "platform": self._loader.platform,
                "participants": people,
                # With the handle, where somebody else in the channel has the name, too.
                "owner": shown.get(owner.id, owner.name) if owner else None,
                "is_group": channel.type != "DirectTextChat",
            },
        }

    def _messages(
        self, records: Iterable[Record], shown: Mapping[str, str]
    ) -> Iterator[HumanMessage]:
        loader, owner = self._loader, self._owner.id if self._owner else None
        has_bounds = loader.start is not None or loader.end is not None
        for _, message_id, time, author, text, kind, kind_name, more in records:
            extra = more or {}
            if kind != PERSON:
                if reason := self._reason_to_skip(kind, kind_name, text):
                    self.skipped[reason] += 1
                    continue
                if kind != BOT:
                    extra["system"] = kind_name
            if not text and not (text := self._placeholder(extra)):
                continue
            moment = None if time is None else message_time(time)
            if has_bounds and not loader.keeps_time(moment):
                self.skipped["excluded"] += 1
                continue
            yield export_message(
                text,
                sender=shown.get(author, UNKNOWN_SENDER),
                moment=moment,
                is_from_me=None if owner is None else author == owner,
                message_id=message_id or None,
                extra=extra,
            )

    def _reason_to_skip(self, kind: str, kind_name: str, text: str) -> str | None:
        self.types["bot" if kind == BOT else kind_name] += 1
        if kind == BOT:
            return None if self._include_bots else "bot"
        return None if self._loader.include_system and text else "system"

    def _placeholder(self, extra: Mapping[str, Any]) -> str:
        """Return what stands for a message without text, empty if it is left out."""
        attachments = extra.get("attachments", ())
        if attachments and self._loader.include_media:
            return " ".join(f"[{item['type']}]" for item in attachments)
        self.skipped["media" if attachments else "empty"] += 1
        return ""

    def _participants(
        self, records: Iterable[Record], shown: Mapping[str, str]
    ) -> list[str]:
        kinds = {PERSON, BOT} if self._include_bots else {PERSON}
        wrote = dict.fromkeys(record[3] for record in records if record[5] in kinds)
        return list(dict.fromkeys(shown[author] for author in wrote if author in shown))

    def _title(self, people: Iterable[str]) -> str:
        channel = self._channel
        if channel.is_direct:
            owner = self._owner.name if self._owner else None
            others = [name for name in people if name != owner]
            return channel.name or ", ".join(others) or channel.id
        return f"#{channel.name or channel.id}"
