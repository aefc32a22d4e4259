"""The Messenger loaders, for one file and for a whole export."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from functools import partial
from operator import attrgetter
from typing import Any, ClassVar

from langchain_chatexports._translation import Sentence
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.facebook_messenger.owner import find_owner
from langchain_chatexports.chat_loaders.facebook_messenger.records import (
    ThreadDocument,
    has_url,
    is_thread_head,
    read_thread,
)
from langchain_chatexports.chat_loaders.facebook_messenger.system_lines import (
    LineReader,
    is_deleted_account,
)
from langchain_chatexports.chat_loaders.facebook_messenger.threads import (
    INSTAGRAM,
    MessengerExport,
    Thread,
    is_html_thread,
    is_in_export_folder,
    may_be_thread,
)
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    DetectedOwner,
    Message,
    Person,
    placeholder_text,
)
from langchain_chatexports.chat_loaders.names import name_key
from langchain_chatexports.chat_loaders.schema import Attachment
from langchain_chatexports.chat_loaders.times import MICROSECONDS
from langchain_chatexports.exceptions import ExportFormatError

_HEAD_BYTES = 4096
_MAX_INSPECTED_FILES = 100
_ZIP_NAMES = ("facebook-", "instagram-")
_PAIR = 2  # Number of people in a chat that is not a group.
_MAX_PLACEHOLDER_LENGTH = 100
# Other system lines are of the kind `system`.
_KINDS = {"attachment": "media", "reaction": "reaction"}


class _MessengerChatLoader(ChatExportLoader):
    """Base class of Meta's loaders."""

    platform: ClassVar[str] = "facebook_messenger"
    suffixes: ClassVar[tuple[str, ...]] = (".json", ".html")
    has_ids = False
    # `sender_name` or `senderName`, in Meta's two formats.
    message_keys = (b'"sender',)

    @classmethod
    def matches(cls, files: ExportFiles) -> bool:
        """Return whether files are from Meta, by their names and first bytes.

        A part that only contains media is recognized by the name of its zip.
        """
        name = files.path.name.lower()
        if name.endswith(".zip") and name.startswith(_ZIP_NAMES):
            return True
        json_files = 0
        for file in files:
            if is_in_export_folder(file) or is_html_thread(file.name):
                return True
            is_json = files.is_single_file or file.name.lower().endswith(".json")
            if is_json and json_files < _MAX_INSPECTED_FILES:
                json_files += 1
                if is_thread_head(file.head(_HEAD_BYTES)):
                    return True
        return False

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the threads in code-point order of their folder names."""
        export = MessengerExport(files)
        if not export.threads:
            raise _no_thread_error(files, has_html=export.html_files > 0)
        owner = None if self.owner else find_owner(export)
        files.details["other_files"] = len(export.other_files)
        _report_gaps(export, files)
        read = partial(
            _read_conversation,
            files=files,
            detected_owner=owner,
            given_owner=self.owner,
        )
        yield from filter(None, map(read, export.threads))

    def find_owner(self) -> str | None:
        """Return the owner's name, if it can be determined; ignore unreadable files."""
        with self.open_export(is_quiet=True) as files:
            owner = find_owner(MessengerExport(files))
            return owner and owner.id


