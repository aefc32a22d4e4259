"""The Messenger loaders: one file, or a whole export."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from langchain_chatexports.chat_loaders.archives import (
    list_files,
    open_parts,
    single_file,
)
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.facebook_messenger.discovery import (
    LEFT_OUT_SECTIONS,
    SECTIONS,
    discover,
    thread_of_file,
)
from langchain_chatexports.chat_loaders.facebook_messenger.message_count import (
    estimate_records,
)
from langchain_chatexports.chat_loaders.facebook_messenger.owner import (
    FoundOwner,
    find_owner,
    find_owner_in_document,
)
from langchain_chatexports.chat_loaders.facebook_messenger.platforms import (
    FACEBOOK,
    INSTAGRAM,
    is_instagram_file,
)
from langchain_chatexports.chat_loaders.facebook_messenger.sessions import (
    SessionBuilder,
)
from langchain_chatexports.chat_loaders.facebook_messenger.thread_files import (
    SUFFIXES,
    ThreadFileReader,
    add_counts,
    html_error,
    named_document,
    open_file,
)
from langchain_chatexports.chat_loaders.ledger import Tally
from langchain_chatexports.exceptions import ExportFormatError

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence

    from typing_extensions import Unpack

    from langchain_chatexports.chat_loaders.base import ExportSession
    from langchain_chatexports.chat_loaders.facebook_messenger.discovery import (
        DiscoveredExport,
        Thread,
    )
    from langchain_chatexports.chat_loaders.options import LoaderOptions

__all__ = [
    "FolderFacebookMessengerChatLoader",
    "SingleFileFacebookMessengerChatLoader",
]


class Glance(NamedTuple):
    """What the names and ends of an export's files say.

    Attributes:
        threads: How many conversations there are.
        html_files: How many conversations are in HTML, which cannot be read.
        owner: Whose export it is, if that is found.
    """

    threads: int
    html_files: int
    owner: str | None


class _MessengerChatLoader(ChatExportLoader):
    """What both loaders share."""

    platform = FACEBOOK

    def __init__(
        self,
        path: str | Path,
        *,
        system_patterns: str | re.Pattern[str] | Collection[str | re.Pattern[str]] = (),
        **options: Unpack[LoaderOptions],
    ) -> None:
        """Initialize the loader.

        Args:
            path: A thread's JSON file.
            system_patterns: Regular expressions of further texts that nobody typed;
                one has to match the whole text.
            **options: The options that every loader has, see `ChatExportLoader`.
                `owner` is the name of who exported, as it stands in the export.
        """
        super().__init__(path, **options)
        self.paths: tuple[Path, ...] = (self.path,)
        listed = (
            [system_patterns]
            if isinstance(system_patterns, (str, re.Pattern))
            else system_patterns
        )
        self.system_patterns = tuple(re.compile(pattern) for pattern in listed)

    def _count_messages(self) -> int:
        return estimate_records(self.paths)

    def _name_owner(self, found: FoundOwner | None, tally: Tally) -> None:
        if self.owner:
            tally.owner, tally.owner_found_by = self.owner, "option"
        elif found:
            tally.owner, tally.owner_found_by = found

    def _session(
        self,
        builder: SessionBuilder,
        thread_id: str,
        *,
        is_instagram: bool,
        tally: Tally,
    ) -> ExportSession | None:
        session = builder.session(
            self,
            thread_id=thread_id,
            platform=INSTAGRAM if is_instagram else FACEBOOK,
            owner=tally.owner,
            patterns=self.system_patterns,
        )
        tally.found += builder.found
        for reason, count in builder.left_out.items():
            tally.skip(reason, count)
        if session is not None:
            add_counts(tally, "platforms", Counter([session["metadata"]["platform"]]))
        add_counts(tally, "left_out_kinds", builder.kinds)
        add_counts(tally, "languages", builder.languages)
        return session


class SingleFileFacebookMessengerChatLoader(_MessengerChatLoader):
    """Load one JSON file of a Messenger or Instagram export as one session.

    A long thread has several numbered files of up to 10,000 messages each. This loader
    reads the one that it is given; `FolderFacebookMessengerChatLoader` with the path of
    the thread's folder reads all of them as one session.
    """

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        """Read the file: one session, or none if nothing of it is kept.

        Args:
            tally: Where to count what is found and what is left out.

        Yields:
            The session.

        Raises:
            ExportNotFoundError: If there is no such file.
            ExportAccessError: If the system refuses.
            ExportFormatError: If it is not a thread of a JSON export.
        """
        file = open_file(self.path)
        document = named_document(file)
        is_instagram = is_instagram_file(file)
        if is_instagram:
            tally.platform = INSTAGRAM
        self._name_owner(
            None if self.owner else find_owner_in_document(document), tally
        )
        builder = SessionBuilder()
        builder.add(document)
        del document
        session = self._session(
            builder,
            thread_of_file(file).id,
            is_instagram=is_instagram,
            tally=tally,
        )
        if session is not None:
            yield session


class FolderFacebookMessengerChatLoader(_MessengerChatLoader):
    """Load a Messenger or Instagram export, one session a conversation.

    The path may be the zip that Meta hands out (read in place, never unpacked), or a
    folder at any level: the unpacked export, `messages`, a section such as `inbox`, one
    thread, or a folder with several zips or unpacked parts side by side. A thread's
    files are put together over all of them, and what two exports both have comes once.
    End-to-end encrypted chats, which Meta hands out separately, join the older half of
    the same conversation.

    Sessions come in code-point order of the thread folders' names.
    """

    def __init__(
        self,
        path: str | Path | Sequence[str | Path],
        *,
        include_sections: str | Collection[str] = (),
        system_patterns: str | re.Pattern[str] | Collection[str | re.Pattern[str]] = (),
        **options: Unpack[LoaderOptions],
    ) -> None:
        """Initialize the loader.

        Args:
            path: A folder or zip, or several that belong together.
            include_sections: Sections to read although they are left out and counted by
                default: `filtered_threads` and `message_requests`, which are mostly
                spam. A section that `path` itself points at is read anyway.
            system_patterns: Regular expressions of further texts that nobody typed;
                one has to match the whole text.
            **options: The options that every loader has, see `ChatExportLoader`.
                `owner` is the name of who exported, as it stands in the export.

        Raises:
            ValueError: If there is no path or no such section.
        """
        paths = [path] if isinstance(path, (str, Path)) else list(path)
        if not paths:
            msg = "There is no path to load from: give a folder or a zip."
            raise ValueError(msg)
        super().__init__(paths[0], system_patterns=system_patterns, **options)
        self.paths = tuple(Path(one).expanduser() for one in paths)
        listed = [include_sections] if isinstance(include_sections, str) else None
        self.include_sections = frozenset(listed or include_sections)
        if unknown := self.include_sections - SECTIONS:
            msg = (
                f"No section is called {', '.join(map(repr, sorted(unknown)))}. "
                f"Left out by default are: {', '.join(sorted(LEFT_OUT_SECTIONS))}."
            )
            raise ValueError(msg)

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        """Read the export, one conversation at a time.

        Args:
            tally: Where to count what is found and what is left out.

        Yields:
            One session a conversation of which something is kept.

        Raises:
            ExportNotFoundError: If there is nothing at the path.
            ExportAccessError: If the system refuses.
            ExportFormatError: If it is not a Messenger export in JSON.
        """
        with ExitStack() as stack:
            reader = ThreadFileReader(tally)
            export = self._discover(stack, reader)
            self._check_found(export, reader)
            self._name_owner(None if self.owner else find_owner(export), tally)
            reader.describe(export)
            for thread in export.threads:
                session = self._thread_session(thread, export, reader)
                if session is not None:
                    held = [session]
                    del session
                    yield held.pop()  # Only the caller keeps it in memory.
            # Read for the counts only, so not for a caller that stops early.
            for thread in export.threads:
                reader.count_left_out(thread)
            self._check_read(reader)

    def glance(self) -> Glance:
        """Look at the files' names and ends, without reading messages.

        Returns:
            What is there. Files that cannot be read are passed over.

        Raises:
            ExportNotFoundError: If there is nothing at the path.
            ExportAccessError: If the system refuses.
        """
        with ExitStack() as stack:
            export = self._discover(stack, ThreadFileReader(Tally(), is_quiet=True))
            found = find_owner(export) if export.threads else None
            return Glance(
                threads=len(export.threads),
                html_files=export.html_files,
                owner=self.owner or (found.name if found else None),
            )

    def _discover(self, stack: ExitStack, reader: ThreadFileReader) -> DiscoveredExport:
        parts = open_parts(self.paths, stack, reader.warn, SUFFIXES)
        reader.named_file = single_file(parts)
        return discover(
            list_files(parts), sections=self.include_sections, warn=reader.warn
        )

    def _thread_session(
        self, thread: Thread, export: DiscoveredExport, reader: ThreadFileReader
    ) -> ExportSession | None:
        builder = SessionBuilder()
        for file in thread.sorted_files():
            if not file.is_left_out and (document := reader.document(file)):
                builder.add(document)
        return self._session(
            builder,
            thread.id,
            is_instagram=export.is_instagram(thread),
            tally=reader.tally,
        )

    def _check_found(self, export: DiscoveredExport, reader: ThreadFileReader) -> None:
        for refused in export.refused:
            msg = f"{refused.label} is not read: {refused.reason}."
            reader.warn(ExportFormatError(msg))
        if export.threads:
            return
        where = ", ".join(map(str, self.paths))
        if reader.named_file:
            named_document(reader.named_file)
        if export.html_files:
            raise ExportFormatError(html_error(where), path=self.path)
        msg = (
            f"{where} holds no Messenger thread in JSON. Give the zip from Meta or the "
            "folder that it unpacks to. If it came in several parts, put them all into "
            "one folder and give that: some parts hold nothing but media. Zips are "
            "looked for in that folder itself, not in deeper ones."
        )
        raise ExportFormatError(msg, path=self.path)

    def _check_read(self, reader: ThreadFileReader) -> None:
        if not reader.files_read:
            where = ", ".join(map(str, self.paths))
            msg = (
                f"{where} holds no Messenger thread that can be read. "
                "Download the export again."
            )
            raise ExportFormatError(msg, path=self.path)
