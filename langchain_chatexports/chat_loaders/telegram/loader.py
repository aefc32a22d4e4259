"""The Telegram loader: a chat or an account that Telegram Desktop exported."""

from __future__ import annotations

import warnings
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

from langchain_chatexports._terminal import escaped
from langchain_chatexports.chat_loaders.archives import (
    open_parts,
    readable_files,
    single_file,
)
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.ledger import Tally
from langchain_chatexports.chat_loaders.local_times import find_time_zone, name_of_zone
from langchain_chatexports.chat_loaders.telegram.export import discover
from langchain_chatexports.chat_loaders.telegram.json_files import OpenStreams
from langchain_chatexports.chat_loaders.telegram.owner import (
    find_owner,
    handles_of,
    owner_by_option,
    owner_of_user,
)
from langchain_chatexports.chat_loaders.telegram.sessions import (
    SessionBuilder,
    Switches,
)
from langchain_chatexports.chat_loaders.telegram.times import Clock
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator, Mapping
    from datetime import tzinfo
    from pathlib import Path

    from typing_extensions import Unpack

    from langchain_chatexports.chat_loaders.base import ExportSession
    from langchain_chatexports.chat_loaders.options import LoaderOptions
    from langchain_chatexports.chat_loaders.telegram.chats import Chat
    from langchain_chatexports.chat_loaders.telegram.export import TelegramExport
    from langchain_chatexports.chat_loaders.telegram.owner import FoundOwner

__all__ = ["TelegramChatLoader"]

_SUFFIXES = (".json", ".html", ".htm")
_MESSAGE_KEYS = (b'"type": "message"', b'"type": "service"', b'class="message ')
_HEAD = 1 << 18
# So many messages of one person alone are no accident.
_MIN_ONE_SIDED = 10