class SingleFileFacebookMessengerChatLoader(_MessengerChatLoader):
    """Load one JSON file of a Messenger or Instagram export as one session.

    Long threads have several numbered files of up to 10,000 messages each. This loader
    reads one file; to read all of them as one session, pass the thread's folder to
    `FolderFacebookMessengerChatLoader`.
    """

    label = "Messenger thread file"

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the thread of the file."""
        if not files.is_single_file:
            msg = (
                f"{files.path} is not a JSON file. "
                "Use FolderFacebookMessengerChatLoader for a folder or a zip."
            )
            raise ExportFormatError(msg, path=files.path)
        yield from super().conversations(files)


class FolderFacebookMessengerChatLoader(_MessengerChatLoader):
    """Load a Messenger or Instagram export, one session per conversation.

    The path may be Meta's zip (read in place, never unpacked), a folder at any level
    (the unpacked export, `messages`, a section such as `inbox`, one thread), a folder
    of several zips or unpacked parts, or a list of those. The files of a thread are
    joined across all parts, without duplicates. End-to-end encrypted chats, which Meta
    exports separately, are joined with the older part of the conversation.

    The sections `filtered_threads` and `message_requests`, which are mostly spam, and
    `your_group_messages`, which repeats groups from the inbox, are skipped unless
    `keep` contains `section` or the path includes their name. `owner` is the owner's
    name as written in the export. Sessions are in code-point order of the thread
    folders' names.
    """

    label = "Messenger export"
    remedy = "Download the export again."
    has_parts = True


def _report_gaps(export: MessengerExport, files: ExportFiles) -> None:
    """Report files that are missing, not understood or joined by names alone."""
    numbered = [
        (thread, entry)
        for thread in export.threads
        for entry in thread.files
        if entry.number
    ]
    ignored = [file for file in export.other_files if may_be_thread(file.name)]
    for thread, encrypted in export.joined_by_name:
        files.report_loss(
            "joined_by_name",
            f"{encrypted.file.label} and the thread {thread.id} are of people with the "
            "same names and read as one conversation. If they are different people, "
            "load the encrypted chats by themselves.",
        )
    files.report_ignored(ignored, [entry.file for _, entry in numbered])
    numbers: dict[str, set[int]] = defaultdict(set)
    for thread, entry in numbered:
        numbers[thread.id].add(entry.number - 1)
    for thread_id, found in numbers.items() if not files.is_single_file else ():
        files.report_missing(thread_id, found)


def _parse_documents(thread: Thread, files: ExportFiles) -> list[ThreadDocument]:
    """Parse the files of a thread, oldest first."""
    documents: list[ThreadDocument] = []
    entries = {entry.file: entry for entry in thread.sorted_files}
    for file, document in files.read_each(entries, read_thread):
        if document is None and files.is_single_file:
            raise _no_thread_error(files)
        if document is None:
            files.details["other_files"] += 1
            continue
        document.is_skipped = entries[file].is_skipped
        documents.append(document)
        files.check_count(sum(len(d.records) for d in documents))
    return documents


def _read_conversation(
    thread: Thread,
    files: ExportFiles,
    detected_owner: DetectedOwner | None,
    given_owner: str | None,
) -> Conversation | None:
    documents = _parse_documents(thread, files)
    if not documents:
        return None
    # The file with the newest message has the current title and members.
    newest_first = sorted(documents, key=lambda d: (d.is_skipped, -d.newest_time))
    heads = [document.head for document in newest_first]
    participants = next((head.participants for head in heads if head.participants), [])
    is_group = next((h.is_group for h in heads if h.is_group is not None), None)
    members = [
        name for name in dict.fromkeys(participants) if not is_deleted_account(name)
    ]
    messages = _merge(documents)
    people = dict.fromkeys([*members, *(message.sender for message in messages)])
    people.pop("", None)
    owner = given_owner or (detected_owner and detected_owner.id)
    _find_system_lines(messages, LineReader(people, owner))
    return Conversation(
        id=thread.id,
        messages=iter(messages),  # Frees the list when it is exhausted.
        title=next((head.title for head in heads if head.title), None),
        members=members,
        people={name: Person(name) for name in people},
        is_group=len(participants) > _PAIR or None if is_group is None else is_group,
        platform=INSTAGRAM if thread.is_instagram else None,
        owner=detected_owner,
        is_ordered=True,
    )


def _merge(files: list[ThreadDocument]) -> list[Message]:
    """Join the messages of a thread's files, oldest first.

    Messages with equal times keep their file order, reversed if it is newest first.
    Messages without a time come first, in file order.
    """
    _mark_duplicates(files)
    for file in files:
        for message in file.messages if file.is_skipped else ():
            if message.kind == "text":
                message.kind = "section"
    directions = [_is_newest_first(file.messages) for file in files]
    default = next((d for d in directions if d is not None), None)
    if default is None:
        # Times do not differ within any file, so compare files by number.
        by_number = [m for file in reversed(files) for m in file.messages]
        default = _is_newest_first(by_number)
    undated: list[Message] = []
    dated: list[Message] = []
    for file, direction in zip(files, directions, strict=True):
        undated += [m for m in file.messages if m.time is None]
        if default if direction is None else direction:
            file.messages.reverse()
        dated += [m for m in file.messages if m.time is not None]
    dated.sort(key=attrgetter("time"))
    return undated + dated


def _find_system_lines(messages: list[Message], reader: LineReader) -> None:
    """Set the kinds of system lines; messages must be sorted oldest first."""
    placeholders = _find_placeholders(messages)
    for message in messages:
        text = message.text
        if message.kind != "text" or not text:
            continue
        has_attachment = "attachments" in message.extra
        if placeholders and text in placeholders:
            kind: str | None = "attachment"
        else:
            kind = reader.classify(text, message.sender, has_attachment=has_attachment)
        if kind is None:
            continue
        message.kind = _KINDS.get(kind, "system")
        if message.kind == "media":
            message.text = "" if has_attachment else placeholder_text(())
        else:
            message.extra[message.kind] = kind if message.kind == "system" else True


def _is_newest_first(messages: list[Message]) -> bool | None:
    times = (m.time for m in messages if m.time is not None)
    backwards = (m.time for m in reversed(messages) if m.time is not None)
    first, last = next(times, None), next(backwards, None)
    return None if first is None or last is None or first == last else first > last


def _mark_duplicates(files: list[ThreadDocument]) -> None:
    """Mark messages that also occur in another file.

    Duplicates have the same sender, time, text and attachments, but are in different
    files; equal records in one file are different messages.
    """
    # Exports from 2018 round times to seconds; later ones have milliseconds.
    unit = MICROSECONDS if any(file.has_whole_seconds for file in files) else 1
    shared = _find_shared_times(files, unit)
    seen: dict[object, list[Message]] = {}
    best_first = sorted(
        files, key=lambda file: (file.is_skipped, file.has_whole_seconds)
    )
    for file in best_first if shared else ():
        counts: Counter[object] = Counter()
        for message in file.messages:
            time = None if message.time is None else message.time // unit
            if time not in shared or not (message.text or message.extra):
                continue
            content = time, *_content_key(message)
            copies, nth = seen.setdefault(content, []), counts[content]
            counts[content] += 1
            if nth == len(copies):  # Match the n-th copies in all files.
                copies.append(message)
                continue
            if _information_rank(message) > _information_rank(copies[nth]):
                copies[nth].kind, copies[nth].extra = message.kind, message.extra
            message.kind = "duplicate"


def _find_shared_times(files: list[ThreadDocument], unit: int) -> set[int | None]:
    seen: set[int | None] = set()
    shared: set[int | None] = set()
    for file in files if len(files) > 1 else ():
        times = {None if m.time is None else m.time // unit for m in file.messages}
        shared |= times & seen
        seen |= times
    return shared


def _content_key(message: Message) -> tuple[object, ...]:
    attachments = message.extra.get("attachments", ())
    return message.sender, message.text, tuple(map(_attachment_key, attachments))


def _attachment_key(attachment: Attachment) -> tuple[str, ...]:
    values = map(attachment.get, ("type", "name", "uri", "text"))
    return tuple(str(value or "") for value in values)


def _information_rank(message: Message) -> tuple[bool, int]:
    """Rank copies of a message by the amount of information.

    Newer exports mark unsent messages and have more reactions; older ones have fields
    for system messages.
    """
    return message.kind != "text", len(message.extra.get("reactions", ()))


def _find_placeholders(messages: Collection[Message]) -> set[str]:
    """Find the placeholders for shared attachments, in any language.

    They are short, name their sender, and occur more than once, but only in messages
    with a share. People comment on shares, too, so their own words must be kept.
    """
    on_shares = Counter(
        message.text
        for message in messages
        if message.extra  # Checked first, since most messages have none.
        and message.kind == "text"
        and _has_share(message.extra)
        and len(message.text) <= _MAX_PLACEHOLDER_LENGTH
        and _names_sender(message)
    )
    repeated = {
        text for text, count in on_shares.items() if count > 1 and not has_url(text)
    }
    if not repeated:
        return repeated
    return repeated.difference(m.text for m in messages if not _has_share(m.extra))


def _names_sender(message: Message) -> bool:
    words = {*map(name_key, re.findall(r"\w+", message.text))}
    return not words.isdisjoint(map(name_key, message.sender.split()))


def _has_share(extra: dict[str, Any]) -> bool:
    return any(item["type"] == "link" for item in extra.get("attachments", ()))


def _no_thread_error(
    files: ExportFiles, *, has_html: bool = False
) -> ExportFormatError:
    path = files.path
    if has_html or (files.is_single_file and files.files[0].head(1) == b"<"):
        msg: str = Sentence(
            "{path} is a Messenger export in HTML, which has no reliable times or "
            "senders. Request it again from Accounts Center (Your information and "
            "permissions, Export your information) with the format set to JSON.",
            path=path,
        )
    elif files.is_single_file:
        msg = (
            f"{path} is not a Messenger thread in JSON. Pass the zip from Meta, the "
            "folder that it unpacks to, or a file message_1.json in it."
        )
    else:
        msg = (
            f"{path} contains no Messenger thread in JSON. Pass Meta's zip or the "
            "folder that it unpacks to. If there are several parts, put all of them "
            "into one folder, since some contain only media. Zips in subfolders are "
            "not read."
        )
    return ExportFormatError(msg, path=path)
