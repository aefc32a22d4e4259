"""The Discord loader: files of DiscordChatExporter, or Discord's data package."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

from langchain_chatexports._terminal import escaped, plural
from langchain_chatexports.chat_loaders.archives import (
    open_parts,
    readable_files,
)
from langchain_chatexports.chat_loaders.base import (
    ChatExportLoader,
    export_message,
    message_time,
)
from langchain_chatexports.chat_loaders.discord.data_package import (
    about_channel,
    channel_labels,
    channel_title,
    package_channels,
    package_user,
    rows_of,
)
from langchain_chatexports.chat_loaders.discord.export import discover
from langchain_chatexports.chat_loaders.discord.owner import (
    FoundOwner,
    authors_of,
    find_owner,
    owner_by_option,
)
from langchain_chatexports.chat_loaders.discord.records import microseconds
from langchain_chatexports.chat_loaders.discord.sessions import SessionBuilder
from langchain_chatexports.chat_loaders.json_data import without_lone_surrogates
from langchain_chatexports.chat_loaders.ledger import Tally
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping
    from pathlib import Path

    from langchain_core.messages import HumanMessage
    from typing_extensions import Unpack

    from langchain_chatexports.chat_loaders.base import ExportSession
    from langchain_chatexports.chat_loaders.discord.data_package import PackageChannel
    from langchain_chatexports.chat_loaders.discord.export import DiscordExport
    from langchain_chatexports.chat_loaders.export_files import ExportFile
    from langchain_chatexports.chat_loaders.options import LoaderOptions

__all__ = ["DiscordChatLoader"]

_SUFFIXES = (".json", ".csv")
# What DiscordChatExporter calls the files of a channel that it writes in parts.
_PART = re.compile(r"(.*) \[part (\d{1,6})\]\.json", re.IGNORECASE | re.DOTALL)
_CONTENT_KEYS = (b'"content"', b'"Contents"')


class DiscordChatLoader(ChatExportLoader):
    """Load the channels of a Discord export.

    Files that DiscordChatExporter wrote as JSON: each channel, thread and direct
    message is a session, joined from all its files. Discord's own data package is read,
    too, but it holds the messages of whoever asked for it and nobody else's.

    Sessions come in code-point order of the files' names.
    """

    platform = "discord"

    def __init__(
        self,
        path: str | Path,
        *,
        include_bots: bool = False,
        **options: Unpack[LoaderOptions],
    ) -> None:
        """Initialize the loader.

        Args:
            path: A file, a folder or a zip.
            include_bots: Keep what bots, apps and webhooks wrote.
            **options: The options that every loader has, see `ChatExportLoader`.
                `owner` is the id, user name or nickname of who exported; without it, it
                is found where the export has direct messages.
        """
        super().__init__(path, **options)
        self.include_bots = include_bots

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        """Read the export, one channel at a time.

        Args:
            tally: Where to count what is found and what is left out.

        Yields:
            One session a channel of which something is kept.

        Raises:
            ExportNotFoundError: If there is nothing at the path.
            ExportAccessError: If the system refuses.
            ExportFormatError: If it is not an export of Discord.
            SenderNotFoundError: If several people are the `owner`.
        """
        with ExitStack() as stack:
            export = self._discover(stack, tally)
            if export.channels:
                yield from self._channels(export, tally)
            else:
                yield from self._package(export, tally)

    def handles(self) -> Mapping[str, Collection[str]]:
        """Return the id, the user name and all nicknames behind each name.

        Who wrote is only in the messages: all of them are read. A name that several
        people have in different channels is nobody's.

        Raises:
            ChatExportError: If the export cannot be read.
        """
        called: dict[str, set[str]] = {}
        shown: dict[str, set[str]] = {}
        with ExitStack() as stack:
            export = self._discover(stack, Tally(), is_quiet=True)
            for people in map(authors_of, export.channels):
                for author, name in people.names_told_apart().items():
                    labels = {author, people.handles[author], people.names[author]}
                    called.setdefault(author, set()).update(labels - {""}, {name})
                    shown.setdefault(name, set()).add(author)
        return {
            name: called[min(authors)] if len(authors) == 1 else frozenset()
            for name, authors in shown.items()
        }

    def names_of(self, person: str) -> frozenset[str]:
        """Return the senders in this export that a name or handle belongs to.

        Raises:
            ChatExportError: If the export cannot be read.
        """
        names = super().names_of(person)
        known = self._known_handles
        called = {label for name in names for label in known.get(name, ())}
        # Who is told apart in one channel has the bare name in others.
        return names | {name for name in called if name in known and not known[name]}

    def _count_messages(self) -> int:
        with ExitStack() as stack:
            parts = open_parts([self.path], stack, lambda _: None, _SUFFIXES)
            return sum(
                file.estimate_count(b"\n")
                if file.name.lower().endswith(".csv")
                else file.estimate_count(*_CONTENT_KEYS)
                for file in readable_files(parts, lambda _: None)
            )

    def _discover(
        self, stack: ExitStack, tally: Tally, *, is_quiet: bool = False
    ) -> DiscordExport:
        def warn(error: ChatExportError) -> None:
            tally.leave_out_file(error, is_quiet=is_quiet)

        parts = open_parts([self.path], stack, warn, _SUFFIXES)
        files = list(readable_files(parts, warn))
        return discover(files, warn)

    def _channels(
        self, export: DiscordExport, tally: Tally
    ) -> Generator[ExportSession, None, None]:
        owner = self._owner(export, tally)
        types: Counter[str] = Counter()
        tally.details["channels"] = len(export.channels)
        tally.details["files"] = sum(len(one.files) for one in export.channels)
        tally.details["other_files"] = len(export.other_files)
        tally.details["types"] = types
        for one in export.channels:
            builder = SessionBuilder(
                self, one.channel, owner, include_bots=self.include_bots
            )
            self._tell_of_missing_parts(one.files)
            for file in one.files:
                self._add(file, builder, tally)
            session = builder.session()
            tally.found += builder.found
            for reason, count in builder.skipped.items():
                tally.skip(reason, count)
            types.update(builder.types)
            del builder
            if session is not None:
                held = [session]
                del session
                yield held.pop()  # Only the caller keeps it in memory.

    def _add(self, file: ExportFile, builder: SessionBuilder, tally: Tally) -> None:
        missing = builder.missing
        try:
            builder.add(file)
        except ChatExportError as error:
            self._leave_out(file, error, tally)
        missing = builder.missing - missing
        if missing:
            tally.details["missing"] = tally.details.get("missing", 0) + missing
            msg = (
                f"{file.label} lacks {plural(missing, 'message')} that it says it "
                "holds. Export the channel again."
            )
            warnings.warn(msg, stacklevel=3)

    def _tell_of_missing_parts(self, files: list[ExportFile]) -> None:
        """Warn of partitions that are not there, by the names of the others."""
        parts: dict[tuple[int, tuple[str, ...], str], set[int]] = {}
        for file in files:
            match = _PART.fullmatch(file.name)
            stem = match[1] if match else file.name.rpartition(".")[0]
            number = int(match[2]) if match else 1
            parts.setdefault((file.part, file.folders, stem), set()).add(number)
        for (_, _, stem), numbers in parts.items():
            count = max(numbers) - len(numbers)
            if count:
                msg = (
                    f"Of {stem} in {self.path} {plural(count, 'part')} of "
                    f"{max(numbers):,} cannot be found by name, and its messages are "
                    "missing. Put all parts into the folder."
                )
                warnings.warn(msg, stacklevel=4)

    def _leave_out(
        self, file: ExportFile, error: ChatExportError, tally: Tally
    ) -> None:
        if file.path == self.path and file.label == escaped(str(self.path)):
            raise error  # The one file that the user named.
        tally.leave_out_file(error)

    def _owner(self, export: DiscordExport, tally: Tally) -> FoundOwner | None:
        if self.owner:
            owner: FoundOwner | None = owner_by_option(self.owner, export.channels)
        else:
            user = _user(export, tally)
            if user:
                owner = owner_by_option(user["id"], export.channels)
                if not owner.id:
                    owner = FoundOwner(user["id"], _user_name(user), "")
                owner = owner._replace(found_by="data package")
            else:
                owner = find_owner(export.channels)
        if owner:
            tally.owner, tally.owner_found_by = owner.name, owner.found_by
        return owner

    def _package(
        self, export: DiscordExport, tally: Tally
    ) -> Generator[ExportSession, None, None]:
        channels = package_channels(export.other_files)
        if not channels:
            msg = (
                f"{self.path} holds no messages of a Discord export. Export channels "
                "with DiscordChatExporter, in the format JSON, and give the files or "
                "their folder."
            )
            raise ExportFormatError(msg, path=self.path)
        msg = (
            f"{self.path} is Discord's data package, which holds only your own "
            "messages: the other half of each conversation is missing. For whole "
            "conversations, export with DiscordChatExporter as JSON."
        )
        warnings.warn(msg, stacklevel=2)
        user = _user(export, tally)
        name = self.owner or _user_name(user) or "Me"
        tally.owner = name
        tally.owner_found_by = "option" if self.owner else "data package"
        tally.details["channels"] = len(channels)
        labels = _labels(export, tally)
        for channel in channels:
            try:
                session = self._package_session(channel, labels, name, tally)
            except ChatExportError as error:
                self._leave_out(channel.file, error, tally)
                continue
            if session is not None:
                held = [session]
                del session
                yield held.pop()

    def _package_session(
        self,
        channel: PackageChannel,
        labels: Mapping[str, str],
        name: str,
        tally: Tally,
    ) -> ExportSession | None:
        about = about_channel(channel)
        folder = channel.file.folders[-1]
        channel_id = about.get("id")
        if not isinstance(channel_id, str):
            channel_id = folder.removeprefix("c")
        title = channel_title(about) or labels.get(channel_id)
        is_kept = self.keeps_conversation(channel_id, title, [name])
        messages: list[tuple[int, HumanMessage]] = []
        for row in rows_of(channel.file):
            tally.found += 1
            if row is None:
                tally.skip("unreadable")
            elif not is_kept:
                tally.skip("excluded")
            elif message := self._package_message(row, name, tally):
                messages.append(message)
        if not messages:
            return None
        messages.sort(key=lambda one: one[0])
        recipients = about.get("recipients")
        return {
            "messages": [message for _, message in messages],
            "metadata": {
                "id": channel_id,
                "title": title,
                "platform": self.platform,
                "participants": [name],
                "owner": name,
                "is_group": not isinstance(recipients, list) or len(recipients) > 2,  # noqa: PLR2004 (more than two)
            },
        }

    def _package_message(
        self, row: dict[str, object], name: str, tally: Tally
    ) -> tuple[int, HumanMessage] | None:
        text, files = row.get("Contents"), row.get("Attachments")
        text = without_lone_surrogates(text) if isinstance(text, str) else ""
        extra = {}
        if files:
            extra = {"attachments": [{"type": "file"} for _ in str(files).split()]}
        if not text.strip():
            if not files or not self.include_media:
                tally.skip("media" if files else "empty")
                return None
            text = " ".join("[file]" for _ in extra["attachments"])
        time = microseconds(row.get("Timestamp"))
        moment = None if time is None else message_time(time)
        if not self.keeps_time(moment):
            tally.skip("excluded")
            return None
        message_id = row.get("ID")
        message = export_message(
            text,
            sender=name,
            moment=moment,
            is_from_me=True,
            message_id=str(message_id) if message_id else None,
            extra=extra,
        )
        return (-1 if time is None else time), message


def _user(export: DiscordExport, tally: Tally) -> dict[str, str]:
    try:
        return package_user(export.other_files)
    except ChatExportError as error:
        tally.leave_out_file(error)
        return {}


def _labels(export: DiscordExport, tally: Tally) -> dict[str, str]:
    try:
        return channel_labels(export.other_files)
    except ChatExportError as error:
        tally.leave_out_file(error)
        return {}


def _user_name(user: dict[str, str]) -> str:
    for key in ("global_name", "username", "id"):
        value = user.get(key)
        if isinstance(value, str) and value.strip():
            return without_lone_surrogates(value).strip()
    return ""