class TelegramChatLoader(ChatExportLoader):
    """Load the chats of a Telegram export.

    What Telegram Desktop writes: `result.json` of one chat or of an account, or pages
    in HTML. Each chat is a session. Channels, where only their owners write, and chats
    with bots are left out.

    Sessions come in the order of the files, and within a file in its own.
    """

    platform = "telegram"

    def __init__(
        self,
        path: str | Path,
        *,
        topics: Literal["group", "sessions"] = "group",
        timezone: str | tzinfo | None = None,
        include_bots: bool = False,
        include_channels: bool = False,
        **options: Unpack[LoaderOptions],
    ) -> None:
        """Initialize the loader.

        Args:
            path: `result.json`, a page in HTML, or a folder or zip with them.
            topics: Whether the topics of a group stay together in their `group`, by
                time, or are `sessions` of their own.
            timezone: Where the computer was that exported, such as `Europe/Berlin`, for
                exports whose times are local: JSON before about 2022, and HTML. Without
                one, this machine's.
            include_bots: Keep chats with bots, and what bots wrote in groups.
            include_channels: Keep channels.
            **options: The options that every loader has, see `ChatExportLoader`.
                `owner` is the id (`user123` or `123`) or name of who exported; without
                it, the owner is found where the export has personal chats.

        Raises:
            ValueError: If `topics` is neither of the two, or there is no such zone.
        """
        if topics not in ("group", "sessions"):
            msg = f"topics is 'group' or 'sessions', not {topics!r}."
            raise ValueError(msg)
        super().__init__(path, **options)
        self.topics = topics
        self.timezone = find_time_zone(timezone)
        self.include_bots = include_bots
        self.include_channels = include_channels

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        """Read the export, one chat at a time.

        Args:
            tally: Where to count what is found and what is left out.

        Yields:
            The sessions of which something is kept.

        Raises:
            ExportNotFoundError: If there is nothing at the path.
            ExportAccessError: If the system refuses.
            ExportFormatError: If it is not an export of Telegram.
            SenderNotFoundError: If several people have the name of the `owner`.
        """
        with ExitStack() as stack:
            export = self._discover(stack, tally)
            owner = self._owner(export, tally)
            by_id: dict[str, list[Chat]] = {}
            for chat in export.chats:
                by_id.setdefault(chat.id, []).append(chat)
            bots = frozenset(chat.id for chat in export.chats if chat.is_of_bot)
            types: Counter[str] = Counter()
            tally.details["chats"] = len(by_id)
            tally.details["files"] = len({chat.file.label for chat in export.chats})
            tally.details["other_files"] = export.other_files
            tally.details["types"] = types
            used_zone = used_offset = False
            one_sided = 0
            for chats in by_id.values():
                clock = Clock(self.timezone)
                builder = self._builder(chats[-1], owner, clock, bots)
                self._read(chats, builder, tally)
                held: list[ExportSession] = []
                people: set[str] = set()
                kept = 0
                for session in builder.sessions():
                    people.update(session["metadata"]["participants"])
                    kept += len(session["messages"])
                    held.append(session)
                    del session
                    yield held.pop()  # Only the caller keeps it in memory.
                is_group = chats[-1].is_group and not chats[-1].is_channel
                one_sided += bool(
                    is_group and len(people) == 1 and kept >= _MIN_ONE_SIDED
                )
                tally.found += builder.found
                for reason, count in builder.skipped.items():
                    tally.skip(reason, count)
                types.update(builder.types)
                del builder
                used_zone |= clock.used_zone
                used_offset |= clock.used_offset
            if used_zone:
                tally.details["time_zone"] = [name_of_zone(self.timezone)]
            self._warn_of_times(used_zone=used_zone, used_offset=used_offset)
            if one_sided:
                msg = (
                    f"In {one_sided} of the groups in {self.path} all messages are of "
                    "one person. If others wrote there, export again without "
                    '"Only my messages".'
                )
                warnings.warn(msg, stacklevel=2)

    def names_of(self, person: str) -> frozenset[str]:
        """Return the senders that a name or handle belongs to; ids also as a number.

        Raises:
            ChatExportError: If the export cannot be read.
        """
        names = super().names_of(person)
        author = f"user{person.removeprefix('user')}"
        if names == {person}:
            names = super().names_of(author) - {author} or names
        # Where nobody else of the name is in a chat, it stands there without the id.
        return names | {name.removesuffix(f" ({author})") for name in names}

    def handles(self) -> Mapping[str, Collection[str]]:
        """Return the ids, and phone numbers of contacts, behind each name.

        Who wrote is only in the messages: all of them are read.

        Raises:
            ChatExportError: If the export cannot be read.
        """
        with ExitStack() as stack:
            export = self._discover(stack, Tally(), is_quiet=True)
            return handles_of(export.user, export.chats, export.phones)

    def _count_messages(self) -> int:
        with ExitStack() as stack:
            parts = open_parts([self.path], stack, lambda _: None, _SUFFIXES)
            files = readable_files(parts, lambda _: None)
            return sum(file.estimate_count(*_MESSAGE_KEYS) for file in files)

    def _discover(
        self, stack: ExitStack, tally: Tally, *, is_quiet: bool = False
    ) -> TelegramExport:
        def warn(error: ChatExportError) -> None:
            tally.leave_out_file(error, is_quiet=is_quiet)

        parts = open_parts([self.path], stack, warn, _SUFFIXES)
        alone = single_file(parts)
        files = list(readable_files(parts, warn))
        errors: list[ChatExportError] = []
        export = discover(files, OpenStreams(stack), errors.append)
        for error in errors:
            if not export.chats and alone:
                raise error  # The one file that the user named.
            warn(error)
        if not export.chats:
            msg = (
                f"{self.path} holds no chats of a Telegram export. In Telegram Desktop "
                "export with the format JSON, and give result.json or its folder."
            )
            raise ExportFormatError(msg, path=self.path)
        return export

    def _owner(self, export: TelegramExport, tally: Tally) -> FoundOwner | None:
        if self.owner:
            owner: FoundOwner | None = owner_by_option(
                self.owner, export.user, export.chats
            )
        else:
            owner = owner_of_user(export.user) or find_owner(export.chats)
        if owner:
            tally.owner, tally.owner_found_by = owner.name, owner.found_by
        return owner

    def _builder(
        self, chat: Chat, owner: FoundOwner | None, clock: Clock, bots: frozenset[str]
    ) -> SessionBuilder:
        switches = Switches(
            bots=self.include_bots,
            channels=self.include_channels,
            topics_apart=self.topics == "sessions",
        )
        return SessionBuilder(
            self, chat, owner, clock=clock, switches=switches, bots=bots
        )

    def _read(self, chats: list[Chat], builder: SessionBuilder, tally: Tally) -> None:
        if len(chats) == 1:
            for block in self._blocks(chats[0], tally):
                builder.add(block)
            return
        # The same chat in several exports: of a message in two, the later one stays.
        messages: dict[int, Any] = {}
        others: list[Any] = []
        for chat in chats:
            for block in self._blocks(chat, tally):
                for raw in block:
                    number = raw.get("id") if isinstance(raw, dict) else None
                    if not isinstance(number, int):
                        others.append(raw)
                        continue
                    if number in messages:
                        tally.found += 1
                        tally.skip("duplicate")
                    messages[number] = raw
        clock = Clock(self.timezone)
        kept = list(messages.values())
        # Each file is in order, but one may begin before the one that comes first.
        kept.sort(key=lambda raw: clock.seconds(raw) or 0)
        builder.add([*others, *kept])

    def _blocks(self, chat: Chat, tally: Tally) -> Iterator[list[Any]]:
        try:
            yield from chat.blocks()
        except ChatExportError as error:
            if error.path == self.path and chat.file.label == escaped(str(self.path)):
                raise  # The one file that the user named.
            tally.leave_out_file(error)

    def _warn_of_times(self, *, used_zone: bool, used_offset: bool) -> None:
        if used_zone and self.timezone is None:
            here = name_of_zone(None)
            what = f"are local, and read as {here}. If the computer was elsewhere"
        elif used_offset:
            what = "have an offset that may ignore daylight saving. If they are wrong"
        else:
            return
        msg = (
            f"Times in {self.path} {what}, say where the computer was that exported: "
            "timezone='Europe/Berlin' (--export-zone), for example. Or export again as "
            "JSON."
        )
        warnings.warn(msg, stacklevel=2)
